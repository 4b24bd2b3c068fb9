package ioarea

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A wake calls the handler once more, though nothing has come: while it waits, and when it was busy.
func TestWakeCallsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestStream(t)
		in := a.In
		var news atomic.Int32
		var calls []int32
		var done sync.WaitGroup
		done.Go(func() {
			time.Sleep(time.Second)
			news.Store(1)
			in.Wake()
			synctest.Wait()
			in.Wake() // two that come together are one, or two
			in.Wake()
			time.Sleep(time.Second)
			in.Close(nil)
		})
		err := Serve(a, HandlerFunc(func(a *Area) (Next, error) {
			calls = append(calls, news.Load())
			if len(calls) == 1 {
				in.Wake() // while the handler runs
			}
			return Next{Min: 1, Within: Forever}, nil
		}))
		done.Wait()
		if err != nil {
			t.Error(err)
		}
		if n := len(calls); n < 4 || n > 5 || calls[1] != 0 || calls[2] != 1 {
			t.Errorf("called with %v", calls)
		}
	})
}

// A peer that has begun a request gets no more time for it by wakes; between requests the
// time counts anew.
func TestWakesDoNotProlongARequest(t *testing.T) {
	for _, c := range []struct {
		name  string
		begun bool
		there int
		want  time.Duration
	}{
		{"a request has begun", true, 0, 10 * time.Second},
		{"a part is there", false, 1, 10 * time.Second},
		{"between requests", false, 0, 110 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := newTestStream(t)
				in := a.In
				// Pages to give back make Serve wait in steps.
				if b, err := a.Out.Reserve(60<<10, NoWait); err != nil {
					t.Fatal(err)
				} else {
					clear(b)
				}
				a.Out.Commit(60 << 10)
				a.Out.Consume(60 << 10)
				place(in, c.there)
				var done sync.WaitGroup
				var over atomic.Bool
				done.Go(func() {
					for n := 0; n < 33 && !over.Load(); n++ { // every 3 s, 99 s long
						time.Sleep(3 * time.Second)
						in.Wake()
					}
				})
				start := time.Now()
				err := Serve(a, HandlerFunc(func(*Area) (Next, error) {
					return Next{Min: 2, Within: 10 * time.Second, Begun: c.begun}, nil
				}))
				took := time.Since(start)
				over.Store(true)
				done.Wait()
				if err != ErrTimeout || took < c.want-time.Second || took > c.want+time.Second {
					t.Errorf("%v after %v, want a timeout after %v", err, took, c.want)
				}
			})
		})
	}
}

// No wake is lost, whenever it comes: each is followed by a call.
func TestNoWakeIsLost(t *testing.T) {
	a, _ := newTestStream(t)
	var sent, seen atomic.Uint64
	const rounds = 20_000
	heard := make(chan struct{}, 1)
	var done sync.WaitGroup
	done.Go(func() {
		for range rounds {
			sent.Add(1)
			a.In.Wake()
			for seen.Load() < sent.Load() {
				<-heard
			}
		}
		a.In.Close(nil)
	})
	err := Serve(a, HandlerFunc(func(a *Area) (Next, error) {
		seen.Store(sent.Load())
		select {
		case heard <- struct{}{}:
		default:
		}
		return Next{Min: 1, Within: Forever}, nil
	}))
	done.Wait()
	if err != nil && err != io.EOF {
		t.Error(err)
	}
	// A stream that has ended, and an area that another stream has by now, take a wake and do nothing.
	a.In.Wake()
}
