package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"ustack/smbproto/wire"
)

// SigningAlgorithm is how messages are signed, by its number in the negotiate context
// (MS-SMB2 2.2.3.1.7).
type SigningAlgorithm uint16

// The algorithms. Dialects 2.0.2 and 2.1 have HMACSHA256, 3.0 and 3.0.2 AESCMAC; 3.1.1
// has what was negotiated.
const (
	HMACSHA256 SigningAlgorithm = 0
	AESCMAC    SigningAlgorithm = 1
	AESGMAC    SigningAlgorithm = 2
)

// String is the algorithm's name.
func (a SigningAlgorithm) String() string {
	switch a {
	case HMACSHA256:
		return "HMAC-SHA256"
	case AESCMAC:
		return "AES-128-CMAC"
	case AESGMAC:
		return "AES-128-GMAC"
	}
	return fmt.Sprintf("signing algorithm %d", uint16(a))
}

// ErrShortMessage: what is to be signed has no whole SMB2 header.
var ErrShortMessage = errors.New("crypt: message to sign is shorter than its SMB2 header of 64 bytes")

// ErrAlgorithm: there is no such cipher or signing algorithm, or the key has not its length.
var ErrAlgorithm = errors.New("crypt: unknown algorithm or wrong length of key")

// Signer signs and verifies SMB2 messages, MS-SMB2 3.1.4.1. A message reaches from its SMB2
// header to its end; in a compound, each is signed alone with the padding that follows it.
type Signer struct {
	hmac hash.Hash // one of these three
	cmac *cmac
	gmac cipher.AEAD

	nonce [12]byte
	sum   [sha256.Size]byte
	given [wire.SignatureSize]byte
}

// NewSigner makes a signer. The key has 16 bytes.
func NewSigner(a SigningAlgorithm, key []byte) (*Signer, error) {
	if len(key) != 16 {
		return nil, fmt.Errorf("%w: signing key of %d bytes, want 16", ErrAlgorithm, len(key))
	}
	s := &Signer{}
	var err error
	switch a {
	case HMACSHA256:
		s.hmac = hmac.New(sha256.New, key)
	case AESCMAC:
		s.cmac, err = newCMAC(key)
	case AESGMAC:
		s.gmac, err = newGCM(key)
	default:
		err = fmt.Errorf("%w: %v", ErrAlgorithm, a)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Sign writes the signature into the message's header. The caller has set
// SMB2_FLAGS_SIGNED and all else that the header says.
func (s *Signer) Sign(msg []byte) error {
	if len(msg) < wire.HeaderSize {
		return ErrShortMessage
	}
	sig := wire.Header(msg).Signature()
	clear(sig)
	copy(sig, s.compute(msg))
	return nil
}

// Verify tells whether the message bears its right signature. The comparison
// takes the same time for any wrong one. A message without a whole header has none.
func (s *Signer) Verify(msg []byte) bool {
	if len(msg) < wire.HeaderSize {
		return false
	}
	sig := wire.Header(msg).Signature()
	copy(s.given[:], sig)
	clear(sig)
	want := s.compute(msg)[:wire.SignatureSize]
	copy(sig, s.given[:])
	return hmac.Equal(s.given[:], want)
}

// compute is the code of a message whose signature is zero; it is good until the next one.
func (s *Signer) compute(msg []byte) []byte {
	switch {
	case s.hmac != nil:
		s.hmac.Reset()
		s.hmac.Write(msg)
		return s.hmac.Sum(s.sum[:0])
	case s.cmac != nil:
		return s.cmac.sum(msg)
	}
	s.putNonce(wire.Header(msg))
	return s.gmac.Seal(s.sum[:0], s.nonce[:], nil, msg)
}

// putNonce makes the nonce of AES-GMAC, MS-SMB2 3.1.4.1: the MessageId, then who sends,
// and whether it is a CANCEL, which bears the MessageId of another request.
func (s *Signer) putNonce(h wire.Header) {
	binary.LittleEndian.PutUint64(s.nonce[:], h.MessageID())
	var role uint32
	if h.Has(wire.FlagServerToClient) {
		role |= 1
	}
	if h.Command() == wire.CommandCancel {
		role |= 2
	}
	binary.LittleEndian.PutUint32(s.nonce[8:], role)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}
