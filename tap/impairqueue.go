package tap

import (
	"bytes"
	"sync"
)

// An impairedQueue is a queue of an Impaired device.
type impairedQueue struct {
	dev   *Impaired
	queue Queue

	rmu        sync.Mutex // guards the fields of the read direction
	in         *faultLine
	readable   [][]byte // frames to be read before any of the queue below
	scratch    []byte
	readTimer  Timer // nil when none runs
	readClosed bool

	wmu         sync.Mutex // guards the fields of the write direction
	out         *faultLine
	unwritten   [][]byte // frames accepted, for which the queue below had no room
	writeTimer  Timer    // nil when none runs
	writeClosed bool
}

func newImpairedQueue(d *Impaired, inner Queue, index uint64) *impairedQueue {
	return &impairedQueue{
		dev: d, queue: inner,
		in:  newFaultLine(d.im.In, d.im.Seed, 2*index),
		out: newFaultLine(d.im.Out, d.im.Seed, 2*index+1),
	}
}

func (q *impairedQueue) Readv(bufs [][]byte) (int, error) {
	if q.in.faults.none() {
		return q.queue.Readv(bufs)
	}
	q.rmu.Lock()
	defer q.rmu.Unlock()
	if q.readClosed {
		return 0, ErrClosed
	}
	if q.scratch == nil {
		q.scratch = make([]byte, HdrLen+MaxFrame)
	}
	for len(q.readable) == 0 {
		n, err := q.queue.Readv([][]byte{q.scratch})
		if err != nil {
			return 0, err
		}
		q.readable = q.in.pass(bytes.Clone(q.scratch[:n]))
		q.armRead()
	}
	f := q.readable[0]
	q.readable = q.readable[1:]
	n := scatter(bufs, f)
	if n < len(f) {
		return 0, ErrTruncated
	}
	return n, nil
}

func (q *impairedQueue) armRead() {
	if q.readTimer == nil && len(q.in.held) > 0 {
		q.readTimer = q.dev.im.AfterFunc(q.in.faults.HoldTime, q.releaseRead)
	}
}

func (q *impairedQueue) releaseRead() {
	q.rmu.Lock()
	defer q.rmu.Unlock()
	q.readTimer = nil
	if !q.readClosed {
		q.readable = append(q.readable, q.in.release()...)
		q.dev.signal()
	}
}

func (q *impairedQueue) hasFrame() bool {
	q.rmu.Lock()
	defer q.rmu.Unlock()
	return len(q.readable) > 0
}

func (q *impairedQueue) Writev(bufs [][]byte) (int, error) {
	if q.out.faults.none() {
		return q.queue.Writev(bufs)
	}
	total, err := checkWrite(bufs)
	if err != nil {
		return 0, err
	}
	q.wmu.Lock()
	defer q.wmu.Unlock()
	if q.writeClosed {
		return 0, ErrClosed
	}
	if q.drain(); len(q.unwritten) > 0 {
		return 0, ErrWouldBlock
	}
	f := make([]byte, total)
	gather(f, bufs)
	q.unwritten = q.out.pass(f)
	err = q.drain()
	q.armWrite()
	if err != nil {
		return 0, err
	}
	return total, nil
}

// drain writes as many frames as there is room for. A frame that fails otherwise is lost.
func (q *impairedQueue) drain() (err error) {
	for len(q.unwritten) > 0 {
		_, werr := q.queue.Writev(q.unwritten[:1])
		if werr == ErrWouldBlock {
			return err
		}
		if werr != nil {
			err = werr
		}
		q.unwritten = q.unwritten[1:]
	}
	return err
}

func (q *impairedQueue) armWrite() {
	if q.writeTimer == nil && len(q.out.held)+len(q.unwritten) > 0 {
		q.writeTimer = q.dev.im.AfterFunc(q.out.faults.HoldTime, q.releaseWrite)
	}
}

func (q *impairedQueue) releaseWrite() {
	q.wmu.Lock()
	defer q.wmu.Unlock()
	q.writeTimer = nil
	if !q.writeClosed {
		q.unwritten = append(q.unwritten, q.out.release()...)
		q.drain()
		q.armWrite()
	}
}

func (q *impairedQueue) faults() (in, out FaultCounts) {
	q.rmu.Lock()
	in = q.in.counts
	q.rmu.Unlock()
	q.wmu.Lock()
	out = q.out.counts
	q.wmu.Unlock()
	return in, out
}

// stop ends both directions and their timers.
func (q *impairedQueue) stop() {
	q.rmu.Lock()
	q.readClosed, q.readable = true, nil
	if q.readTimer != nil {
		q.readTimer.Stop()
	}
	q.rmu.Unlock()
	q.wmu.Lock()
	q.writeClosed, q.unwritten = true, nil
	if q.writeTimer != nil {
		q.writeTimer.Stop()
	}
	q.wmu.Unlock()
}

func (q *impairedQueue) Close() error {
	q.stop()
	return q.queue.Close()
}

// Stats returns the counts of the queue below.
func (q *impairedQueue) Stats() Stats { return statsOf(q.queue) }
