package wire

// checkBody says whether m holds a header and a fixed body of the structure size
// that the protocol fixes for the command. An odd structure size counts one byte
// of a variable part that may be absent (MS-SMB2 2.2).
func checkBody(m []byte, size int) error {
	fixed := HeaderSize + size&^1
	if len(m) < fixed {
		return malformed("body of %d bytes, expected at least %d", len(m)-HeaderSize, size&^1)
	}
	if got := int(le.Uint16(m[HeaderSize:])); got != size {
		return malformed("structure size %d, expected %d", got, size)
	}
	return nil
}

// checkRange says whether n bytes at off, counted from the header, lie in m behind
// the fixed body. An empty range may point anywhere: clients leave the offset 0.
func checkRange(m []byte, what string, off, n uint64, fixed int) error {
	if n == 0 {
		return nil
	}
	if off < uint64(fixed) || off > uint64(len(m)) || n > uint64(len(m))-off {
		return malformed("%s at %d, %d bytes long, in a message of %d", what, off, n, len(m))
	}
	return nil
}

func cut(m []byte, off, n int) []byte {
	if n == 0 {
		return nil
	}
	return m[off : off+n : off+n]
}

// FileID names an open: MS-SMB2 2.2.14.1.
type FileID struct{ Persistent, Volatile uint64 }

// FileIDNone is the FileId of a related request, and of a request for no open.
var FileIDNone = FileID{^uint64(0), ^uint64(0)}

// FileIDSize is its length on the wire.
const FileIDSize = 16

// ReadFileID reads a FileId.
func ReadFileID(b []byte) FileID { return FileID{le.Uint64(b), le.Uint64(b[8:])} }

// Put writes a FileId.
func (id FileID) Put(b []byte) {
	le.PutUint64(b, id.Persistent)
	le.PutUint64(b[8:], id.Volatile)
}

// NegotiateRequest, MS-SMB2 2.2.3.
type NegotiateRequest []byte

// Valid checks the layout.
func (m NegotiateRequest) Valid() error {
	if err := checkBody(m, 36); err != nil {
		return err
	}
	return checkRange(m, "dialects", HeaderSize+36, 2*uint64(m.DialectCount()), HeaderSize+36)
}

// DialectCount is the number of dialects offered.
func (m NegotiateRequest) DialectCount() int { return int(le.Uint16(m[66:])) }

// Dialect at i.
func (m NegotiateRequest) Dialect(i int) Dialect { return Dialect(le.Uint16(m[100+2*i:])) }

// SecurityMode of the client.
func (m NegotiateRequest) SecurityMode() uint16 { return le.Uint16(m[68:]) }

// Capabilities of the client.
func (m NegotiateRequest) Capabilities() uint32 { return le.Uint32(m[72:]) }

// ClientGUID in place.
func (m NegotiateRequest) ClientGUID() []byte { return m[76:92] }

// Security modes and capabilities, MS-SMB2 2.2.3.
const (
	SigningEnabled  uint16 = 1
	SigningRequired uint16 = 2

	CapabilityDFS          uint32 = 0x01
	CapabilityLeasing      uint32 = 0x02
	CapabilityLargeMTU     uint32 = 0x04
	CapabilityMultiChannel uint32 = 0x08
	// CapabilityDirectoryLeasing: dialects 3.0 and later.
	CapabilityDirectoryLeasing uint32 = 0x20
	CapabilityEncryption       uint32 = 0x40
)

// SessionSetupRequest, MS-SMB2 2.2.5.
type SessionSetupRequest []byte

// Valid checks the layout.
func (m SessionSetupRequest) Valid() error {
	if err := checkBody(m, 25); err != nil {
		return err
	}
	return checkRange(m, "security buffer", uint64(le.Uint16(m[76:])), uint64(le.Uint16(m[78:])), HeaderSize+24)
}

// Flags of the request.
func (m SessionSetupRequest) Flags() uint8 { return m[66] }

// SecurityMode of the client.
func (m SessionSetupRequest) SecurityMode() uint8 { return m[67] }

// Token in place.
func (m SessionSetupRequest) Token() []byte {
	return cut(m, int(le.Uint16(m[76:])), int(le.Uint16(m[78:])))
}

// PreviousSessionID is the session that this one replaces, or 0.
func (m SessionSetupRequest) PreviousSessionID() uint64 { return le.Uint64(m[80:]) }

// SessionBinding asks to add a channel to a session (SMB 3).
const SessionBinding uint8 = 1

// EmptyRequest is LOGOFF, TREE_DISCONNECT, ECHO or CANCEL: structure size 4 and
// nothing more (MS-SMB2 2.2.7, 2.2.11, 2.2.28, 2.2.30).
type EmptyRequest []byte

// Valid checks the layout.
func (m EmptyRequest) Valid() error { return checkBody(m, 4) }

// TreeConnectRequest, MS-SMB2 2.2.9.
type TreeConnectRequest []byte

// Valid checks the layout.
func (m TreeConnectRequest) Valid() error {
	if err := checkBody(m, 9); err != nil {
		return err
	}
	return checkRange(m, "path", uint64(le.Uint16(m[68:])), uint64(le.Uint16(m[70:])), HeaderSize+8)
}

// Path in UTF-16, in place: \\server\share.
func (m TreeConnectRequest) Path() []byte {
	return cut(m, int(le.Uint16(m[68:])), int(le.Uint16(m[70:])))
}

// CloseRequest, MS-SMB2 2.2.15.
type CloseRequest []byte

// Valid checks the layout.
func (m CloseRequest) Valid() error { return checkBody(m, 24) }

// Flags of the request.
func (m CloseRequest) Flags() uint16 { return le.Uint16(m[66:]) }

// ClosePostQueryAttributes asks for the attributes in the response.
const ClosePostQueryAttributes uint16 = 1

// FlushRequest, MS-SMB2 2.2.17.
type FlushRequest []byte

// Valid checks the layout.
func (m FlushRequest) Valid() error { return checkBody(m, 24) }

// Lock flags, MS-SMB2 2.2.26.1.
const (
	LockShared          uint32 = 1
	LockExclusive       uint32 = 2
	LockUnlock          uint32 = 4
	LockFailImmediately uint32 = 16
)

// LockRequest, MS-SMB2 2.2.26.
type LockRequest []byte

// Valid checks the layout: 48 counts the first of the locks.
func (m LockRequest) Valid() error {
	if err := checkBody(m, 48); err != nil {
		return err
	}
	return checkRange(m, "locks", HeaderSize+24, 24*uint64(m.Count()), HeaderSize+24)
}

// Count of the elements.
func (m LockRequest) Count() int { return int(le.Uint16(m[66:])) }

// Sequence names the request in an open that is durable or resilient, by an index, 1 to 64, and a number of 4 bits that
// changes with each new one; index 0 is none. Dialect 2.0.2 has it not.
func (m LockRequest) Sequence() (index uint32, number uint8) {
	n := le.Uint32(m[68:])
	return n >> 4, uint8(n & 15)
}

// Element i: the range and what to do with it.
func (m LockRequest) Element(i int) (offset, length uint64, flags uint32) {
	e := m[HeaderSize+24+24*i:]
	return le.Uint64(e), le.Uint64(e[8:]), le.Uint32(e[16:])
}
