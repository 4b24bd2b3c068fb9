package ioarea

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneWakeForEachCrossedMark(t *testing.T) {
	r := newTestRing(t, MinRing)
	wakes := 0
	w := NewWaker(func() { wakes++ })
	if !r.ArmData(1000, w) {
		t.Fatal("a mark that is not reached was not armed")
	}
	for r.End() < 3000 {
		woke := r.Len() < 1000 && r.Len()+100 >= 1000
		fill(r.Tail(r.End(), 100), r.End())
		if r.Advance(100) != woke {
			t.Fatalf("Advance to %d: woke is %v", r.End(), !woke)
		}
	}
	if wakes != 1 {
		t.Fatalf("%d wakes for one mark", wakes)
	}
	r.Close(nil)
	if wakes != 1 {
		t.Fatal("the end woke a consumer who was awake")
	}

	// The same for room: the ring holds 3000 of 4096 bytes.
	wakes = 0
	if r.ArmRoom(r.Free(), w) || !r.ArmRoom(3000, w) {
		t.Fatal("ArmRoom: armed for room that is there, or not for room that is not")
	}
	for r.Len() > 0 {
		r.Consume(100)
	}
	r.Refuse(nil)
	if wakes != 1 {
		t.Fatalf("%d wakes for one mark of room", wakes)
	}
	if r.ArmData(5000, w) || r.ArmRoom(MinRing, w) {
		t.Fatal("armed after the end")
	}
}

func TestRoomIsReckonedFromReservedBytes(t *testing.T) {
	for _, off := range []uint64{0, 1, MinRing - 1, MinRing, 5*MinRing + 7} {
		for _, c := range []struct{ unread, reserved, need int }{
			{0, 0, 0}, {0, 0, MinRing}, {1, 0, MinRing - 1}, {1, 0, MinRing}, {MinRing, 0, 0}, {MinRing, 0, 1},
			{100, 200, MinRing - 300}, {100, 200, MinRing - 299}, {0, MinRing, 0}, {0, MinRing, 1}, {0, 1, MinRing - 1},
		} {
			r := newTestRing(t, MinRing)
			at(t, r, off)
			r.Advance(c.unread)
			if _, err := r.Reserve(c.reserved, NoWait); err != nil {
				t.Fatal(err)
			}
			fits := c.unread+c.reserved+c.need <= MinRing
			if armed := r.ArmRoom(c.need, NewWaker(func() {})); armed == fits {
				t.Errorf("at %d, %+v: armed is %v", off, c, armed)
			}
			_, err := r.Reserve(c.need, NoWait)
			if (err == nil) != fits {
				t.Errorf("at %d, %+v: Reserve: %v", off, c, err)
			}
		}
	}
}

// TestAMarkIsNeverCrossedUnseen runs a waiter against a mover as close as they
// get: whichever comes first, there is one call for true, and none for false.
func TestAMarkIsNeverCrossedUnseen(t *testing.T) {
	rounds := 200_000
	if raceEnabled {
		rounds = 20_000
	}
	for _, c := range []struct {
		name string
		arm  func(*Ring, *Waker) bool
		move func(*Ring)
	}{
		{"data", func(r *Ring, w *Waker) bool { return r.ArmData(r.Start()+1, w) }, func(r *Ring) { r.Advance(1) }},
		{"room", func(r *Ring, w *Waker) bool { return r.ArmRoom(MinRing, w) }, func(r *Ring) { r.Consume(1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newTestRing(t, MinRing)
			var calls atomic.Int64
			w := NewWaker(func() { calls.Add(1) })
			var round, moved atomic.Int64
			var done sync.WaitGroup
			defer done.Wait()
			done.Go(func() {
				for i := range int64(rounds) {
					for spins := 1; round.Load() <= i; spins++ {
						if spins%1000 == 0 {
							runtime.Gosched()
						}
					}
					c.move(r)
					moved.Store(i + 1)
				}
			})
			for i := range int64(rounds) {
				if c.name == "room" {
					r.Advance(1)
				}
				before := calls.Load()
				round.Store(i + 1)
				for range i % 200 { // from before the move to after it
					_ = moved.Load()
				}
				armed := c.arm(r, w)
				for spins := 1; moved.Load() <= i; spins++ {
					if spins%1000 == 0 {
						runtime.Gosched()
					}
				}
				if n := calls.Load() - before; armed != (n == 1) || n > 1 {
					t.Errorf("round %d: armed is %v, calls %d", i, armed, n)
				}
				if c.name == "data" {
					r.Consume(1)
				}
			}
		})
	}
}

func TestWaitComesBackWhenItsBytesAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRing(t, MinRing)
		woken := make(chan time.Duration)
		begin := time.Now()
		go func() {
			if err := r.Wait(1000, time.Minute); err != nil {
				t.Error(err)
			}
			woken <- time.Since(begin)
		}()
		for range 10 {
			time.Sleep(time.Second)
			produce(t, r, 100)
		}
		if got := <-woken; got != 10*time.Second {
			t.Errorf("came back after %v, the bytes came after 10s", got)
		}
	})
}

