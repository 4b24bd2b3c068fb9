package ioarea

import (
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A testStream is a stream of the test's own: it notes how it was detached.
type testStream struct {
	Stream
	detached []error
}

func (s *testStream) Detach(err error) { s.detached = append(s.detached, err) }

func newTestStream(t testing.TB) (*Area, *testStream) {
	a, s := newTestArea(t, 64<<10), new(testStream)
	a.Bind(s)
	return a, s
}

func TestAHandlerIsCalledAgainWhenWhatItNeedsIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, s := newTestStream(t)
		in := a.In
		var done sync.WaitGroup
		done.Go(func() {
			for range 100 { // one byte a second
				time.Sleep(time.Second)
				place(in, 1)
			}
			in.Close(nil)
		})
		// Two requests of 40 bytes, dispatched on their headers of 4; then 20 more
		// bytes and the end.
		var lens []int
		err := Serve(a, HandlerFunc(func(a *Area) (Next, error) {
			lens = append(lens, a.In.Len())
			switch n := a.In.Len(); {
			case n < 4:
				return Next{Min: 4, Within: Forever}, nil
			case n < 40:
				return Next{Min: 40, Within: Forever}, nil
			}
			a.In.Consume(40)
			return Next{}, nil
		}))
		done.Wait()
		if err != io.ErrUnexpectedEOF {
			t.Errorf("Serve: %v", err)
		}
		if want := []int{0, 4, 40, 0, 4, 40, 0, 4}; !slices.Equal(lens, want) {
			t.Errorf("called with %v bytes, want %v", lens, want)
		}
		if len(s.detached) != 1 || s.detached[0] != err {
			t.Errorf("detached with %v", s.detached)
		}
	})
}

func TestServeTellsHowItEnded(t *testing.T) {
	reset := syscall.ECONNRESET
	own := errors.New("bad request")
	for _, c := range []struct {
		name   string
		unread int
		end    func(*Ring)
		next   Next
		fail   error
		want   error
	}{
		{"between requests", 0, func(r *Ring) { r.Close(nil) }, Next{Min: 10, Within: Forever}, nil, nil},
		{"the handler is done", 5, func(*Ring) {}, Next{}, io.EOF, nil},
		{"mid-request, of which the first part is consumed", 0, func(r *Ring) { r.Close(nil) }, Next{Min: 10, Within: Forever, Begun: true}, nil, io.ErrUnexpectedEOF},
		{"mid-request", 5, func(r *Ring) { r.Close(nil) }, Next{Min: 10, Within: Forever}, nil, io.ErrUnexpectedEOF},
		{"reset", 5, func(r *Ring) { r.Close(reset) }, Next{Min: 10, Within: Forever}, nil, reset},
		{"the handler fails", 5, func(*Ring) {}, Next{}, own, own},
		{"too slow", 5, func(*Ring) {}, Next{Min: 10, Within: time.Millisecond}, nil, ErrTimeout},
		{"too slow, by an hour", 5, func(*Ring) {}, Next{Min: 10, Within: time.Hour}, nil, ErrTimeout},
		{"at once or never", 5, func(*Ring) {}, Next{Min: 10, Within: NoWait}, nil, ErrTimeout},
		{"more than the ring", 5, func(*Ring) {}, Next{Min: 1 << 20, Within: Forever}, nil, ErrTooLong},
		{"less than nothing", 5, func(*Ring) {}, Next{Min: -1, Within: Forever}, nil, ErrTooLong},
	} {
		synctest.Test(t, func(t *testing.T) {
			a, s := newTestStream(t)
			place(a.In, c.unread)
			c.end(a.In)
			begin := time.Now()
			err := Serve(a, HandlerFunc(func(*Area) (Next, error) { return c.next, c.fail }))
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			if took := time.Since(begin); c.want == ErrTimeout && took != c.next.Within {
				t.Errorf("%s: took %v of %v", c.name, took, c.next.Within)
			}
			if len(s.detached) != 1 || s.detached[0] != err {
				t.Errorf("%s: Serve said %v, the stream was detached with %v", c.name, err, s.detached)
			}
			if ended, why := a.Out.Ended(); !ended || why != err || a.In.Refused() == nil {
				t.Errorf("%s: the area is not closed: %v, %v, %v", c.name, ended, why, a.In.Refused())
			}
		})
	}
}

