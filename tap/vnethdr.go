package tap

import (
	"encoding/binary"
	"fmt"
)

// HdrLen is the length in bytes of the virtio-net header before each frame: the
// legacy layout, without the count of merged buffers (virtio 1.2, section 5.1.6.1).
const HdrLen = 10

// Hdr.Flags.
const (
	// FlagNeedsCsum: the frame's transport checksum holds only the sum of the
	// pseudo-header; the one's complement sum from CsumStart to the end of the
	// packet, complemented, belongs CsumOffset bytes behind CsumStart.
	FlagNeedsCsum = 1
	// FlagDataValid: the sender vouches for the checksum.
	FlagDataValid = 2
)

// Hdr.GSOType.
const (
	// GSONone: the frame is one packet.
	GSONone = 0
	// GSOTCPv4: the frame is a train of TCP segments over IPv4.
	GSOTCPv4 = 1
	// GSOTCPv6: the frame is a train of TCP segments over IPv6.
	GSOTCPv6 = 4
	// GSOECN, or-ed to one of the two: CWR is set in the first segment only.
	GSOECN = 0x80
)

// A Hdr is a virtio-net header. All offsets and lengths are in bytes, those into
// the frame from the start of its Ethernet header.
type Hdr struct {
	Flags   uint8
	GSOType uint8
	// HdrLen is the length of the Ethernet, IP and TCP headers of a GSO frame. A hint.
	HdrLen uint16
	// GSOSize is the largest TCP payload of each segment of a GSO frame.
	GSOSize uint16
	// CsumStart and CsumOffset say where to sum and store, with FlagNeedsCsum.
	CsumStart  uint16
	CsumOffset uint16
}

// Encode writes h to the first HdrLen bytes of b, little-endian; that is the host's order
// on every machine this package runs on. It panics if b is shorter.
func (h Hdr) Encode(b []byte) {
	_ = b[HdrLen-1]
	b[0] = h.Flags
	b[1] = h.GSOType
	binary.LittleEndian.PutUint16(b[2:], h.HdrLen)
	binary.LittleEndian.PutUint16(b[4:], h.GSOSize)
	binary.LittleEndian.PutUint16(b[6:], h.CsumStart)
	binary.LittleEndian.PutUint16(b[8:], h.CsumOffset)
}

// DecodeHdr reads the header at the start of b. It fails with ErrBadFrame, and
// only then, if b is shorter than HdrLen: whether the fields make sense for the
// frame behind them is for the caller to check.
func DecodeHdr(b []byte) (Hdr, error) {
	if len(b) < HdrLen {
		return Hdr{}, fmt.Errorf("%w: %d bytes, a virtio-net header alone has %d", ErrBadFrame, len(b), HdrLen)
	}
	return Hdr{
		Flags:      b[0],
		GSOType:    b[1],
		HdrLen:     binary.LittleEndian.Uint16(b[2:]),
		GSOSize:    binary.LittleEndian.Uint16(b[4:]),
		CsumStart:  binary.LittleEndian.Uint16(b[6:]),
		CsumOffset: binary.LittleEndian.Uint16(b[8:]),
	}, nil
}
