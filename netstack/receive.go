package netstack

import (
	"errors"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// errNoRoom ends a read whose bytes do not fit the ring; they stay with TCP.
var errNoRoom = errors.New("netstack: no room in the ring")

// An inWriter takes what Endpoint.Read hands out, in stream order: slices of the
// ring that lie in place already are counted, any others copied to their place.
type inWriter struct {
	f              *flow
	room           int // bytes that may still be shown
	n              int // bytes beyond In.end in place now
	placed, copied int
}

func (w *inWriter) Write(p []byte) (int, error) {
	in := w.f.area.In
	off := in.End() + uint64(w.n)
	n := min(len(p), w.room-w.n)
	if n > 0 {
		if in.InPlace(off, p) {
			w.placed += n
		} else {
			copy(in.Tail(off, n), p)
			w.copied += n
		}
		w.n += n
	}
	if n < len(p) {
		return n, errNoRoom
	}
	return n, nil
}

// receive is the receive thread's step for one flow: move In.end over what has
// come in order, and so wake the handler if that crosses its mark.
//
// Half the ring is shown at most, unless the handler waits for more: what comes
// beyond that stays with TCP, in place in the ring where it can be, and closes
// the window, which is the other half (see Config.RingIn). So what is shown and
// what may still come always fit the ring together, and the window opens by what
// is consumed.
func (f *flow) receive() {
	in := f.area.In
	if f.inOver || in.Refused() != nil {
		f.drain()
		return
	}
	for {
		room := f.mayShow()
		if room <= 0 {
			if in.Refused() != nil { // the handler has left meanwhile
				f.drain()
				return
			}
			if in.ArmRoom(in.Cap()*3/4, f.room) && f.mayShow() <= 0 {
				return
			}
			continue
		}
		f.in.room, f.in.n, f.in.placed, f.in.copied = room, 0, 0, 0
		_, err := f.ep.Read(&f.in, tcpip.ReadOptions{})
		if n := f.in.n; n > 0 {
			f.bytesIn.Add(uint64(n))
			f.inPlace.Add(uint64(f.in.placed))
			f.copiedIn.Add(uint64(f.in.copied))
			in.Advance(n)
			f.nxt = max(f.nxt, in.End()) // what is shown is never a frame's target
		}
		switch err.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			return
		case *tcpip.ErrClosedForReceive:
			f.endIn(nil)
			return
		default:
			f.endIn(streamError(err))
			f.endOut(streamError(err))
			return
		}
	}
}

// mayShow is the number of bytes that the handler may be shown now.
func (f *flow) mayShow() int {
	in := f.area.In
	if in.Wanting() {
		return in.Free()
	}
	return min(in.Free(), in.Cap()/2-in.Len())
}

// drain discards what comes after the handler has left, until the peer's end of
// stream, so that closing does not reset the connection under the last reply.
func (f *flow) drain() {
	for !f.inOver {
		_, err := f.ep.Read(io.Discard, tcpip.ReadOptions{})
		switch err.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			return
		default:
			f.inOver = true
		}
	}
}

// endIn says that nothing more will come.
func (f *flow) endIn(err error) {
	if !f.inOver {
		f.inOver = true
		f.area.In.Close(err)
	}
}
