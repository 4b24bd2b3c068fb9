package crypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"math"
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

var ciphers = []Cipher{AES128CCM, AES128GCM, AES256CCM, AES256GCM}

func sequence(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(from + i)
	}
	return b
}

func TestCCMVectors(t *testing.T) {
	for _, c := range []struct {
		name                   string
		key, nonce, aad, plain []byte
		want                   string // cipher text and tag
	}{
		{"RFC 3610, packet 1", sequence(0xC0, 16), unhex(t, "00000003020100A0A1A2A3A4A5"), sequence(0, 8), sequence(8, 23),
			"588C979A61C663D2F066D0C2C0F989806D5F6B61DAC38417E8D12CFDF926E0"},
		{"SP 800-38C, example 1", sequence(0x40, 16), sequence(0x10, 7), sequence(0, 8), sequence(0x20, 4), "7162015B4DAC255D"},
		{"SP 800-38C, example 2", sequence(0x40, 16), sequence(0x10, 8), sequence(0, 16), sequence(0x20, 16),
			"D2A1F0E051EA5F62081A7792073D593D1FC64FBFACCD"},
		{"SP 800-38C, example 3", sequence(0x40, 16), sequence(0x10, 12), sequence(0, 20), sequence(0x20, 24),
			"E3B201A9F5B71A7A9B1CEAECCD97E70B6176AAD9A4428AA5484392FBC1B09951"},
	} {
		b, err := aes.NewCipher(c.key)
		if err != nil {
			t.Fatal(err)
		}
		want := unhex(t, c.want)
		m := newCCM(b, len(c.nonce), len(want)-len(c.plain))
		for range 2 { // a message leaves nothing for the next
			msg := bytes.Clone(c.plain)
			tag := bytes.Clone(m.seal(c.nonce, c.aad, msg))
			if got := append(bytes.Clone(msg), tag...); !bytes.Equal(got, want) {
				t.Errorf("%s: %x, want %x", c.name, got, want)
			}
			if !m.open(c.nonce, c.aad, msg, tag) || !bytes.Equal(msg, c.plain) {
				t.Errorf("%s: does not open", c.name)
			}
		}
	}
}

func newPair(tb testing.TB, c Cipher) (*Sealer, *Opener) {
	tb.Helper()
	s, err := NewSealer(c, sequence(1, c.keySize()), 0x1122334455667788)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := NewOpener(c, sequence(1, c.keySize()))
	if err != nil {
		tb.Fatal(err)
	}
	return s, o
}

// sealed is a message of n bytes, encrypted, and the memory that it lies in.
func sealed(tb testing.TB, s *Sealer, n int) []byte {
	tb.Helper()
	b := make([]byte, wire.TransformSize+n+SealRoom)
	copy(b[wire.TransformSize:], sequence(7, n))
	if err := s.Seal(b, n); err != nil {
		tb.Fatal(err)
	}
	return b[:wire.TransformSize+n]
}

func TestWhatIsSealedOpens(t *testing.T) {
	for _, c := range ciphers {
		s, o := newPair(t, c)
		for _, n := range []int{64, 65, 79, 80, 100, 4095, 4096, 4097, 70_001} {
			b := sealed(t, s, n)
			if err := wire.TransformHeader(b).Valid(); err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, sequence(7, 32)) {
				t.Errorf("%v: plain text is sent", c)
			}
			behind := append(bytes.Clone(b), "what stands behind the frame"...)
			got, ok := o.Open(behind[:len(b):len(b)])
			if !ok || !bytes.Equal(got, sequence(7, n)) {
				t.Errorf("%v, %d bytes: does not open", c, n)
			}
			if string(behind[len(b):]) != "what stands behind the frame" {
				t.Errorf("%v, %d bytes: wrote behind the frame", c, n)
			}
		}
	}
}

