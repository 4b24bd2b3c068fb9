package netstack

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/tap"
)

// newSteered makes a loop that does not run, with some queues in use.
func newSteered(t *testing.T, most, used int) *loop {
	t.Helper()
	dev, peer := tap.NewPair(tap.PairConfig{Queues: most})
	t.Cleanup(func() { dev.Close(); peer.Close() })
	l := &loop{dev: dev, maxQueues: most, now: time.Unix(100, 0), log: slog.New(slog.DiscardHandler)}
	for range used {
		if _, err := l.newQueue(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *loop) newBulk() *flow { return &flow{l: l, queue: l.queues[0], window: share{last: l.now}} }

func TestABulkFlowGetsAQueueOfItsOwn(t *testing.T) {
	l := newSteered(t, 3, 1)
	f := l.newBulk()
	f.queue.expect = f
	f.miss(bulkMissed - 1)
	if f.own {
		t.Fatal("a light flow was given a queue")
	}
	f.miss(1)
	if !f.own || f.queue != l.queues[1] || f.queue.owner != f {
		t.Fatalf("own %t, queue %d", f.own, f.queue.index)
	}
	if !slices.Equal(f.queue.before, l.queues[:1]) || l.queues[0].expect != nil {
		t.Error("older frames in the old queue are not read first")
	}
	f.miss(10 * bulkMissed)
	if len(l.queues) != 2 {
		t.Error("a flow was given two queues")
	}
	// The third and the fourth: there is one more queue.
	g, h := l.newBulk(), l.newBulk()
	g.miss(bulkMissed)
	h.miss(bulkMissed)
	if !g.own || h.own || h.queue != l.queues[0] {
		t.Errorf("own %t and %t, want one only", g.own, h.own)
	}
	if n := l.c.steered.Load(); n != 2 {
		t.Errorf("%d steered, want 2", n)
	}
	// A flow that ends leaves its queue to the next.
	g.yield()
	h.miss(bulkMissed)
	if !h.own || h.queue != l.queues[2] || l.queues[2].owner != h {
		t.Error("a queue that was left is not used again")
	}
}

func TestOnlyTheQueueOfASilentFlowIsTaken(t *testing.T) {
	l := newSteered(t, 2, 1)
	f, g := l.newBulk(), l.newBulk()
	f.miss(bulkMissed)
	l.now = l.now.Add(idleOwner)
	g.miss(bulkMissed)
	if g.own || !f.own {
		t.Fatal("the queue of a flow that may still be busy was taken")
	}
	l.now = l.now.Add(1)
	g.miss(bulkMissed)
	if !g.own || f.own || f.queue != l.queues[0] || l.queues[1].owner != g {
		t.Errorf("own: old %t, new %t", f.own, g.own)
	}
}

// Flows that give their queues up at once may have left frames in each of them.
func TestEveryQueueThatWasLeftIsReadFirst(t *testing.T) {
	l := newSteered(t, 3, 1)
	f, g := l.newBulk(), l.newBulk()
	f.miss(bulkMissed)
	g.miss(bulkMissed)
	shared := l.queues[0]
	shared.before = nil
	f.yield()
	g.yield()
	if !slices.Equal(shared.before, l.queues[1:]) {
		t.Fatalf("%d queues are read before the shared one, want 2", len(shared.before))
	}
	shared.drainBefore()
	if len(shared.before) != 0 || shared.holding {
		t.Errorf("%d queues are still to be read", len(shared.before))
	}
}

// A frame that can't be read is no end of a queue: those behind it are read, too.
func TestABadFrameHidesNoneBehindIt(t *testing.T) {
	for _, c := range []struct {
		err  error
		more bool
	}{{tap.ErrTruncated, true}, {tap.ErrBadFrame, true}, {tap.ErrWouldBlock, false}} {
		l := newSteered(t, 1, 1)
		q := l.queues[0]
		q.q = failingOnce{q.q, &c.err}
		n := q.read(2)
		if more := n > 0; more != c.more {
			t.Errorf("after %v: %d frames read, want more: %t", c.err, n, c.more)
		}
		if bad := l.c.rxBad.Load() == 1; bad != c.more {
			t.Errorf("%v: counted as a bad frame: %t", c.err, bad)
		}
	}
}

// failingOnce is a queue whose next read fails with *err, and then with nothing to
// read.
type failingOnce struct {
	tap.Queue
	err *error
}

func (q failingOnce) Readv(bufs [][]byte) (int, error) {
	err := *q.err
	*q.err = tap.ErrWouldBlock
	return 0, err
}

// After a queue has changed hands, each of two queues may have to be drained before
// the other. No frame is lost by that, and none is read twice.
func TestQueuesThatWaitForEachOther(t *testing.T) {
	dev, peer := tap.NewPair(tap.PairConfig{})
	s := newStack(t, dev, nil, "10.1.0.2/24")
	defer peer.Close()
	out, err := peer.AttachQueue()
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, dev: peer, queue: out, stack: s, buf: make([]byte, tap.HdrLen+tap.MaxFrame)}
	copy(w.mac[:], s.l.link.addr)
	defer time.AfterFunc(patience, func() { peer.Close() }).Stop()
	const frames = 50
	s.onLoop(t, func() {
		l := s.l
		if _, err := l.newQueue(); err != nil {
			t.Error(err)
			return
		}
		for i := range frames { // spread over both queues by their hash
			c := &rawConn{port: uint16(i)}
			w.write(w.ip(protoTCP, nil, c.tcp(flagACK, 1, 1, nil, []byte("x"))))
		}
		if n := len(l.dev.Ready(nil)); n != 2 {
			t.Errorf("frames in %d queues, the test needs 2", n)
		}
		a, b := l.queues[0], l.queues[1]
		before := l.c.rxFrames.Load()
		a.before, b.before = []*queue{b}, []*queue{a}
		l.readAll()
		for l.readAll() {
		}
		if got := l.c.rxFrames.Load() - before; got != frames {
			t.Errorf("%d frames read, want %d", got, frames)
		}
		if len(a.before)+len(b.before) != 0 || a.holding || b.holding {
			t.Error("a queue still waits for another")
		}
	})
	// Each was of no known connection, and is answered by a reset.
	for seen := map[uint16]bool{}; len(seen) < frames; {
		f, seg := w.read(), new(segment)
		if parseFrame(f, len(f), seg) && seg.flags&flagRST != 0 {
			seen[seg.dstPort] = true
		}
	}
}

func TestPollingGoesOnWhileItFindsWork(t *testing.T) {
	const limit = 100 * time.Hour // so that the clock has no part in it
	inTime, late := time.Now(), time.Now().Add(-2*limit)
	s := newSpinner(limit)
	// polls reports whether the loop polls after work that was at a time.
	polls := func(at time.Time) bool {
		s.worked(at)
		return s.again()
	}
	miss := func() {
		t.Helper()
		if !polls(inTime) {
			t.Fatal("does not poll")
		}
		if s.last = late; s.again() {
			t.Fatal("polls beyond the limit")
		}
	}
	for range 100 { // twice as often as it is in vain
		miss()
		for range 2 { // the second time: work was found
			if !polls(inTime) {
				t.Fatal("gave up while polling found work")
			}
		}
	}
	misses := 0
	for ; s.wanted(); misses++ {
		miss()
	}
	if misses > spinMost/spinMiss {
		t.Errorf("gave up after %d times in vain", misses)
	}
	for rest := range 3 * spinTrial {
		if polls(inTime) {
			t.Fatalf("polls at rest %d after it was given up", rest)
		}
		s.rested()
		if rest%spinTrial == spinTrial-1 {
			miss() // the trial
		}
	}
	for range spinTrial {
		s.rested()
	}
	for range 3 {
		if !polls(inTime) {
			t.Error("a trial that found work did not bring polling back")
		}
	}
	never := newSpinner(-1)
	never.worked(time.Now())
	if never.again() {
		t.Error("a negative limit polls")
	}
}

// A flow of small segments needs no queue of its own, however many come.
func TestAFlowOfSmallSegmentsStaysWhereItIs(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	a, b := w.open(4000, 1), w.open(4001, 2)
	areas := []*ioarea.Area{w.accept(ln), w.accept(ln)}
	p := make([]byte, 1400)
	for off := uint64(0); off < 2*bulkMissed; off += uint64(len(p)) {
		w.together(func() {
			a.send(off, p)
			b.send(off, p)
		})
		for _, area := range areas {
			mustWait(t, area, len(p))
			area.In.Consume(len(p))
		}
	}
	st := w.stack.Stats()
	if st.CopiedIn < 2*bulkMissed {
		t.Errorf("%d bytes were copied: the flows did not miss", st.CopiedIn)
	}
	if st.Steered != 0 {
		t.Errorf("%d flows were given a queue", st.Steered)
	}
}
