package main

import (
	"errors"
	"strings"
	"testing"
)

func TestTheDemonstrationCountsItsRounds(t *testing.T) {
	for rounds, want := range map[int]string{1: "; 1 round in turn", 3: "; 3 rounds in turn"} {
		one := demoResult{Measurements: rounds}
		var b strings.Builder
		printDemo(&b, map[string]demoResult{"netstack": one, "kernel": one}, map[string][]demoResult{"netstack": {one}, "kernel": {one}})
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

// What the demonstration says when it fails has a cause, whether the client failed or what
// it was asked.
func TestAFailedDemonstrationSaysWhy(t *testing.T) {
	d := &demoRun{cmd: &demoCmd{Smbclient: "smbclient"}}
	for _, c := range []struct {
		out  string
		err  error
		done bool
		want string
	}{
		{"", nil, true, ""},
		{"NT_STATUS_ACCESS_DENIED\n", nil, false, "smbclient: ls: not done: NT_STATUS_ACCESS_DENIED"},
		{"no route\n", errors.New("exit status 1"), true, "smbclient: ls: exit status 1: no route"},
		{"", errors.New("exit status 1"), false, "smbclient: ls: exit status 1: "},
	} {
		got := ""
		if err := d.said("ls", c.out, c.err, c.done); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("said %q, want %q", got, c.want)
		}
	}
}
