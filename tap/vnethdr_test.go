package tap

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestHdrRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Hdr{
			Flags: rapid.Uint8().Draw(t, "flags"), GSOType: rapid.Uint8().Draw(t, "type"),
			HdrLen: rapid.Uint16().Draw(t, "hdrlen"), GSOSize: rapid.Uint16().Draw(t, "size"),
			CsumStart: rapid.Uint16().Draw(t, "start"), CsumOffset: rapid.Uint16().Draw(t, "offset"),
		}
		b := make([]byte, HdrLen)
		want.Encode(b)
		if got, err := DecodeHdr(b); err != nil || got != want {
			t.Fatalf("%+v became %+v, %v", want, got, err)
		}
	})
}

func TestHdrLayoutIsTheKernels(t *testing.T) {
	b := make([]byte, HdrLen)
	Hdr{1, 4, 0x0203, 0x0405, 0x0607, 0x0809}.Encode(b)
	if want := []byte{1, 4, 3, 2, 5, 4, 7, 6, 9, 8}; !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
	if _, err := DecodeHdr(b[:HdrLen-1]); !errors.Is(err, ErrBadFrame) {
		t.Errorf("a short header: %v", err)
	}
}

func FuzzDecodeHdr(f *testing.F) {
	f.Add([]byte{})
	f.Add(udpFrame(1, 2, "seed"))
	f.Add(tcpFrame(false, 1, []byte("seed"), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHdr(b)
		if (err != nil) != (len(b) < HdrLen) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err != nil {
			return
		}
		again := make([]byte, HdrLen)
		h.Encode(again)
		if !bytes.Equal(again, b[:HdrLen]) {
			t.Fatalf("% x became % x", b[:HdrLen], again)
		}
	})
}

// Whatever frame comes, the faults that look into it must not panic, and what they
// make of it must be frames.
func FuzzFaultsTakeAnyFrame(f *testing.F) {
	f.Add(uint64(1), udpFrame(1, 2, "seed"))
	f.Add(uint64(2), tcpFrame(false, 1, []byte("seed"), 0))
	f.Add(uint64(3), tcpFrame(true, 1, make([]byte, 500), 100))
	f.Fuzz(func(t *testing.T, seed uint64, frame []byte) {
		if len(frame) < HdrLen+ethHdrLen || len(frame) > HdrLen+MaxFrame {
			return
		}
		half := Prob(0.5)
		l := newFaultLine(Faults{Overlap: half, Split: half, Corrupt: half, Duplicate: half, Reorder: half}, seed, 0)
		var out [][]byte
		for range 4 {
			out = append(out, l.pass(bytes.Clone(frame))...)
		}
		for _, o := range append(out, l.release()...) {
			if len(o) < HdrLen+ethHdrLen || len(o) > len(frame) {
				t.Fatalf("a frame of %d bytes was made of one of %d", len(o), len(frame))
			}
		}
	})
}
