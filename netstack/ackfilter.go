package netstack

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
// blocks says more than a number (RFC 2018): neither is dropped.
func (f *flow) overtakes(s *segment, i int) int {
	overtaken := -1
	if f.ackBatch == f.l.batchNo && f.ackPending >= 0 && int32(s.ack-f.ackValue) >= 0 &&
		s.flags&(flagSYN|flagRST) == 0 && (s.payload > 0 || s.flags&flagFIN != 0 || s.ack != f.ackValue) {
		overtaken = f.ackPending
	}
	f.ackPending = -1
	if s.flags == flagACK && s.payload == 0 && s.ack != f.ackSent {
		if _, sack := tcpOption(s.options, optionSACK); !sack {
			f.ackBatch, f.ackPending, f.ackValue = f.l.batchNo, i, s.ack
		}
	}
	if s.flags&flagACK != 0 {
		f.ackSent = s.ack
		f.advertised.Store(uint32(s.window) << f.wndScale)
	}
	return overtaken
}
