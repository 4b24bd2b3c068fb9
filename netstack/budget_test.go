package netstack

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
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
	eventually(t, "a share for each", func() bool {
		shares := h.stack.shares(t, func(f *flow) *share { return &f.window })
		return len(shares) == flows && slices.Max(shares) <= budget/flows*8/7
	})
	for _, c := range conns[1:] {
		c.Close()
	}
	eventually(t, "the budget for the last flow", func() bool {
		shares := h.stack.shares(t, func(f *flow) *share { return &f.window })
		return slices.Equal(shares, []int{budget})
	})
	conns[0].Close()
	running.Wait()
	if st := h.stack.Stats(); st.QueueDrops != 0 {
		t.Errorf("%d segments were dropped", st.QueueDrops)
	}
}

// shares of all flows, in no order.
func (s *Stack) shares(t *testing.T, of func(*flow) *share) (n []int) {
	t.Helper()
	s.onLoop(t, func() {
		for _, f := range s.l.flows {
			n = append(n, of(f).n)
		}
	})
	return n
}

// Flows that send much at once have no more than their share with TCP, and what it is
// cut into.
func TestBulkFlowsShareWhatIsOnItsWay(t *testing.T) {
	const flows, budget = 8, 1 << 20
	h := newKernelHost(t, nil, func(c *Config) { c.FlightBudget = budget })
	addr := netip.AddrPortFrom(stackAddr4, 19)
	serve(t, h.stack, addr, func() ioarea.Handler { return &handlers.Source{Bytes: 1 << 60} })
	var running sync.WaitGroup
	conns := make([]*net.TCPConn, flows)
	for i := range conns {
		conns[i] = h.dialKernel(t, addr)
		running.Go(func() { _, _ = io.Copy(io.Discard, conns[i]) })
	}
	eventually(t, "a share for each", func() bool {
		shares := h.stack.shares(t, func(f *flow) *share { return &f.flight })
		return len(shares) == flows && slices.Max(shares) == budget/flows
	})
	eventually(t, "what was on its way before acknowledged", func() (done bool) {
		h.stack.onLoop(t, func() {
			done = true
			for _, f := range h.stack.l.flows {
				done = done && f.unacked() < f.flight.n+gsoPayload
			}
		})
		return done
	})
	handed := func() (n uint64) {
		for _, f := range h.stack.l.flows {
			n += f.handed
		}
		return n
	}
	var before, after uint64
	h.stack.onLoop(t, func() { before = handed() })
	for range 200 {
		h.stack.onLoop(t, func() {
			for _, f := range h.stack.l.flows {
				f.send()
				if n := f.unacked(); n >= f.flight.n+gsoPayload {
					t.Errorf("%d bytes of a flow are with TCP, %d may be", n, f.flight.n)
				}
			}
			after = handed()
		})
	}
	if after == before {
		t.Error("nothing was sent")
	}
	for _, c := range conns {
		c.Close()
	}
	running.Wait()
}

// TCP drops what exceeds its buffer: what fills a gap must never do so, whatever becomes
// of the share while segments wait behind the gap.
func TestAGapIsFilledWhateverTheShare(t *testing.T) {
	for _, size := range []int{100, 400, 1100, 1460} {
		w := newWire(t, func(c *Config) { c.RingIn = 1 << 20 })
		ln := w.listen()
		c := w.open(1001, 7)
		a := w.accept(ln)
		f := a.Stream().(*flow)
		const gap = 40_000
		c.openWindow(t, a, gap)
		end := gap + int(f.advertised.Load())
		for round := range 2 {
			for i, off := 0, gap+size; off+size < end; i, off = i+1, off+size {
				c.send(uint64(off), versioned(make([]byte, size), uint64(off), 1))
				if i%64 == 0 {
					w.barrier(2)
				}
			}
			w.barrier(3)
			w.stack.onLoop(t, func() {
				for range 4 * (1 - round) {
					f.setWindow(leastShare)
				}
			})
		}
		eventually(t, fmt.Sprintf("the gap filled, with segments of %d bytes", size), func() bool {
			c.send(uint64(gap), versioned(make([]byte, size), uint64(gap), 1))
			w.barrier(4)
			return a.In.Len() >= size
		})
		a.Abort(nil)
	}
}