// The standard library opens what is sealed by GCM.
func TestGCMIsThatOfTheRule(t *testing.T) {
	s, _ := newPair(t, AES128GCM)
	b := sealed(t, s, 100)
	block, err := aes.NewCipher(sequence(1, 16))
	if err != nil {
		t.Fatal(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.Open(nil, b[20:32], append(bytes.Clone(b[52:]), b[4:20]...), b[20:52])
	if err != nil || !bytes.Equal(got, sequence(7, 100)) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestEachChangedBitIsFound(t *testing.T) {
	for _, c := range ciphers {
		s, o := newPair(t, c)
		b := sealed(t, s, 64)
		for bit := 4 * 8; bit < len(b)*8; bit++ {
			m := bytes.Clone(b)
			m[bit/8] ^= 1 << (bit % 8)
			if _, ok := o.Open(m); ok {
				t.Fatalf("%v: opens with bit %d changed", c, bit)
			}
			if bytes.Contains(m, sequence(7, 16)) {
				t.Fatalf("%v: plain text is left of what was refused", c)
			}
		}
	}
}

func TestNoncesNeverRepeat(t *testing.T) {
	for _, c := range ciphers {
		s, _ := newPair(t, c)
		seen := map[string]bool{}
		for range 1000 {
			nonce := string(wire.TransformHeader(sealed(t, s, 64)).Nonce())
			if seen[nonce] {
				t.Fatalf("%v: nonce %x a second time", c, nonce)
			}
			seen[nonce] = true
		}
		s.count.Store(math.MaxUint64)
		if err := s.Seal(make([]byte, 200), 100); err != ErrNonces {
			t.Errorf("%v: %v when no nonce is left", c, err)
		}
	}
}

func TestSealersOfOneKeyShareTheirNonces(t *testing.T) {
	for _, c := range ciphers {
		s, o := newPair(t, c)
		sealers, openers := []*Sealer{s, s.Another()}, []*Opener{o, o.Another()}
		frames := make([][][]byte, len(sealers))
		var wg sync.WaitGroup
		for i := range sealers {
			wg.Go(func() {
				for range 500 {
					frames[i] = append(frames[i], sealed(t, sealers[i], 64))
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for i := range frames {
			for _, f := range frames[i] {
				nonce := string(wire.TransformHeader(f).Nonce())
				if seen[nonce] {
					t.Fatalf("%v: nonce %x a second time", c, nonce)
				}
				seen[nonce] = true
				if _, ok := openers[1-i].Open(f); !ok {
					t.Fatalf("%v: what one sealed, the other one's opener can't open", c)
				}
			}
		}
	}
}

func TestSealingAllocatesNothing(t *testing.T) {
	for _, c := range ciphers {
		s, o := newPair(t, c)
		b := make([]byte, wire.TransformSize+5000+SealRoom)
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Seal(b, 5000); err != nil {
				t.Fatal(err)
			}
			if _, ok := o.Open(b[:wire.TransformSize+5000]); !ok {
				t.Fatal("does not open")
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations per message, want 0", c, n)
		}
	}
}

// FuzzOpen: what nobody sealed does not open, and nothing outside of the frame is written.
func FuzzOpen(f *testing.F) {
	for _, c := range ciphers {
		s, _ := newPair(f, c)
		b := sealed(f, s, 64)
		b[60] ^= 1
		f.Add(uint8(c), b)
	}
	f.Add(uint8(1), make([]byte, wire.TransformSize))
	f.Fuzz(func(t *testing.T, c uint8, b []byte) {
		if wire.TransformHeader(b).Valid() != nil {
			return
		}
		s, o := newPair(t, ciphers[int(c)%len(ciphers)])
		want := sealed(t, s, len(b)-wire.TransformSize)
		m := append(bytes.Clone(b), "behind"...)
		if got, ok := o.Open(m[:len(b):len(b)]); ok && !bytes.Equal(b, want) {
			t.Errorf("opens as %x", got)
		}
		if string(m[len(b):]) != "behind" {
			t.Error("wrote behind the frame")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, c := range ciphers {
		b.Run(c.String(), func(b *testing.B) {
			const n = 64 << 10
			s, _ := newPair(b, c)
			m := make([]byte, wire.TransformSize+n+SealRoom)
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Seal(m, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
