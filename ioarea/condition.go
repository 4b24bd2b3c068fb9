package ioarea

import (
	"math"
	"sync/atomic"
	"time"
)

// Timeouts of [Ring.Wait], [Ring.Reserve] and [Poll]: any positive duration, or
// one of these. The mail asks for a time, 0 and NULL.
const (
	// NoWait comes back at once.
	NoWait time.Duration = 0
	// Forever waits until the condition holds or the stream ends.
	Forever time.Duration = -1
)

// A Waker is told that a mark was crossed. It must not block and may be called
// from any goroutine.
type Waker struct {
	f     func()
	ch    chan struct{}
	timer *time.Timer
}

// NewWaker returns a Waker that calls f.
func NewWaker(f func()) *Waker { return &Waker{f: f} }

func newSleeper() *Waker { return &Waker{ch: make(chan struct{}, 1)} }

func (w *Waker) wake() {
	if w.f != nil {
		w.f()
		return
	}
	select {
	case w.ch <- struct{}{}:
	default:
	}
}

// sleep parks the goroutine until wake (true), or until the deadline (false; a
// zero deadline never comes). A true may be spurious: callers check again.
func (w *Waker) sleep(deadline time.Time) bool {
	if deadline.IsZero() {
		<-w.ch
		return true
	}
	d := time.Until(deadline)
	if d <= 0 {
		return false
	}
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	defer w.timer.Stop()
	select {
	case <-w.ch:
		return true
	case <-w.timer.C:
		return false
	}
}

const noMark = math.MaxUint64

// A condition is one side's wish to be woken when the other side's cursor
// reaches a mark. One waiter at a time, the ring's consumer (for data) or its
// producer (for room); woken once for each mark that is set and crossed, and not
// for each segment.
type condition struct {
	mark  atomic.Uint64
	waker atomic.Pointer[Waker]
}

func (c *condition) arm(mark uint64, w *Waker) {
	c.waker.Store(w)
	c.mark.Store(mark)
}

func (c *condition) disarm() { c.mark.Store(noMark) }

// withdraw takes back the wish armed with mark. It fails if the mover, or a
// broadcast, has claimed it: then the wake has come or is under way.
func (c *condition) withdraw(mark uint64) bool { return c.mark.CompareAndSwap(mark, noMark) }

// moved says that the cursor stands at c now, and whether that woke the waiter.
// Cursor and mark are sequentially consistent: either the mover sees the mark,
// or the waiter, who looks at the cursor after it set the mark, sees the cursor.
func (c *condition) moved(cursor uint64) bool {
	m := c.mark.Load()
	if cursor < m || m == noMark || !c.mark.CompareAndSwap(m, noMark) {
		return false
	}
	c.waker.Load().wake()
	return true
}

// broadcast wakes the waiter whatever its mark: the stream has ended.
func (c *condition) broadcast() {
	if c.mark.Swap(noMark) != noMark {
		c.waker.Load().wake()
	}
}

func deadlineOf(timeout time.Duration) time.Time {
	if timeout < 0 {
		return time.Time{}
	}
	return time.Now().Add(timeout)
}
