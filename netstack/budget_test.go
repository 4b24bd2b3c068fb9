package netstack

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

// Flows that receive much at once share the budget, and one that is left alone gets all
// of it; nothing is dropped on the way from one to the other.
func TestBulkFlowsShareTheWindowBudget(t *testing.T) {
	const flows, budget = 8, 2 << 20
	h := newKernelHost(t, nil, func(c *Config) { c.WindowBudget = budget })
	addr := netip.AddrPortFrom(stackAddr4, 9)
	serve(t, h.stack, addr, func() ioarea.Handler { return &handlers.Sink{} })
	conns := make([]*net.TCPConn, flows)
	var running sync.WaitGroup
	for i := range conns {
		conns[i] = h.dialKernel(t, addr)
		running.Go(func() {
			b := make([]byte, 256<<10)
			for {
				if _, err := conns[i].Write(b); err != nil {
					return
				}
			}
		})
	}
	eventually(t, "windows within the budget", func() bool {
		sum, least := 0, budget
		for _, c := range h.stack.Conns() {
			sum += c.Window
			least = min(least, c.Window)
		}
		return sum <= budget*5/4 && least >= windowMin/2 && len(h.stack.Conns()) == flows
	})
	for _, c := range conns[1:] {
		c.Close()
	}
	eventually(t, "the budget for the last flow", func() bool {
		all := h.stack.Conns()
		return len(all) == 1 && all[0].Window > budget*3/8 // what is being read is not advertised
	})
	conns[0].Close()
	running.Wait()
	if st := h.stack.Stats(); st.QueueDrops != 0 {
		t.Errorf("%d segments were dropped", st.QueueDrops)
	}
}

// A window does not become less than what the peer may still use lets TCP hold.
func TestAShareShrinksInSteps(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	w.open(1000, 7)
	a := w.accept(ln)
	defer a.Abort(nil)
	w.stack.onLoop(t, func() {
		for _, f := range w.stack.l.flows {
			first := f.share
			for _, c := range []struct{ advertised, ask, want int }{
				{first, first, first},
				{first, first * 15 / 16, first}, // not worth it
				{first, windowMin, first * 3 / 4},
				{first, windowMin, first * 3 / 4}, // until the peer has used it
				{first / 2, windowMin, first * 9 / 16},
				{4 * first, windowMin, 3 * first},
				{0, 4 * first, 4 * first},
			} {
				f.window.Store(uint32(c.advertised))
				if f.setWindow(c.ask); f.share != c.want {
					t.Errorf("advertised %d, asked for %d: %d, want %d", c.advertised, c.ask, f.share, c.want)
				}
				if got := f.ep.SocketOptions().GetReceiveBufferSize(); got != int64(2*f.share) {
					t.Errorf("TCP's buffer is %d, want %d", got, 2*f.share)
				}
			}
		}
	})
}
