package auth_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ustack/smbproto/auth"
)

var signingKey = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// slowSum is MS-SMB2 3.1.4.1 word for word, on a copy.
func slowSum(key, message []byte) []byte {
	b := bytes.Clone(message)
	clear(b[48:64])
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil)[:16]
}

// split cuts a message at random, also into empty parts.
func split(t *rapid.T, message []byte) (parts [][]byte) {
	for len(message) > 0 {
		n := rapid.IntRange(0, len(message)).Draw(t, "part")
		parts = append(parts, message[:n])
		message = message[n:]
	}
	return parts
}

func TestSignatureIsTheSameHoweverAMessageIsSplit(t *testing.T) {
	s := auth.NewSigner(signingKey)
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SliceOfN(rapid.Byte(), 64, 300).Draw(t, "message")
		want := slowSum(signingKey[:], message)
		var got [16]byte
		s.Sum(&got, split(t, message)...)
		if !bytes.Equal(got[:], want) {
			t.Fatalf("Sum %x, want %x", got, want)
		}
		signed := bytes.Clone(message)
		if err := s.Sign(split(t, signed)...); err != nil {
			t.Fatal(err)
		}
		copy(message[48:], want)
		if !bytes.Equal(signed, message) {
			t.Fatalf("signed message %x, want %x", signed, message)
		}
		if !s.Verify(split(t, signed)...) {
			t.Fatal("Verify refuses what Sign signed")
		}
		at := rapid.IntRange(0, len(signed)-1).Draw(t, "at")
		signed[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if s.Verify(split(t, signed)...) {
			t.Fatalf("Verify accepts a message with byte %d changed", at)
		}
	})
}

func TestMessageWithoutAWholeHeaderHasNoSignature(t *testing.T) {
	s := auth.NewSigner(signingKey)
	for n := range 64 {
		b := make([]byte, n)
		if err := s.Sign(b[:n/2], b[n/2:]); !errors.Is(err, auth.ErrShortMessage) {
			t.Fatalf("Sign of %d bytes: %v", n, err)
		}
		if s.Verify(b[:n/2], b[n/2:]) {
			t.Fatalf("Verify accepts %d bytes", n)
		}
	}
}

func TestSigningAllocatesNothing(t *testing.T) {
	s := auth.NewSigner(signingKey)
	b := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Sign(b[:50], b[50:]); err != nil || !s.Verify(b[:60], b[60:]) {
			t.Fatal("signature is wrong", err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per message, want 0", n)
	}
}

func BenchmarkSum(b *testing.B) {
	for _, size := range []int{128, 4096, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s, message := auth.NewSigner(signingKey), make([]byte, size)
			var sig [16]byte
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s.Sum(&sig, message[:100], message[100:])
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s, message := auth.NewSigner(signingKey), make([]byte, 4096)
	if err := s.Sign(message); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if !s.Verify(message[:60], message[60:]) {
			b.Fatal("refused")
		}
	}
}
