package netstack

import (
	"net/netip"
	"time"

	"ustack/tap"
)

// Lending: the reply that a handler built in Out is what the device is given to
// send, the first time and each time that it is sent again. gVisor is told how
// many bytes there are, and does with their number what TCP does: sequence,
// windows, retransmission. The bytes stay in Out until the peer has acknowledged
// them, and are found there by the sequence number of the segment that is about
// to be written. That holds because the checksum is left to the device: gVisor
// never looks at payload that goes out.

// settleTries is how often the loop looks again at once for an acknowledgement
// that it has read and TCP has not counted yet; after that it looks now and then.
const settleTries = 64

// byLink reports whether a peer is reached by the link, and is not at an address of our own:
// what goes to it may be lent, and what comes from it by the link is its.
func (l *loop) byLink(remote netip.Addr) bool {
	return l.stk.CheckLocalAddress(0, family(remote), address(remote)) == 0
}

// probeByte is what a zero-window probe carries.
var probeByte [1]byte

// isProbe reports whether a segment that carries nothing of Out is a zero-window
// probe: gVisor sends the last acknowledged byte again, as any byte. No peer
// reads it, for it has one there already. A segment of that one byte that was
// acknowledged while it waited to be sent again is taken for one, and is as harmless.
func (f *flow) isProbe(s *segment) bool {
	return f.area != nil && s.payload == 1 && s.seq == f.iss+uint32(f.area.Out.Start())
}

// isAgain reports whether a segment that goes out has been sent before, wholly or
// in part, and takes note of it.
func (f *flow) isAgain(s *segment) bool {
	end := s.seq + uint32(s.payload)
	if s.flags&flagFIN != 0 {
		end++
	}
	if again := f.haveSent && int32(s.seq-f.sentTo) < 0; again {
		if int32(end-f.sentTo) > 0 {
			f.sentTo = end
		}
		return true
	}
	f.sentTo, f.haveSent = end, true
	return false
}

// settle gives the handler back what the peer has acknowledged, or, where gVisor
// has its own copy, what was copied.
func (f *flow) settle() {
	out := f.area.Out
	done := f.handed
	if f.lending {
		done = f.taken()
		if hasEnded(f.ep) { // TCP has given up what was not acknowledged, too
			done = min(done, f.ackedTo)
		}
	}
	if start := out.Start(); done > start {
		out.Consume(int(done - start))
	}
}

// acked looks at a segment that came in. If it acknowledges what was lent, the
// flow is run once TCP has seen it.
func (f *flow) acked(s *segment) {
	if !f.lending || s.flags&flagACK == 0 {
		return
	}
	start := f.area.Out.Start()
	out := f.handed - start
	n := int32(s.ack - f.iss - 1 - uint32(start)) // bytes that it acknowledges anew
	if f.outOver && n > 0 && uint64(n) == out+1 {
		n-- // our FIN
	}
	if n <= 0 || uint64(n) > out || !f.haveSent || int32(s.ack-f.sentTo) > 0 {
		return
	}
	if to := start + uint64(n); to > f.ackedTo {
		f.ackedTo, f.settleTries = to, 0
	}
	f.notify(evAcked)
}

// acked finds the flow of a segment that came in, which may be guess, and has it
// look at what the segment acknowledges. nil if it is of no flow.
func (l *loop) acked(guess *flow, s *segment) *flow {
	f := guess
	if key := s.inbound(); f == nil || f.key != key {
		f = l.flows[key]
	}
	if f != nil {
		f.acked(s)
	}
	return f
}

// awaitSettled comes back if TCP has not counted the last acknowledgement yet: it
// is about to, on another thread, or it was none that TCP could take.
func (f *flow) awaitSettled() {
	if f.area.Out.Start() >= f.ackedTo {
		return
	}
	if f.settleTries++; f.settleTries <= settleTries {
		f.notify(evAcked)
		return
	}
	wait := time.Millisecond << min(f.settleTries-settleTries, 10)
	if f.settling == nil {
		f.settling = time.AfterFunc(wait, func() { f.notify(evAcked) })
		return
	}
	f.settling.Reset(wait)
}

// ahead is how many bytes lie between the first that is not acknowledged and the
// segment's first.
func (f *flow) ahead(s *segment) int {
	return int(int32(s.seq - f.iss - 1 - uint32(f.area.Out.Start())))
}

// lentAt returns where in Out the payload of a segment that is about to be written lies, or false if
// the peer has acknowledged a part of it meanwhile: the bytes may be others by now
// (stale.go).
func (f *flow) lentAt(s *segment) (off uint64, ok bool) {
	if f.area == nil {
		return 0, false
	}
	ahead := f.ahead(s)
	if ahead < 0 {
		return 0, false
	}
	off = f.area.Out.Start() + uint64(ahead)
	return off, off+uint64(s.payload) <= f.handed
}

// writeLent writes a frame of headers h and payload bytes, which lie in the flow's Out at off. Those that Out has
// from a file that has been cut meanwhile are fetched to Out, as zeros, so that the frame can be written. What can't be told any more ends
// the flow.
func (q *queue) writeLent(f *flow, h []byte, off uint64, payload int) (written int, err error) {
	out := f.area.Out
	for range 2 {
		bufs := out.Borrow(append(q.out[:0], q.vnetOut[:], h), off, payload)
		lost := out.Lost()
		if err = tap.ErrFault; lost == nil && len(bufs) <= len(q.out) {
			written, err = q.q.Writev(bufs)
		}
		out.Return()
		clear(q.out[:])
		if lost != nil {
			f.notify(evKilled)
			return 0, lost
		}
		if err != tap.ErrFault {
			break
		}
		out.TakeBackRange(off, payload)
	}
	return written, err
}
