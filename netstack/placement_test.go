package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"gvisor.dev/gvisor/pkg/buffer"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

// A recorder is a device that remembers for each frame where readv wrote it: the
// addresses of the buffers, and how much of each was filled.
type recorder struct {
	tap.Device
	mu    sync.Mutex
	spans []span // in the order of the frames
}

// A span is memory that readv was given and filled.
type span struct{ from, to uintptr }

type recordingQueue struct {
	tap.Queue
	r *recorder
}

func (r *recorder) AttachQueue() (tap.Queue, error) {
	q, err := r.Device.AttachQueue()
	if err != nil {
		return nil, err
	}
	return recordingQueue{q, r}, nil
}

func (q recordingQueue) Readv(bufs [][]byte) (int, error) {
	n, err := q.Queue.Readv(bufs)
	if err != nil {
		return n, err
	}
	q.r.mu.Lock()
	defer q.r.mu.Unlock()
	left := n
	for _, b := range bufs {
		if k := min(left, len(b)); k > 0 {
			from := uintptr(unsafe.Pointer(&b[0]))
			q.r.spans = append(q.r.spans, span{from, from + uintptr(k)})
			left -= k
		}
	}
	return n, nil
}

// take returns what was recorded since it was last called.
func (r *recorder) take() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.spans
	r.spans = nil
	return s
}

// within is the number of bytes of b that lie in one of the spans: those that readv
// itself wrote there. ring is the whole mapping, in which each byte has two
// addresses.
func within(b, ring []byte, spans []span) int {
	base, size := uintptr(unsafe.Pointer(&ring[0])), uintptr(len(ring)/2)
	from := (uintptr(unsafe.Pointer(&b[0])) - base) % size
	hit := make([]bool, len(b))
	for _, s := range spans {
		if s.from < base || s.from >= base+2*size {
			continue // not of the ring
		}
		at := (s.from - base) % size
		for _, shift := range []uintptr{0, size} { // either may wrap
			lo := max(at+shift, from)
			hi := min(at+shift+(s.to-s.from), from+uintptr(len(b)))
			for i := lo; i < hi; i++ {
				hit[i-from] = true
			}
			lo = max(at, from+shift)
			hi = min(at+(s.to-s.from), from+shift+uintptr(len(b)))
			for i := lo; i < hi; i++ {
				hit[i-from-shift] = true
			}
		}
	}
	n := 0
	for _, h := range hit {
		if h {
			n++
		}
	}
	return n
}

