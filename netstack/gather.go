package netstack

import (
	"bytes"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Segments of a connection that is known go to its endpoint by the shortest way: what IP would
// look at has been looked at here, and what the tables of connections would find is
// found. And those that follow each other, in place in the ring and alike in all that TCP
// looks at, go there as one: their payload is one slice. Linux does the same for
// packets (GRO), but can't go beyond the 64 KiB that IP can tell.

// gatherMost is the most payload of segments that are handed to TCP as one. TCP gives
// room back by the segment.
const gatherMost = 512 << 10

// A segmentTaker takes segments for an endpoint: gVisor's TCP does.
type segmentTaker interface {
	QueuePacket(ep stack.TransportEndpoint, id stack.TransportEndpointID, pkt *stack.PacketBuffer)
}

// segmentTakerOf is nil where gVisor's TCP is no segmentTaker any more: frames then go
// by the interface, as any others.
func segmentTakerOf(s *stack.Stack) segmentTaker {
	t, _ := s.TransportProtocolInstance(tcp.ProtocolNumber).(segmentTaker)
	return t
}

// A gathered segment is what was read in order of one flow, and TCP does not know of yet.
type gathered struct {
	f       *flow // nil: there is none
	head    *buffer.View
	headers []byte // that head shows
	from    uint64 // stream offset of the payload, which lies in place
	n       int    // bytes of it
}

// goesDirect reports whether IP and the tables have nothing to add to a segment of f, of which
// headers are all headers: for us, without options of IP's, of an endpoint that has not ended.
func (l *loop) goesDirect(f *flow, s *segment, headers []byte) bool {
	if l.direct == nil || f.endpoint == nil || s.flags&^flagPSH != flagACK || tcpip.LinkAddress(headers[:6]) != l.link.addr {
		return false
	}
	if ip := headers[ethLen:]; headers[12] == ethTypeIPv4>>8 {
		if ip[0] != 4<<4|ipv4MinLen/4 || checksum.Checksum(ip[:ipv4MinLen], 0) != 0xffff {
			return false
		}
	}
	return !hasEnded(f.ep)
}

// handOver hands a segment of f that carries nothing, or payload, to TCP. headers lie in q's
// chunk for them.
func (q *queue) handOver(f *flow, s *segment, headers []byte, payload *buffer.View) {
	if !q.l.goesDirect(f, s, headers) {
		q.deliver(q.takeHead(len(headers)), payload)
		return
	}
	q.l.handGathered()
	q.l.toTCP(f, q.takeHead(len(headers)), payload, q.l.validated)
}

// gather takes the segment at f.nxt, whose payload lies in place.
func (q *queue) gather(f *flow, s *segment, headers []byte) {
	l := q.l
	if !l.validated || !l.goesDirect(f, s, headers) {
		q.handOver(f, s, headers, f.view.slice(f.area.In.Index(f.nxt), s.payload))
		return
	}
	if g := &l.gathered; g.f != f || g.n+s.payload > gatherMost || !alike(g.headers, headers) {
		l.handGathered()
		l.gathered = gathered{f: f, head: q.takeHead(len(headers)), headers: headers, from: f.nxt}
	} else {
		l.c.gathered.Add(1)
	}
	l.gathered.n += s.payload
}

// handGathered hands over what was gathered.
func (l *loop) handGathered() {
	g := l.gathered
	if g.f == nil {
		return
	}
	l.gathered = gathered{}
	l.toTCP(g.f, g.head, g.f.view.slice(g.f.area.In.Index(g.from), g.n), true)
}

// toTCP hands TCP a segment of f, and whether the device vouches for its checksum. It takes
// both views.
func (l *loop) toTCP(f *flow, head, payload *buffer.View, validated bool) {
	n := head.Size()
	pkt := newPacket(head, payload)
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = f.family, tcp.ProtocolNumber
	pkt.PktType, pkt.NICID, pkt.RXChecksumValidated = tcpip.PacketHost, nicID, validated
	ip := ipv4MinLen
	if f.family == header.IPv6ProtocolNumber {
		ip = ipv6Len
	}
	// The headers are there: they were parsed.
	_, _ = pkt.LinkHeader().Consume(ethLen)
	_, _ = pkt.NetworkHeader().Consume(ip)
	_, _ = pkt.TransportHeader().Consume(n - ethLen - ip)
	l.fed = true
	l.direct.QueuePacket(f.endpoint, f.id, pkt)
	pkt.DecRef()
}

// alike reports whether two segments that follow each other differ in nothing that TCP looks
// at: in the lengths, the numbers and the checksums that each packet has, and in PSH.
func alike(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	at := ethLen + ipv6Len
	if a[12] == ethTypeIPv4>>8 {
		at = ethLen + ipv4MinLen
		// Type of service and all before; fragment, TTL and protocol; addresses.
		if !bytes.Equal(a[:16], b[:16]) || !bytes.Equal(a[20:24], b[20:24]) || !bytes.Equal(a[26:at], b[26:at]) {
			return false
		}
	} else if !bytes.Equal(a[:18], b[:18]) || !bytes.Equal(a[20:at], b[20:at]) {
		return false
	}
	a, b = a[at:], b[at:]
	return bytes.Equal(a[:4], b[:4]) && // ports
		bytes.Equal(a[8:13], b[8:13]) && // acknowledgement, length of the header
		(a[13]^b[13])&^flagPSH == 0 &&
		bytes.Equal(a[14:16], b[14:16]) && // window
		bytes.Equal(a[tcpMinLen:], b[tcpMinLen:]) // options
}
