package ioarea

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// at puts an empty ring's cursors at off, and its map at base 0.
func at(t testing.TB, r *Ring, off uint64) {
	t.Helper()
	r.p.base.Store(0)
	r.p.end.Store(off)
	r.c.start.Store(off)
}

func TestEveryRangeOfTheRingIsContiguous(t *testing.T) {
	r := newTestRing(t, MinRing)
	size := r.Cap()
	if size != MinRing {
		t.Skipf("pages are larger than %d bytes", MinRing)
	}
	// From each offset, the largest range wraps at each place of itself; the
	// others straddle the end by one byte, and by half.
	for off := range size {
		for _, n := range []int{1, 2, size - off, size - off + 1, size / 2, size - 1, size} {
			if n > size {
				continue
			}
			at(t, r, uint64(off))
			stream := uint64(off) * 7919
			b := r.Tail(r.End(), n)
			if len(b) != n || cap(b) != n {
				t.Fatalf("Tail(%d, %d) has length %d and capacity %d", off, n, len(b), cap(b))
			}
			fill(b, stream)
			r.Advance(n)
			p := r.Peek(n)
			if len(p) != n || cap(p) != n {
				t.Fatalf("Peek(%d) at %d has length %d and capacity %d", n, off, len(p), cap(p))
			}
			checkBytes(t, p, stream)
			r.Consume(n)
		}
	}
}

func TestReservedBytesArePeekedWhereTheyWereWritten(t *testing.T) {
	r := newTestRing(t, MinRing)
	for off := range r.Cap() {
		at(t, r, uint64(off))
		place(r, 1) // so that Reserve does not rewind
		n := r.Cap() - 1
		b, err := r.Reserve(n, NoWait)
		if err != nil {
			t.Fatal(err)
		}
		fill(b, r.End())
		r.Commit(n)
		if p := r.Peek(-1)[1:]; len(p) != len(b) || !r.InPlace(r.Start()+1, p) || !r.InPlace(r.Start()+1, b) {
			t.Fatalf("offset %d: Peek shows another place than Reserve gave", off)
		}
		checkBytes(t, r.Peek(-1), r.Start())
		r.Consume(n + 1)
	}
}

func TestChunksOfEverySizeWrapAtEveryOffset(t *testing.T) {
	// Relatively prime chunk sizes bring each cursor to each offset.
	for _, c := range []struct{ write, read int }{
		{1, 1}, {7, 5}, {13, 4096}, {4095, 1}, {4095, 4093}, {4096, 4096}, {1021, 2039}, {3, 4001},
	} {
		r := newTestRing(t, MinRing)
		total := uint64(r.Cap() * 64)
		if c.write*c.read > 1<<20 {
			total *= 16
		}
		for r.Start() < total {
			for r.Free() >= c.write {
				place(r, c.write)
			}
			for r.Len() > 0 && (r.Len() >= c.read || r.Free() < c.write) {
				p := r.Peek(c.read)
				checkBytes(t, p, r.Start())
				r.Consume(len(p))
			}
		}
	}
}

func TestPartsAreReservedInARowAndCommittedInPieces(t *testing.T) {
	r := newTestRing(t, MinRing)
	at(t, r, uint64(r.Cap()-50))
	place(r, 3) // and leave it there, so that the parts wrap
	var parts [][]byte
	for _, n := range []int{5, 0, 100, 1} {
		b, err := r.Reserve(n, NoWait)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, b)
	}
	off := r.End()
	for i := len(parts) - 1; i >= 0; i-- { // in any order
		at := off
		for _, b := range parts[:i] {
			at += uint64(len(b))
		}
		fill(parts[i], at)
	}
	if r.Len() != 3 || len(r.Peek(-1)) != 3 {
		t.Fatal("the consumer sees what is not committed")
	}
	for _, n := range []int{0, 2, 4, 99} {
		before := r.Len()
		r.Commit(n)
		if r.Len() != before+n {
			t.Fatalf("Commit(%d) made %d bytes of %d", n, r.Len(), before)
		}
		checkBytes(t, r.Peek(-1), r.Start())
	}
	// One byte is still reserved: what is reserved next lies behind it.
	r.Consume(r.Len())
	b, err := r.Reserve(10, NoWait)
	if err != nil {
		t.Fatal(err)
	}
	fill(b, off+106)
	r.Commit(11)
	checkBytes(t, r.Peek(-1), off+105)
}

func TestCancelledBytesWereNeverThere(t *testing.T) {
	r := newTestRing(t, MinRing)
	produce(t, r, 10)
	first, err := r.Reserve(r.Free(), NoWait)
	if err != nil {
		t.Fatal(err)
	}
	if r.Free() != 0 {
		t.Fatalf("%d bytes are free after all were reserved", r.Free())
	}
	r.Cancel()
	if r.Free() != r.Cap()-10 || r.Len() != 10 {
		t.Fatalf("after Cancel %d free, %d to read", r.Free(), r.Len())
	}
	again, err := r.Reserve(1, NoWait)
	if err != nil || &again[0] != &first[0] {
		t.Fatalf("a reservation after Cancel is elsewhere: %v", err)
	}
}

