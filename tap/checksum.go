package tap

import "encoding/binary"

// onesSum adds b to a one's complement sum of 16-bit words (RFC 1071). Only the
// last part of what is summed may have an odd length.
func onesSum(b []byte, sum uint64) uint64 {
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pseudoSum is the sum of the pseudo-header (RFC 9293, section 3.1; RFC 8200, section 8.1).
func (p *packet) pseudoSum(f []byte) uint64 {
	if p.proto == protoICMP {
		return 0
	}
	src, dst := p.addrs(f)
	return onesSum(dst, onesSum(src, uint64(p.proto)+uint64(p.end-p.l4)))
}

// checksum returns the two bytes of the transport checksum in f.
func (p *packet) checksum(f []byte) []byte {
	at := p.l4 + 2 // ICMP
	switch p.proto {
	case protoTCP:
		at = p.l4 + 16
	case protoUDP:
		at = p.l4 + 6
	}
	return f[at : at+2]
}

// setChecksum puts the whole transport checksum into f.
func (p *packet) setChecksum(f []byte) {
	field := p.checksum(f)
	clear(field)
	sum := ^fold(onesSum(f[p.l4:p.end], p.pseudoSum(f)))
	if sum == 0 && p.proto == protoUDP {
		sum = 0xffff // 0 says that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(field, sum)
}

// setPseudoChecksum leaves the transport checksum to the device (FlagNeedsCsum).
func (p *packet) setPseudoChecksum(f []byte) {
	binary.BigEndian.PutUint16(p.checksum(f), fold(p.pseudoSum(f)))
}

// setIPv4Checksum puts the checksum into an IPv4 header.
func (p *packet) setIPv4Checksum(f []byte) {
	hdr := f[p.ip:p.l4]
	hdr[10], hdr[11] = 0, 0
	binary.BigEndian.PutUint16(hdr[10:], ^fold(onesSum(hdr, 0)))
}

// completeChecksum makes a frame, with its virtio-net header, carry a checksum
// that its receiver has to verify. It reports false if the frame's kind has none, or
// if it is a GSO frame, which cannot.
func completeChecksum(frame []byte) bool {
	h, err := DecodeHdr(frame)
	if err != nil || h.GSOType != GSONone {
		return false
	}
	f := frame[HdrLen:]
	p, ok := parsePacket(f)
	if !ok {
		return false
	}
	none := p.proto == protoUDP && binary.BigEndian.Uint16(p.checksum(f)) == 0
	if h.Flags&FlagNeedsCsum != 0 || none {
		p.setChecksum(f)
	}
	Hdr{}.Encode(frame)
	return true
}
