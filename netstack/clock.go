package netstack

import (
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// duePasses bounds how often the device is looked at before timers run, when it is never
// found empty.
const duePasses = 16

// A clock is TCP's. Its timers run on a loop, once all have read what the device had when
// they were due: a machine that was not scheduled for a while, or is busy, finds timers and
// frames waiting together, and an acknowledgement that has come in time is no reason
// to send again.
type clock struct {
	tcpip.Clock
	loops []*loop
}

func newClock(loops []*loop) *clock { return &clock{tcpip.NewStdClock(), loops} }

// AfterFunc implements tcpip.Clock.
func (c *clock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return tcpip.NewStdTimer(time.AfterFunc(d, func() {
		// Whose it is TCP does not tell: it runs on the last loop to have read its queues.
		left := new(atomic.Int32)
		left.Store(int32(len(c.loops)))
		run := func() {
			if left.Add(-1) == 0 {
				f()
			}
		}
		for _, l := range c.loops {
			if !l.post(&l.timers, run) {
				run() // the loop has ended: nothing waits in the device
			}
		}
	}))
}

// takeDue takes the timers that are due, to be run when the device has been read again. The
// caller holds mu.
func (l *loop) takeDue() {
	l.due = append(l.due, l.timers...)
	clear(l.timers)
	l.timers = l.timers[:0]
}

// awaitTCP returns when TCP has looked at all that this loop has handed it. Its own goroutines
// do that, which on a busy machine, or with several processors, may not have had their turn
// when the loop has let others run.
func (l *loop) awaitTCP() {
	if !l.fed {
		return
	}
	l.fed = false
	l.link.awaiting.Lock()
	defer l.link.awaiting.Unlock()
	l.link.tcp.Pause() // when their queues are empty
	l.link.tcp.Resume()
}

// runDue runs the timers that were due before the loop read the device, and reports
// whether there were any.
func (l *loop) runDue() bool {
	if len(l.due) == 0 {
		return false
	}
	if l.duePasses++; l.more && l.duePasses < duePasses {
		return false
	}
	l.duePasses = 0
	l.awaitTCP()
	for i, f := range l.due {
		l.due[i] = nil
		f()
	}
	l.due = l.due[:0]
	return true
}