// A server that stops answers what has begun, and begins nothing more.
func TestAFinishingStreamEndsBetweenRequests(t *testing.T) {
	const size = 40
	for _, c := range []struct {
		name     string
		before   int           // bytes that are there when it is told to finish
		consumed int           // of these, what the handler has taken: the request has begun
		after    time.Duration // when the rest comes; 0: never
		requests int
		want     error
	}{
		{"nothing is there", 0, 0, time.Second, 0, nil},
		{"a part is there", 10, 0, time.Second, 1, nil},
		{"a part is there, and its rest comes late", 10, 0, time.Minute, 1, nil},
		{"all that came of it is consumed", 10, 10, time.Second, 1, nil},
		{"two are there", 2 * size, 0, time.Second, 2, nil},
		{"the rest of a part never comes", 10, 0, 0, 0, ErrTimeout},
		{"the rest of a consumed part never comes", 10, 10, 0, 0, ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, s := newTestStream(t)
				place(a.In, c.before)
				missing, requests := size, 0
				take := func(n int) {
					a.In.Consume(n)
					if missing -= n; missing == 0 {
						missing, requests = size, requests+1
					}
				}
				served := make(chan error, 1)
				go func() {
					served <- Serve(a, HandlerFunc(func(a *Area) (Next, error) {
						if missing == size {
							take(min(c.consumed, a.In.Len()))
						}
						for a.In.Len() >= missing {
							take(missing)
						}
						return Next{Min: missing, Within: time.Hour, Begun: missing < size}, nil
					}))
				}()
				synctest.Wait()
				a.Finish()
				if c.after > 0 {
					time.Sleep(c.after)
					place(a.In, size-c.before%size)
				}
				if err := <-served; err != c.want || requests != c.requests {
					t.Errorf("%d requests, %v; want %d, %v", requests, err, c.requests, c.want)
				}
				if len(s.detached) != 1 {
					t.Errorf("detached with %v", s.detached)
				}
			})
		})
	}
}

// Whoever does not serve by requests is not told to finish.
func TestAPlainWaitDoesNotFinish(t *testing.T) {
	a, _ := newTestStream(t)
	a.Finish()
	if err := a.In.Wait(1, time.Millisecond); err != ErrTimeout {
		t.Errorf("%v", err)
	}
}

func TestAnIdleHandlersOutIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestStream(t)
		produce(t, a.Out, a.Out.Cap())
		a.Out.Consume(a.Out.Cap()) // the stream has sent it
		if err := Serve(a, HandlerFunc(func(*Area) (Next, error) { return Next{Min: 1, Within: time.Hour}, nil })); err != ErrTimeout {
			t.Error(err)
		}
		for i, b := range a.Out.mem[trimTo:a.Out.Cap()] {
			if b != 0 {
				t.Fatalf("byte %d is still there", trimTo+i)
			}
		}
	})
}

func TestAnAreaIsClosedOnce(t *testing.T) {
	own := errors.New("first")
	a, s := newTestStream(t)
	a.Abort(own)
	a.Close()
	a.Abort(errors.New("second"))
	if len(s.detached) != 1 || s.detached[0] != own {
		t.Errorf("detached with %v", s.detached)
	}
	newTestArea(t, MinRing).Close() // no stream: nobody to tell
}

func TestAReplyThatWasBegunIsNotSent(t *testing.T) {
	a, _ := newTestStream(t)
	produce(t, a.Out, 10)
	if _, err := a.Out.Reserve(10, NoWait); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if a.Out.Len() != 10 || a.Out.Wait(11, Forever) != io.ErrUnexpectedEOF {
		t.Errorf("%d bytes are sent, 10 were committed", a.Out.Len())
	}
}

func TestAPanickingHandlerAbortsItsStream(t *testing.T) {
	a, s := newTestStream(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = Serve(a, HandlerFunc(func(a *Area) (Next, error) {
			produce(t, a.Out, 10)
			panic("bug")
		}))
	}()
	if len(s.detached) != 1 || s.detached[0] == nil {
		t.Errorf("detached with %v", s.detached)
	}
}

// TestAClientThatStopsMidRequestFreesItsArea, over real connections.
func TestAClientThatStopsMidRequestFreesItsArea(t *testing.T) {
	p := newTestPool(t, 64<<10, 64<<10, 2)
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			rd, wr, peer := s.open(t)
			a, ended := start(t, p, rd, wr)
			if _, err := peer.Write(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			err := Serve(a, HandlerFunc(func(a *Area) (Next, error) {
				if a.In.Len() < 10 {
					return Next{Min: 10, Within: Forever}, nil
				}
				return Next{Min: 1000, Within: 20 * time.Millisecond}, nil
			}))
			if err != ErrTimeout || <-ended != ErrTimeout {
				t.Errorf("Serve: %v", err)
			}
			if p.Made() != 1 || len(p.free) != 1 {
				t.Errorf("%d areas are mapped, %d idle", p.Made(), len(p.free))
			}
			if _, err := io.ReadAll(peer); s.name == "TCP" && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client saw %v", err)
			}
		})
	}
}

// TestUseAfterTheEndPanicsAndHarmsNobody: an area that was put back has no
// memory.
func TestUseAfterTheEndPanicsAndHarmsNobody(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	p := newTestPool(t, MinRing, MinRing, 1)
	a := mustGet(t, p)
	mustPut(t, p, a)
	for name, f := range map[string]func(){
		"Peek":    func() { a.In.Peek(1) },
		"Consume": func() { a.In.Consume(0) },
		"Reserve": func() { _, _ = a.Out.Reserve(1, NoWait) },
		"Wait":    func() { _ = a.In.Wait(1, NoWait) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s on an area that was put back did not panic", name)
				}
			}()
			f()
		}()
	}
}
