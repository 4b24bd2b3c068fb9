package netstack

import (
	"slices"
	"time"
)

// Budgets. What is on its way waits in memory: inward in the device's queues, as socket
// buffers of the kernel, outward in Out. Eight bulk flows of which each may have 4 MiB on
// its way let 32 MiB wait: they have left the caches when they are read, and wait for so long that TCP takes for
// lost what is only late. So the flows that carry much at the same time share a budget, one
// for each direction. A flow alone has all that it may have.

const (
	// shareEvery is how often shares are computed anew, at most.
	shareEvery = 5 * time.Millisecond
	// bulkTime is how long a flow counts as bulk after it has used its share.
	bulkTime = 100 * time.Millisecond
	// leastShare is two largest frames, so that one can be sent while the other is read.
	leastShare = 128 << 10
)

// A budget is shared out among the flows that carry much in one direction. The loop's
// own.
type budget struct {
	total  int // bytes of all shares together, if none is less than leastShare
	full   int // the most of one
	shared time.Time
	due    bool     // a flow has used its share since
	bulk   []*share // of flows that did in the last bulkTime
}

// A share is what one flow may have on its way in one direction.
type share struct {
	n    int       // bytes
	got  int       // bytes that were carried since half of that was used up
	last time.Time // when some were
	used time.Time // when half was used up, last
	bulk bool
	gone bool         // the flow has ended
	set  func(to int) // applies it; nil: n is all there is
}

// moved notes that n bytes of a flow were carried. One that has used half of its share
// without a pause is bulk: with more it could carry more.
func (b *budget) moved(s *share, n int, now time.Time) {
	if now.Sub(s.last) > bulkTime {
		s.got = 0
	}
	s.last = now
	if s.got += n; s.got < s.n/2 {
		return
	}
	s.got, s.used, b.due = 0, now, true
	if !s.bulk {
		s.bulk = true
		b.bulk = append(b.bulk, s)
	}
}

// share gives each flow that has used its share since the last time a new one.
func (b *budget) share(now time.Time) {
	if !b.due || now.Sub(b.shared) < shareEvery {
		return
	}
	b.bulk = slices.DeleteFunc(b.bulk, func(s *share) bool {
		s.bulk = !s.gone && now.Sub(s.used) <= bulkTime
		return !s.bulk
	})
	n := min(max(b.total/max(len(b.bulk), 1), leastShare), b.full)
	for _, s := range b.bulk {
		if !s.used.After(b.shared) {
			continue
		}
		if s.set == nil {
			s.n = n
		} else {
			s.set(n)
		}
	}
	b.shared, b.due = now, false
}
