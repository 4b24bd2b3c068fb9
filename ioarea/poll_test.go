package ioarea

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// TestPollWaitsForEachMinimum has 100 areas with a minimum each, which fill up
// byte by byte in virtual time: Poll comes back exactly when one is due.
func TestPollWaitsForEachMinimum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const areas = 100
		p := newTestPool(t, MinRing, MinRing, 0)
		entries := make([]PollEntry, areas)
		due := make([]int, areas)
		rnd := rand.New(rand.NewPCG(5, 6))
		for i := range entries {
			entries[i] = PollEntry{Area: mustGet(t, p), Min: 1 + rnd.IntN(500)}
			due[i] = entries[i].Min
			defer mustPut(t, p, entries[i].Area)
		}
		begin := time.Now()
		stop := make(chan struct{})
		stopped := make(chan struct{})
		rings := make([]*Ring, areas)
		for i := range rings {
			rings[i] = entries[i].Area.In
		}
		go func() { // one byte a second to each
			defer close(stopped)
			for range 501 {
				time.Sleep(time.Second)
				for _, r := range rings {
					place(r, 1)
				}
			}
			<-stop
		}()
		for left := areas; left > 0; {
			n, err := Poll(entries, Forever)
			if err != nil || n == 0 {
				t.Fatalf("Poll: %d, %v", n, err)
			}
			synctest.Wait() // the second's other bytes
			now := int(time.Since(begin) / time.Second)
			for i := range entries {
				switch e := &entries[i]; {
				case e.Ready && (e.Err != nil || e.Area.In.Len() < e.Min):
					t.Fatalf("entry %d is ready with %d of %d bytes, %v", i, e.Area.In.Len(), e.Min, e.Err)
				case e.Ready:
					if due[i] != now {
						t.Fatalf("entry %d: ready at %d, due at %d", i, now, due[i])
					}
					e.Area.In.Consume(e.Min)
					e.Min, due[i] = MinRing, 0 // not again
					left--
				case due[i] != 0 && due[i] < now:
					t.Fatalf("entry %d was due at %d, it is %d", i, due[i], now)
				}
			}
		}
		close(stop)
		<-stopped
	})
}

func TestPollMarksAllThatAreReady(t *testing.T) {
	p := newTestPool(t, MinRing, MinRing, 0)
	entries := make([]PollEntry, 5)
	for i := range entries {
		entries[i] = PollEntry{Area: mustGet(t, p), Min: 10}
		defer mustPut(t, p, entries[i].Area)
	}
	place(entries[0].Area.In, 9)
	place(entries[1].Area.In, 10)
	entries[2].Area.In.Close(nil)
	entries[3].Area.In.Close(errors.New("broken"))
	entries[4].Min = 0
	entries[0].Ready, entries[0].Err = true, io.EOF // of an earlier poll
	n, err := Poll(entries, Forever)
	if n != 4 || err != nil {
		t.Fatalf("Poll: %d, %v", n, err)
	}
	for i, want := range []struct {
		ready bool
		err   string
	}{{false, ""}, {true, ""}, {true, "EOF"}, {true, "broken"}, {true, ""}} {
		got := ""
		if entries[i].Err != nil {
			got = entries[i].Err.Error()
		}
		if entries[i].Ready != want.ready || got != want.err {
			t.Errorf("entry %d: %v, %q; want %+v", i, entries[i].Ready, got, want)
		}
	}
	for i := range entries {
		if entries[i].Area.In.data.mark.Load() != noMark {
			t.Errorf("Poll left its mark on entry %d", i)
		}
	}
}

func TestPollComesBackWhenAStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPool(t, MinRing, MinRing, 0)
		entries := make([]PollEntry, 3)
		for i := range entries {
			entries[i] = PollEntry{Area: mustGet(t, p), Min: 100}
			defer mustPut(t, p, entries[i].Area)
		}
		last := entries[2].Area.In
		go func() {
			time.Sleep(time.Hour)
			last.Close(nil)
		}()
		if n, err := Poll(entries, Forever); n != 1 || err != nil || entries[2].Err != io.EOF {
			t.Errorf("Poll: %d, %v, %+v", n, err, entries[2])
		}
	})
}

// TestPollMissesNothing runs producers on real goroutines against one poller.
func TestPollMissesNothing(t *testing.T) {
	const areas, messages = 8, 2000
	p := newTestPool(t, MinRing, MinRing, 0)
	entries := make([]PollEntry, areas)
	for i := range entries {
		entries[i] = PollEntry{Area: mustGet(t, p), Min: 1 + i*3}
		defer mustPut(t, p, entries[i].Area)
	}
	for i := range entries {
		r, n := entries[i].Area.In, entries[i].Min
		go func() {
			defer r.Close(nil)
			for range messages {
				b, err := r.Reserve(n, Forever)
				if err != nil {
					t.Error(err)
					return
				}
				fill(b, r.End())
				r.Commit(n)
			}
		}()
	}
	for open := areas; open > 0; {
		if _, err := Poll(entries, time.Minute); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(entries); i++ {
			e := &entries[i]
			if !e.Ready {
				continue
			}
			if e.Err != nil {
				if got, want := e.Area.In.End(), uint64(messages*e.Min); e.Err != io.EOF || got != want {
					t.Fatalf("%v after %d bytes of %d", e.Err, got, want)
				}
				entries[i] = entries[len(entries)-1]
				entries = entries[:len(entries)-1]
				open--
				i--
				continue
			}
			checkBytes(t, e.Area.In.Peek(e.Min), e.Area.In.Start())
			e.Area.In.Consume(e.Min)
		}
	}
}
