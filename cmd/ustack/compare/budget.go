package compare

import "time"

// Bounds of the time that a load runs in one run.
const (
	shortestRun = 100 * time.Millisecond
	longestRun  = time.Second
)

// A Budget shares out a comparison's time: workloads are sized by time and not by
// bytes, so that a slow contender takes no longer than a fast one, and what starting
// and stopping turns out to cost is taken off what the runs to come may take.
type Budget struct {
	total    time.Duration
	runs     int // still to come
	used     time.Duration
	overhead time.Duration // of a run, beyond the load's own time
}

// firstGuess is what a run costs beyond its load before one has been made.
const firstGuess = 400 * time.Millisecond

// NewBudget plans for a number of runs.
func NewBudget(total time.Duration, runs int) *Budget {
	return &Budget{total: total, runs: runs, overhead: firstGuess}
}

// Load is how long the load of each run to come may last.
func (b *Budget) Load() time.Duration {
	if b.runs <= 0 {
		return longestRun
	}
	share := (b.total-b.used)/time.Duration(b.runs) - b.overhead
	return min(max(share, shortestRun), longestRun)
}

// Took notes that a step of n runs, whose loads lasted each, took a time in all.
func (b *Budget) Took(n int, each, all time.Duration) {
	b.used += all
	b.runs -= n
	if n > 0 {
		// Steps differ: the newest counts a third.
		measured := max(0, all/time.Duration(n)-each)
		b.overhead += (measured - b.overhead) / 3
	}
}

// Spent reports that no time is left.
func (b *Budget) Spent() bool { return b.used >= b.total }
