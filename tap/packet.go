package tap

import (
	"encoding/binary"
	"net/netip"
)

// Numbers of the protocols that this package looks into.
const (
	ethHdrLen   = 14
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	minTCPLen   = 20
	udpHdrLen   = 8
)

// A packet says where the parts of an IP packet lie in a frame, as offsets from
// the start of the frame. It holds for what parsePacket has accepted: all parts
// up to end are within the frame, and the transport header's fixed part too.
type packet struct {
	v6    bool
	proto uint8
	ip    int // IP header
	l4    int // transport header
	end   int // end of the IP packet; what follows is Ethernet padding
}

// parsePacket finds the TCP, UDP or ICMP packet in a frame without its virtio-net
// header. ok is false for anything else, for fragments, and for IPv6 extension headers.
func parsePacket(f []byte) (p packet, ok bool) {
	if len(f) < ethHdrLen {
		return p, false
	}
	p.ip = ethHdrLen
	etherType := binary.BigEndian.Uint16(f[12:])
	if etherType == etherVLAN && len(f) >= ethHdrLen+4 {
		p.ip += 4
		etherType = binary.BigEndian.Uint16(f[16:])
	}
	switch etherType {
	case etherIPv4:
		ok = p.parseIPv4(f)
	case etherIPv6:
		ok = p.parseIPv6(f)
	}
	return p, ok && p.end <= len(f) && p.l4+minTransport(p.proto) <= p.end
}

func (p *packet) parseIPv4(f []byte) bool {
	if len(f) < p.ip+20 || f[p.ip]>>4 != 4 {
		return false
	}
	ihl := int(f[p.ip]&15) * 4
	fragment := binary.BigEndian.Uint16(f[p.ip+6:]) & 0x3fff
	p.proto = f[p.ip+9]
	p.l4 = p.ip + ihl
	p.end = p.ip + int(binary.BigEndian.Uint16(f[p.ip+2:]))
	return ihl >= 20 && fragment == 0
}

func (p *packet) parseIPv6(f []byte) bool {
	if len(f) < p.ip+40 || f[p.ip]>>4 != 6 {
		return false
	}
	p.v6 = true
	p.proto = f[p.ip+6]
	p.l4 = p.ip + 40
	p.end = p.l4 + int(binary.BigEndian.Uint16(f[p.ip+4:]))
	return true
}

// minTransport is the length of the shortest header of a protocol; for one that
// is not looked into it is more than any packet has.
func minTransport(proto uint8) int {
	switch proto {
	case protoTCP:
		return minTCPLen
	case protoUDP, protoICMP, protoICMPv6:
		return udpHdrLen
	}
	return 1 << 30
}

// addrs returns the source and destination addresses' bytes.
func (p *packet) addrs(f []byte) (src, dst []byte) {
	if p.v6 {
		return f[p.ip+8 : p.ip+24], f[p.ip+24 : p.ip+40]
	}
	return f[p.ip+12 : p.ip+16], f[p.ip+16 : p.ip+20]
}

// A flowKey names a flow; it is the same for both directions.
type flowKey struct {
	low, high netip.AddrPort
	proto     uint8
}

func (p *packet) flow(f []byte) flowKey {
	src, dst := p.addrs(f)
	a, _ := netip.AddrFromSlice(src)
	b, _ := netip.AddrFromSlice(dst)
	var sport, dport uint16
	if p.proto == protoTCP || p.proto == protoUDP {
		sport = binary.BigEndian.Uint16(f[p.l4:])
		dport = binary.BigEndian.Uint16(f[p.l4+2:])
	}
	low, high := netip.AddrPortFrom(a, sport), netip.AddrPortFrom(b, dport)
	if high.Compare(low) < 0 {
		low, high = high, low
	}
	return flowKey{low, high, p.proto}
}

// hash is FNV-1a over the key: the same in every run.
func (k flowKey) hash() uint32 {
	h := uint32(2166136261)
	mix := func(b byte) { h = (h ^ uint32(b)) * 16777619 }
	for _, ap := range [2]netip.AddrPort{k.low, k.high} {
		for _, b := range ap.Addr().As16() {
			mix(b)
		}
		mix(byte(ap.Port() >> 8))
		mix(byte(ap.Port()))
	}
	mix(k.proto)
	return h
}
