package main

import (
	"testing"
	"time"
)

func TestOnlyProcessorsThatTakePartCount(t *testing.T) {
	const stat = "cpu  60 0 0 0 0 0 0 0 0 0\ncpu0 10 0 0 5 0 0 0 0 0 0\ncpu1 20 0 0 5 0 0 0 0 0 0\ncpu10 30 0 0 5 0 0 0 0 0 0\n"
	for _, c := range []struct {
		cpus []int
		want time.Duration
	}{
		{nil, 600 * time.Millisecond},
		{[]int{0}, 100 * time.Millisecond},
		{[]int{1}, 200 * time.Millisecond},
		{[]int{0, 10}, 400 * time.Millisecond},
	} {
		if got, err := busyTime(stat, c.cpus); err != nil || got != c.want {
			t.Errorf("processors %v: %v, %v, want %v", c.cpus, got, err, c.want)
		}
	}
	if _, err := busyTime(stat, []int{0, 7}); err == nil {
		t.Error("a processor that is not there")
	}
}

func TestOtherLoadIsNoted(t *testing.T) {
	for _, c := range []struct {
		name                   string
		system, server, client float64
		beside                 time.Duration
		want                   bool
	}{
		{"none", 1, 0.5, 0.5, 0, false},
		{"much", 1, 0.3, 0.3, 0, true},
		{"a relay's", 1, 0.3, 0.3, 300 * time.Millisecond, false},
		{"less than ticks can tell", 0.03, 0.01, 0.005, 0, false},
		{"little of much", 1.2, 0.5, 0.5, 0, false},
	} {
		s := stretch{after: snapshot{UserS: c.server, beside: c.beside}, load: loadResult{SystemS: c.system, ClientS: c.client}}
		if got := s.otherLoad(); (got != "") != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
