package tap

import (
	"bytes"
	"math/rand/v2"
	"time"
)

// A Rate says how often a fault happens. The zero value is never.
type Rate struct {
	// Prob is the probability for each frame, 0 to 1.
	Prob float64
	// Every, if not 0, makes it happen to every so-manieth frame, counted from 1.
	Every uint64
}

// Prob is a Rate of probability p.
func Prob(p float64) Rate { return Rate{Prob: p} }

// Every is a Rate of each nth frame.
func Every(n uint64) Rate { return Rate{Every: n} }

func (r Rate) none() bool { return r.Prob <= 0 && r.Every == 0 }

// Faults is what happens to the frames of one direction, in the order given here.
// A fault that makes no sense for a frame does not happen to it, and is not counted.
type Faults struct {
	// Drop loses the frame.
	Drop Rate
	// Overlap cuts a frame with TCP data in two segments that have some bytes in
	// common; the first may begin with bytes of the frame before. The bytes are
	// always those of the stream: it is what retransmissions at other boundaries look like.
	Overlap Rate
	// Split cuts a GSO frame to its segments, and a single TCP segment in two. Not
	// together with Overlap.
	Split Rate
	// Corrupt flips one bit of the transport header or payload, so that the
	// receiver can find it: the checksum is completed before, and a GSO frame is cut
	// to segments of which one is hit. Only TCP, UDP and ICMP.
	Corrupt Rate
	// Duplicate delivers the frame, or all that it was cut to, twice.
	Duplicate Rate
	// Reorder holds the frame back until HoldFrames later ones have passed, but
	// no longer than HoldTime.
	Reorder Rate
	// HoldFrames is for Reorder; 0 is 3.
	HoldFrames int
	// HoldTime is for Reorder; 0 is 10 ms.
	HoldTime time.Duration
}

// none reports that nothing happens to any frame.
func (f *Faults) none() bool {
	return f.Drop.none() && f.Overlap.none() && f.Split.none() &&
		f.Corrupt.none() && f.Duplicate.none() && f.Reorder.none()
}

// FaultCounts says how many frames came by, and to how many what happened.
type FaultCounts struct {
	Frames, Dropped, Overlapped, Split, Corrupted, Duplicated, Reordered uint64
}

func (c *FaultCounts) add(o FaultCounts) {
	c.Frames += o.Frames
	c.Dropped += o.Dropped
	c.Overlapped += o.Overlapped
	c.Split += o.Split
	c.Corrupted += o.Corrupted
	c.Duplicated += o.Duplicated
	c.Reordered += o.Reordered
}

// A faultLine lets the frames of one queue pass in one direction. What it does
// depends on its seed and on these frames alone, not on time, but for what
// release is called for.
type faultLine struct {
	faults Faults
	rng    *rand.Rand
	counts FaultCounts
	held   []heldFrames

	// The stream's bytes before the next frame of the last flow, for Overlap.
	tail     []byte
	tailFlow flowKey
	tailEnd  uint32
}

type heldFrames struct {
	frames [][]byte
	left   int // later frames that must still pass
}

const maxTail = 1024

func newFaultLine(f Faults, seed, stream uint64) *faultLine {
	if f.HoldFrames <= 0 {
		f.HoldFrames = 3
	}
	if f.HoldTime <= 0 {
		f.HoldTime = 10 * time.Millisecond
	}
	return &faultLine{faults: f, rng: rand.New(rand.NewPCG(seed, stream))}
}

func (l *faultLine) happens(r Rate) bool {
	if r.Every > 0 && l.counts.Frames%r.Every == 0 {
		return true
	}
	return r.Prob > 0 && l.rng.Float64() < r.Prob
}

// pass takes a frame with its virtio-net header, and its memory, and returns what
// is to be delivered now.
func (l *faultLine) pass(frame []byte) (out [][]byte) {
	l.counts.Frames++
	if l.happens(l.faults.Drop) {
		l.counts.Dropped++
	} else {
		out = l.alter(frame)
	}
	hold := len(out) > 0 && l.happens(l.faults.Reorder)
	due := l.age()
	if hold {
		l.counts.Reordered++
		l.held = append(l.held, heldFrames{out, l.faults.HoldFrames})
		out = nil
	}
	return append(out, due...)
}

