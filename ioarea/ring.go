package ioarea

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Bounds of a ring's payload, in bytes. Sizes are powers of two of pages.
const (
	MinRing = 4 << 10
	MaxRing = 1 << 30
)

// A Ring carries a stream of bytes from one producer to one consumer through
// shared memory. Positions are 64-bit stream offsets that never wrap: bytes
// [start, end) are there to be read. The mail's inbuf_start is start, its
// inbuf_size is end-start.
type Ring struct {
	mem  []byte // the payload pages, mapped twice in a row
	size uint64
	p    *producerPage
	c    *consumerPage

	data condition // the consumer waits for end
	room condition // the producer waits for start

	ending  atomic.Pointer[ending] // the producer is done: no byte will follow end
	refused atomic.Pointer[ending] // the consumer is done: nobody will read

	finishing atomic.Bool // the consumer is to begin nothing more
	woken     atomic.Bool // the consumer is to look at something else than this ring

	loans loans // what is committed and lies elsewhere (loan.go)

	// The producer's own.
	reserved uint64 // bytes after end that Reserve has given out
	present  uint64 // the pages up to this place were asked for by Populate
	touched  uint64 // the ring's pages were written up to this place at most
	roomFor  *Waker

	// The consumer's own.
	dataFor *Waker
	left    time.Duration // of the time of the last wait that Wake ended
}

type ending struct{ err error }

// RoundSize returns the least valid ring size that holds n bytes, or ErrSize.
func RoundSize(n int) (int, error) {
	size := max(MinRing, os.Getpagesize())
	for size < n {
		if size *= 2; size > MaxRing {
			return 0, fmt.Errorf("%w: %d bytes, the most is %d", ErrSize, n, MaxRing)
		}
	}
	return size, nil
}

// newRing puts a ring on a mirrored mapping and two pages for its cursors, of
// which at most the first touched bytes hold something.
func newRing(mem []byte, p *producerPage, c *consumerPage, touched uint64) *Ring {
	r := &Ring{mem: mem, size: uint64(len(mem) / 2), p: p, c: c, touched: touched}
	p.end.Store(0)
	p.base.Store(0)
	c.start.Store(0)
	r.data.disarm()
	r.room.disarm()
	return r
}

// renew moves the ring's memory to a ring for the next stream, keeps keep bytes
// of it, and clears them: nobody sees what another stream left. The old ring is
// of no use afterwards, and a waker, sleeper or ending that still belongs to it
// can't reach the new one.
func (r *Ring) renew(keep int) *Ring {
	r.DropLoans()
	n := newRing(r.mem, r.p, r.c, r.touched)
	r.mem, r.p, r.c = nil, nil, nil
	n.Trim(keep)
	clear(n.mem[:n.touched])
	return n
}

// Cap is the number of payload bytes that the ring holds.
func (r *Ring) Cap() int { return int(r.size) }

// Start and End are the stream offsets of the first byte that has not been
// consumed and of the first that has not been received or committed.
func (r *Ring) Start() uint64 { return r.c.start.Load() }

// End: see Start.
func (r *Ring) End() uint64 { return r.p.end.Load() }

// Len is the number of bytes that can be read. Any goroutine may ask; for all
// but the consumer the answer may be out of date.
func (r *Ring) Len() int {
	start := r.c.start.Load() // before end: the difference can't be negative
	return int(r.p.end.Load() - start)
}

// at returns n bytes of ring memory from stream offset off on.
func (r *Ring) at(off uint64, n int) []byte {
	i := (off - r.p.base.Load()) & (r.size - 1)
	return r.mem[i : i+uint64(n) : i+uint64(n)]
}

// The consumer's side.

// Peek returns the first n unread bytes, or all there are if these are fewer,
// as one slice of the ring's memory. It stays as it is until consumed.
func (r *Ring) Peek(n int) []byte {
	start, end := r.c.start.Load(), r.p.end.Load()
	if have := end - start; n < 0 || uint64(n) > have {
		n = int(have)
	}
	if n == 0 {
		return nil // base may be on the move: the ring is empty
	}
	return r.at(start, n)
}

