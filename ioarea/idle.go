package ioarea

import (
	"errors"
	"os"
	"time"
)

// An idleTimer has the kernel source's receiver, which sleeps in the poller, come
// back when its stream has been idle for trimAfter and In holds pages to give
// back. It uses the read deadline, and sets it at most once in that time, so
// that a busy stream pays nothing for it.
type idleTimer struct {
	k       *Kernel
	running bool
	since   uint64 // bytes received when it was started
}

// start starts the timer if there is something to trim.
func (t *idleTimer) start(in *Ring) {
	if t.running || !in.Trimmable(trimTo) {
		return
	}
	t.since = t.k.bytesIn.Load()
	t.running = t.set(time.Now().Add(trimAfter))
}

// passed says whether a read came back with err because of the timer. It may also be
// that of a stream that is detached in that moment: the deadline is not the end of it.
func (t *idleTimer) passed(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	t.running = false
	return t.set(time.Time{}) || t.k.isDetached()
}

// trim gives pages back if nothing came while the timer ran. A ring that holds
// bytes stays as it is, and the timer starts again.
func (t *idleTimer) trim(in *Ring) {
	if t.k.bytesIn.Load() == t.since {
		in.Trim(trimTo)
	}
}

// set sets the read deadline, unless the stream is detached: then it is
// Detach's.
func (t *idleTimer) set(deadline time.Time) bool {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return !t.k.isDetached() && t.k.rd.SetReadDeadline(deadline) == nil
}
