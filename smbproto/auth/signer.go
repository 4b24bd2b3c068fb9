package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
)

const (
	// SignatureOffset is where the signature stands in the SMB2 header, MS-SMB2 2.2.1.2.
	SignatureOffset = 48
	// SignatureSize is its size in bytes.
	SignatureSize = 16

	signedHeader = SignatureOffset + SignatureSize // the header's end, 64
)

// ErrShortMessage: what is to be signed has no whole SMB2 header.
var ErrShortMessage = errors.New("auth: message to sign is shorter than its SMB2 header of 64 bytes")

// Signer signs and verifies SMB2 messages of dialects 2.0.2 and 2.1: HMAC-SHA256 under the
// session key, cut to 16 bytes (MS-SMB2 3.1.4.1).
//
// A message may lie in several parts, as when a ring's end runs through it; the
// parts together are one message from its SMB2 header to its end. In a compound, each
// message is signed alone with the padding that follows it. Parts are only read,
// except by Sign, and not kept. Nothing is allocated per message.
//
// A Signer is for one goroutine at a time.
type Signer struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

var zeroSignature [SignatureSize]byte

// NewSigner makes a signer for Identity.SessionKey. That of a guest is zero and signs nothing of worth.
func NewSigner(sessionKey [16]byte) *Signer {
	return &Signer{mac: hmac.New(sha256.New, sessionKey[:])}
}

// Sum computes the signature of the message in parts into sig, as if the
// signature field held zeros, whatever it holds.
func (s *Signer) Sum(sig *[SignatureSize]byte, parts ...[]byte) {
	s.mac.Reset()
	at := 0 // offset of p in the message
	for _, p := range parts {
		end := at + len(p)
		if at >= signedHeader || end <= SignatureOffset {
			s.mac.Write(p)
			at = end
			continue
		}
		from := max(SignatureOffset-at, 0)
		to := min(signedHeader-at, len(p))
		s.mac.Write(p[:from])
		s.mac.Write(zeroSignature[:to-from])
		s.mac.Write(p[to:])
		at = end
	}
	s.mac.Sum(s.sum[:0])
	copy(sig[:], s.sum[:])
}

// Sign writes the signature into the message's header. The caller has set
// SMB2_FLAGS_SIGNED, which is signed with the rest.
func (s *Signer) Sign(parts ...[]byte) error {
	if size(parts) < signedHeader {
		return ErrShortMessage
	}
	var sig [SignatureSize]byte
	s.Sum(&sig, parts...)
	left := sig[:]
	skip := SignatureOffset
	for _, p := range parts {
		if len(left) == 0 {
			break
		}
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		left = left[copy(p[skip:], left):]
		skip = 0
	}
	return nil
}

// Verify tells whether the message bears its right signature. The comparison
// takes the same time for any wrong one. A message without a whole header has none.
func (s *Signer) Verify(parts ...[]byte) bool {
	if size(parts) < signedHeader {
		return false
	}
	var given, want [SignatureSize]byte
	left := given[:]
	skip := SignatureOffset
	for _, p := range parts {
		if len(left) == 0 {
			break
		}
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		left = left[copy(left, p[skip:]):]
		skip = 0
	}
	s.Sum(&want, parts...)
	return hmac.Equal(given[:], want[:])
}

func size(parts [][]byte) (n int) {
	for _, p := range parts {
		n += len(p)
	}
	return n
}
