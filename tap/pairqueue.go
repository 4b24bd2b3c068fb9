package tap

import "fmt"

// A pairQueue holds the frames that have come to its end and wait to be read. What
// is written to it goes to a queue of the other end.
type pairQueue struct {
	side    *pairSide
	index   int
	in, out counters

	// Guarded by side.link.mu.
	part   *pairDevice // that has attached it
	frames frameRing
	closed bool
}

func (q *pairQueue) Readv(bufs [][]byte) (int, error) {
	d := q.side
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if q.closed {
		return 0, ErrClosed
	}
	if n := nonEmpty(bufs); n > MaxReadBufs {
		return 0, fmt.Errorf("%w: %d buffers to read into, at most %d", ErrBadFrame, n, MaxReadBufs)
	}
	if q.frames.len() == 0 {
		q.in.blocks.Add(1)
		return 0, ErrWouldBlock
	}
	f := q.frames.pop()
	defer d.link.pool.put(f)
	for _, p := range d.peer.parts {
		if p.wantRoom {
			p.wantRoom, p.roomBack = false, true
			p.signal()
		}
	}
	n := scatter(bufs, f)
	if n < len(f) {
		q.in.lost.Add(1)
		return 0, ErrTruncated
	}
	q.in.frames.Add(1)
	q.in.bytes.Add(uint64(n))
	return n, nil
}

func (q *pairQueue) Writev(bufs [][]byte) (int, error) {
	total, err := checkWrite(bufs)
	d := q.side
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	switch {
	case q.closed:
		return 0, ErrClosed
	case err != nil:
		q.out.other.Add(1)
		return 0, err
	case d.peer.closed():
		q.out.lost.Add(1)
		return 0, ErrDown
	}
	f := d.link.pool.get(total)
	gather(f, bufs)
	p, known := parsePacket(f[HdrLen:])
	var k flowKey
	if known {
		k = p.flow(f[HdrLen:])
		d.flows.learn(k, q.index)
	}
	to := d.peer.arrival(k, known)
	if to == nil {
		d.link.pool.put(f)
		q.out.lost.Add(1)
		return 0, ErrDown
	}
	if to.frames.len() == d.peer.depth {
		d.link.pool.put(f)
		q.part.wantRoom = true
		q.out.blocks.Add(1)
		return 0, ErrWouldBlock
	}
	to.frames.push(f)
	if to.part != nil { // else it waits for AttachQueue
		to.part.signal()
	}
	q.out.frames.Add(1)
	q.out.bytes.Add(uint64(total))
	return total, nil
}

// Close loses the frames that wait in the queue.
func (q *pairQueue) Close() error {
	q.side.link.mu.Lock()
	defer q.side.link.mu.Unlock()
	q.drop()
	return nil
}

func (q *pairQueue) drop() {
	q.closed = true
	for q.frames.len() > 0 {
		q.side.link.pool.put(q.frames.pop())
	}
}

// Stats returns the queue's counts.
func (q *pairQueue) Stats() Stats { return joinCounters(&q.in, &q.out) }
