package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrProtocol: the peer broke the framing of DCE/RPC, or a limit. The pipe is of no more use;
// the SMB status is STATUS_PIPE_BROKEN.
var ErrProtocol = errors.New("rpc: protocol error")

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// PDU types, C706 12.6.4.
const (
	typeRequest       = 0
	typeResponse      = 2
	typeFault         = 3
	typeBind          = 11
	typeBindAck       = 12
	typeBindNak       = 13
	typeAlterContext  = 14
	typeAlterResponse = 15
	typeCoCancel      = 18
	typeOrphaned      = 19
)

// Flags of a PDU, C706 12.6.3.1.
const (
	flagFirst         = 0x01
	flagLast          = 0x02
	flagDidNotExecute = 0x20
	flagObject        = 0x80 // an object UUID stands before a request's stub
)

const (
	headerSize   = 16 // common to all PDUs
	responseHead = 24 // to the stub of a response, a request or a fault's status
	objectSize   = 16

	// maxFrag is what Windows and Samba announce, both for sending and for receiving.
	maxFrag = 4280
	// mustFrag is the fragment that everyone must be able to receive (MustRecvFragSize, C706 12.6.3.1).
	mustFrag = 1432
	// maxRecvFrag is what is taken, for clients whose bind was longer than it had to be.
	maxRecvFrag = 5840

	maxRequest = 64 << 10 // bytes of stub
	maxReply   = 4 << 20  // bytes of stub: few clients can resume a list, so a long one goes at once
	maxPending = 16 << 10 // bytes of unread replies with which no further PDU is taken
)

// header is the common header of a PDU, C706 12.6.3.1.
type header struct {
	ptype   byte
	flags   byte
	fragLen int
	authLen int
	callID  uint32
}

// parseHeader reads headerSize bytes and checks what can be checked before the rest has come.
func parseHeader(b []byte) (h header, err error) {
	h = header{
		ptype:   b[2],
		flags:   b[3],
		fragLen: int(binary.LittleEndian.Uint16(b[8:])),
		authLen: int(binary.LittleEndian.Uint16(b[10:])),
		callID:  binary.LittleEndian.Uint32(b[12:]),
	}
	switch {
	case b[0] != 5 || b[1] > 1:
		return h, protocolError("version %d.%d, want 5.0 or 5.1", b[0], b[1])
	case b[4]>>4 != 1:
		// The format label says how all integers are written, these lengths included (C706 14.2.5).
		return h, protocolError("data representation 0x%02x, want little-endian integers", b[4])
	case h.fragLen < headerSize || h.fragLen > maxRecvFrag:
		return h, protocolError("fragment of %d bytes, want %d to %d", h.fragLen, headerSize, maxRecvFrag)
	case h.authLen != 0 && h.authLen+8 > h.fragLen-headerSize:
		return h, protocolError("authentication of %d bytes in a fragment of %d", h.authLen, h.fragLen)
	}
	return h, nil
}

// appendHeader begins a PDU; setFragLen ends it.
func appendHeader(b []byte, ptype, flags byte, callID uint32) []byte {
	b = append(b, 5, 0, ptype, flags, 0x10, 0, 0, 0, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, callID)
}

func setFragLen(pdu []byte) []byte {
	binary.LittleEndian.PutUint16(pdu[8:], uint16(len(pdu)))
	return pdu
}
