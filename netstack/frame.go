package netstack

import (
	"encoding/binary"
	"net/netip"
)

// A flowKey names a TCP connection as frames do. IPv4 addresses are mapped
// (RFC 4291, section 2.5.5.2), so that one map serves both families.
type flowKey struct {
	local, remote         [16]byte
	localPort, remotePort uint16
}

func keyOf(local, remote netip.AddrPort) flowKey {
	return flowKey{local.Addr().As16(), remote.Addr().As16(), local.Port(), remote.Port()}
}

// Lengths and values of the headers that placement looks at.
const (
	ethLen       = 14
	ethTypeIPv4  = 0x0800
	ethTypeARP   = 0x0806
	ethTypeIPv6  = 0x86dd
	ipv4MinLen   = 20
	ipv6Len      = 40
	tcpMinLen    = 20
	protoTCP     = 6
	maxHeaderLen = ethLen + 60 + 60 // Ethernet, IPv4 with options, TCP with options
)

// TCP flags (RFC 9293, section 3.1).
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
)

// A segment is what placement and the ACK filter need to know of a frame's headers.
type segment struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
	seq, ack         uint32
	flags            uint8
	window           uint16
	headerLen        int // Ethernet, IP and TCP headers, bytes
	payload          int // bytes behind them, without what fills the frame up
	options          []byte
}

// inbound is the flow of a segment that the peer sent, outbound of one of ours.
func (s *segment) inbound() flowKey {
	return flowKey{s.dst, s.src, s.dstPort, s.srcPort}
}

func (s *segment) outbound() flowKey {
	return flowKey{s.src, s.dst, s.srcPort, s.dstPort}
}

// parseFrame reads the headers of a frame of total bytes, of which b holds the
// first. It returns false for anything but a whole, unfragmented TCP segment
// whose headers lie in b: gVisor judges those, from a copy. A frame may be longer than its
// packet: the least length of Ethernet is 60 bytes (RFC 894), a pure ACK has 54.
func parseFrame(b []byte, total int, s *segment) bool {
	if len(b) < ethLen {
		return false
	}
	ip, rest := b[ethLen:], total-ethLen
	switch binary.BigEndian.Uint16(b[12:]) {
	case ethTypeIPv4:
		if len(ip) < ipv4MinLen || ip[0]>>4 != 4 || ip[9] != protoTCP {
			return false
		}
		ihl := int(ip[0]&0xf) * 4
		length := int(binary.BigEndian.Uint16(ip[2:]))
		fragment := binary.BigEndian.Uint16(ip[6:]) & 0x3fff // more-fragments and offset
		if ihl < ipv4MinLen || len(ip) < ihl || length > rest || fragment != 0 {
			return false
		}
		s.src, s.dst = mapped(ip[12:16]), mapped(ip[16:20])
		return parseTCP(ip[ihl:], length-ihl, ethLen+ihl, s)
	case ethTypeIPv6:
		if len(ip) < ipv6Len || ip[0]>>4 != 6 || ip[6] != protoTCP {
			return false
		}
		length := int(binary.BigEndian.Uint16(ip[4:]))
		if ipv6Len+length > rest {
			return false
		}
		s.src, s.dst = [16]byte(ip[8:24]), [16]byte(ip[24:40])
		if isMapped(&s.src) || isMapped(&s.dst) {
			return false // it would pass for a segment of an IPv4 flow
		}
		return parseTCP(ip[ipv6Len:], length, ethLen+ipv6Len, s)
	}
	return false
}

func isMapped(a *[16]byte) bool { return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff} }

func mapped(v4 []byte) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], v4)
	return a
}

// parseTCP reads a TCP header at the front of b, of a segment of length bytes.
func parseTCP(b []byte, length, before int, s *segment) bool {
	if len(b) < tcpMinLen || length < tcpMinLen {
		return false
	}
	offset := int(b[12]>>4) * 4
	if offset < tcpMinLen || offset > length || offset > len(b) {
		return false
	}
	s.srcPort = binary.BigEndian.Uint16(b)
	s.dstPort = binary.BigEndian.Uint16(b[2:])
	s.seq = binary.BigEndian.Uint32(b[4:])
	s.ack = binary.BigEndian.Uint32(b[8:])
	s.flags = b[13] & 0x3f
	s.window = binary.BigEndian.Uint16(b[14:])
	s.options = b[tcpMinLen:offset]
	s.headerLen = before + offset
	s.payload = length - offset
	return true
}

// TCP option kinds (RFC 9293, section 3.2; RFC 7323; RFC 2018).
const (
	optionEnd         = 0
	optionNop         = 1
	optionWindowScale = 3
	optionSACK        = 5
)

// tcpOption returns the value of the first option of a kind, and whether it is there.
func tcpOption(options []byte, kind byte) ([]byte, bool) {
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return nil, false
		case optionNop:
			options = options[1:]
			continue
		}
		if len(options) < 2 || int(options[1]) < 2 || int(options[1]) > len(options) {
			return nil, false
		}
		if options[0] == kind {
			return options[2:options[1]], true
		}
		options = options[options[1]:]
	}
	return nil, false
}