// openWindow sends n bytes, which the handler takes: gVisor's window is small at first.
func (c *rawConn) openWindow(t *testing.T, a *ioarea.Area, n int) {
	t.Helper()
	for off := 0; off < n; off += 1000 {
		c.send(uint64(off), make([]byte, min(1000, n-off)))
		mustWait(t, a, 1)
		a.In.Consume(a.In.Len())
		c.w.barrier(1)
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
				{4 * first, leastShare, first * 9 / 16},
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

// TCP holds no more of a flow than it may have on its way, and what was handed over when it had not yet all of that.
func TestWhatIsLentIsBoundedByASmallFlight(t *testing.T) {
	const inFlight = 8 << 10
	w := newWire(t, func(c *Config) { c.InFlight = inFlight })
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	f := a.Stream().(*flow)
	if err := a.Out.Append(patience, make([]byte, 10*inFlight)); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload > 0 })
	w.stack.onLoop(t, func() {
		if n := f.unacked(); n < inFlight/2 || n >= 2*inFlight {
			t.Errorf("TCP holds %d bytes of a flow that may have %d on their way", n, inFlight)
		}
	})
}

// In recovery TCP looks at each segment on its way, for each acknowledgement.
func TestSmallSegmentsCountForMore(t *testing.T) {
	const mss = 48 // the least that gVisor believes
	for _, lent := range []bool{true, false} {
		t.Run(fmt.Sprintf("lent=%v", lent), func(t *testing.T) {
			w := newWire(t, func(c *Config) { c.CopyAll = !lent })
			ln := w.listen()
			p := &mtuPeer{rawConn: &rawConn{w: w, port: 1001, iss: 7, window: 0xffff}}
			p.connect([]byte{2, 4, 0, mss})
			a := w.accept(ln)
			if err := a.Out.Append(patience, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			s, _ := p.next()
			w.barrier(1)
			n := 0
			w.stack.onLoop(t, func() { n = a.Stream().(*flow).unacked() })
			if most := 2 * DefaultInFlight * mss / smallSegment; n > most { // and what was handed over last
				t.Errorf("TCP has %d bytes to be sent by %d, want %d at most", n, mss, most)
			}
			for ; p.una-p.irs < 256<<10; s, _ = p.next() { // and it goes on
				if s.payload > 0 {
					p.una = s.seq + uint32(s.payload)
					p.ack()
				}
			}
		})
	}
}

func TestSmallRepliesCountForMore(t *testing.T) {
	const most = 64 // segments
	w := newWire(t, func(c *Config) { c.InFlight = most * smallSegment })
	serve(t, w.stack, hostAddr, func() ioarea.Handler { return handlers.Echo{} })
	c := w.open(1001, 7)
	una, nxt := c.irs+1, c.irs+1
	request := func() {
		w.write(w.ip(protoTCP, nil, c.tcp(flagACK|flagPSH, c.iss+nxt-c.irs, una, nil, make([]byte, 8))))
		nxt += 8
	}
	reply := func() uint32 {
		return c.until(func(s *segment) bool { return s.payload > 0 && s.seq+uint32(s.payload) == nxt }).seq
	}
	for range 2 * most { // the congestion window grows
		request()
		reply()
		una = nxt
	}
	for range most {
		request()
		reply()
	}
	request() // the reply has to wait
	for id := range uint16(3) {
		w.barrierSeeing(id, func(f []byte) {
			s := new(segment)
			if parseFrame(f, len(f), s) && s.payload > 0 && s.seq+uint32(s.payload) == nxt {
				t.Fatalf("%d small segments are on their way, want %d at most", most+1, most)
			}
		})
	}
	una += 8
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+nxt-c.irs, una, nil, nil)))
	reply()
}
