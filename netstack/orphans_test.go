package netstack

import "testing"

// A peer that opens connections and has us close them first leaves an endpoint of
// TCP's behind with each: there are never more of them than connections may be.
func TestClosedConnectionsAreRememberedUpToABound(t *testing.T) {
	const most = 4
	for _, state := range []struct {
		name  string
		flags byte // of the peer's answer to our FIN
	}{{"TIME-WAIT", flagACK | flagFIN}, {"FIN-WAIT-2", flagACK}} {
		t.Run(state.name, func(t *testing.T) {
			w := newWire(t, func(c *Config) { c.MaxConns = most; c.RingIn = 256 << 10; c.RingOut = 4096 })
			ln := w.listen()
			for i := range 5 * most {
				c := w.open(uint16(1001+i), 7)
				a := w.accept(ln)
				f := a.Stream().(*flow)
				a.Close()
				s := c.until(func(s *segment) bool { return s.flags&flagFIN != 0 })
				w.write(w.ip(protoTCP, nil, c.tcp(state.flags, c.iss+1, s.seq+1, nil, nil)))
				w.barrier(1)
				f.notify(evLinger) // its time is over, if it ever was needed
				eventually(t, "no connection", func() bool { return w.stack.Stats().Conns == 0 })
			}
			if n := len(w.stack.l.stk.RegisteredEndpoints()) - 1; n != most { // without the listener
				t.Errorf("TCP remembers %d connections, want %d", n, most)
			}
		})
	}
}