// What a handler reads is the memory that readv was given: not by a counter of
// ours, but by the addresses that a device saw, for each batch that was read
// since the ring was last empty.
func TestHandlerReadsWhereReadvWrote(t *testing.T) {
	const size = 4 << 20
	rec := new(recorder)
	h := newHosts(t, func(d tap.Device) tap.Device { rec.Device = d; return rec }, nil, nil)
	client, server := acceptOne(t, h.b, h.a, netip.AddrPortFrom(h.addrA, 7))
	defer client.Close()
	defer server.Close()
	sent := make(chan error, 1)
	go func() { sent <- push(client, size, 3) }()

	checkAddresses(t, rec, server, size)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// checkAddresses reads size bytes, and wants them to lie where readv wrote.
func checkAddresses(t *testing.T, rec *recorder, a *ioarea.Area, size int) {
	t.Helper()
	in := a.In
	var spans []span
	read, direct := 0, 0
	want := make([]byte, 1<<20)
	for read < size {
		if err := in.Wait(1, patience); err != nil {
			t.Fatal(err)
		}
		b := in.Peek(len(want))
		spans = append(spans, rec.take()...) // after Peek: readv came before
		direct += within(b, in.Memory(), spans)
		handlers.Fill(want[:len(b)], 3, uint64(read))
		if string(b) != string(want[:len(b)]) {
			t.Fatal("a wrong byte")
		}
		read += len(b)
		in.Consume(len(b))
		if len(spans) > 4096 {
			spans = spans[len(spans)-4096:]
		}
	}
	t.Logf("%d of %d bytes lie where readv wrote them; counted: %+v", direct, read, a.Stream().Stats())
	if share := float64(direct) / float64(read); share < 0.95 { // the first segments are copied
		t.Errorf("%.4f of the bytes lie where readv wrote them", share)
	}
	if s := a.Stream().Stats(); s.PlacedIn > uint64(direct) {
		t.Errorf("%d bytes are counted as placed, %d were", s.PlacedIn, direct)
	}
}

// bulk carries size bytes through each of n connections from b to a, at once, and
// returns what a's ends counted.
func bulk(t *testing.T, h *pairOfHosts, n int, size uint64) []ioarea.Stats {
	t.Helper()
	to := netip.AddrPortFrom(h.addrB, 9)
	serve(t, h.b, to, func() ioarea.Handler { return &handlers.Source{Bytes: size, Fill: true, Seed: 5} })
	stats := make([]ioarea.Stats, n)
	var running sync.WaitGroup
	for i := range n {
		a := dial(t, h.a, to)
		running.Go(func() {
			if err := pull(a, size, 5); err != nil {
				t.Error(err)
			}
			stats[i] = a.Stream().Stats()
			a.Close()
		})
	}
	running.Wait()
	return stats
}

// checkPlaced wants at least 99% in place, and nothing of that copied.
func checkPlaced(t *testing.T, stats []ioarea.Stats, size uint64) {
	t.Helper()
	for i, s := range stats {
		t.Logf("connection %d: in place %.5f, copied %.5f per byte, retransmits %d", i, placedShare(s), float64(s.CopiedIn)/float64(s.BytesIn), s.Retransmits)
		if s.BytesIn != size {
			t.Errorf("connection %d: %d bytes in, want %d", i, s.BytesIn, size)
		}
	}
	var sum ioarea.Stats
	for _, s := range stats {
		sum.BytesIn += s.BytesIn
		sum.PlacedIn += s.PlacedIn
		sum.CopiedIn += s.CopiedIn
	}
	// What a flow's window lets into the shared queue before the flow has one of its
	// own is copied. That is little of a full run, and much of the short one that the
	// race detector gets.
	rest := 0.01
	if raceEnabled && len(stats) > 1 {
		rest += float64(DefaultRingIn/2) / float64(size)
	}
	if share := placedShare(sum); share < 1-rest {
		t.Errorf("%.4f in place, want at least %.4f", share, 1-rest)
	}
	// A byte that is not placed is copied to gVisor's buffer and from there.
	if share := float64(sum.CopiedIn) / float64(sum.BytesIn); share > 2*rest {
		t.Errorf("%.4f copies per byte", share)
	}
}

func TestOneBulkFlowArrivesInPlace(t *testing.T) {
	size := max(uint64(scaled(256<<20)), 32<<20)
	h := newHosts(t, nil, nil, nil)
	checkPlaced(t, bulk(t, h, 1, size), size)
}

func TestEightBulkFlowsArriveInPlace(t *testing.T) {
	// Before a flow has its queue, bulkMissed bytes are copied, and what the
	// window lets come until the peer has seen a frame from there.
	size := max(uint64(scaled(512<<20)), 64<<20)
	h := newHosts(t, nil, nil, nil)
	checkPlaced(t, bulk(t, h, 8, size), size)
	if n := h.a.Stats().Steered; n < 7 {
		t.Errorf("%d flows were given a queue", n)
	}
}

func TestWhereTheLayoutIsUnknownPayloadIsCopied(t *testing.T) {
	const size = 4 << 20
	for _, c := range []struct {
		name   string
		layout func() (viewLayout, error)
		all    bool
	}{
		{"CopyAll", ringViewLayout, true},
		{"unknown layout", func() (viewLayout, error) { return viewLayout{}, fmt.Errorf("gVisor has changed") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			da, db := tap.NewPair(tap.PairConfig{})
			a := newStackWith(t, da, c.layout, func(cfg *Config) { cfg.CopyAll = c.all }, "10.1.0.1/24")
			b := newStack(t, db, nil, "10.1.0.2/24")
			client, server := acceptOne(t, b, a, netip.MustParseAddrPort("10.1.0.1:7"))
			done := make(chan error, 1)
			go func() { done <- exchange(client, size, 1, 2) }()
			if err := exchange(server, size, 2, 1); err != nil {
				t.Error(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			s := server.Stream().Stats()
			if s.PlacedIn != 0 || s.CopiedIn < size {
				t.Errorf("placed %d, copied %d, want 0 and at least %d", s.PlacedIn, s.CopiedIn, size)
			}
		})
	}
}

// What gVisor could turn its View into, and how we would notice.
func TestAChangedLayoutIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name string
		view any
	}{
		{"no chunk", struct{ data []byte }{}},
		{"a chunk that is no pointer", struct{ chunk []byte }{}},
		{"a chunk without data", struct {
			chunk *struct{ refCount int64 }
		}{}},
		{"data of another type", struct {
			chunk *struct {
				refCount int64
				data     string
			}
		}{}},
		{"no count", struct{ chunk *struct{ data []byte } }{}},
		{"a count of another size", struct {
			chunk *struct {
				refCount int32
				data     []byte
			}
		}{}},
	} {
		if _, err := layoutOf(c.view); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
	l, err := layoutOf(buffer.View{})
	if err == nil {
		err = l.try()
	}
	if err != nil {
		t.Errorf("the layout of the gVisor we have: %v", err)
	}
}

func TestARingIsFreeWhenNoViewOfItIsLeft(t *testing.T) {
	layout, err := ringViewLayout()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := ioarea.NewPool(1<<20, 4096, 4)
	if err != nil {
		t.Fatal(err)
	}
	as := areas{pool: pool, layout: layout, place: true}
	pa, err := as.get()
	if err != nil {
		t.Fatal(err)
	}
	v := pa.view.slice(100, 200)
	w := v.Clone()
	as.put(pa)
	for i, release := range []func(){v.Release, w.Release} {
		if n := as.sweep(); n != 1 {
			t.Fatalf("%d views released: %d rings in limbo, want 1", i, n)
		}
		if b, err := pool.Get(); err != nil {
			t.Fatal(err)
		} else if &b.In.Memory()[0] == &pa.area.In.Memory()[0] {
			t.Fatal("a ring was given out while gVisor held it")
		} else if err := pool.Put(b); err != nil {
			t.Fatal(err)
		}
		release()
	}
	if n := as.sweep(); n != 0 {
		t.Fatalf("%d rings in limbo, want none", n)
	}
	as.freeing.Wait()
	if err := pool.Close(); err != nil || pool.Made() != 0 {
		t.Fatalf("%d areas left, %v", pool.Made(), err)
	}
}

// While SYN cookies are in use TCP answers each SYN as if it were the first, and that of somebody who
// knows the ports may be the last that it answered.
func TestTheSYNThatWasAcknowledgedCounts(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := &rawConn{w: w, iss: 1000, window: 0xffff}
	synACK := func(port uint16, iss uint32) uint32 {
		c.port = port
		w.write(w.ip(protoTCP, nil, c.tcp(flagSYN, iss, 0, nil, nil)))
		return c.until(func(s *segment) bool { return s.flags&flagSYN != 0 }).seq
	}
	for i := range backlog {
		synACK(uint16(2000+i), 5)
	}
	c.irs = synACK(1000, c.iss)
	if other := synACK(1000, c.iss+100); other == c.irs {
		t.Fatal("there are no cookies")
	}
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1, nil, nil)))
	a := w.accept(ln)
	first, second := bytes.Repeat([]byte("1"), 100), bytes.Repeat([]byte("2"), 100)
	w.together(func() {
		c.send(100, second)
		c.send(0, first)
	})
	mustWait(t, a, 200)
	if got := a.In.Peek(200); !bytes.Equal(got, slices.Concat(first, second)) {
		t.Errorf("%q", got)
	}
}
