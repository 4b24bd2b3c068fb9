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
		w.together(func() {
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
		again := w.stack.Stats().Retransmits
		if acked && again != 0 {
			t.Errorf("%d segments were sent again that had been acknowledged", again)
		}
		if !acked && again == 0 {
			t.Error("the timer did nothing")
		}
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
