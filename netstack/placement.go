package netstack

import (
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ustack/tap"
)

// Direct placement. The rule that keeps it true:
//
// A flow's nxt is the stream offset behind the last segment of it that was seen
// in order, or behind all that was read from TCP, whichever is more. Each byte of
// the stream has one place in the ring, and a frame is aimed at the place of nxt
// alone. No part of the ring at or beyond nxt has been shown to the handler, and
// none is held by TCP: so whatever a frame writes there, right guess or wrong,
// harms nothing. A byte before nxt is written by nobody but the receive step,
// when it copies a byte that TCP has ordered to that byte's own place, which is
// not yet shown either. A handler can therefore rely on what it has checked,
// whatever the peer sends again.

const (
	// placeMin is the least ring in which a frame is aimed.
	placeMin = 2 * tap.MaxFrame
	// bulkMissed is how many payload bytes of a flow are copied in frames of more than
	// smallFrame, because frames of other flows came between, before it gets a queue of
	// its own. To copy a small one costs less than to look at one more queue.
	bulkMissed = 64 << 10
	// idleOwner is how long the owner of a queue is silent before another flow may
	// have it.
	idleOwner = time.Second
)

// aim returns the memory for the payload of the flow's next segment, or nil if
// there is no room for it.
func (f *flow) aim() []byte {
	if !f.placing {
		return nil
	}
	if f.nxt == f.area.In.End() {
		f.area.In.Rewind()
	}
	return f.next()
}

// next returns the memory from the place of nxt on, for a largest frame, or nil
// if the ring has no room for one before the first unread byte comes round.
func (f *flow) next() []byte {
	in := f.area.In
	if f.nxt+tap.MaxFrame > in.Start()+uint64(in.Cap()) {
		return nil
	}
	return in.Tail(f.nxt, tap.MaxFrame)
}

// inOrder reports whether a segment carries the payload that follows nxt, and
// nothing that would make TCP look at it otherwise: one without an ACK is dropped
// (RFC 9293, section 3.10.7.4), and would leave a gap behind it.
func (f *flow) inOrder(s *segment) bool {
	return f.placing && s.payload > 0 &&
		s.seq == f.irs+1+uint32(f.nxt) &&
		s.flags&(flagSYN|flagRST|flagURG|flagACK) == flagACK
}

// placed judges a frame of n bytes that was read for flow f: its first bytes are
// in head, the others at the place of f's next payload.
func (q *queue) placed(f *flow, head, place []byte, n int) {
	s := &q.l.seg
	if n >= len(head) && parseFrame(head, n, s) && s.headerLen == len(head) {
		if s.payload == 0 {
			if f := q.l.acked(f, s); f != nil {
				q.handOver(f, s, head, nil)
			} else if !q.handOn(s, head, nil) {
				q.deliver(q.takeHead(len(head)), nil)
			}
			return
		}
		if s.inbound() == f.key && f.inOrder(s) {
			f.acked(s)
			if s.payload > smallFrame { // the next one will be large, too
				f.area.In.Populate(f.nxt+uint64(s.payload), 2*tap.MaxFrame)
			}
			q.gather(f, s, head)
			if s.payload <= leadMost && q.l.gathered.f == f {
				q.led = f
			}
			f.nxt += uint64(s.payload)
			q.l.windows.moved(&f.window, s.payload, q.l.now)
			q.l.c.placed.Add(uint64(s.payload))
			return
		}
	}
	if n <= len(head) {
		q.scattered(nil, head[:n])
		return
	}
	q.scattered(head, place[:n-len(head)])
}

// scattered takes a frame that lies in two parts where nothing was to be placed:
// payload of a known flow, in order, is copied to its place, anything else to a
// buffer of gVisor's.
func (q *queue) scattered(head, tail []byte) {
	first := q.first[:]
	n := copy(first, head)
	n += copy(first[n:], tail)
	total := len(head) + len(tail)

	s := &q.l.seg
	if !parseFrame(first[:n], total, s) {
		q.deliver(joined(head, tail), nil)
		return
	}
	head, tail = cut(head, tail, s.headerLen+s.payload)
	if q.handOn(s, head, tail) {
		return
	}
	f := q.l.acked(nil, s)
	if f == nil || s.payload == 0 {
		q.l.c.copied.Add(uint64(s.payload))
		q.deliver(joined(head, tail), nil)
		return
	}
	if s.headerLen <= headChunk {
		q.expect = f
		f.headerLen = s.headerLen
	}
	q.l.windows.moved(&f.window, s.payload, q.l.now)
	q.l.c.copied.Add(uint64(s.payload))
	f.copiedIn.Add(uint64(s.payload))
	if !f.inOrder(s) || s.headerLen > headChunk {
		q.deliver(joined(head, tail), nil)
		return
	}
	if s.payload > smallFrame {
		f.miss(s.payload)
	}
	place := f.next()
	if place == nil {
		f.nxt += uint64(s.payload)
		q.deliver(joined(head, tail), nil)
		return
	}
	// The tail may lie just where it goes, but for a shift: move it first. (The
	// ring must not be rewound between: two addresses of one page then.)
	skip := s.headerLen - len(head) // header bytes in the tail, or (negative) payload bytes in the head
	if skip >= 0 {
		copy(place, tail[skip:])
	} else {
		copy(place[-skip:], tail)
		copy(place, head[len(head)+skip:])
	}
	payload := f.view.slice(f.area.In.Index(f.nxt), s.payload)
	f.nxt += uint64(s.payload)
	f.moved.Add(uint64(s.payload)) // TCP will find it in place, but it was copied there
	head = q.headMem[headChunk-s.headerLen:]
	copy(head, first[:s.headerLen])
	q.handOver(f, s, head, payload)
}

// cut returns the first n bytes of head and tail, which hold as many.
func cut(head, tail []byte, n int) ([]byte, []byte) {
	h := min(n, len(head))
	return head[:h], tail[:n-h]
}

// joined returns a view of a copy of head and tail.
func joined(head, tail []byte) *buffer.View {
	v := buffer.NewView(len(head) + len(tail))
	_, _ = v.Write(head) // a view of that capacity takes all
	_, _ = v.Write(tail)
	return v
}

// takeHead returns the last n bytes of the chunk that headers were read to, and
// takes a new chunk for the next frame.
func (q *queue) takeHead(n int) *buffer.View {
	v := q.head
	v.TrimFront(headChunk - n)
	q.renewHead()
	return v
}

// newPacket makes a packet of a frame's headers and payload, if it has any, and takes both views.
func newPacket(head, payload *buffer.View) *stack.PacketBuffer {
	b := buffer.MakeWithView(head)
	if payload != nil {
		_ = b.Append(payload) // fails for no full view
	}
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: b})
}

// deliver hands a frame to gVisor, which takes both views.
func (q *queue) deliver(head, payload *buffer.View) {
	q.l.handGathered()
	pkt := newPacket(head, payload)
	defer pkt.DecRef()
	eth, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	if !ok {
		q.l.c.rxBad.Add(1)
		return
	}
	h := header.Ethernet(eth)
	switch dst := h.DestinationAddress(); {
	case dst == q.l.link.addr:
		pkt.PktType = tcpip.PacketHost
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		pkt.PktType = tcpip.PacketMulticast
	default:
		q.l.c.rxForeign.Add(1)
		return
	}
	proto := h.Type()
	pkt.NetworkProtocolNumber = proto
	q.l.fed = true
	q.l.link.deliver(proto, pkt, q.l.validated)
}
