package wire

import "bytes"

// HeaderSize is the length of the SMB2 header, MS-SMB2 2.2.1.
const HeaderSize = 64

// Protocol identifiers, the first four bytes of a message.
var (
	ProtocolSMB1      = [4]byte{0xFF, 'S', 'M', 'B'}
	ProtocolSMB2      = [4]byte{0xFE, 'S', 'M', 'B'}
	ProtocolTransform = [4]byte{0xFD, 'S', 'M', 'B'}
)

// IsSMB1 reports whether a message starts as SMB1 does.
func IsSMB1(b []byte) bool { return bytes.HasPrefix(b, ProtocolSMB1[:]) }

// IsSMB2 reports whether a message starts as SMB2 does.
func IsSMB2(b []byte) bool { return bytes.HasPrefix(b, ProtocolSMB2[:]) }

// IsTransform reports whether a message is an encrypted one of SMB 3.
func IsTransform(b []byte) bool { return bytes.HasPrefix(b, ProtocolTransform[:]) }

// Flags of the header, MS-SMB2 2.2.1.2.
const (
	FlagServerToClient uint32 = 0x00000001
	FlagAsync          uint32 = 0x00000002
	FlagRelated        uint32 = 0x00000004
	FlagSigned         uint32 = 0x00000008
	FlagDFS            uint32 = 0x10000000
	FlagReplay         uint32 = 0x20000000
)

// Header is a view over an SMB2 header, and what follows it.
type Header []byte

// Valid checks what must hold before any accessor is used, MS-SMB2 3.3.5.2.
func (h Header) Valid() error {
	if len(h) < HeaderSize {
		return malformed("header of %d bytes, expected %d", len(h), HeaderSize)
	}
	if !IsSMB2(h) {
		return malformed("protocol identifier % x, expected % x", h[:4], ProtocolSMB2)
	}
	if n := le.Uint16(h[4:]); n != HeaderSize {
		return malformed("header structure size %d, expected %d", n, HeaderSize)
	}
	return nil
}

// CreditCharge is the number of credits that the request consumes; 0 counts as 1.
func (h Header) CreditCharge() uint16 { return le.Uint16(h[6:]) }

// ChannelSequence of a request, in SMB 3.
func (h Header) ChannelSequence() uint16 { return le.Uint16(h[8:]) }

// Status of a response.
func (h Header) Status() Status { return Status(le.Uint32(h[8:])) }

// Command of the message.
func (h Header) Command() Command { return Command(le.Uint16(h[12:])) }

// Credits asked for, or granted in a response.
func (h Header) Credits() uint16 { return le.Uint16(h[14:]) }

// Flags of the message.
func (h Header) Flags() uint32 { return le.Uint32(h[16:]) }

// NextCommand is the distance to the next message of a compound, 0 in the last.
func (h Header) NextCommand() uint32 { return le.Uint32(h[20:]) }

// MessageID of the request and of its response.
func (h Header) MessageID() uint64 { return le.Uint64(h[24:]) }

// AsyncID of an asynchronous message.
func (h Header) AsyncID() uint64 { return le.Uint64(h[32:]) }

// TreeID of a synchronous message.
func (h Header) TreeID() uint32 { return le.Uint32(h[36:]) }

// SessionID of the message.
func (h Header) SessionID() uint64 { return le.Uint64(h[40:]) }

// Signature is the 16 bytes in place.
func (h Header) Signature() []byte { return h[48:64] }

// Has reports whether all the given flags are set.
func (h Header) Has(flags uint32) bool { return h.Flags()&flags == flags }

// PutStatus sets the status.
func (h Header) PutStatus(s Status) { le.PutUint32(h[8:], uint32(s)) }

// PutCredits sets the credits granted.
func (h Header) PutCredits(n uint16) { le.PutUint16(h[14:], n) }

// PutFlags sets the flags.
func (h Header) PutFlags(f uint32) { le.PutUint32(h[16:], f) }

// PutNextCommand sets the distance to the next response of a compound.
func (h Header) PutNextCommand(n uint32) { le.PutUint32(h[20:], n) }

// PutAsync makes h the header of a message that is processed asynchronously, MS-SMB2
// 2.2.1.1: the id stands in place of the tree.
func (h Header) PutAsync(id uint64) {
	h.PutFlags(h.Flags() | FlagAsync)
	le.PutUint64(h[32:], id)
}

// PutTreeID sets the tree.
func (h Header) PutTreeID(id uint32) { le.PutUint32(h[36:], id) }

// PutSessionID sets the session.
func (h Header) PutSessionID(id uint64) { le.PutUint64(h[40:], id) }

// PutResponse fills all of h[:HeaderSize] for an answer to the request req: same
// command, message and charge, no status, no credits, no signature.
func (h Header) PutResponse(req Header) {
	clear(h[:HeaderSize])
	copy(h, ProtocolSMB2[:])
	le.PutUint16(h[4:], HeaderSize)
	copy(h[6:8], req[6:8])
	copy(h[12:14], req[12:14])
	le.PutUint32(h[16:], FlagServerToClient|req.Flags()&FlagRelated)
	copy(h[24:32], req[24:32])
	copy(h[32:48], req[32:48])
}

// PutFirst fills h for a response to an SMB1 negotiate, which has no SMB2 header:
// MessageId 0 and the rest 0, MS-SMB2 3.3.5.3.
func (h Header) PutFirst(c Command) {
	clear(h[:HeaderSize])
	copy(h, ProtocolSMB2[:])
	le.PutUint16(h[4:], HeaderSize)
	le.PutUint16(h[12:], uint16(c))
	le.PutUint32(h[16:], FlagServerToClient)
}