func TestTimeouts(t *testing.T) {
	for _, timeout := range []time.Duration{NoWait, 1, time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := newTestArea(t, MinRing)
			place(a.In, 99)
			place(a.Out, 1)
			for name, wait := range map[string]func() error{
				"Wait":    func() error { return a.In.Wait(100, timeout) },
				"Reserve": func() error { _, err := a.Out.Reserve(MinRing, timeout); return err },
				"Append":  func() error { return a.Out.Append(timeout, make([]byte, MinRing)) },
				"Poll":    func() error { _, err := Poll([]PollEntry{{Area: a, Min: 100}}, timeout); return err },
				"Poll of none": func() error {
					_, err := Poll(nil, timeout)
					return err
				},
			} {
				begin := time.Now()
				if err := wait(); err != ErrTimeout {
					t.Errorf("%s(%v): %v", name, timeout, err)
				}
				if got := time.Since(begin); got != timeout {
					t.Errorf("%s(%v) took %v", name, timeout, got)
				}
			}
			// Nothing of it is left: what comes now wakes nobody.
			if place(a.In, 1); a.In.data.mark.Load() != noMark || a.Out.room.mark.Load() != noMark {
				t.Error("a wait that timed out left its mark")
			}
			if err := a.In.Wait(100, timeout); err != nil {
				t.Errorf("bytes are there: %v", err)
			}
		})
	}
}

func TestForeverEndsWithTheConditionOrTheStream(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		wait func(*Ring) error
		act  func(*Ring)
		want error
	}{
		{"bytes", waitAll, func(r *Ring) { r.Advance(MinRing - 100) }, nil},
		{"close", waitAll, func(r *Ring) { r.Close(broken) }, broken},
		{"room", reserveAll, func(r *Ring) { r.Consume(100) }, nil},
		{"refuse", reserveAll, func(r *Ring) { r.Refuse(broken) }, broken},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newTestRing(t, MinRing)
			place(r, 100)
			err := make(chan error)
			go func() { err <- c.wait(r) }()
			time.Sleep(1000 * time.Hour)
			select {
			case e := <-err:
				t.Fatalf("%s: came back before: %v", c.name, e)
			default:
			}
			c.act(r)
			if e := <-err; e != c.want {
				t.Errorf("%s: %v", c.name, e)
			}
		})
	}
}

func waitAll(r *Ring) error    { return r.Wait(MinRing, Forever) }
func reserveAll(r *Ring) error { _, err := r.Reserve(MinRing, Forever); return err }

func TestAWakeThatCameTooLateIsOnlySpurious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRing(t, MinRing)
		r.sleeper().wake() // as a producer that claimed the mark of a wait now over
		begin := time.Now()
		if err := r.Wait(1, time.Second); err != ErrTimeout || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestAConsumerThatWantsMoreWakesAProducerThatHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newTestRing(t, MinRing)
		place(r, 3000)
		wakes := 0
		if !r.ArmRoom(2000, NewWaker(func() { wakes++ })) {
			t.Fatal("not armed")
		}
		if r.Wanting() {
			t.Fatal("nobody waits")
		}
		var done sync.WaitGroup
		done.Go(func() {
			if err := r.Wait(3500, Forever); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if wakes != 1 || !r.Wanting() {
			t.Errorf("%d wakes, Wanting is %v", wakes, r.Wanting())
		}
		place(r, 500)
		done.Wait()
		if r.Wanting() {
			t.Error("nobody waits any more")
		}
	})
}
