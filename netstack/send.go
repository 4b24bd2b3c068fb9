package netstack

import (
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// gsoPayload is the most payload that gVisor puts into one frame: the largest IP
// packet less what it allows for headers.
const gsoPayload = 65535 - header.TCPTotalHeaderMaximumSize - 1

// An outPayload hands committed bytes of Out to Endpoint.Write.
//
// Lent, it hands over their number alone (claim.go), and the loop, which writes the
// frames, takes the bytes from Out (lend.go). Otherwise gVisor gets a copy.
type outPayload struct {
	lent bool
	n    int
	b    []byte // not lent: the bytes
}

func (p *outPayload) Len() int {
	if p.lent {
		return claimLen(p.n)
	}
	return p.n
}

func (p *outPayload) Read(dst []byte) (n int, err error) {
	switch {
	case p.n == 0:
		return 0, io.EOF
	case p.lent:
		n = claim(dst, p.n)
	default:
		n = copy(dst, p.b)
		p.b = p.b[n:]
	}
	p.n -= n
	return n, nil
}

// send is the sender's step for one flow: what the handler has committed goes to
// TCP, as much as may be on its way, and what the peer has acknowledged is the
// handler's again.
func (f *flow) send() {
	f.settle()
	if f.outOver {
		return
	}
	if hasEnded(f.ep) { // what Out holds will never be taken; In may have ended long before
		f.endOut(f.whyEnded())
		return
	}
	out := f.area.Out
	for {
		for n := int(out.End() - f.handed); n > 0; n = int(out.End() - f.handed) {
			if !f.mayHand() {
				return // evAcked or evSpace comes when it is less
			}
			n = min(n, f.sendChunk())
			f.out = outPayload{lent: f.lending, n: n, b: out.Committed(f.handed, n)}
			sent, err := f.ep.Write(&f.out, tcpip.WriteOptions{Atomic: true})
			f.out.b = nil
			switch err.(type) {
			case nil:
			case *tcpip.ErrWouldBlock:
				return // evSpace comes
			default:
				f.endOut(streamError(err))
				return
			}
			f.handed += uint64(sent)
			f.bytesOut.Add(uint64(sent))
			if f.lending {
				f.l.flights.moved(&f.flight, int(sent), f.l.now)
			} else {
				f.copiedOut.Add(uint64(sent))
			}
			f.settle()
		}
		if over, err := out.Ended(); over && out.End() == f.handed {
			if err == nil {
				_ = f.ep.Shutdown(tcpip.ShutdownWrite)
			}
			f.outOver = true
			return
		}
		if out.ArmData(f.handed+1, f.outWaker) {
			return
		}
	}
}

// smallSegment is what a segment counts for at least in what may be on its way. In recovery TCP looks at each of them
// for each acknowledgement, with the endpoint locked: a peer that asks for segments of 8 bytes, 1 MiB of which takes TCP
// 30 ms, or that acknowledges no small reply, would hold up the loop, and all others.
const smallSegment = minPathMTU - ipv4MinLen - tcpMinLen

// mayFly is how many bytes TCP may hold of the flow. Only what is lent is bounded by its
// share: of anything else TCP tells no more than that half of its buffer is free.
func (f *flow) mayFly() int {
	if f.lending {
		return min(f.flight.n, f.mostFlight)
	}
	return f.mostFlight
}

// unacked is how many bytes TCP holds of the flow: on their way, or waiting.
func (f *flow) unacked() int {
	n, _ := f.l.endpoints.unacked(f.ep)
	return n
}

// mayHand reports whether TCP may have more of the flow now. Of what is not lent TCP tells nothing when a few small
// segments are acknowledged.
func (f *flow) mayHand() bool {
	n, segments := f.l.endpoints.unacked(f.ep)
	return n < f.mayFly() && (!f.lending || segments*smallSegment < f.flight.n)
}

// whyEnded is why TCP has given the connection up. It tells who writes.
func (f *flow) whyEnded() error {
	f.out = outPayload{}
	_, err := f.ep.Write(&f.out, tcpip.WriteOptions{})
	if err == nil {
		err = &tcpip.ErrClosedForSend{}
	}
	return streamError(err)
}

// taken is the offset up to which the peer has acknowledged.
func (f *flow) taken() uint64 { return f.handed - min(f.handed, uint64(f.unacked())) }

// sendChunk is how much is handed to TCP at once: a whole number of segments that
// fills one frame, so that gVisor need not split what it is given, and the device
// need not send a short segment behind each frame. What may be on its way bounds it:
// gVisor takes all that is lent at once, however little room its buffer has (claim.go).
func (f *flow) sendChunk() int {
	most := min(gsoPayload, f.mayFly())
	if f.mss == 0 || f.mss > most {
		return most
	}
	return most / f.mss * f.mss
}

// endOut says that nothing more can be sent.
func (f *flow) endOut(err error) {
	if !f.outOver {
		f.outOver = true
		f.area.Out.Refuse(err)
	}
}
