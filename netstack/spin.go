package netstack

import "time"

const (
	// Polling in vain costs up to spinner.limit, and polling that finds something saves less: so
	// it has to be in vain less than half as often. spinCredit is what a spinner begins with,
	// and has again when a trial finds something, spinMost what it may gain.
	spinMiss   = 2
	spinCredit = 4
	spinMost   = 8
	// spinTrial is after how many rests without it polling is tried again.
	spinTrial = 256
)

// A spinner decides whether the loop polls before it rests: a rest costs a wake of
// some tens of microseconds when the next frame comes, polling costs the CPU, and
// is in vain where the peer needs this very CPU to answer. So polling goes on for
// at most limit after the last work while it mostly finds some; when it was in vain too
// often it is given up, but for a trial now and then.
type spinner struct {
	limit    time.Duration
	last     time.Time // when there was work
	spinning bool
	credit   int
	rests    int // since polling was given up
	trial    bool
}

func newSpinner(limit time.Duration) spinner { return spinner{limit: limit, credit: spinCredit} }

// worked says that there was work at now.
func (s *spinner) worked(now time.Time) {
	if s.spinning {
		if s.trial {
			s.credit, s.trial = spinCredit, false
		} else {
			s.credit = min(s.credit+1, spinMost)
		}
	}
	s.spinning = false
	s.last = now
}

// wanted says whether polling is of use, as far as is known.
func (s *spinner) wanted() bool { return s.limit > 0 && (s.credit > 0 || s.trial) }

// again says whether to poll once more.
func (s *spinner) again() bool {
	if s.wanted() && time.Since(s.last) < s.limit {
		s.spinning = true
		return true
	}
	if s.spinning {
		s.spinning, s.trial = false, false
		s.credit -= spinMiss
		s.rests = 0
	}
	return false
}

// rested says that the loop has rested.
func (s *spinner) rested() {
	if s.rests++; s.credit <= 0 && s.rests%spinTrial == 0 {
		s.trial = true
	}
}
