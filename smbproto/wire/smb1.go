package wire

import "bytes"

// SMB1 layout that a multi-protocol negotiate needs, MS-CIFS 2.2.3 and 2.2.4.52.
const (
	smb1HeaderSize       = 32
	smb1CommandNegotiate = 0x72
	smb1FlagReply        = 0x80
)

// The dialect strings that lead an SMB1 client to SMB2, MS-SMB2 3.3.5.3.
const (
	SMB1DialectWildcard = "SMB 2.???"
	SMB1Dialect202      = "SMB 2.002"
)

// SMB1Negotiate is a view over an SMB1 message: header, word count, byte count,
// and dialects, each a 0x02 and a string that ends in 0.
type SMB1Negotiate []byte

// Valid checks that this is an SMB1 negotiate whose lengths hold.
func (m SMB1Negotiate) Valid() error {
	if len(m) < smb1HeaderSize+3 {
		return malformed("SMB1 message of %d bytes, expected at least %d", len(m), smb1HeaderSize+3)
	}
	if !IsSMB1(m) {
		return malformed("protocol identifier % x, expected % x", m[:4], ProtocolSMB1)
	}
	if m[4] != smb1CommandNegotiate {
		return malformed("SMB1 command %#x, expected a negotiate", m[4])
	}
	if m[smb1HeaderSize] != 0 {
		return malformed("SMB1 negotiate with %d words, expected 0", m[smb1HeaderSize])
	}
	if n := int(le.Uint16(m[smb1HeaderSize+1:])); n > len(m)-smb1HeaderSize-3 {
		return malformed("SMB1 byte count %d, but only %d bytes follow", n, len(m)-smb1HeaderSize-3)
	}
	return nil
}

// Offers reports whether the client names the dialect.
func (m SMB1Negotiate) Offers(dialect string) bool {
	rest := m[smb1HeaderSize+3:]
	rest = rest[:le.Uint16(m[smb1HeaderSize+1:])]
	for len(rest) > 0 && rest[0] == 2 {
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return false
		}
		if string(rest[1:1+end]) == dialect {
			return true
		}
		rest = rest[end+2:]
	}
	return false
}

// SMB1RefusalSize is the length of the answer to a negotiate without a dialect that we speak.
const SMB1RefusalSize = smb1HeaderSize + 5

// PutSMB1Refusal writes the answer that no dialect is acceptable: one word, the
// dialect index 0xFFFF (MS-CIFS 2.2.4.52.2). req has been found Valid.
func PutSMB1Refusal(b []byte, req SMB1Negotiate) {
	clear(b[:SMB1RefusalSize])
	copy(b, req[:smb1HeaderSize])
	clear(b[5:9]) // status
	b[9] |= smb1FlagReply
	b[smb1HeaderSize] = 1
	b[smb1HeaderSize+1], b[smb1HeaderSize+2] = 0xFF, 0xFF
}
