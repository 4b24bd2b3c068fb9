package handlers

import (
	"hash/crc32"
	"sync/atomic"

	"ustack/ioarea"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Sink consumes what comes.
type Sink struct {
	// Check makes it read each byte, for a CRC-32C: a sink that never looks
	// flatters a stack that copies nothing.
	Check bool

	sum   uint32
	bytes atomic.Uint64
}

// Handle implements ioarea.Handler.
func (s *Sink) Handle(a *ioarea.Area) (ioarea.Next, error) {
	for n := a.In.Len(); n > 0; n = a.In.Len() {
		if s.Check {
			s.sum = crc32.Update(s.sum, castagnoli, a.In.Peek(n))
		}
		a.In.Consume(n)
		s.bytes.Add(uint64(n))
	}
	return ioarea.Next{Min: 1, Within: ioarea.Forever}, nil
}

// Bytes is the number of bytes consumed so far. Any goroutine may ask.
func (s *Sink) Bytes() uint64 { return s.bytes.Load() }

// Sum is the CRC-32C of all that was consumed, if Check is set. It belongs to the
// goroutine that calls Handle.
func (s *Sink) Sum() uint32 { return s.sum }
