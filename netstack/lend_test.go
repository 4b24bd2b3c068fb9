package netstack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"ustack/ioarea"
)

// A peer whose window is closed from the beginning, so that the first segment with
// a byte in it is a probe of gVisor's, which is none of the stream.
func TestAClosedWindowIsProbed(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := &rawConn{w: w, port: 1001, iss: 7}
	c.connect()
	a := w.accept(ln)
	const said = "what the handler said"
	if err := a.Out.Append(patience, []byte(said)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again, if nobody answers
		s := c.until(func(s *segment) bool { return s.payload > 0 })
		if s.payload != 1 || s.seq != c.irs {
			t.Fatalf("%d bytes at %d, want a probe of one byte at %d", s.payload, s.seq, c.irs)
		}
	}
	c.window = 0xffff
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1, nil, nil)))
	got := c.payload(func(s *segment) bool { return s.payload > 1 })
	if got != said {
		t.Errorf("the peer reads %q, want %q", got, said)
	}
}

// Without an acknowledgement the same bytes come again, from where they lie in Out.
func TestWhatIsSentAgainIsWhatWasSaid(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	const said = "what the handler said"
	if err := a.Out.Append(patience, []byte(said)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if got := c.payload(func(s *segment) bool { return s.payload > 0 }); got != said {
			t.Fatalf("time %d: the peer reads %q, want %q", i, got, said)
		}
		if n := a.Out.Free(); n != a.Out.Cap()-len(said) {
			t.Fatalf("%d bytes of Out are free before they were acknowledged", n)
		}
	}
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+uint32(len(said)), nil, nil)))
	eventually(t, "Out given back", func() bool { return a.Out.Free() == a.Out.Cap() })
}

// A window of one byte cuts single bytes off what was said, and each is what was
// said; a window that closes after that is probed too.
func TestATinyWindowGetsTheRightBytes(t *testing.T) {
	for _, first := range []int{1, 2, 21} {
		w := newWire(t, nil)
		ln := w.listen()
		c := &rawConn{w: w, port: 1001, iss: 7, window: first, unscaled: true}
		c.connect()
		a := w.accept(ln)
		said := make([]byte, 3000) // more than a segment
		versioned(said, 0, 3)
		if err := a.Out.Append(patience, said); err != nil {
			t.Fatal(err)
		}
		got := 0
		for got < 60 {
			var seg *segment
			b := c.payload(func(s *segment) bool { seg = s; return s.payload > 0 })
			off := int(int32(seg.seq - c.irs - 1))
			for i := range b {
				if at := off + i; at >= got && b[i] != said[at] {
					t.Fatalf("window %d: byte %d is %#x, want %#x", first, at, b[i], said[at])
				}
			}
			if end := off + len(b); end > got {
				got = end
				if c.window = first; got%2 == 0 && got < 6 {
					c.window = 0 // it probes, then, and the next turn opens it
				}
			} else {
				c.window = first
			}
			w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+uint32(got), nil, nil)))
		}
	}
}

// What the peer has not acknowledged stays in Out when the connection is reset, though
// TCP has given it up.
func TestAResetAcknowledgesNothing(t *testing.T) {
	const said, acked = "what the handler said", 5
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	if err := a.Out.Append(patience, []byte(said)); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload > 0 })
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+acked, nil, nil)))
	eventually(t, "a part given back", func() bool { return a.Out.Start() == acked })
	w.write(w.ip(protoTCP, nil, c.tcp(flagRST|flagACK, c.iss+1, c.irs+1+acked, nil, nil)))
	if err := a.In.Wait(1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection ends with %v, want ECONNRESET", err)
	}
	w.stack.onLoop(t, func() { a.Stream().(*flow).send() })
	if got := a.Out.Start(); got != acked {
		t.Errorf("Out begins at %d, the peer has acknowledged %d", got, acked)
	}
}

// A handler that waits for room hears of a reset, also when In has ended long before.
func TestAResetAfterTheEndOfInEndsTheWaitForRoom(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	w.write(w.ip(protoTCP, nil, c.tcp(flagFIN|flagACK, c.iss+1, c.irs+1, nil, nil)))
	if err := a.In.Wait(1, patience); err != io.EOF {
		t.Fatalf("after the last byte: %v, want EOF", err)
	}
	if err := a.Out.Append(patience, []byte("never acknowledged")); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload > 0 })
	w.write(w.ip(protoTCP, nil, c.tcp(flagRST|flagACK, c.iss+2, c.irs+1, nil, nil)))
	_, err := a.Out.Reserve(a.Out.Cap(), patience)
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("waiting for room ends with %v, want ECONNRESET or EPIPE", err)
	}
}

