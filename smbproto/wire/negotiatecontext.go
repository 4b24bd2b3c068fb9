package wire

// NegotiateContextType says what a negotiate context is about, MS-SMB2 2.2.3.1.
type NegotiateContextType uint16

// The negotiate contexts that this server answers.
const (
	ContextPreauthIntegrity NegotiateContextType = 1
	ContextEncryption       NegotiateContextType = 2
	ContextSigning          NegotiateContextType = 8
)

// PreauthSHA512 is the one hash of a [ContextPreauthIntegrity], MS-SMB2 2.2.3.1.1.
const PreauthSHA512 uint16 = 1

// PreauthSaltSize is the length of the salt that the server sends, bytes.
const PreauthSaltSize = 32

const negotiateContextHeader = 8

// EachContext calls use for each negotiate context of a request that has been found Valid and
// offers dialect 3.1.1, until use returns an error. Contexts stand 8 bytes aligned behind
// each other, the first behind the dialects.
func (m NegotiateRequest) EachContext(use func(kind NegotiateContextType, data []byte) error) error {
	at, count := uint64(le.Uint32(m[92:])), int(le.Uint16(m[96:]))
	if dialects := uint64(HeaderSize + 36 + 2*m.DialectCount()); count > 0 && at < dialects {
		return malformed("negotiate contexts at %d, dialects up to %d", at, dialects)
	}
	for i := range count {
		if at > uint64(len(m)) || uint64(len(m))-at < negotiateContextHeader {
			return malformed("negotiate context %d of %d at %d in a message of %d", i+1, count, at, len(m))
		}
		h := m[at:]
		n := uint64(le.Uint16(h[2:]))
		if n > uint64(len(h))-negotiateContextHeader {
			return malformed("negotiate context of %d bytes, %d follow", n, len(h)-negotiateContextHeader)
		}
		end := negotiateContextHeader + n
		if err := use(NegotiateContextType(le.Uint16(h)), h[negotiateContextHeader:end:end]); err != nil {
			return err
		}
		at += (end + 7) &^ 7
	}
	return nil
}

// PreauthCapabilities is the data of a [ContextPreauthIntegrity], MS-SMB2 2.2.3.1.1.
type PreauthCapabilities []byte

// Valid checks the layout: one hash at least, and the salt.
func (d PreauthCapabilities) Valid() error {
	if len(d) < 4 || le.Uint16(d) == 0 || len(d) < 4+2*int(le.Uint16(d))+int(le.Uint16(d[2:])) {
		return malformed("preauth integrity capabilities of %d bytes", len(d))
	}
	return nil
}

// Offers reports whether the hash is among those that the client offers.
func (d PreauthCapabilities) Offers(hash uint16) bool {
	return hasUint16(d[4:], int(le.Uint16(d)), hash)
}

// Algorithms is the data of a [ContextEncryption] or a [ContextSigning], which are
// alike (MS-SMB2 2.2.3.1.2, 2.2.3.1.7).
type Algorithms []byte

// Valid checks the layout: one algorithm at least.
func (d Algorithms) Valid() error {
	if len(d) < 2 || le.Uint16(d) == 0 || len(d) < 2+2*int(le.Uint16(d)) {
		return malformed("list of algorithms of %d bytes", len(d))
	}
	return nil
}

// Offers reports whether the algorithm is among those that the client offers.
func (d Algorithms) Offers(algorithm uint16) bool {
	return hasUint16(d[2:], int(le.Uint16(d)), algorithm)
}

func hasUint16(list []byte, n int, v uint16) bool {
	for i := range n {
		if le.Uint16(list[2*i:]) == v {
			return true
		}
	}
	return false
}

// PutPreauth writes a context that chooses SHA-512, with a salt of PreauthSaltSize, and returns its length.
func PutPreauth(b, salt []byte) int {
	const n = 6 + PreauthSaltSize
	clear(b[:negotiateContextHeader+n])
	le.PutUint16(b, uint16(ContextPreauthIntegrity))
	le.PutUint16(b[2:], n)
	le.PutUint16(b[8:], 1)
	le.PutUint16(b[10:], PreauthSaltSize)
	le.PutUint16(b[12:], PreauthSHA512)
	copy(b[14:], salt[:PreauthSaltSize])
	return negotiateContextHeader + n
}

// PutAlgorithm writes a context that chooses one algorithm, and returns its length.
func PutAlgorithm(b []byte, kind NegotiateContextType, algorithm uint16) int {
	const n = 4
	clear(b[:negotiateContextHeader+n])
	le.PutUint16(b, uint16(kind))
	le.PutUint16(b[2:], n)
	le.PutUint16(b[8:], 1)
	le.PutUint16(b[10:], algorithm)
	return negotiateContextHeader + n
}
