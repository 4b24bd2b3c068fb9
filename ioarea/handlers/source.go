package handlers

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"ustack/ioarea"
)

// sourceChunk is how many bytes a Source commits at once.
const sourceChunk = 64 << 10

// A Source sends Bytes bytes, and then ends the stream. It does not wait for a
// request.
type Source struct {
	Bytes uint64
	// Fill makes it write each chunk anew, with bytes that follow from Seed and
	// their place in the stream; otherwise what the ring holds is sent as it is.
	Fill bool
	Seed uint64

	sent uint64
	sum  uint32
}

// Handle implements ioarea.Handler.
func (s *Source) Handle(a *ioarea.Area) (ioarea.Next, error) {
	for s.sent < s.Bytes {
		n := int(min(sourceChunk, uint64(a.Out.Cap()/4), s.Bytes-s.sent))
		out, err := a.Out.Reserve(n, ioarea.Forever)
		if err != nil {
			return ioarea.Next{}, err
		}
		if s.Fill {
			Fill(out, s.Seed, s.sent)
			s.sum = crc32.Update(s.sum, castagnoli, out)
		}
		a.Out.Commit(n)
		s.sent += uint64(n)
	}
	return ioarea.Next{}, io.EOF
}

// Sum is the CRC-32C of all that was sent, if Fill is set.
func (s *Source) Sum() uint32 { return s.sum }

// Fill writes the bytes of the stream named by seed that lie from offset off on:
// each aligned 8 bytes are a mix of their number and the seed, so that a byte out
// of place is a wrong byte.
func Fill(b []byte, seed, off uint64) {
	for len(b) > 0 && off%8 != 0 {
		b[0] = wordByte(seed, off)
		b, off = b[1:], off+1
	}
	for ; len(b) >= 8; b, off = b[8:], off+8 {
		binary.LittleEndian.PutUint64(b, mix(seed+off/8))
	}
	for i := range b {
		b[i] = wordByte(seed, off+uint64(i))
	}
}

func wordByte(seed, off uint64) byte { return byte(mix(seed+off/8) >> (off % 8 * 8)) }

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
