package rpc

import "encoding/binary"

// syntax names an interface or a transfer syntax: a UUID as it stands on the
// wire in little-endian form, and a version (p_syntax_id_t, C706 12.6.3.1).
type syntax struct {
	uuid         [16]byte
	major, minor uint16
}

const syntaxSize = 20

// uuid makes the wire form of the UUID whose five groups of digits are given.
func uuid(a uint32, b, c, d uint16, e uint64) (u [16]byte) {
	binary.LittleEndian.PutUint32(u[0:], a)
	binary.LittleEndian.PutUint16(u[4:], b)
	binary.LittleEndian.PutUint16(u[6:], c)
	binary.BigEndian.PutUint64(u[8:], uint64(d)<<48|e) // the last two groups are bytes, not integers
	return u
}

func parseSyntax(b []byte) (s syntax) {
	copy(s.uuid[:], b)
	s.major = binary.LittleEndian.Uint16(b[16:])
	s.minor = binary.LittleEndian.Uint16(b[18:])
	return s
}

func (s syntax) append(b []byte) []byte {
	b = append(b, s.uuid[:]...)
	b = binary.LittleEndian.AppendUint16(b, s.major)
	return binary.LittleEndian.AppendUint16(b, s.minor)
}

// ndr20 is the one transfer syntax spoken here, C706 appendix I.
var ndr20 = syntax{uuid: uuid(0x8a885d04, 0x1ceb, 0x11c9, 0x9fe8, 0x08002b104860), major: 2}

// An operation decodes its request and encodes its reply. An error, its own or
// the decoder's, drops the reply and becomes a fault. A Win32 error is no such
// error: it is the last field of the reply.
type operation func(in *decoder, out *encoder) error

// iface is an interface: what it is called, and its operations by number.
type iface struct {
	syntax
	ops map[uint16]operation
}

// serves tells whether a client that asks for s may be given i: the major version must be the same,
// the minor one not newer (C706 12.6.3.1).
func (i *iface) serves(s syntax) bool {
	return i.uuid == s.uuid && i.major == s.major && s.minor <= i.minor
}
