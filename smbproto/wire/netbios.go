package wire

import "strings"

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

// SessionAccepted is the whole answer to a session request that is granted, RFC 1002 4.3.3.
var SessionAccepted = [FrameHeaderSize]byte{byte(FramePositiveResponse)}

// SessionNotPresent is the whole answer to a session request whose called name is nobody's here, RFC 1002 4.3.4.
var SessionNotPresent = [FrameHeaderSize + 1]byte{byte(FrameNegativeResponse), 0, 0, 1, 0x82}

// NetBIOSServer is the called name of a client that does not know the server's.
const NetBIOSServer = "*SMBSERVER"

// SessionRequest is what follows the frame header of a session request: the called name and the calling
// one, encoded, RFC 1002 4.3.2.
type SessionRequest []byte

// Names decodes both names, without the spaces that fill them and the byte that says what kind each is of.
func (b SessionRequest) Names() (called, calling string, err error) {
	called, rest, err := netbiosName(b)
	if err != nil {
		return "", "", err
	}
	calling, rest, err = netbiosName(rest)
	if err == nil && len(rest) != 0 {
		return "", "", malformed("session request with %d bytes behind its names", len(rest))
	}
	return called, calling, err
}

// netbiosName reads a name of the first level of encoding, RFC 1001 14.1: half a byte a letter, A to P. A scope
// that follows is skipped.
func netbiosName(b []byte) (name string, rest []byte, err error) {
	const letters = 32
	if len(b) < letters+2 || b[0] != letters {
		return "", nil, malformed("NetBIOS name in %d bytes, want a label of %d and a zero", len(b), letters)
	}
	var raw [letters / 2]byte
	for i := range raw {
		high, low := b[1+2*i]-'A', b[2+2*i]-'A'
		if high > 15 || low > 15 {
			return "", nil, malformed("NetBIOS name % x, want letters from A to P", b[1:1+letters])
		}
		raw[i] = high<<4 | low
	}
	for rest = b[1+letters:]; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 {
			return strings.TrimRight(string(raw[:15]), " \x00"), rest[1:], nil
		}
		if n > 63 || len(rest) < 1+n { // a pointer leads nowhere here
			break
		}
		rest = rest[1+n:]
	}
	return "", nil, malformed("NetBIOS name without an end")
}