// Consume removes the first n bytes. It panics if there are not as many: that is
// an error of the caller, whom Len and Peek have told.
func (r *Ring) Consume(n int) {
	start := r.c.start.Load()
	if n < 0 || uint64(n) > r.p.end.Load()-start {
		panic(fmt.Sprintf("ioarea: Consume(%d) of %d bytes", n, r.p.end.Load()-start))
	}
	start += uint64(n)
	r.returnLoans(start) // before the producer may write there again
	r.c.start.Store(start)
	r.room.moved(start)
}

// Wait returns nil as soon as min bytes can be read. If they can't come any
// more: io.EOF when the stream has ended and nothing is left to read,
// io.ErrUnexpectedEOF when it has ended with fewer than min bytes left, or the
// error that it ended with. ErrTimeout when they did not come in time, and
// ErrTooLong when min is more than the ring holds.
func (r *Ring) Wait(min int, timeout time.Duration) error {
	return r.wait(min, timeout, 0)
}

// waitMode is what else may end a wait.
type waitMode uint8

const (
	// served: Wake does, with errWoken.
	served waitMode = 1 << iota
	// between: the stream may end here in order, and does with io.EOF when the consumer is to
	// finish and nothing is left to read.
	between
)

// errWoken says that a wait ended by Wake, and not because of what the ring holds.
var errWoken = errors.New("ioarea: woken")

// wait is Wait, in a mode.
func (r *Ring) wait(min int, timeout time.Duration, mode waitMode) error {
	if ready, err := r.check(min); ready || err != nil || timeout == NoWait {
		return orTimeout(ready, err)
	}
	w := r.sleeper()
	for deadline := deadlineOf(timeout); ; {
		r.data.arm(r.c.start.Load()+uint64(min), w)
		if ready, err := r.check(min); ready || err != nil {
			r.data.disarm()
			return err
		}
		if mode&between != 0 && r.finished() {
			r.data.disarm()
			return io.EOF
		}
		if mode&served != 0 && r.woken.Load() {
			r.data.disarm()
			if timeout > 0 {
				r.left = max(time.Until(deadline), 1)
			}
			return errWoken
		}
		r.askForMore()
		if !w.sleep(deadline) {
			r.data.disarm()
			return orTimeout(r.check(min))
		}
	}
}

// finish has a wait between requests end with io.EOF as soon as nothing is left to read.
func (r *Ring) finish() {
	r.finishing.Store(true)
	r.data.broadcast()
}

// Wake has Serve call the handler of this in ring once more, soon, though what it waits for may
// not have come: something else than the stream has news for it. One call after many wakes may be
// all. Any goroutine may call it at any time, also after the stream has ended.
func (r *Ring) Wake() {
	r.woken.Store(true)
	r.data.broadcast()
}

// heard takes the wakes so far back; the handler is about to look.
func (r *Ring) heard() {
	if r.woken.Load() {
		r.woken.Store(false)
	}
}

func (r *Ring) finished() bool { return r.finishing.Load() && r.Len() == 0 }

// askForMore wakes a producer that waits for room while the consumer, who has
// left something unread, waits for more: one that holds bytes back in a ring
// that is only partly full would otherwise wait for what never comes.
func (r *Ring) askForMore() {
	if r.Len() > 0 {
		r.room.broadcast()
	}
}

// sleeper is what the consumer sleeps on.
func (r *Ring) sleeper() *Waker {
	if r.dataFor == nil {
		r.dataFor = newSleeper()
	}
	return r.dataFor
}

func orTimeout(ready bool, err error) error {
	if !ready && err == nil {
		return ErrTimeout
	}
	return err
}

// check says whether min bytes can be read, or why they never will be.
func (r *Ring) check(min int) (ready bool, err error) {
	if uint64(min) > r.size {
		return false, fmt.Errorf("%w: waiting for %d bytes in %d", ErrTooLong, min, r.size)
	}
	if r.Len() >= min {
		return true, nil
	}
	over := r.ending.Load()
	if over == nil {
		return false, nil
	}
	// The ending was set after the last move of end: what is there now is all.
	switch n := r.Len(); {
	case n >= min:
		return true, nil
	case over.err != nil:
		return false, over.err
	case n > 0:
		return false, io.ErrUnexpectedEOF
	}
	return false, io.EOF
}

