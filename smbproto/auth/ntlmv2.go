package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"

	//lint:ignore SA1019 MS-NLMP 3.3.1 defines the NT hash as MD4
	"golang.org/x/crypto/md4"
)

const (
	proofSize = 16
	// temp in MS-NLMP 3.3.2: two version bytes, six reserved, time, client
	// challenge, four reserved; then the AV_PAIRs.
	blobHeader = 28
	// An LM, NTLMv1 or NTLM2 session response has this size, MS-NLMP 2.2.2.3 and 2.2.2.6.
	oldResponse = 24
)

// NTHash is the hash of a password that an account is checked with: MD4 of
// the password in UTF-16LE (NTOWFv1, MS-NLMP 3.3.1). It is as good as the password
// itself to whoever holds it.
func NTHash(password string) (hash [16]byte) {
	h := md4.New()
	h.Write(utf16le(password))
	h.Sum(hash[:0])
	return hash
}

func hmacMD5(key []byte, parts ...[]byte) (sum [16]byte) {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// ntowfv2 is the key of all that NTLMv2 proves, MS-NLMP 3.3.2. The user's name
// counts in upper case, the domain's as the client wrote it.
func ntowfv2(ntHash [16]byte, user, domain []byte) [16]byte {
	return hmacMD5(ntHash[:], upperUTF16(user), domain)
}

// proof is a client's NTLMv2_RESPONSE, checked (MS-NLMP 2.2.2.8).
type proof struct {
	baseKey [16]byte // SessionBaseKey, also the KeyExchangeKey (MS-NLMP 3.4.5.1)
	hasMIC  bool
}

// prove checks the NT response against the account's hash.
func (m *authenticate) prove(ntHash [16]byte, challenge [8]byte) (p proof, err error) {
	switch {
	case len(m.nt) == 0:
		return p, refused("user %q: no NT response", fromUTF16(m.user))
	case len(m.nt) == oldResponse:
		return p, refused("user %q: NTLMv1 response, want NTLMv2", fromUTF16(m.user))
	case len(m.nt) < proofSize+blobHeader:
		return p, malformed("NTLMv2 response of %d bytes, want at least %d", len(m.nt), proofSize+blobHeader)
	}
	given, blob := m.nt[:proofSize], m.nt[proofSize:]
	if blob[0] != 1 || blob[1] != 1 {
		return p, malformed("NTLMv2 response of version %d/%d, want 1/1", blob[0], blob[1])
	}
	flags, err := clientFlags(blob[blobHeader:])
	if err != nil {
		return p, err
	}
	key := ntowfv2(ntHash, m.user, m.domain)
	want := hmacMD5(key[:], challenge[:], blob)
	if !hmac.Equal(want[:], given) {
		return p, refused("user %q: wrong password", fromUTF16(m.user))
	}
	return proof{baseKey: hmacMD5(key[:], want[:]), hasMIC: flags&avFlagMIC != 0}, nil
}

// exportedKey is the session's key: the client's random one under RC4 when it
// sends one, else the base key. flags are those both sides agreed on.
func (m *authenticate) exportedKey(baseKey [16]byte, flags uint32) (key [16]byte, err error) {
	// MS-NLMP 3.2.5.1.2 has a client send the key when it also asks to sign or
	// seal. Some send it without; that it is there says that they use it.
	needed := flags&flagKeyExchange != 0 && flags&(flagSign|flagSeal) != 0
	switch {
	case flags&flagKeyExchange == 0, len(m.sessionKey) == 0 && !needed:
		return baseKey, nil
	case len(m.sessionKey) != len(key):
		return key, malformed("EncryptedRandomSessionKey of %d bytes, want %d", len(m.sessionKey), len(key))
	}
	rc4Cipher(baseKey).XORKeyStream(key[:], m.sessionKey)
	return key, nil
}

// checkMIC compares the message's MIC with that of all three messages, MS-NLMP 3.1.5.1.2.
func (m *authenticate) checkMIC(key [16]byte, negotiate, challenge []byte) error {
	if len(m.message) < authenticateFull {
		return malformed("AUTHENTICATE_MESSAGE of %d bytes promises a MIC, want at least %d", len(m.message), authenticateFull)
	}
	var zero [authenticateFull - authenticateMIC]byte
	want := hmacMD5(key[:], negotiate, challenge,
		m.message[:authenticateMIC], zero[:], m.message[authenticateFull:])
	if !hmac.Equal(want[:], m.message[authenticateMIC:authenticateFull]) {
		return refused("user %q: the MIC does not fit the messages", fromUTF16(m.user))
	}
	return nil
}

func rc4Cipher(key [16]byte) *rc4.Cipher {
	c, err := rc4.NewCipher(key[:])
	if err != nil {
		panic(err) // only a key of no or more than 256 bytes is an error
	}
	return c
}