// age counts a frame that passes those held back, and returns what is due behind it.
func (l *faultLine) age() (due [][]byte) {
	keep := l.held[:0]
	for _, h := range l.held {
		if h.left--; h.left > 0 {
			keep = append(keep, h)
		} else {
			due = append(due, h.frames...)
		}
	}
	clear(l.held[len(keep):])
	l.held = keep
	return due
}

// release returns all that is held back.
func (l *faultLine) release() (out [][]byte) {
	for _, h := range l.held {
		out = append(out, h.frames...)
	}
	clear(l.held)
	l.held = l.held[:0]
	return out
}

func (l *faultLine) alter(frame []byte) [][]byte {
	out := l.recut(frame)
	if l.happens(l.faults.Corrupt) {
		out = l.corrupt(out)
	}
	if l.happens(l.faults.Duplicate) {
		l.counts.Duplicated++
		out = append(out, out...)
	}
	return out
}

// recut does Overlap and Split.
func (l *faultLine) recut(frame []byte) [][]byte {
	overlap, split := l.happens(l.faults.Overlap), l.happens(l.faults.Split)
	t, ok := parseTrain(frame)
	if !ok {
		return [][]byte{frame}
	}
	out := [][]byte{frame}
	switch n := len(t.data); {
	case overlap && n >= 2:
		l.counts.Overlapped++
		out = l.overlap(&t)
	case split && t.isGSO():
		l.counts.Split++
		out = t.segments()
	case split && n >= 2:
		l.counts.Split++
		cut := 1 + l.rng.IntN(n-1)
		out = [][]byte{t.piece(nil, 0, cut, 0), t.piece(nil, cut, n, 1)}
	}
	l.remember(&t)
	return out
}

// overlap makes [before + 0:cut] and [cut-common:n]. No piece is longer than the
// frame was, so it fits wherever that did.
func (l *faultLine) overlap(t *train) [][]byte {
	n := len(t.data)
	cut := 1 + l.rng.IntN(n-1)
	common := 1 + l.rng.IntN(cut)
	var before []byte
	if t.seq == l.tailEnd && len(l.tail) > 0 && t.flow(t.frame) == l.tailFlow {
		k := l.rng.IntN(min(len(l.tail), n-cut) + 1)
		before = l.tail[len(l.tail)-k:]
	}
	return [][]byte{t.piece(before, 0, cut, 0), t.piece(nil, cut-common, n, 1)}
}

func (l *faultLine) remember(t *train) {
	if l.faults.Overlap.none() {
		return
	}
	l.tail = append(l.tail[:0], t.data[max(0, len(t.data)-maxTail):]...)
	l.tailFlow = t.flow(t.frame)
	l.tailEnd = t.seq + uint32(len(t.data))
}

// corrupt hits one of the frames.
func (l *faultLine) corrupt(frames [][]byte) [][]byte {
	i := l.rng.IntN(len(frames))
	if t, ok := parseTrain(frames[i]); ok && t.isGSO() {
		cut := t.segments()
		out := append(append(append([][]byte(nil), frames[:i]...), cut...), frames[i+1:]...)
		frames, i = out, i+l.rng.IntN(len(cut))
	}
	hit := bytes.Clone(frames[i])
	if !completeChecksum(hit) {
		return frames
	}
	l.counts.Corrupted++
	l.flip(hit[HdrLen:])
	frames[i] = hit
	return frames
}

// flip flips a bit that the transport checksum covers. It spares the checksum
// itself, which for UDP may become "none", and UDP's length, which says what is summed.
func (l *faultLine) flip(f []byte) {
	p, _ := parsePacket(f)
	var spare [2]int
	switch p.proto {
	case protoTCP:
		spare = [2]int{p.l4 + 16, p.l4 + 18}
	case protoUDP:
		spare = [2]int{p.l4 + 4, p.l4 + 8}
	default:
		spare = [2]int{p.l4 + 2, p.l4 + 4}
	}
	at := p.l4 + l.rng.IntN(p.end-p.l4-(spare[1]-spare[0]))
	if at >= spare[0] {
		at += spare[1] - spare[0]
	}
	f[at] ^= 1 << l.rng.IntN(8)
}
