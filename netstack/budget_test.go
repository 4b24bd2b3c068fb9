package netstack

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

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
		return sum <= budget*5/4 && least >= leastShare/2 && len(h.stack.Conns()) == flows
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

// Who has used half of its share gets a new one; who has not for a while, or is gone, no longer
// counts.
func TestABudgetIsSharedAmongThoseWhoUseIt(t *testing.T) {
	now := time.Unix(1000, 0)
	b := &budget{total: 1 << 20, full: 600 << 10}
	shares := make([]share, 16)
	for i := range shares {
		shares[i].n = 512 << 10
	}
	for _, c := range []struct {
		name  string
		pause time.Duration
		use   int   // that many flows, the first ones
		bytes int   // of each
		want  []int // KiB, of the first, the second and the last
	}{
		{"one alone, with little", time.Second, 1, 255 << 10, []int{512, 512, 512}},
		{"and a little more", time.Millisecond, 1, 1 << 10, []int{600, 512, 512}},
		{"two", shareEvery, 2, 300 << 10, []int{512, 512, 512}},
		{"too early", time.Millisecond, 16, 300 << 10, []int{512, 512, 512}},
		{"all", shareEvery, 16, 300 << 10, []int{128, 128, 128}},
		{"one of them, while the others count", shareEvery, 1, 64 << 10, []int{128, 128, 128}},
		{"that one after a while", bulkTime, 1, 64 << 10, []int{600, 128, 128}},
		{"little after each pause is not much", 2 * bulkTime, 2, 63 << 10, []int{600, 128, 128}},
		{"the same again", 2 * bulkTime, 2, 63 << 10, []int{600, 128, 128}},
	} {
		now = now.Add(c.pause)
		for i := range c.use {
			b.moved(&shares[i], c.bytes, now)
		}
		b.share(now)
		for i, k := range []int{0, 1, 15} {
			if got := shares[k].n >> 10; got != c.want[i] {
				t.Errorf("%s: share %d is %d KiB, want %d", c.name, k, got, c.want[i])
			}
		}
	}
	b.moved(&shares[3], 64<<10, now)
	shares[3].gone = true
	now = now.Add(shareEvery)
	b.moved(&shares[4], 64<<10, now)
	if b.share(now); shares[3].n != 128<<10 || shares[4].n != 600<<10 || len(b.bulk) != 1 {
		t.Errorf("one that is gone has %d, the other %d, and %d count", shares[3].n, shares[4].n, len(b.bulk))
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
			first := f.window.n
			for _, c := range []struct{ advertised, ask, want int }{
				{first, first, first},
				{first, first * 15 / 16, first}, // not worth it
				{first, leastShare, first * 3 / 4},
				{first, leastShare, first * 3 / 4}, // until the peer has used it
				{first / 2, leastShare, first * 9 / 16},
				{4 * first, leastShare, 3 * first},
				{0, 4 * first, 4 * first},
			} {
				f.advertised.Store(uint32(c.advertised))
				if f.setWindow(c.ask); f.window.n != c.want {
					t.Errorf("advertised %d, asked for %d: %d, want %d", c.advertised, c.ask, f.window.n, c.want)
				}
				if got := f.ep.SocketOptions().GetReceiveBufferSize(); got != int64(2*f.window.n) {
					t.Errorf("TCP's buffer is %d, want %d", got, 2*f.window.n)
				}
			}
		}
	})
}
