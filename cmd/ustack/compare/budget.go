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
	total time.Duration
	runs  int // still to come
	used  time.Duration
	// overheads are what a run of each step has cost beyond its load, in seconds. The
	// median counts: ten thousand connections cost what no other step does.
	overheads []float64
	fixed     time.Duration // if not 0, what each load is to take
}

// firstGuess is what a run costs beyond its load before one has been made.
const firstGuess = 300 * time.Millisecond

// NewBudget plans for a number of runs, whose loads take the same time, if it is not 0,
// or else an even share.
func NewBudget(total time.Duration, runs int, each time.Duration) *Budget {
	return &Budget{total: total, runs: runs, fixed: each}
}

// Load is how long the load of each run to come may last.
func (b *Budget) Load() time.Duration {
	if b.fixed > 0 {
		return b.fixed
	}
	if b.runs <= 0 {
		return longestRun
	}
	return min(max(b.share()-b.overhead(), shortestRun), longestRun)
}

// share is the time that is left for each run to come.
func (b *Budget) share() time.Duration { return (b.total - b.used) / time.Duration(b.runs) }

// overhead is what a run costs beyond its load.
func (b *Budget) overhead() time.Duration {
	if len(b.overheads) == 0 {
		return firstGuess
	}
	return time.Duration(Median(b.overheads) * float64(time.Second))
}

// Rounds is how many of the rounds that were asked for there is time for, at least
// one: on a machine that is slow, or busy, all workloads with fewer pairs say more than
// the first of them with all.
func (b *Budget) Rounds(asked int) int {
	if b.fixed > 0 || b.runs <= 0 {
		return asked
	}
	fit := float64(b.share()) / float64(b.overhead()+shortestRun)
	return max(1, min(asked, int(float64(asked)*fit)))
}

// Took notes that a step, for which some runs were planned, made n, whose loads lasted
// each, and took a time in all.
func (b *Budget) Took(planned, n int, each, all time.Duration) {
	b.used += all
	b.runs -= planned
	if n > 0 {
		b.overheads = append(b.overheads, max(0, all/time.Duration(n)-each).Seconds())
	}
}

// Spent reports that no time is left.
func (b *Budget) Spent() bool { return b.used >= b.total }
