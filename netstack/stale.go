package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A segment that is sent again waits for the end of the batch, and may be
// acknowledged meanwhile, wholly or in part. Those bytes need not be sent, and may be
// others by now. What it says beyond them is still true, and must be said: that it
// acknowledges what the peer has sent.

// rest returns how many bytes are left to be sent of a lent segment with headers h, which are made
// to say so, and where in Out they lie, or false if there is nothing left to say.
func (o *outFrame) rest(h []byte) (off uint64, payload int, ok bool) {
	f, s := o.lent, &o.seg
	if f.area == nil {
		return 0, 0, false // the connection is gone
	}
	if acked := min(-f.ahead(s), s.payload); acked > 0 {
		s.seq += uint32(acked)
		s.payload -= acked
		if s.payload == 0 && s.flags&flagFIN == 0 {
			// Without payload it is acceptable only where the peer's window begins, or
			// behind that (RFC 9293, section 3.10.7.4).
			s.seq = f.sentTo
		}
		restate(h, s.seq, s.payload)
	}
	if s.payload == 0 {
		return 0, 0, o.news || s.flags&flagFIN != 0
	}
	if off, ok = f.lentAt(s); !ok {
		return 0, 0, false
	}
	return off, s.payload, true
}

// restate makes the headers of a segment those of one that begins at seq and carries
// payload bytes. The TCP checksum is the sum of the pseudo-header (RFC 9293, section
// 3.1), for the device is to complete it.
func restate(h []byte, seq uint32, payload int) {
	ip := h[ethLen:]
	var tcp header.TCP
	var src, dst tcpip.Address
	if ip[0]>>4 == 4 {
		ip := header.IPv4(ip)
		tcp = header.TCP(ip[ip.HeaderLength():])
		src, dst = ip.SourceAddress(), ip.DestinationAddress()
		ip.SetTotalLength(0) // a train that is too long to have one
		if n := len(ip) + payload; n <= 0xffff {
			ip.SetTotalLength(uint16(n))
		}
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
	} else {
		ip := header.IPv6(ip)
		tcp = header.TCP(ip[ipv6Len:])
		src, dst = ip.SourceAddress(), ip.DestinationAddress()
		ip.SetPayloadLength(uint16(len(tcp) + payload))
	}
	tcp.SetSequenceNumber(seq)
	length := len(tcp) + payload
	sum := header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, uint16(length))
	tcp.SetChecksum(checksum.Combine(sum, uint16(length>>16)))
}