// ArmData asks for one call of w when end reaches mark, or the stream ends, in
// place of Wait. It returns false, and w is not called, if that is so already.
func (r *Ring) ArmData(mark uint64, w *Waker) bool {
	if r.dataAt(mark) {
		return false
	}
	r.data.arm(mark, w)
	return !r.dataAt(mark) || !r.data.withdraw(mark)
}

func (r *Ring) dataAt(mark uint64) bool {
	return r.p.end.Load() >= mark || r.ending.Load() != nil
}

// Refuse says that the consumer will read no more, for the reason err (nil:
// ErrClosed). The producer's Reserve fails from now on.
func (r *Ring) Refuse(err error) {
	if err == nil {
		err = ErrClosed
	}
	r.refused.CompareAndSwap(nil, &ending{err})
	r.room.broadcast()
}

// Ended reports whether the producer has closed the ring, and with what error;
// bytes may still be there to read.
func (r *Ring) Ended() (bool, error) {
	if e := r.ending.Load(); e != nil {
		return true, e.err
	}
	return false, nil
}

// The producer's side.

// Free is the number of bytes that can be reserved now.
func (r *Ring) Free() int {
	return int(r.c.start.Load() + r.size - r.p.end.Load() - r.reserved)
}

// Reserve returns the n bytes of ring memory that follow all that is reserved
// and committed so far, and waits until there is room for them. They may be
// filled in any order, and earlier reservations stay valid until they are
// committed or cancelled. ErrTimeout, ErrTooLong, or the error that the consumer
// refused the ring with.
func (r *Ring) Reserve(n int, timeout time.Duration) ([]byte, error) {
	if n < 0 || uint64(n)+r.reserved > r.size {
		return nil, fmt.Errorf("%w: reserving %d bytes after %d in %d", ErrTooLong, n, r.reserved, r.size)
	}
	if e := r.refused.Load(); e != nil {
		return nil, e.err
	}
	if r.Free() < n {
		if err := r.waitRoom(n, timeout); err != nil {
			return nil, err
		}
	}
	if r.reserved == 0 {
		r.Rewind()
	}
	off := r.p.end.Load() + r.reserved
	r.reserved += uint64(n)
	return r.Tail(off, n), nil
}

func (r *Ring) waitRoom(n int, timeout time.Duration) error {
	if timeout == NoWait {
		return ErrTimeout
	}
	if r.roomFor == nil {
		r.roomFor = newSleeper()
	}
	for deadline := deadlineOf(timeout); ; {
		armed := r.ArmRoom(n, r.roomFor)
		if e := r.refused.Load(); e != nil {
			r.room.disarm()
			return e.err
		}
		if !armed {
			return nil
		}
		if !r.roomFor.sleep(deadline) {
			r.room.disarm()
			if e := r.refused.Load(); e != nil {
				return e.err
			}
			if r.Free() < n {
				return ErrTimeout
			}
			return nil
		}
	}
}

// ArmRoom asks for one call of w when n bytes are free, the ring is refused, or
// the consumer begins to wait for more than is there. It returns false, and w is
// not called, if there is room or a refusal already; a producer that holds bytes
// back asks Wanting after it has armed.
func (r *Ring) ArmRoom(n int, w *Waker) bool {
	mark := r.p.end.Load() + r.reserved + uint64(n)
	if mark <= r.size {
		mark = 0 // there is room before anything is consumed
	} else {
		mark -= r.size
	}
	if r.roomAt(mark) {
		return false
	}
	r.room.arm(mark, w)
	return !r.roomAt(mark) || !r.room.withdraw(mark)
}

func (r *Ring) roomAt(mark uint64) bool {
	return r.c.start.Load() >= mark || r.refused.Load() != nil
}

// Commit publishes the first n reserved bytes: it moves end, and wakes the
// consumer if that crosses its mark. It panics if fewer are reserved.
func (r *Ring) Commit(n int) {
	if n < 0 || uint64(n) > r.reserved {
		panic(fmt.Sprintf("ioarea: Commit(%d) of %d reserved bytes", n, r.reserved))
	}
	r.reserved -= uint64(n)
	r.Advance(n)
}

