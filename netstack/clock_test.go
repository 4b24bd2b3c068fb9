package netstack

import (
	"testing"
)

// A timer that comes due while the loop is held up runs after what came in time was read: what
// is acknowledged is not sent again.
func TestTimersWaitForWhatHasCome(t *testing.T) {
	for _, acked := range []bool{true, false} {
		w := newWire(t, nil)
		ln := w.listen()
		conn := w.open(4000, 1)
		a := w.accept(ln)
		if err := a.Out.Append(patience, []byte("taken?")); err != nil {
			t.Fatal(err)
		}
		conn.until(func(s *segment) bool { return s.payload == 6 })
		l := w.stack.l
		var before uint64
		w.together(func() {
			before = w.stack.Stats().Retransmits // on a busy machine the timer may have run already
			if acked {
				w.write(w.ip(protoTCP, nil, conn.tcp(flagACK, conn.iss+1, conn.irs+1+6, nil, nil)))
			}
			eventually(t, "the retransmission timer", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return len(l.timers) > 0
			})
		})
		if acked {
			eventually(t, "the acknowledgement", func() bool { return a.Out.Len() == 0 })
		}
		eventually(t, "the timer's turn", func() (ran bool) {
			w.stack.onLoop(t, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				ran = len(l.timers) == 0 && len(l.due) == 0
			})
			return ran
		})
		again := func() uint64 { return w.stack.Stats().Retransmits - before }
		if !acked {
			eventually(t, "the segment again", func() bool { return again() > 0 })
		} else if n := again(); n != 0 {
			t.Errorf("%d segments were sent again that had been acknowledged", n)
		}
	}
}

// When timers run TCP has looked at what was read before: its goroutines have had their turn, also
// where the loop has let nobody run.
func TestTimersFindWhatWasReadLookedAt(t *testing.T) {
	for _, procs := range []int{1, 2} {
		withProcs(t, procs, func(t *testing.T) {
			w := newWire(t, nil)
			ln := w.listen()
			conn := w.open(4000, 1)
			a := w.accept(ln)
			l := w.stack.l
			for i := range uint32(20) {
				if err := a.Out.Append(patience, []byte("taken?")); err != nil {
					t.Fatal(err)
				}
				conn.until(func(s *segment) bool { return s.payload == 6 })
				ran := false
				w.stack.onLoop(t, func() {
					w.write(w.ip(protoTCP, nil, conn.tcp(flagACK, conn.iss+1, conn.irs+1+6*(i+1), nil, nil)))
					l.due = append(l.due, func() {
						ran = true
						if n := a.Stream().(*flow).unacked(); n != 0 {
							t.Errorf("a timer finds %d bytes on their way whose acknowledgement was read", n)
						}
					})
					l.readAll()
					l.runDue()
				})
				if !ran {
					t.Fatal("no timer has run")
				}
			}
		})
	}
}

// Timers run also where the device is never empty.
func TestTimersRunWhereFramesNeverEnd(t *testing.T) {
	l := &loop{more: true}
	ran := 0
	l.timers = append(l.timers, func() { ran++ })
	l.takeDue()
	for range duePasses - 1 {
		if l.runDue() || ran > 0 {
			t.Fatal("a timer ran before the device was empty")
		}
	}
	if !l.runDue() || ran != 1 || l.runDue() {
		t.Errorf("a timer ran %d times", ran)
	}
	l.timers = append(l.timers, func() { ran++ })
	l.takeDue()
	l.more = false
	if !l.runDue() || ran != 2 {
		t.Error("a timer did not run although the device was empty")
	}
}
