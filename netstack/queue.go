package netstack

import (
	"errors"
	"slices"

	"gvisor.dev/gvisor/pkg/buffer"

	"ustack/tap"
)

const (
	// headChunk holds a frame's headers in a gVisor chunk of just that size, at
	// its end: a view that ends with its chunk is never written to when the
	// payload's view is appended.
	headChunk = 128
	// drainMax bounds how many frames of another queue are read ahead of one.
	drainMax = 4096
	// aloneAfter is how many small frames in a row have to come alone before the next is
	// taken to be alone too, and aloneLook after how many it is looked whether that is so.
	aloneAfter, aloneLook = 8, 32
	// smallFrame is the most bytes of a frame that may be a request by itself.
	smallFrame = 4 << 10
)

// A queue is one queue of the device, with what the next frame on it is expected
// to be. The loop's own.
type queue struct {
	l     *loop
	index int
	q     tap.Queue

	// expect is the flow that the next frame belongs to, if it is as the last one.
	expect *flow
	// before are drained before the first frame of this queue is looked at: flows
	// that were moved here may have older frames there.
	before  []*queue
	holding bool  // it is being drained
	led     *flow // whose last frame had a few bytes, in place
	alone   int   // small frames that came alone, or with one that led them, in a row
	owner   *flow // the bulk flow that has the queue for itself

	coalescer coalescer
	bytes     int // of the frames that were read since the coalescer was told

	vnet    [tap.HdrLen]byte
	head    *buffer.View       // a chunk for the next frame's headers
	headMem []byte             // its headChunk bytes
	scratch []byte             // for frames of which nothing is expected
	first   [maxHeaderLen]byte // a frame's first bytes, where they lie in two parts
	bufs    [3][]byte

	out       [32][]byte // gathers a frame to write
	vnetOut   [tap.HdrLen]byte
	trainHead [maxHeaderLen]byte
}

func (l *loop) newQueue() (*queue, error) {
	q, err := l.dev.AttachQueue()
	if err != nil {
		return nil, err
	}
	lq := &queue{l: l, coalescer: newCoalescer(l.coalesce), index: len(l.queues), q: q, scratch: make([]byte, tap.MaxFrame)}
	lq.renewHead()
	l.queues = append(l.queues, lq)
	l.c.queues.Store(int64(len(l.queues)))
	return lq, nil
}

func (q *queue) renewHead() {
	q.head = buffer.NewViewSize(headChunk)
	q.headMem = q.head.AsSlice()
}

// read reads and delivers up to most frames, and returns their number. It leaves out
// the look that finds the queue empty, and sets l.alone, where a small frame, or one with the one
// that led it, has come alone each time of late: a request whose sender waits for the reply.
func (q *queue) read(most int) int {
	if !q.readFrame() {
		return 0
	}
	message := 1
	if q.leads() {
		if !q.follow() {
			return message
		}
		message++
	}
	if q.alone++; q.alone > aloneAfter && q.alone%aloneLook != 0 && len(q.l.due) == 0 {
		q.l.alone = true
		return message
	}
	more := q.drain(most - message)
	if more > 0 {
		q.alone = 0
	}
	return message + more
}

// take reads a batch, and has the coalescer see what it was.
func (q *queue) take() int {
	n := q.read(batchFrames)
	if l := q.l; l.spin.wanted() {
		if q.coalescer.read(l.now, q.bytes, n < batchFrames); q.coalescer.until.After(l.deferred) {
			l.deferred = q.coalescer.until
		}
	} else if n > 0 {
		q.coalescer.pause(l.now)
	}
	q.bytes = 0
	return n
}

// defers reports whether the queue is left alone for now, that bulk may gather: not when the loop
// rests instead of polling, nor while timers wait until the device has been read.
func (q *queue) defers() bool {
	return q.coalescer.defers(q.l.now) && q.l.spin.wanted() && len(q.l.due) == 0
}

// drain reads and delivers up to most frames, and returns their number. Fewer than most:
// the queue is empty.
func (q *queue) drain(most int) (n int) {
	for n < most && q.readFrame() {
		n++
	}
	q.l.more = q.l.more || n == most
	return n
}

// readFrame reads one frame and hands it to the stack: one readv, with three
// parts: the virtio-net header, the headers, and the place where the payload of
// the expected flow's next segment belongs (docs/design.md, the way of a byte).
func (q *queue) readFrame() bool {
	f := q.expect
	q.led = nil
	var place []byte
	if f != nil && len(q.before) == 0 {
		place = f.aim()
	}
	var head []byte
	if place != nil {
		head = q.headMem[headChunk-f.headerLen:]
		q.bufs = [3][]byte{q.vnet[:], head, place}
	} else {
		q.bufs = [3][]byte{q.vnet[:], q.scratch, nil}
	}
	n, err := q.q.Readv(q.bufs[:])
	if err != nil {
		return q.readError(err)
	}
	q.drainBefore()
	hdr, err := tap.DecodeHdr(q.vnet[:])
	if err != nil || n <= tap.HdrLen {
		q.l.c.rxBad.Add(1)
		return true
	}
	if n > smallFrame {
		q.alone = 0
	}
	q.l.c.rxFrames.Add(1)
	q.l.c.rxBytes.Add(uint64(n - tap.HdrLen))
	q.bytes += n - tap.HdrLen
	q.l.validated = hdr.Flags&(tap.FlagNeedsCsum|tap.FlagDataValid) != 0
	if place != nil {
		q.placed(f, head, place, n-tap.HdrLen)
	} else {
		q.scattered(nil, q.scratch[:n-tap.HdrLen])
	}
	return true
}

// drainBefore reads the older frames that a moved flow may have elsewhere, while
// this queue's memory holds a frame that is not yet looked at. Queues that wait
// for each other, after flows were moved both ways, do not read a second one
// over that.
func (q *queue) drainBefore() {
	q.holding = true
	for range q.before { // those that are added meanwhile have time until the next frame
		other := q.before[0]
		q.before = slices.Delete(q.before, 0, 1)
		if !other.holding {
			other.drain(drainMax)
		}
	}
	q.holding = false
}

// readError reports whether there may be further frames behind err.
func (q *queue) readError(err error) bool {
	switch {
	case err == tap.ErrWouldBlock:
		return false
	case errors.Is(err, tap.ErrGone), errors.Is(err, tap.ErrClosed):
		q.l.fail(err)
		return false
	}
	q.l.c.rxBad.Add(1) // this frame alone
	return true
}
