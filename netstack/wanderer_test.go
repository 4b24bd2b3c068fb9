package netstack

import (
	"sync"

	"ustack/tap"
)

// A wanderer is a device that writes a flow's frames, each time that some were written where they
// belong, on another part's queue, as if the device had forgotten the flow: what the peer answers
// comes there. They are written there until an answer has come: however the frames of both sides
// fall together, a flow that leaves has a stray.
type wanderer struct {
	tap.Device
	part   int
	shared *wandering
}

type wandering struct {
	home int // frames of a flow that are written on its own queues before it leaves

	mu     sync.Mutex
	parts  int
	queues []*wanderingQueue
	next   int // of queues, for who leaves
	flows  map[flowKey]*wayOf
}

// A wayOf a flow is where its frames are written.
type wayOf struct {
	home  int             // at home since it came back
	away  *wanderingQueue // nil: at home
	moves int             // times that it left, and was answered there
}

type wanderingQueue struct {
	tap.Queue
	part   int
	shared *wandering
}

func newWandering(home int) *wandering {
	return &wandering{home: home, parts: 1, flows: make(map[flowKey]*wayOf)}
}

func (d *wanderer) Split() (tap.Device, error) {
	part, err := d.Device.(tap.Splitter).Split()
	w := d.shared
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts++
	return &wanderer{part, w.parts - 1, w}, err
}

func (d *wanderer) AttachQueue() (tap.Queue, error) {
	q, err := d.Device.AttachQueue()
	if err != nil {
		return nil, err
	}
	w := d.shared
	w.mu.Lock()
	defer w.mu.Unlock()
	wq := &wanderingQueue{q, d.part, w}
	w.queues = append(w.queues, wq)
	return wq, nil
}

func (q *wanderingQueue) Writev(bufs [][]byte) (int, error) {
	var s segment
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	if parseFrame(frontOf(bufs, n), n-tap.HdrLen, &s) {
		q = q.shared.wayOut(q, s.outbound())
	}
	return q.Queue.Writev(bufs) // those of a Pair may be written by several at a time
}

// wayOut is the queue that a frame is written on which is given to q.
func (w *wandering) wayOut(q *wanderingQueue, key flowKey) *wanderingQueue {
	w.mu.Lock()
	defer w.mu.Unlock()
	way := w.flows[key]
	if way == nil {
		way = new(wayOf)
		w.flows[key] = way
	}
	if way.away == nil && way.home >= w.home {
		way.away = w.elsewhere(q.part)
	}
	if way.away != nil {
		return way.away
	}
	way.home++
	return q
}

// elsewhere is a queue of another part, each in its turn.
func (w *wandering) elsewhere(part int) *wanderingQueue {
	for range w.queues {
		q := w.queues[w.next%len(w.queues)]
		w.next++
		if q.part != part {
			return q
		}
	}
	return nil
}

func (q *wanderingQueue) Readv(bufs [][]byte) (int, error) {
	n, err := q.Queue.Readv(bufs)
	if err != nil {
		return n, err
	}
	var s segment
	if parseFrame(frontOf(bufs, n), n-tap.HdrLen, &s) {
		q.shared.cameBy(q, s.inbound())
	}
	return n, nil
}

// frontOf is what a frame that lies in the first n bytes of bufs begins with, all its headers at least.
func frontOf(bufs [][]byte, n int) []byte {
	front := make([]byte, 0, tap.HdrLen+maxHeaderLen)
	for _, b := range bufs {
		front = append(front, b[:min(len(b), n-len(front), cap(front)-len(front))]...)
	}
	return front[tap.HdrLen:]
}

// cameBy has a flow come back that was answered where it is.
func (w *wandering) cameBy(q *wanderingQueue, key flowKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if way := w.flows[key]; way != nil && way.away == q {
		way.away, way.home = nil, 0
		way.moves++
	}
}

// moves is how often flows have left and were answered there, and how many did.
func (w *wandering) moves() (moves uint64, flows int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, way := range w.flows {
		if moves += uint64(way.moves); way.moves > 0 {
			flows++
		}
	}
	return moves, flows
}
