package main

import (
	"testing"

	"ustack/cmd/ustack/compare"
)

var kept []*[64]byte // so that what is counted lies on the heap

// allocsOf is the least that is counted while n objects are made, of some times: Go's
// runtime may make some of its own.
func allocsOf(n int) uint64 {
	least := ^uint64(0)
	for range 20 {
		before := readProcessStats()
		kept = kept[:0]
		for range n {
			kept = append(kept, new([64]byte))
		}
		least = min(least, readProcessStats().Allocs-before.Allocs)
	}
	return least
}

func TestAnAllocationIsCountedAtOnce(t *testing.T) {
	kept = make([]*[64]byte, 0, 8)
	if none, some := allocsOf(0), allocsOf(7); some-none != 7 {
		t.Errorf("%d allocations where there was none, %d where there were 7", none, some)
	}
}

// What a sample costs is taken off what was counted: it must be the same each time.
func TestSamplesOfAnIdleServerCostTheSame(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget at random what they keep")
	}
	socket, _ := started(t, kernelServer("echo")...)
	var costs []float64
	var last snapshot
	for i := range 12 {
		now, err := readSnapshot(socket)
		if err != nil {
			t.Fatal(err)
		}
		if i > 1 { // JSON's encoder keeps what it has found out about types
			one := costOf(last, now)
			costs = append(costs, float64(one.Process.Allocs))
		}
		last = now
	}
	equal := 0
	for _, c := range costs {
		if c > 0 && c == compare.Median(costs) {
			equal++
		}
	}
	if equal <= len(costs)/2 {
		t.Errorf("allocations of %v", costs)
	}
}

func TestSamplesAreNotOfTheLoad(t *testing.T) {
	of := func(n uint64) snapshot { return snapshot{Syscalls: n, Process: processStats{Voluntary: n, Allocs: n}} }
	for _, c := range []struct {
		samples int
		after   uint64
		want    float64
	}{
		{1, 1000 + 50, 0},
		{4, 1000 + 4*50, 0}, // asked until the server had counted all
		{1, 1000 + 50 + 300, 3},
		{1, 1000 + 20, -0.3}, // as far from 0 as it was, on this side too
	} {
		s := stretch{before: of(1000), after: of(c.after), sampling: of(50), samples: c.samples, load: loadResult{All: 100, Seconds: 1}}
		v := s.values(compare.GroupRequest)
		for _, name := range []string{compare.Calls, compare.Wakeups, compare.Allocs} {
			if v[name] != c.want {
				t.Errorf("%d samples, %d counted: %v %s by request, want %v", c.samples, c.after-1000, v[name], name, c.want)
			}
		}
	}
}
