package netstack

import "time"

// Some peers write the length of a message and then the message, and their TCP sends two
// segments: the first has a few bytes, and leads the second by some microseconds. Handed over
// at once, it costs TCP a segment, and the handler a turn in which it learns that it has to
// wait; and while that goes on the rest arrives. So where such segments have mostly been
// followed by another, a loop that polls anyway waits for that, and both go to TCP as one
// (gather.go).

const (
	// leadMost is the most payload of a segment that may lead another: the header of
	// SMB over TCP has 4 bytes.
	leadMost = 16
	// leadWait is for how long the one that it leads is waited for.
	leadWait = 20 * time.Microsecond
	// A wait in vain delays a peer that has said all, so it has to be in vain less than
	// one time in four. leadTrial is after how many segments that were not waited for
	// one is again.
	leadMiss   = 3
	leadCredit = 4
	leadTrial  = 64
)

// A leader knows whether the small segments of a flow lead others. The loop's own.
type leader struct {
	credit int // up to leadCredit
	passed int // small segments since waiting was given up
}

// wanted says whether to wait for what comes behind a small segment.
func (d *leader) wanted() bool {
	if d.credit > 0 {
		return true
	}
	d.passed++
	return d.passed%leadTrial == 0
}

// waited says whether something came.
func (d *leader) waited(came bool) {
	if came {
		d.credit = min(d.credit+1, leadCredit)
	} else {
		d.credit = max(d.credit-leadMiss, 0)
	}
}

// follow waits for what the segment leads that was read last, and reports whether a frame
// has been read: that, or another's, which tells nothing.
func (q *queue) follow() bool {
	f, g := q.led, &q.l.gathered
	before := g.n
	for began := time.Now(); time.Since(began) < q.l.leadWait; {
		if q.readFrame() {
			if g.f == f && g.n > before {
				f.leader.waited(true)
			}
			return true
		}
	}
	f.leader.waited(false)
	return false
}

// leads reports whether the frame that was read last is to be waited behind: one of few
// bytes, where no other queue has anything and no timer is due. What handlers commit meanwhile waits, too.
func (q *queue) leads() bool {
	l := q.l
	return q.led != nil && l.spin.wanted() && len(l.ready) <= 1 && len(l.due) == 0 && q.led.leader.wanted()
}
