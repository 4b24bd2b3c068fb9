package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ackDelay is how long an acknowledgement waits for something that goes out anyway and
// says as much. Only while the loop polls: before it rests nothing is held. RFC 1122,
// section 4.2.3.2, allows 500 ms.
const ackDelay = 200 * time.Microsecond

// news reports whether a segment that goes out tells the peer something of what came
// from it that none before has told.
func (f *flow) news(s *segment) bool {
	return s.ack != f.ackSent || uint32(s.window)<<f.wndScale != f.advertised.Load()
}

// overtakes looks at a segment of the flow that is about to become number i of
// the batch, and returns the number of a pure ACK before it that says nothing
// which this one does not say, or -1. Dropping that one halves the frames of a
// request and its reply.
//
// A pure ACK that acknowledges nothing new and opens no window is a duplicate
// ACK, by which the peer finds losses (RFC 5681, section 2), and one with SACK
// blocks says more than a number (RFC 2018): neither is dropped, nor held.
func (f *flow) overtakes(s *segment, i int) int {
	overtaken := -1
	if f.ackBatch == f.l.batchNo && f.ackPending >= 0 && int32(s.ack-f.ackValue) >= 0 &&
		s.flags&(flagSYN|flagRST) == 0 && (s.payload > 0 || s.flags&flagFIN != 0 || s.ack != f.ackValue) {
		overtaken = f.ackPending
	}
	f.ackPending = -1
	if s.flags == flagACK && s.payload == 0 {
		_, sack := tcpOption(s.options, optionSACK)
		if news := s.ack != f.ackSent; news && !sack {
			f.ackBatch, f.ackPending, f.ackValue, f.ackFills = f.l.batchNo, i, s.ack, f.ackGap
		}
		f.ackGap = sack || s.ack == f.ackSent
	}
	if s.flags&flagACK != 0 {
		f.ackSent = s.ack
		f.advertised.Store(uint32(s.window) << f.wndScale)
		if f.ackPending < 0 {
			f.ackTold, f.wndTold = s.ack, f.advertised.Load()
		}
	}
	return overtaken
}

// canWait reports whether number i of the batch is an ACK of f that may wait for a reply to
// go with: one that nothing has followed, that fills no gap, and that acknowledges less than
// two segments (RFC 5681, section 4.2) and less than half of the window that the peer was
// told of: it has as much left to send meanwhile, whatever window this ACK opens.
func (f *flow) canWait(i int) bool {
	most := min(2*uint32(max(f.mss, header.TCPDefaultMSS)), f.wndTold/2)
	return f.ackPending == i && !f.ackFills && f.ackBatch == f.l.batchNo && f.ackValue-f.ackTold < most
}

// told says that number i of the batch, an ACK of f, is about to go out.
func (f *flow) told(i int) {
	if f.ackPending == i && f.ackBatch == f.l.batchNo {
		f.ackTold, f.wndTold = f.ackValue, f.advertised.Load()
	}
}
