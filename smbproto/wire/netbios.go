package wire

// FrameHeaderSize is the length of the header in front of every message: a type
// and a 24-bit big-endian length (MS-SMB2 2.1, RFC 1002 4.3.1).
const FrameHeaderSize = 4

// FrameType is the first byte of a frame.
type FrameType uint8

// Types of session packets, RFC 1002 4.3.1. Over direct TCP only messages occur,
// but clients that think of port 139 send the others.
const (
	FrameMessage          FrameType = 0x00
	FrameRequest          FrameType = 0x81
	FramePositiveResponse FrameType = 0x82
	FrameNegativeResponse FrameType = 0x83
	FrameRetarget         FrameType = 0x84
	FrameKeepAlive        FrameType = 0x85
)

// MaxFrameLength is the most a frame can say it carries.
const MaxFrameLength = 1<<24 - 1

// FrameHeader is a view over the first four bytes of a frame.
type FrameHeader []byte

// Type of the frame.
func (h FrameHeader) Type() FrameType { return FrameType(h[0]) }

// Length of what follows the header, in bytes.
func (h FrameHeader) Length() int { return int(h[1])<<16 | int(h[2])<<8 | int(h[3]) }

// Put writes a header for n bytes; n is at most MaxFrameLength.
func (h FrameHeader) Put(t FrameType, n int) {
	h[0], h[1], h[2], h[3] = byte(t), byte(n>>16), byte(n>>8), byte(n)
}

// SessionAccepted is the whole answer to a session request (RFC 1002 4.3.3): on a
// server of one name every called name is ours.
var SessionAccepted = [FrameHeaderSize]byte{byte(FramePositiveResponse)}
