package netstack

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"ustack/tap"
)

// idleHosts have some connections whose in rings have carried much, and are empty.
func idleHosts(t *testing.T, conns int) *Stack {
	t.Helper()
	h := newHosts(t, nil, nil, func(c *Config) { c.RingIn = 2 << 20 })
	for i := range conns {
		client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, uint16(100+i)))
		const size = 1500 << 10
		sent := make(chan error, 1)
		go func() { sent <- push(client, size, 1) }()
		mustWait(t, server, size)
		server.In.Consume(size)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Abort(nil); server.Abort(nil) })
	}
	return h.b
}

// touched is what the in rings hold in pages. The loop calls it.
func (l *loop) touched() (n int) {
	for _, f := range l.flows {
		n += f.area.In.Touched()
	}
	return n
}

func TestIdleConnectionsGiveTheirPagesBack(t *testing.T) {
	const conns = 12
	s := idleHosts(t, conns)
	s.onLoop(t, func() { // as if it were later: the loop has nothing else to do then
		l := s.l
		later := l.now.Add(10 * sweepEvery)
		l.trim.find(l.flows, later)
		for l.trim.step(later) {
		}
		if n := l.touched(); n > conns*trimTo {
			t.Errorf("%d idle rings keep %d bytes, %d each may", conns, n, trimTo)
		}
	})
}

func TestPagesAreGivenBackWithoutBeingAsked(t *testing.T) {
	const conns = 2
	s := idleHosts(t, conns)
	const most = conns*trimTo + tap.MaxFrame // the next frame is aimed at one of them
	eventually(t, "the pages given back", func() (done bool) {
		s.onLoop(t, func() { done = s.l.touched() <= most })
		return done
	})
	rests := s.Stats().Parks
	eventually(t, "the loop at rest", func() bool { return s.Stats().Parks > rests })
}

// Trimming takes a small part of a busy loop's time, and does not stop.
func TestABusyLoopTrimsNowAndThen(t *testing.T) {
	s := idleHosts(t, 2)
	s.onLoop(t, func() {
		l := s.l
		later := l.now.Add(10 * sweepEvery)
		l.trim.find(l.flows, later)
		l.trim.after = later.Add(time.Nanosecond)
		if l.trim.stepWhenBusy(later) {
			t.Error("a busy loop trims before its time")
		}
		steps := 0
		for later = l.trim.after; l.trim.stepWhenBusy(later); later = l.trim.after {
			if steps++; !l.trim.after.After(later) {
				t.Fatal("a busy loop trims without a pause")
			}
		}
		if steps < 4 || l.touched() > 2*trimTo {
			t.Errorf("%d bytes kept after %d steps", l.touched(), steps)
		}
	})
}

// What TCP holds in place behind a gap stays, however long the gap is open.
func TestPagesThatTCPHoldsAreKept(t *testing.T) {
	const opens, gap, held = 40_000, 2 * trimTo, 5000
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	defer a.Abort(nil)
	c.openWindow(t, a, opens)
	refused := w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1+opens, c.irs+1, nil, make([]byte, gap)))
	w.writeWrong(refused)
	w.barrier(1)
	c.send(opens+gap, versioned(make([]byte, held), opens+gap, 1))
	w.barrier(2)
	w.stack.onLoop(t, func() {
		l := w.stack.l
		later := l.now.Add(10 * sweepEvery)
		l.trim.find(l.flows, later)
		for l.trim.step(later) {
		}
	})
	c.send(opens, versioned(make([]byte, gap), opens, 1))
	mustWait(t, a, gap+held)
	if got := a.In.Peek(gap + held); !bytes.Equal(got, versioned(make([]byte, gap+held), opens, 1)) {
		t.Error("other bytes than were sent")
	}
}
