package ioarea

import (
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
)

func TestTheEndOfAStreamIsToldApart(t *testing.T) {
	reset := os.NewSyscallError("read", syscall.ECONNRESET)
	for _, c := range []struct {
		name   string
		unread int
		end    func(*Ring)
		min    int
		want   error
	}{
		{"all is there", 10, func(r *Ring) { r.Close(nil) }, 10, nil},
		{"all is there, then broken", 10, func(r *Ring) { r.Close(reset) }, 10, nil},
		{"nothing is asked for", 0, func(r *Ring) { r.Close(reset) }, 0, nil},
		{"in order", 0, func(r *Ring) { r.Close(nil) }, 1, io.EOF},
		{"in the middle", 9, func(r *Ring) { r.Close(nil) }, 10, io.ErrUnexpectedEOF},
		{"reset", 0, func(r *Ring) { r.Close(reset) }, 1, reset},
		{"reset in the middle", 9, func(r *Ring) { r.Close(reset) }, 10, reset},
		{"the first end counts", 0, func(r *Ring) { r.Close(nil); r.Close(reset) }, 1, io.EOF},
		{"not yet", 9, func(*Ring) {}, 10, ErrTimeout},
		{"never", 9, func(*Ring) {}, MinRing + 1, ErrTooLong},
		{"never, and over", 0, func(r *Ring) { r.Close(nil) }, MinRing + 1, ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newTestArea(t, MinRing)
			r := a.In
			at(t, r, MinRing-5)
			place(r, c.unread)
			c.end(r)
			if err := r.Wait(c.min, NoWait); !errors.Is(err, c.want) {
				t.Errorf("Wait(%d, NoWait): %v, want %v", c.min, err, c.want)
			}
			if c.want != ErrTimeout {
				if err := r.Wait(c.min, Forever); !errors.Is(err, c.want) {
					t.Errorf("Wait(%d, Forever): %v, want %v", c.min, err, c.want)
				}
			}
			e := []PollEntry{{Area: a, Min: c.min}}
			n, err := Poll(e, NoWait)
			if ready := c.want != ErrTimeout; ready != e[0].Ready || ready != (n == 1) || ready != (err == nil) {
				t.Errorf("Poll: %d, %v, %+v", n, err, e[0])
			}
			if c.want != ErrTimeout && !errors.Is(e[0].Err, c.want) {
				t.Errorf("Poll says %v, want %v", e[0].Err, c.want)
			}
			if r.Len() != c.unread {
				t.Errorf("%d bytes are left of %d", r.Len(), c.unread)
			}
		})
	}
}

// TestTheLastBytesAreNotLostToTheEnd has the end come right behind them, while
// the consumer looks.
func TestTheLastBytesAreNotLostToTheEnd(t *testing.T) {
	rounds := 20_000
	if raceEnabled {
		rounds = 2_000
	}
	p := newTestPool(t, MinRing, MinRing, 1)
	last, done := make(chan *Ring), make(chan struct{})
	go func() {
		for r := range last {
			r.Advance(1)
			r.Close(nil)
			done <- struct{}{}
		}
	}()
	defer close(last)
	for range rounds {
		a := mustGet(t, p)
		last <- a.In
		err := ErrTimeout
		for err == ErrTimeout {
			err = a.In.Wait(1, NoWait)
		}
		if err != nil {
			t.Errorf("the last byte is there, and Wait says %v", err)
		}
		<-done
		mustPut(t, p, a)
	}
}

func TestARefusedRingTakesNothing(t *testing.T) {
	r := newTestRing(t, MinRing)
	if r.Refused() != nil {
		t.Fatal("refused from the start")
	}
	r.Refuse(nil)
	r.Refuse(io.ErrClosedPipe)
	if _, err := r.Reserve(1, Forever); err != ErrClosed {
		t.Errorf("Reserve: %v", err)
	}
	if err := r.Append(Forever, []byte("x")); err != ErrClosed {
		t.Errorf("Append: %v", err)
	}
	if r.Refused() != ErrClosed {
		t.Errorf("Refused: %v", r.Refused())
	}
}

func TestATimeoutIsATimeoutToAllOfGo(t *testing.T) {
	var timeout interface{ Timeout() bool }
	if !errors.Is(ErrTimeout, os.ErrDeadlineExceeded) || !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() {
		t.Error("ErrTimeout is not known as a timeout")
	}
}