// Cancel forgets all that is reserved and not committed.
func (r *Ring) Cancel() { r.reserved = 0 }

// Append copies header and body to the end of the ring and commits them as one,
// as sendmsg would (the mail). It waits for room as Reserve does.
func (r *Ring) Append(timeout time.Duration, header []byte, body ...[]byte) error {
	n := len(header)
	for _, b := range body {
		n += len(b)
	}
	dst, err := r.Reserve(n, timeout)
	if err != nil {
		return err
	}
	dst = dst[copy(dst, header):]
	for _, b := range body {
		dst = dst[copy(dst, b):]
	}
	r.Commit(n)
	return nil
}

// Close says that no byte will follow: the stream has ended, or broken with err.
// The consumer is woken. Only the first Close counts.
func (r *Ring) Close(err error) {
	r.ending.CompareAndSwap(nil, &ending{err})
	r.data.broadcast()
}

// Refused returns the error that the consumer refused the ring with, or nil.
func (r *Ring) Refused() error {
	if e := r.refused.Load(); e != nil {
		return e.err
	}
	return nil
}

// The stack's view of the producer's side: it places bytes at their stream
// offset before they count, and moves end when they are in order.

// Tail returns n bytes of ring memory from stream offset off on, for a producer
// who knows that off is not before end, and that off+n is not beyond
// start+Cap: nobody has been shown what lies there.
func (r *Ring) Tail(off uint64, n int) []byte {
	r.touch(off, n)
	return r.at(off, n)
}

// touch notes that n bytes from off on may have been written, for Trim.
func (r *Ring) touch(off uint64, n int) {
	i := (off - r.p.base.Load()) & (r.size - 1)
	if last := i + uint64(n); last > r.touched {
		r.touched = min(last, r.size)
	}
}

// Populate has the system bring the pages at the n bytes from off on, which are about to be written:
// one call, where each page would cost a fault. The producer calls it.
func (r *Ring) Populate(off uint64, n int) {
	from := r.present
	to := min(pageUp((off-r.p.base.Load())&(r.size-1)+uint64(n)), r.size)
	if to <= from {
		return
	}
	r.present, r.touched = to, max(r.touched, to) // what is there can be trimmed
	populate(r.mem[from:to])
}

// Advance moves end by n bytes that lie in place already, and reports whether
// that woke the consumer.
func (r *Ring) Advance(n int) bool {
	end := r.p.end.Load() + uint64(n)
	r.p.end.Store(end)
	return r.data.moved(end)
}

// Rewind lets an empty ring begin again at its first page: the map from stream
// offset to place moves, and nothing is copied. A ring that is emptied often so
// stays within pages that are in the cache. The producer calls it while nothing
// lies placed beyond end; it reports whether the ring is empty. The consumer
// looks at the map only when end is beyond start, so it never sees it move.
func (r *Ring) Rewind() bool {
	end := r.p.end.Load()
	if r.c.start.Load() != end || r.reserved != 0 {
		return false
	}
	if r.p.base.Load() != end {
		r.p.base.Store(end)
	}
	return true
}

// Trimmable reports whether Trim would find pages to give back if the ring were empty.
// The producer asks.
func (r *Ring) Trimmable(keep int) bool {
	from, to := r.beyond(keep)
	return from < to
}

// beyond is where the pages that may hold something begin and end, without those of the
// first keep bytes.
func (r *Ring) beyond(keep int) (from, to uint64) {
	return pageUp(uint64(keep)), min(pageUp(r.touched), r.size)
}

// pageUp is the next page boundary from n on.
func pageUp(n uint64) uint64 {
	page := uint64(os.Getpagesize())
	return (n + page - 1) &^ (page - 1)
}

// Trim gives all pages but the first keep bytes back to the system if the ring
// is empty, and reports how many bytes that freed at most. The producer calls
// it, under the conditions of Rewind.
func (r *Ring) Trim(keep int) int {
	from, to := r.beyond(keep)
	if from >= to || !r.Rewind() {
		return 0
	}
	if giveBack(r.mem[from:to]) != nil {
		return 0 // the pages stay: nothing is lost but memory
	}
	r.touched, r.present = from, min(r.present, from)
	return int(to - from)
}
