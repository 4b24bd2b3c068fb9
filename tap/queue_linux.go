package tap

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A queue is one descriptor of /dev/net/tun, attached to the interface.
type queue struct {
	gate gate
	fd   int

	// Of the goroutine that reads. The entry beyond MaxReadBufs is for spare: a
	// frame that reaches it did not fit.
	readIov [MaxReadBufs + 1]unix.Iovec
	spare   [1]byte
	in      counters

	// Of the goroutine that writes.
	writeIov [MaxWriteBufs]unix.Iovec
	out      counters
}

func (q *queue) Readv(bufs [][]byte) (int, error) {
	if !q.gate.enter() {
		q.leave()
		return 0, ErrClosed
	}
	n, err := q.read(bufs)
	q.leave()
	return n, err
}

func (q *queue) read(bufs [][]byte) (int, error) {
	k, total, ok := fill(q.readIov[:MaxReadBufs], bufs)
	if !ok {
		clear(q.readIov[:k])
		return 0, fmt.Errorf("%w: more than %d buffers to read into", ErrBadFrame, MaxReadBufs)
	}
	q.readIov[k].Base, q.readIov[k].Len = &q.spare[0], 1
	n, errno := readv(q.fd, q.readIov[:k+1])
	clear(q.readIov[:k])
	if errno != 0 {
		return 0, q.readError(errno, total)
	}
	if n > total {
		q.in.lost.Add(1)
		return 0, ErrTruncated
	}
	q.in.frames.Add(1)
	q.in.bytes.Add(uint64(n))
	return n, nil
}

func (q *queue) readError(errno unix.Errno, total int) error {
	if errno == unix.EAGAIN {
		q.in.blocks.Add(1)
		return ErrWouldBlock
	}
	q.in.other.Add(1)
	switch errno {
	case unix.EBADFD:
		return fmt.Errorf("%w: readv: %w", ErrGone, errno)
	case unix.EINVAL:
		return fmt.Errorf("%w: readv of a frame into %d bytes: %w", ErrBadFrame, total, errno)
	}
	return fmt.Errorf("tap: readv: %w", errno)
}

func (q *queue) Writev(bufs [][]byte) (int, error) {
	if !q.gate.enter() {
		q.leave()
		return 0, ErrClosed
	}
	n, err := q.write(bufs)
	q.leave()
	return n, err
}

func (q *queue) write(bufs [][]byte) (int, error) {
	k, total, ok := fill(q.writeIov[:], bufs)
	if !ok {
		clear(q.writeIov[:k])
		return 0, fmt.Errorf("%w: more than %d buffers to write from", ErrBadFrame, MaxWriteBufs)
	}
	if total == 0 {
		return 0, fmt.Errorf("%w: empty", ErrBadFrame) // writev would return 0
	}
	n, errno := writev(q.fd, q.writeIov[:k])
	clear(q.writeIov[:k])
	if errno != 0 {
		return 0, q.writeError(errno, total)
	}
	q.out.frames.Add(1)
	q.out.bytes.Add(uint64(n))
	return n, nil
}

func (q *queue) writeError(errno unix.Errno, total int) error {
	switch errno {
	case unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS:
		// The kernel has no memory for it now, of the socket or at all.
		q.out.blocks.Add(1)
		return ErrWouldBlock
	case unix.EIO:
		q.out.lost.Add(1)
		return ErrDown
	case unix.EFAULT:
		return ErrFault
	}
	q.out.other.Add(1)
	switch errno {
	case unix.EBADFD:
		return fmt.Errorf("%w: writev: %w", ErrGone, errno)
	case unix.EINVAL:
		return fmt.Errorf("%w: writev of %d bytes: %w", ErrBadFrame, total, errno)
	}
	return fmt.Errorf("tap: writev of %d bytes: %w", total, errno)
}

func (q *queue) leave() {
	if q.gate.leave() {
		unix.Close(q.fd)
	}
}

// Close detaches the queue: its descriptor is closed by the last one to use it.
func (q *queue) Close() error {
	if q.gate.shut() {
		return unix.Close(q.fd)
	}
	return nil
}

// Stats returns the queue's counts.
func (q *queue) Stats() Stats { return joinCounters(&q.in, &q.out) }

// alive reports whether the queue is still attached to an interface.
func (q *queue) alive() bool {
	ok := q.gate.enter() && hasInterface(q.fd)
	q.leave()
	return ok
}