func TestAnEmptiedRingBeginsAgainAtItsFirstPage(t *testing.T) {
	r := newTestRing(t, MinRing)
	first := &r.mem[0]
	for range 10 {
		b, err := r.Reserve(1000, NoWait)
		if err != nil {
			t.Fatal(err)
		}
		if &b[0] != first {
			t.Fatal("the ring is empty, and the reservation is not at its beginning")
		}
		fill(b, r.End())
		r.Commit(1000)
		if r.Rewind() {
			t.Fatal("Rewind took a ring with unread bytes for empty")
		}
		p := r.Peek(-1)
		checkBytes(t, p, r.Start())
		r.Consume(len(p))
	}
	if !r.Rewind() {
		t.Fatal("Rewind did not see that the ring is empty")
	}
	if _, err := r.Reserve(1, NoWait); err != nil {
		t.Fatal(err)
	}
	if r.Rewind() {
		t.Fatal("Rewind moved the map under a reservation")
	}
}

func TestAppendJoinsHeaderAndBody(t *testing.T) {
	r := newTestRing(t, MinRing)
	at(t, r, uint64(r.Cap()-3))
	place(r, 1)
	if err := r.Append(NoWait, []byte("head"), []byte("er"), nil, []byte(" body")); err != nil {
		t.Fatal(err)
	}
	if got := r.Peek(-1)[1:]; string(got) != "header body" {
		t.Fatalf("%q", got)
	}
	big := make([]byte, r.Cap())
	if err := r.Append(NoWait, nil, big); err != ErrTimeout {
		t.Fatalf("no room: %v", err)
	}
	if err := r.Append(NoWait, []byte{1}, big); !errors.Is(err, ErrTooLong) {
		t.Fatalf("longer than the ring: %v", err)
	}
	if got := r.Peek(-1)[1:]; string(got) != "header body" {
		t.Fatalf("a failed Append left %q", got)
	}
}

func TestShownBytesNeverChangeBeforeTheyAreConsumed(t *testing.T) {
	r := newTestRing(t, MinRing)
	for off := range r.Cap() {
		at(t, r, uint64(off))
		place(r, 1500)
		shown := r.Peek(-1)
		saved := bytes.Clone(shown)
		// All that a producer may do meanwhile: fill what is free, place beyond
		// end, cancel, rewind and trim.
		b, err := r.Reserve(r.Free(), NoWait)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		r.Cancel()
		clear(r.Tail(r.End(), r.Free()))
		r.Rewind()
		r.Trim(0)
		produce(t, r, r.Free())
		if !bytes.Equal(shown, saved) {
			t.Fatalf("bytes at %d changed", off)
		}
		r.Consume(61) // the rest of what was shown stays shown
		produce(t, r, 61)
		if !bytes.Equal(shown[61:], saved[61:]) {
			t.Fatalf("bytes at %d changed after others were consumed", off)
		}
		r.Consume(r.Len())
	}
}

func TestMisuseOfTheRingIsToldAndNothingElse(t *testing.T) {
	r := newTestRing(t, MinRing)
	produce(t, r, 10)
	for name, f := range map[string]func(){
		"consume more than there is": func() { r.Consume(11) },
		"consume less than nothing":  func() { r.Consume(-1) },
		"commit more than reserved":  func() { r.Commit(1) },
		"commit less than nothing":   func() { r.Commit(-1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
				if r.Len() != 10 || r.Free() != r.Cap()-10 {
					t.Error("the ring has changed")
				}
			}()
			f()
		})
	}
	for _, n := range []int{math.MinInt, -1, r.Cap() + 1, math.MaxInt} {
		if _, err := r.Reserve(n, Forever); !errors.Is(err, ErrTooLong) {
			t.Errorf("Reserve(%d): %v", n, err)
		}
		if err := r.Wait(n, Forever); !errors.Is(err, ErrTooLong) {
			t.Errorf("Wait(%d): %v", n, err)
		}
	}
	for _, n := range []int{math.MinInt, -1, 11, math.MaxInt} {
		if got := len(r.Peek(n)); got != 10 {
			t.Errorf("Peek(%d) has %d bytes", n, got)
		}
	}
	r.Consume(10)
	for _, keep := range []int{math.MinInt, -1, 0, r.Cap(), math.MaxInt} {
		r.Trim(keep)
	}
}

func TestRoundSizeGivesPowersOfTwoOfPages(t *testing.T) {
	for _, c := range []struct{ n, want int }{
		{math.MinInt, MinRing}, {0, MinRing}, {1, MinRing}, {MinRing, MinRing}, {MinRing + 1, 2 * MinRing},
		{8<<20 - 1, 8 << 20}, {MaxRing, MaxRing}, {MaxRing + 1, 0}, {math.MaxInt, 0},
	} {
		got, err := RoundSize(c.n)
		if got != c.want || (c.want == 0) != errors.Is(err, ErrSize) {
			t.Errorf("RoundSize(%d) = %d, %v; want %d", c.n, got, err, c.want)
		}
	}
}
