package ioarea

import (
	"io"
	"time"
)

// trimAfter is how long a stream is idle before its rings give back the pages
// that it does not need for small requests, and trimTo how many bytes they keep.
const (
	trimAfter = time.Second
	trimTo    = 16 << 10
)

// Next is what a handler needs to go on.
type Next struct {
	// Min is the number of unread bytes in In. 0: call again at once.
	Min int
	// Within is the longest that it may take: Forever, or a time after which
	// the stream is aborted with ErrTimeout.
	Within time.Duration
	// Begun says that a part of a request has been consumed: if the stream ends
	// now, it ends with io.ErrUnexpectedEOF and not in order.
	Begun bool
}

// A Handler answers requests out of an area.
type Handler interface {
	// Handle is called with whatever has arrived, first with nothing. It does
	// what can be done with that, consumes it, commits replies, and says what it
	// needs to go on: "If it's not enough, you'll wait with condition again,
	// until required size arrive" (the mail). io.EOF ends the stream in order,
	// any other error aborts it.
	Handle(a *Area) (Next, error)
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(a *Area) (Next, error)

// Handle calls f.
func (f HandlerFunc) Handle(a *Area) (Next, error) { return f(a) }

// Serve is the replying thread: it calls h until the stream ends or h fails, and
// then closes or aborts the area, which must not be used afterwards. It returns
// nil if the stream ended in order, that is between requests, and otherwise why
// it did not.
func Serve(a *Area, h Handler) (err error) {
	err = errPanicked // each return overwrites it
	defer func() {
		if err == nil {
			a.Close()
		} else {
			a.Abort(err)
		}
	}()
	var woken bool
	var mark uint64 // stream offset that the last wait was for
	for {
		a.In.heard()
		next, err := h.Handle(a)
		if err != nil {
			return inOrder(err)
		}
		if !next.Begun && a.In.finished() {
			return nil
		}
		last := mark
		mark = a.In.Start() + uint64(next.Min)
		if woken && mark == last && next.Within > 0 && (next.Begun || a.In.Len() > 0) {
			next.Within = min(next.Within, a.In.left) // a wake gives the peer no more time for its request
		}
		err = await(a, next)
		if woken = err == errWoken; woken {
			continue
		}
		if err != nil {
			if err == io.EOF && next.Begun {
				err = io.ErrUnexpectedEOF
			}
			return inOrder(err)
		}
	}
}

// Finish has Serve end, in order, at the next place between requests: as soon as
// nothing is unread and no request has begun. A request that is there in part is still
// waited for and answered. Any goroutine may call it.
func (a *Area) Finish() { a.In.finish() }

func inOrder(err error) error {
	if err == io.EOF { // not one that a handler's own reading met, wrapped
		return nil
	}
	return err
}

// await waits for what the handler needs, and has the out ring trimmed when
// that takes long: the handler is the ring's producer, and rests. The peer may take
// its time to take what Out holds, so it is tried again and again.
func await(a *Area, next Next) error {
	rest, mode := next.Within, served
	if !next.Begun {
		mode |= between
	}
	for a.Out.Trimmable(trimTo) && (rest < 0 || rest > trimAfter) {
		if err := a.In.wait(next.Min, trimAfter, mode); err != ErrTimeout {
			a.In.left += max(rest-trimAfter, 0)
			return err
		}
		a.Out.Trim(trimTo)
		if rest > 0 {
			rest -= trimAfter
		}
	}
	return a.In.wait(next.Min, rest, mode)
}
