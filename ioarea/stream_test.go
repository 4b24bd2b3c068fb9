package ioarea

import (
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// TestEveryByteArrivesOnce has a producer and a consumer on goroutines of their
// own, with chunks of random size and each way that the ring has to wait.
func TestEveryByteArrivesOnce(t *testing.T) {
	total := 128 << 20
	if raceEnabled || testing.Short() {
		total = 16 << 20
	}
	for _, c := range []struct {
		name        string
		size, chunk int
	}{
		{"ring of a page", MinRing, MinRing},
		{"ring of 1 MiB, small chunks", 1 << 20, 2000},
		{"ring of 256 KiB, large chunks", 256 << 10, 256 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := total
			if c.size == MinRing {
				n /= 8 // a goroutine switch for each few kilobytes
			}
			r := newTestRing(t, c.size)
			sent := make(chan uint32, 1)
			go func() { sent <- sendRandom(t, r, n, c.chunk) }()
			got := receiveRandom(t, r, n, c.chunk)
			if want := <-sent; got != want {
				t.Errorf("checksum %#x, sent %#x", got, want)
			}
		})
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sendRandom(t *testing.T, r *Ring, total, chunk int) (sum uint32) {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, r.Cap()+64)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	for total > 0 {
		n := min(1+rnd.IntN(chunk), total)
		src := noise[rnd.IntN(64):][:n]
		sum = crc32.Update(sum, castagnoli, src)
		total -= n
		var err error
		switch rnd.IntN(3) {
		case 0:
			cut := rnd.IntN(n + 1)
			err = r.Append(Forever, src[:cut], src[cut:])
		case 1:
			err = inParts(r, rnd, src)
		default:
			err = asStack(r, src)
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	r.Close(nil)
	return sum
}

// inParts reserves twice, fills the second part first, and commits in pieces.
func inParts(r *Ring, rnd *rand.Rand, src []byte) error {
	cut := rnd.IntN(len(src) + 1)
	a, err := r.Reserve(cut, Forever)
	if err != nil {
		return err
	}
	b, err := r.Reserve(len(src)-cut, Forever)
	if err != nil {
		return err
	}
	copy(b, src[cut:])
	copy(a, src)
	cut = rnd.IntN(len(src) + 1)
	r.Commit(cut)
	r.Commit(len(src) - cut)
	return nil
}

// asStack places what there is room for beyond end, and then moves end.
func asStack(r *Ring, src []byte) error {
	room := newSleeper()
	for len(src) > 0 {
		for r.ArmRoom(1, room) {
			room.sleep(time.Time{})
		}
		if err := r.Refused(); err != nil {
			return err
		}
		r.Rewind()
		n := copy(r.Tail(r.End(), min(r.Free(), len(src))), src)
		r.Advance(n)
		src = src[n:]
	}
	return nil
}

func receiveRandom(t *testing.T, r *Ring, total, chunk int) (sum uint32) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for total > 0 {
		// More than a quarter of the ring could wait for a reservation that waits
		// for this.
		want := min(1+rnd.IntN(chunk), total, max(1, r.Cap()-chunk))
		var err error
		if rnd.IntN(8) == 0 {
			err = r.Wait(want, 50*time.Microsecond)
		} else {
			err = r.Wait(want, Forever)
		}
		if err != nil && err != ErrTimeout {
			t.Error(err)
			r.Refuse(err)
			return sum
		}
		p := r.Peek(rnd.IntN(chunk) + 1)
		sum = crc32.Update(sum, castagnoli, p)
		total -= len(p)
		r.Consume(len(p))
	}
	if err := r.Wait(1, Forever); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	return sum
}
