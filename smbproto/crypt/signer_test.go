package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"ustack/smbproto/wire"
)

var algorithms = []SigningAlgorithm{HMACSHA256, AESCMAC, AESGMAC}

var signingKey = []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func newSigner(tb testing.TB, a SigningAlgorithm) *Signer {
	tb.Helper()
	s, err := NewSigner(a, signingKey)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestCMACVectors(t *testing.T) { // RFC 4493, 4
	m, err := newCMAC(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c"))
	if err != nil {
		t.Fatal(err)
	}
	text := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"+
		"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for range 2 { // a message leaves nothing for the next
		for n, want := range map[int]string{
			0:  "bb1d6929e95937287fa37d129b756746",
			16: "070a16b46b4d4144f79bdd9dd04a287c",
			40: "dfa66747de9ae63030ca32611497c827",
			64: "51f0bebf7e3b9d92fc49741779363cfe",
		} {
			if got := m.sum(text[:n]); !bytes.Equal(got, unhex(t, want)) {
				t.Errorf("of %d bytes %x, want %s", n, got, want)
			}
		}
	}
}

// slowCMAC is RFC 4493 block by block.
func slowCMAC(b cipher.Block, msg []byte) []byte {
	var k [16]byte
	b.Encrypt(k[:], k[:])
	double(&k)
	if len(msg) == 0 || len(msg)%16 != 0 {
		double(&k)
		msg = append(bytes.Clone(msg), 0x80)
		for len(msg)%16 != 0 {
			msg = append(msg, 0)
		}
	}
	var x [16]byte
	for ; len(msg) > 0; msg = msg[16:] {
		for i := range x {
			x[i] ^= msg[i]
			if len(msg) == 16 {
				x[i] ^= k[i]
			}
		}
		b.Encrypt(x[:], x[:])
	}
	return x[:]
}

// slow is MS-SMB2 3.1.4.1 word for word, on a copy.
func slow(a SigningAlgorithm, msg []byte) []byte {
	msg = bytes.Clone(msg)
	clear(msg[48:64])
	block, _ := aes.NewCipher(signingKey)
	switch a {
	case HMACSHA256:
		h := hmac.New(sha256.New, signingKey)
		h.Write(msg)
		return h.Sum(nil)[:16]
	case AESCMAC:
		return slowCMAC(block, msg)
	}
	nonce := make([]byte, 12)
	copy(nonce, msg[24:32])
	nonce[8] = msg[16] & 1
	if binary.LittleEndian.Uint16(msg[12:]) == 12 {
		nonce[8] |= 2
	}
	g, _ := cipher.NewGCM(block)
	return g.Seal(nil, nonce, nil, msg)
}

func TestSignatureIsThatOfTheRule(t *testing.T) {
	for _, a := range algorithms {
		s := newSigner(t, a)
		rapid.Check(t, func(t *rapid.T) {
			msg := rapid.SliceOfN(rapid.Byte(), 64, 300).Draw(t, "message")
			if rapid.Bool().Draw(t, "long") {
				msg = append(msg, make([]byte, rapid.IntRange(3900, 9000).Draw(t, "more"))...)
			}
			if rapid.Bool().Draw(t, "cancel") {
				binary.LittleEndian.PutUint16(msg[12:], uint16(wire.CommandCancel))
			}
			want := bytes.Clone(msg)
			copy(want[48:], slow(a, msg))
			if err := s.Sign(msg); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(msg, want) {
				t.Fatalf("%v: signed %x, want %x", a, msg[:64], want[:64])
			}
			if !s.Verify(msg) || !bytes.Equal(msg, want) {
				t.Fatalf("%v: Verify refuses what Sign signed, or changes it", a)
			}
			at := rapid.IntRange(0, len(msg)-1).Draw(t, "at")
			msg[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if s.Verify(msg) {
				t.Fatalf("%v: Verify accepts a message with byte %d changed", a, at)
			}
		})
	}
}

func TestMessageWithoutAWholeHeaderHasNoSignature(t *testing.T) {
	for _, a := range algorithms {
		s := newSigner(t, a)
		for n := range 64 {
			if err := s.Sign(make([]byte, n)); !errors.Is(err, ErrShortMessage) {
				t.Fatalf("Sign of %d bytes: %v", n, err)
			}
			if s.Verify(make([]byte, n)) {
				t.Fatalf("Verify accepts %d bytes", n)
			}
		}
	}
}

func TestSigningAllocatesNothing(t *testing.T) {
	for _, a := range algorithms {
		s, b := newSigner(t, a), make([]byte, 5000)
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Sign(b); err != nil || !s.Verify(b) {
				t.Fatal("signature is wrong", err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations per message, want 0", a, n)
		}
	}
}

func TestWrongAlgorithmsAreRefused(t *testing.T) {
	if _, err := NewSigner(3, signingKey); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
	if _, err := NewSigner(AESCMAC, signingKey[:15]); !errors.Is(err, ErrAlgorithm) {
		t.Error(err)
	}
	for _, c := range []Cipher{0, 5, AES256GCM} {
		if _, err := NewOpener(c, signingKey); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	for _, a := range algorithms {
		b.Run(a.String(), func(b *testing.B) {
			s, msg := newSigner(b, a), make([]byte, 64<<10)
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Sign(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
