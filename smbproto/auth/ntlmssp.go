package auth

import (
	"bytes"
	"encoding/binary"
	"time"
)

// ntlmSignature begins every NTLMSSP message, MS-NLMP 2.2.1.
var ntlmSignature = []byte("NTLMSSP\x00")

const (
	msgNegotiate    = 1
	msgChallenge    = 2
	msgAuthenticate = 3
)

// Negotiate flags, MS-NLMP 2.2.2.5.
const (
	flagUnicode         = 0x00000001
	flagOEM             = 0x00000002
	flagRequestTarget   = 0x00000004
	flagSign            = 0x00000010
	flagSeal            = 0x00000020
	flagNTLM            = 0x00000200
	flagAlwaysSign      = 0x00008000
	flagTargetServer    = 0x00020000
	flagExtendedSession = 0x00080000
	flagTargetInfo      = 0x00800000
	flagVersion         = 0x02000000
	flag128             = 0x20000000
	flagKeyExchange     = 0x40000000
	flag56              = 0x80000000

	// flagsOffered are the client's wishes that are granted. Without datagrams, and with OEM strings
	// only for who has no others.
	flagsOffered = flagUnicode | flagRequestTarget | flagSign | flagSeal | flagNTLM | flagAlwaysSign |
		flagExtendedSession | flagVersion | flag128 | flagKeyExchange | flag56
)

// Offsets of the fixed fields, MS-NLMP 2.2.1.2 and 2.2.1.3.
const (
	negotiateMin     = 16 // to the flags: old clients stop here
	challengeHeader  = 56
	authenticateMin  = 64 // to the flags; Version and MIC follow in most messages
	authenticateMIC  = 72
	authenticateFull = 88
)

// maxName bounds user, domain and workstation, in bytes of UTF-16: 256 characters.
const maxName = 512

// maxNegotiate bounds what is kept of a peer that has not shown who it is: a NEGOTIATE_MESSAGE,
// and SPNEGO's list of mechanisms, in bytes. Both take some tens.
const maxNegotiate = 2 << 10

// messageType checks the signature and returns the message's type.
func messageType(b []byte) (uint32, error) {
	if !bytes.HasPrefix(b, ntlmSignature) {
		return 0, malformed("no NTLMSSP signature")
	}
	if len(b) < 12 {
		return 0, malformed("NTLMSSP message of %d bytes, want at least 12", len(b))
	}
	return binary.LittleEndian.Uint32(b[8:]), nil
}

func wantMessage(b []byte, want uint32, size int) error {
	t, err := messageType(b)
	if err != nil {
		return err
	}
	if t != want {
		return malformed("NTLMSSP message of type %d, want %d", t, want)
	}
	if len(b) < size {
		return malformed("NTLMSSP message of type %d has %d bytes, want at least %d", t, len(b), size)
	}
	return nil
}

// parseNegotiate returns the flags of a NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1). Its names are not
// needed: AUTHENTICATE_MESSAGE repeats them.
func parseNegotiate(b []byte) (flags uint32, err error) {
	if err := wantMessage(b, msgNegotiate, negotiateMin); err != nil {
		return 0, err
	}
	if len(b) > maxNegotiate {
		return 0, malformed("NEGOTIATE_MESSAGE of %d bytes, want at most %d", len(b), maxNegotiate)
	}
	flags = binary.LittleEndian.Uint32(b[12:])
	switch {
	case flags&flagNTLM == 0:
		return 0, unsupported("the client's flags 0x%08x lack 0x%08x", flags, flagNTLM)
	case flags&(flagUnicode|flagOEM) == 0: // MS-NLMP 2.2.2.5, of either flag
		return 0, unsupported("the client's flags 0x%08x have neither 0x%08x nor 0x%08x", flags, flagUnicode, flagOEM)
	}
	return flags, nil
}

