package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"ustack/smbproto/wire"
)

// Cipher is how messages are encrypted, by its number in the negotiate context (MS-SMB2
// 2.2.3.1.2). 0 is none.
type Cipher uint16

// The ciphers. Dialects 3.0 and 3.0.2 have AES128CCM; 3.1.1 has what was negotiated.
const (
	AES128CCM Cipher = 1
	AES128GCM Cipher = 2
	AES256CCM Cipher = 3
	AES256GCM Cipher = 4
)

// String is the cipher's name.
func (c Cipher) String() string {
	switch c {
	case 0:
		return "none"
	case AES128CCM:
		return "AES-128-CCM"
	case AES128GCM:
		return "AES-128-GCM"
	case AES256CCM:
		return "AES-256-CCM"
	case AES256GCM:
		return "AES-256-GCM"
	}
	return fmt.Sprintf("cipher %d", uint16(c))
}

func (c Cipher) keySize() int {
	if c == AES256CCM || c == AES256GCM {
		return 32
	}
	return 16
}

const (
	tagSize      = 16
	ccmNonceSize = 11
	gcmNonceSize = 12
)

// SealRoom is what Seal takes behind the messages, in bytes, to put a tag there for a while.
const SealRoom = tagSize

// aead is one of two. What goes through an interface lies in fields, so that nothing is allocated.
type aead struct {
	ccm   *ccm
	gcm   cipher.AEAD
	nonce [gcmNonceSize]byte
	tag   [tagSize]byte
	aad   [wire.TransformSize - wire.TransformAuthenticated]byte
}

func newAEAD(c Cipher, key []byte) (*aead, error) {
	if c < AES128CCM || c > AES256GCM || len(key) != c.keySize() {
		return nil, fmt.Errorf("%w: %v with a key of %d bytes", ErrAlgorithm, c, len(key))
	}
	if c == AES128CCM || c == AES256CCM {
		b, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		return &aead{ccm: newCCM(b, ccmNonceSize, tagSize)}, nil
	}
	g, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	return &aead{gcm: g}, nil
}

// another has the same key and a working memory of its own.
func (a *aead) another() *aead {
	if a.ccm != nil {
		return &aead{ccm: newCCM(a.ccm.block, ccmNonceSize, tagSize)}
	}
	return &aead{gcm: a.gcm}
}

func (a *aead) nonceSize() int {
	if a.ccm != nil {
		return ccmNonceSize
	}
	return gcmNonceSize
}

// A Sealer encrypts what one side of a session sends, MS-SMB2 3.1.4.3. It counts
// its nonces, so one key must have one Sealer, and those that come of it by Another. One goroutine uses a Sealer.
type Sealer struct {
	aead    *aead
	session uint64
	count   *atomic.Uint64
}

// NewSealer makes a sealer for a session. The key has the cipher's length, 16 or 32 bytes.
func NewSealer(c Cipher, key []byte, session uint64) (*Sealer, error) {
	a, err := newAEAD(c, key)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: a, session: session, count: new(atomic.Uint64)}, nil
}

// Another returns a sealer with the same key, for another goroutine: both count their nonces together.
func (s *Sealer) Another() *Sealer {
	return &Sealer{aead: s.aead.another(), session: s.session, count: s.count}
}

// lastNonce leaves so many that no number of goroutines gets to the end between the question and the answer.
const lastNonce = math.MaxUint64 - 1<<32

// ErrNonces: the key has encrypted as many messages as it may.
var ErrNonces = errors.New("crypt: no nonce is left")

// Seal encrypts the n bytes of messages that stand in b behind room for the transform
// header, in place, and writes the header. b has SealRoom bytes more behind the messages, which it
// changes. What is to be sent are the first wire.TransformSize+n bytes.
func (s *Sealer) Seal(b []byte, n int) error {
	if s.count.Load() >= lastNonce {
		return ErrNonces
	}
	count := s.count.Add(1)
	a := s.aead
	h := wire.TransformHeader(b)
	h.Put(n, s.session)
	clear(a.nonce[:])
	binary.LittleEndian.PutUint64(a.nonce[:], count)
	copy(h.Nonce(), a.nonce[:])
	copy(a.aad[:], b[wire.TransformAuthenticated:])
	msg := b[wire.TransformSize : wire.TransformSize+n+SealRoom]
	if a.ccm != nil {
		copy(h.Signature(), a.ccm.seal(a.nonce[:ccmNonceSize], a.aad[:], msg[:n]))
		return nil
	}
	a.gcm.Seal(msg[:0], a.nonce[:], msg[:n], a.aad[:])
	copy(h.Signature(), msg[n:])
	return nil
}

// An Opener decrypts what one side of a session sends.
type Opener struct{ aead *aead }

// NewOpener makes an opener. The key has the cipher's length, 16 or 32 bytes.
func NewOpener(c Cipher, key []byte) (*Opener, error) {
	a, err := newAEAD(c, key)
	if err != nil {
		return nil, err
	}
	return &Opener{a}, nil
}

// Another returns an opener with the same key, for another goroutine.
func (o *Opener) Another() *Opener { return &Opener{o.aead.another()} }

// Open authenticates and decrypts the frame b, whose transform header has been found
// Valid, in place, and returns the messages in it: a slice of b. If the tag is not right,
// it returns false and nothing of b is to be used.
//
// The standard library's GCM wants the tag behind the cipher text. What stands behind a
// frame is not ours, so there the cipher text moves towards the header by the tag's length.
func (o *Opener) Open(b []byte) ([]byte, bool) {
	a := o.aead
	h := wire.TransformHeader(b)
	copy(a.tag[:], h.Signature())
	copy(a.nonce[:], h.Nonce()[:a.nonceSize()])
	copy(a.aad[:], b[wire.TransformAuthenticated:])
	if a.ccm != nil {
		msg := b[wire.TransformSize:]
		return msg, a.ccm.open(a.nonce[:ccmNonceSize], a.aad[:], msg, a.tag[:])
	}
	n := len(b) - wire.TransformSize
	sealed := b[wire.TransformSize-tagSize:]
	copy(sealed, b[wire.TransformSize:])
	copy(sealed[n:], a.tag[:])
	if _, err := a.gcm.Open(sealed[:0], a.nonce[:], sealed, a.aad[:]); err != nil {
		return nil, false
	}
	return sealed[:n:n], true
}
