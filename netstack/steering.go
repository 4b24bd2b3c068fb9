package netstack

import (
	"errors"
	"slices"

	"ustack/tap"
)

// A queue for each bulk flow. The device steers a flow's frames to the queue on
// which frames of that flow were last written (Linux: tun_flow_update), so a flow
// is given a queue by writing to it there; what comes on that queue is then one
// flow's, and the guess of placement is right each time. Light flows, for which a
// copy costs nothing, share queue 0.

// miss counts payload that was in order and had to be copied, and gives the flow
// a queue of its own when that is much.
func (f *flow) miss(n int) {
	if f.missed += n; f.missed < bulkMissed || f.own {
		return
	}
	f.missed = 0
	if q := f.l.freeQueue(); q != nil {
		f.moveTo(q)
		q.owner, f.own = f, true
		q.coalescer = newCoalescer(q.l.coalesce) // what is known is of another flow
		f.l.c.steered.Add(1)
	}
}

func (f *flow) moveTo(q *queue) {
	if q == f.queue {
		return
	}
	// The peer's kernel may have put frames of the flow into the old queue
	// after we last looked there, and puts later ones into the new.
	if !slices.Contains(q.before, f.queue) {
		q.before = append(q.before, f.queue)
	}
	if f.queue.expect == f {
		f.queue.expect = nil
	}
	f.queue = q
}

// freeQueue returns a queue that no flow has for itself: one that has been left,
// a new one of the device, or that of a flow that has been silent.
func (l *loop) freeQueue() *queue {
	for _, q := range l.queues[1:] {
		if q.owner == nil {
			return q
		}
	}
	if len(l.queues) < l.maxQueues {
		q, err := l.newQueue()
		if err == nil {
			return q
		}
		if !errors.Is(err, tap.ErrNoQueue) {
			l.log.Warn("no further queue", "device", l.dev.Name(), "err", err)
		}
		l.maxQueues = len(l.queues)
	}
	for _, q := range l.queues[1:] {
		if l.now.Sub(q.owner.window.last) > idleOwner {
			q.owner.yield()
			return q
		}
	}
	return nil
}

// yield gives the flow's own queue up.
func (f *flow) yield() {
	if !f.own {
		return
	}
	q := f.queue
	q.owner, f.own = nil, false
	f.moveTo(f.l.queues[0])
}
