package netstack

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"

	"ustack/ioarea"
	"ustack/tap"
)

// A peer sends what TCP refuses and then what comes behind that, so that TCP holds
// a part of the ring, leaves the gap open, and never closes: its ring comes back.
func TestAGapLeftOpenKeepsNoRing(t *testing.T) {
	for name, refused := range map[string]struct {
		write func(*wire, []byte)
		flags byte
	}{
		"bad checksum": {(*wire).writeWrong, flagACK | flagPSH},
		"no ACK":       {(*wire).write, flagPSH},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, func(c *Config) { c.MaxConns = 1 })
			ln := w.listen()
			for i := range 5 {
				c := w.open(uint16(1001+i), 7)
				a := w.accept(ln)
				c.send(0, []byte("hello"))
				mustWait(t, a, 5)
				refused.write(w, w.ip(protoTCP, nil, c.tcp(refused.flags, c.iss+6, c.irs+1, nil, []byte("bad"))))
				c.send(8, bytes.Repeat([]byte("y"), 1000))
				w.barrier(1)
				f := a.Stream().(*flow)
				a.Close()
				s := c.until(func(s *segment) bool { return s.flags&flagFIN != 0 })
				w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+6, s.seq+1, nil, nil)))
				w.barrier(2)
				f.notify(evLinger) // its time is over
				eventually(t, "no connection", func() bool { return w.stack.Stats().Conns == 0 })
				eventually(t, "no ring that TCP refers to", func() bool {
					held := 0
					w.stack.onLoop(t, func() { held = w.stack.l.areas.held() })
					return held == 0
				})
			}
			if n := w.stack.pool.Made(); n > 2 { // one may still be on its way back
				t.Errorf("%d areas are mapped for one connection", n)
			}
		})
	}
}

// A segment that TCP drops because it acknowledges nothing (RFC 9293, section
// 3.10.7.4) does not count as the next one.
func TestASegmentWithoutAnACKIsNotPlaced(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	c.send(0, []byte("hello"))
	mustWait(t, a, 5)
	w.write(w.ip(protoTCP, nil, c.tcp(flagPSH, c.iss+6, c.irs+1, nil, []byte("bad"))))
	w.barrier(1)
	var nxt uint64
	w.stack.onLoop(t, func() { nxt = a.Stream().(*flow).nxt })
	if nxt != 5 {
		t.Errorf("the next segment is expected at %d, want 5", nxt)
	}
}

// hold has somebody refer to the in ring of an area.
func hold(t *testing.T, s *Stack, a *ioarea.Area) (v *buffer.View) {
	t.Helper()
	s.onLoop(t, func() { v = a.Stream().(*flow).view.slice(0, 1) })
	return v
}

func TestARingThatIsHeldCountsAsAConnection(t *testing.T) {
	w := newWire(t, func(c *Config) { c.MaxConns = 1 })
	ln := w.listen()
	w.open(1001, 7)
	a := w.accept(ln)
	v := hold(t, w.stack, a)
	a.Abort(nil)
	eventually(t, "no connection", func() bool { return w.stack.Stats().Conns == 0 })
	c := w.open(1002, 7)
	c.until(func(s *segment) bool { return s.flags&flagRST != 0 })
	if n := w.stack.Stats().Refused; n != 1 {
		t.Errorf("%d connections refused, want 1", n)
	}
	v.Release()
	w.open(1003, 7)
	w.accept(ln)
}

func TestCloseTellsOfRingsThatStayMapped(t *testing.T) {
	near, far := tap.NewPair(tap.PairConfig{})
	defer far.Close()
	s, err := New(Config{Device: near, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}})
	if err != nil {
		t.Fatal(err)
	}
	client, server := acceptOne(t, s, s, hostAddr)
	v := hold(t, s, server)
	client.Abort(nil)
	server.Abort(nil)
	if err := s.Close(); err == nil {
		t.Error("Close says nothing of a ring that TCP refers to")
	}
	v.Release()
	if n := s.l.areas.sweep(); n != 0 {
		t.Errorf("%d rings are held", n)
	}
	s.l.areas.freeing.Wait()
	if n := s.pool.Made(); n != 0 {
		t.Errorf("%d areas are mapped", n)
	}
}