// An acknowledgement of what was never sent is none, and has the loop look for nothing.
func TestAnAcknowledgementOfTheUnsentIsIgnored(t *testing.T) {
	const window = 1000
	w := newWire(t, nil)
	ln := w.listen()
	c := &rawConn{w: w, port: 1001, iss: 7, window: window, unscaled: true}
	c.connect()
	a := w.accept(ln)
	f := a.Stream().(*flow)
	if err := a.Out.Append(patience, make([]byte, 5*window)); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.seq+uint32(s.payload) == c.irs+1+window })
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+window+1, nil, nil)))
	w.barrier(1)
	w.stack.onLoop(t, func() {
		if f.ackedTo != 0 || f.settleTries != 0 {
			t.Errorf("%d bytes are taken for acknowledged, looked for %d times", f.ackedTo, f.settleTries)
		}
	})
}

// One that TCP refuses, over and over, is looked for less and less often.
func TestARefusedAcknowledgementIsNotLookedForForEver(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	f := a.Stream().(*flow)
	if err := a.Out.Append(patience, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload > 0 })
	refused := w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+1000, nil, nil))
	w.writeWrong(refused)
	tries := func() (n int) {
		w.stack.onLoop(t, func() { n = f.settleTries })
		return n
	}
	eventually(t, "looked for often", func() bool { return tries() > settleTries })
	before := tries()
	for range 3 {
		w.writeWrong(refused)
	}
	w.barrier(1)
	if after := tries(); after < before {
		t.Errorf("looked for %d times, then from %d on again", before, after)
	}
}

// What leaves is what the handler said, whatever a peer acknowledges: a part, what it
// has acknowledged before, what was never sent, blocks that it has not got, with a
// window that opens and closes.
func TestWhatIsLentIsRightWhateverAPeerAcknowledges(t *testing.T) {
	const size = 256 << 10
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			w := newWire(t, func(c *Config) { c.RingOut = 64 << 10 })
			ln := w.listen()
			c := w.open(1001, 7)
			a := w.accept(ln)
			pushed := make(chan error, 1)
			go func() { pushed <- say(a, size) }()
			defer func() { a.Out.Refuse(nil); <-pushed }()

			p := acknowledger{c: c, rng: rng}
			for range 400 {
				p.acknowledge()
				w.barrierSeeing(1, func(f []byte) { p.check(t, f) })
			}
			for p.top < size { // and then in order
				p.una, c.window = p.top, 0xffff
				c.w.write(c.w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+p.una, nil, nil)))
				w.barrierSeeing(1, func(f []byte) { p.check(t, f) })
			}
			if start := a.Out.Start(); start > uint64(p.una) {
				t.Errorf("Out begins at %d, the peer has acknowledged %d", start, p.una)
			}
		})
	}
}

// say says size bytes of a known stream, in pieces of many sizes.
func say(a *ioarea.Area, size int) error {
	for off := 0; off < size; {
		n := min(1+off%7919, size-off)
		b, err := a.Out.Reserve(n, patience)
		if err != nil {
			return err
		}
		versioned(b, uint64(off), 3)
		a.Out.Commit(n)
		off += n
	}
	return nil
}

// An acknowledger is a peer that acknowledges as it likes.
type acknowledger struct {
	c        *rawConn
	rng      *rand.Rand
	una, top uint32 // offsets up to which it has acknowledged, and was sent
}

func (p *acknowledger) acknowledge() {
	c, rng := p.c, p.rng
	if p.top > p.una && rng.IntN(2) == 0 {
		p.una += 1 + rng.Uint32N(p.top-p.una)
	}
	c.window = []int{0xffff, 0xffff, 0, 1, 200}[rng.IntN(5)]
	ack := p.una
	switch rng.IntN(12) {
	case 0:
		ack = p.top + 5_000_000
	case 1:
		ack -= rng.Uint32N(p.una + 1)
	}
	var options []byte
	if p.top > p.una+2 && rng.IntN(3) == 0 {
		left := p.una + 1 + rng.Uint32N(p.top-p.una-1)
		options = []byte{1, 1, optionSACK, 10, 11: 0}
		binary.BigEndian.PutUint32(options[4:], c.irs+1+left)
		binary.BigEndian.PutUint32(options[8:], c.irs+1+left+1+rng.Uint32N(p.top-left))
	}
	c.w.write(c.w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+ack, options, nil)))
}

// check looks at what came, but for what the peer says it has.
func (p *acknowledger) check(t *testing.T, f []byte) {
	t.Helper()
	s := new(segment)
	if !parseFrame(f, len(f), s) || s.dstPort != p.c.port || s.payload == 0 {
		return
	}
	off := int32(s.seq - p.c.irs - 1)
	for i, b := range f[s.headerLen:] {
		var want [1]byte
		at := off + int32(i)
		if versioned(want[:], uint64(at), 3); at >= int32(p.una) && b != want[0] {
			t.Fatalf("byte %d is %#x, want %#x; %d are acknowledged", at, b, want[0], p.una)
		}
	}
	p.top = max(p.top, uint32(max(0, off+int32(s.payload))))
}
