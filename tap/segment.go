package tap

import "encoding/binary"

// TCP flags (RFC 9293, section 3.1), in the byte at offset 13 of the header.
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpPSH = 0x08
	tcpURG = 0x20
	tcpCWR = 0x80
)

// A train is a frame that carries TCP data, seen as a stretch of the stream that
// can be cut anywhere: one segment, or a GSO frame of several.
type train struct {
	packet
	hdr   Hdr
	frame []byte // without the virtio-net header
	data  []byte // TCP payload
	seq   uint32 // of data[0]
}

// parseTrain looks at a frame with its virtio-net header. ok is false if it carries no TCP
// data, or what cannot be cut: SYN, RST, urgent data.
func parseTrain(frame []byte) (t train, ok bool) {
	h, err := DecodeHdr(frame)
	if err != nil {
		return t, false
	}
	t.hdr, t.frame = h, frame[HdrLen:]
	if t.packet, ok = parsePacket(t.frame); !ok || t.proto != protoTCP {
		return t, false
	}
	tcp := t.frame[t.l4:t.end]
	hdrLen := int(tcp[12]>>4) * 4
	if hdrLen < minTCPLen || hdrLen >= len(tcp) || tcp[13]&(tcpSYN|tcpRST|tcpURG) != 0 {
		return t, false
	}
	t.data = tcp[hdrLen:]
	t.seq = binary.BigEndian.Uint32(tcp[4:])
	return t, true
}

func (t *train) isGSO() bool { return t.hdr.GSOType != GSONone && t.hdr.GSOSize > 0 }

// piece makes a frame of data[from:to], with before (bytes of the stream that precede data[from])
// glued in front. It is a single segment with its checksum, unless it is longer
// than a segment of the train may be: then it is a GSO frame again. index numbers
// the pieces of a train, for the IPv4 identification.
func (t *train) piece(before []byte, from, to, index int) []byte {
	headers := t.end - len(t.data)
	n := len(before) + to - from
	frame := make([]byte, HdrLen+headers+n)
	f := frame[HdrLen:]
	copy(f, t.frame[:headers])
	copy(f[headers:], before)
	copy(f[headers+len(before):], t.data[from:to])

	p := t.packet
	p.end = headers + n
	p.setLength(f, index)
	binary.BigEndian.PutUint32(f[p.l4+4:], t.seq+uint32(from)-uint32(len(before)))
	if to < len(t.data) {
		f[p.l4+13] &^= tcpFIN | tcpPSH
	}
	if from > 0 {
		f[p.l4+13] &^= tcpCWR
	}
	if t.isGSO() && n > int(t.hdr.GSOSize) {
		h := t.hdr
		h.Flags, h.CsumStart, h.CsumOffset = FlagNeedsCsum, uint16(p.l4), 16
		h.Encode(frame)
		p.setPseudoChecksum(f)
	} else {
		p.setChecksum(f)
	}
	return frame
}

// setLength writes the packet's length, and what follows from it, into its IP header.
func (p *packet) setLength(f []byte, index int) {
	if p.v6 {
		binary.BigEndian.PutUint16(f[p.ip+4:], uint16(p.end-p.l4))
		return
	}
	binary.BigEndian.PutUint16(f[p.ip+2:], uint16(p.end-p.ip))
	id := binary.BigEndian.Uint16(f[p.ip+4:])
	binary.BigEndian.PutUint16(f[p.ip+4:], id+uint16(index))
	p.setIPv4Checksum(f)
}

// segments cuts a GSO frame as a device does that sends it to a wire: into
// segments of GSOSize, each with headers and checksums of its own.
func (t *train) segments() (frames [][]byte) {
	mss := int(t.hdr.GSOSize)
	for from := 0; from < len(t.data); from += mss {
		frames = append(frames, t.piece(nil, from, min(from+mss, len(t.data)), len(frames)))
	}
	return frames
}