// buildChallenge makes a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2) and returns it with its flags.
func buildChallenge(clientFlags uint32, server, domain string, challenge [8]byte, now time.Time) ([]byte, uint32) {
	// MS-NLMP 3.2.5.1.1: what the client asked for and the server has, and
	// TARGET_INFO, without which a client cannot answer with NTLMv2.
	flags := clientFlags&flagsOffered | flagTargetInfo
	encode := utf16le
	if flags&flagUnicode == 0 {
		flags |= flagOEM
		encode = toOEM
	}
	var name []byte
	if flags&flagRequestTarget != 0 {
		flags |= flagTargetServer
		name = encode(server)
	}
	info := targetInfo(server, domain, now)

	le := binary.LittleEndian
	b := make([]byte, challengeHeader, challengeHeader+len(name)+len(info))
	copy(b, ntlmSignature)
	le.PutUint32(b[8:], msgChallenge)
	putField(b[12:], len(name), challengeHeader)
	le.PutUint32(b[20:], flags)
	copy(b[24:], challenge[:])
	putField(b[40:], len(info), challengeHeader+len(name))
	if flags&flagVersion != 0 {
		// MS-NLMP 2.2.2.10: for debugging only; the last byte is NTLMSSP_REVISION_W2K3.
		copy(b[48:], []byte{6, 1, 0, 0, 0, 0, 0, 15})
	}
	return append(append(b, name...), info...), flags
}

// putField writes a length, the same length as its maximum, and an offset.
func putField(b []byte, size, offset int) {
	binary.LittleEndian.PutUint16(b[0:], uint16(size))
	binary.LittleEndian.PutUint16(b[2:], uint16(size))
	binary.LittleEndian.PutUint32(b[4:], uint32(offset))
}

// authenticate is an AUTHENTICATE_MESSAGE, MS-NLMP 2.2.1.3. Its slices point into the message,
// but for names that were not Unicode.
type authenticate struct {
	message    []byte
	flags      uint32
	lm, nt     []byte
	domain     []byte // UTF-16LE, as all names
	user       []byte
	host       []byte
	sessionKey []byte // EncryptedRandomSessionKey
}

// parseAuthenticate takes a message apart. What names are made of, negotiated says: its own flags repeat
// that (MS-NLMP 2.2.1.3), where the client has not left them out.
func parseAuthenticate(b []byte, negotiated uint32) (m authenticate, err error) {
	if err := wantMessage(b, msgAuthenticate, authenticateMin); err != nil {
		return m, err
	}
	m.message = b
	m.flags = binary.LittleEndian.Uint32(b[60:])
	for _, f := range []struct {
		at   int
		dst  *[]byte
		what string
		name bool
	}{
		{12, &m.lm, "LmChallengeResponse", false},
		{20, &m.nt, "NtChallengeResponse", false},
		{28, &m.domain, "DomainName", true},
		{36, &m.user, "UserName", true},
		{44, &m.host, "Workstation", true},
		{52, &m.sessionKey, "EncryptedRandomSessionKey", false},
	} {
		size := int(binary.LittleEndian.Uint16(b[f.at:]))
		offset := uint64(binary.LittleEndian.Uint32(b[f.at+4:]))
		if size == 0 {
			continue // the offset of an empty field means nothing, MS-NLMP 2.2.1.3
		}
		if offset < authenticateMin || offset+uint64(size) > uint64(len(b)) {
			return m, malformed("%s of %d bytes at %d, message has %d", f.what, size, offset, len(b))
		}
		*f.dst = b[offset : offset+uint64(size)]
		if f.name && negotiated&flagUnicode == 0 {
			if *f.dst, err = fromOEM(*f.dst); err != nil {
				return m, err
			}
		}
		if n := len(*f.dst); f.name && (n%2 != 0 || n > maxName) {
			return m, malformed("%s of %d bytes, want an even number up to %d", f.what, n, maxName)
		}
	}
	return m, nil
}

// anonymous tells a null session's message, MS-NLMP 3.2.5.1.2: no name, no
// NT response, and an LM response that is empty or one zero byte.
func (m *authenticate) anonymous() bool {
	return len(m.user) == 0 && len(m.nt) == 0 && (len(m.lm) == 0 || len(m.lm) == 1 && m.lm[0] == 0)
}
