package tap

import "sync/atomic"

// Stats counts what a queue, or all queues of a device, carried since it was
// attached. In is towards the reader. Bytes are those of the frames, their
// virtio-net headers included.
type Stats struct {
	FramesIn, BytesIn   uint64
	FramesOut, BytesOut uint64
	// ReadCalls and WriteCalls are system calls, or their equivalents, whatever they returned.
	ReadCalls, WriteCalls uint64
	// ReadBlocks and WriteBlocks are those that ended with ErrWouldBlock.
	ReadBlocks, WriteBlocks uint64
	// Truncated counts ErrTruncated, Down frames lost to ErrDown.
	Truncated, Down uint64
}

// A Meter is a Queue or a Device that counts what it carries. All those of this
// package are. Stats may be called from any goroutine, also after Close.
type Meter interface {
	Stats() Stats
}

func (s *Stats) add(o Stats) {
	s.FramesIn += o.FramesIn
	s.BytesIn += o.BytesIn
	s.FramesOut += o.FramesOut
	s.BytesOut += o.BytesOut
	s.ReadCalls += o.ReadCalls
	s.WriteCalls += o.WriteCalls
	s.ReadBlocks += o.ReadBlocks
	s.WriteBlocks += o.WriteBlocks
	s.Truncated += o.Truncated
	s.Down += o.Down
}

// statsOf returns the counts of x, or none if it does not count.
func statsOf(x any) Stats {
	if m, ok := x.(Meter); ok {
		return m.Stats()
	}
	return Stats{}
}

// counters are the counts of one direction of a queue. Calls are not counted
// where they happen: they are the sum of their outcomes.
type counters struct {
	frames, bytes, blocks, lost, other atomic.Uint64
}

func (c *counters) calls() uint64 {
	return c.frames.Load() + c.blocks.Load() + c.lost.Load() + c.other.Load()
}

// joinCounters joins the two directions; lost is Truncated inward and Down outward.
func joinCounters(in, out *counters) Stats {
	return Stats{
		FramesIn: in.frames.Load(), BytesIn: in.bytes.Load(),
		FramesOut: out.frames.Load(), BytesOut: out.bytes.Load(),
		ReadCalls: in.calls(), WriteCalls: out.calls(),
		ReadBlocks: in.blocks.Load(), WriteBlocks: out.blocks.Load(),
		Truncated: in.lost.Load(), Down: out.lost.Load(),
	}
}
