package netstack

import "time"

const (
	// spinMisses is how often in a row polling is in vain before it is given up.
	spinMisses = 2
	// spinTrial is after how many rests without it polling is tried again.
	spinTrial = 256
)

// A spinner decides whether the loop polls before it rests: a rest costs a wake of
// some tens of microseconds when the next frame comes, polling costs the CPU, and
// is in vain where the peer needs this very CPU to answer. So polling goes on for
// at most limit after the last work while it finds some; when it was in vain a few
// times it is given up, but for a trial now and then.
type spinner struct {
	limit    time.Duration
	last     time.Time // when there was work
	spinning bool
	misses   int // in a row
	rests    int // since polling was given up
	trial    bool
}

// worked says that there was work at now.
func (s *spinner) worked(now time.Time) {
	if s.spinning {
		s.misses, s.trial = 0, false
	}
	s.spinning = false
	s.last = now
}

// wanted says whether polling is of use, as far as is known.
func (s *spinner) wanted() bool { return s.limit > 0 && (s.misses < spinMisses || s.trial) }

// again says whether to poll once more.
func (s *spinner) again() bool {
	if s.wanted() && time.Since(s.last) < s.limit {
		s.spinning = true
		return true
	}
	if s.spinning {
		s.spinning, s.trial = false, false
		s.misses++
		s.rests = 0
	}
	return false
}

// rested says that the loop has rested.
func (s *spinner) rested() {
	if s.rests++; s.misses >= spinMisses && s.rests%spinTrial == 0 {
		s.trial = true
	}
}
