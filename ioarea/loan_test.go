package ioarea

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A testLender lends memory that may become something else once it has been returned.
type testLender struct {
	mu       sync.Mutex
	mem      []byte
	returned int
}

func (l *testLender) CopyLent(dst, src []byte) error {
	copy(dst, src)
	return nil
}

func (l *testLender) Returned() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned++
	for i := range l.mem { // the lender's own again
		l.mem[i] ^= 0xff
	}
}

func TestLentBytesAreReadInTheirPlace(t *testing.T) {
	pool := newTestPool(t, MinRing, MinRing, 1)
	rapid.Check(t, func(t *rapid.T) {
		area, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		r := area.Out
		r.TakeLoans()
		var said []byte // and not consumed
		var lenders []*testLender
		value := byte(0)
		fill := func(b []byte) []byte {
			for i := range b {
				value++
				b[i] = value
			}
			return b
		}
		t.Repeat(map[string]func(*rapid.T){
			"say": func(t *rapid.T) {
				head, body, tail := rapid.IntRange(0, 40).Draw(t, "head"), rapid.IntRange(1, 900).Draw(t, "body"), rapid.IntRange(0, 40).Draw(t, "tail")
				n := head + body + tail
				if r.Free() < n {
					t.Skip()
				}
				b, err := r.Reserve(n, NoWait)
				if err != nil {
					t.Fatal(err)
				}
				clear(b)
				whole := fill(make([]byte, n))
				copy(b[:head], whole)
				copy(b[head+body:], whole[head+body:])
				l := &testLender{mem: bytes.Clone(whole[head : head+body])}
				if r.MayLend() {
					if !r.Lend(head, l.mem, l) {
						t.Fatal("a loan is refused")
					}
					lenders = append(lenders, l)
				} else {
					copy(b[head:], l.mem)
				}
				r.Commit(n)
				said = append(said, whole...)
			},
			"look": func(t *rapid.T) {
				if len(said) == 0 {
					t.Skip()
				}
				from := rapid.IntRange(0, len(said)-1).Draw(t, "from")
				n := rapid.IntRange(1, len(said)-from).Draw(t, "n")
				got := bytes.Join(r.Borrow(nil, r.Start()+uint64(from), n), nil)
				r.Return()
				if !bytes.Equal(got, said[from:from+n]) {
					t.Fatalf("%d bytes from %d on are % x, want % x", n, from, got, said[from:from+n])
				}
			},
			"consume": func(t *rapid.T) {
				n := rapid.IntRange(0, len(said)).Draw(t, "n")
				r.Consume(n)
				said = said[n:]
			},
			"take one back": func(t *rapid.T) {
				if len(lenders) == 0 {
					t.Skip()
				}
				l := rapid.SampledFrom(lenders).Draw(t, "lender")
				r.TakeBack(l)
				if l.returned != 1 {
					t.Fatalf("returned %d times", l.returned)
				}
			},
			"take a range back": func(t *rapid.T) {
				r.TakeBackRange(r.Start()+uint64(rapid.IntRange(0, 2000).Draw(t, "from")), rapid.IntRange(0, 500).Draw(t, "n"))
			},
		})
		if err := pool.Put(area); err != nil {
			t.Fatal(err)
		}
		for i, l := range lenders {
			if l.returned != 1 {
				t.Fatalf("loan %d of %d was returned %d times", i, len(lenders), l.returned)
			}
		}
	})
}

// Whoever takes something back changes it at once, and no reader may see that.
func TestWhatIsTakenBackIsReadAsItWas(t *testing.T) {
	const messages, body = 3000, 1000
	a := newTestArea(t, 16<<10)
	r := a.Out
	r.TakeLoans()
	out := make(chan *testLender, MaxLoans) // to those who take back
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			for l := range out {
				r.TakeBack(l)
			}
		})
	}
	running.Go(func() {
		defer close(out)
		for i := range messages {
			b, err := r.Reserve(1+body, Forever)
			if err != nil {
				t.Error(err)
				return
			}
			clear(b)
			b[0] = byte(i)
			l := &testLender{mem: bytes.Repeat([]byte{byte(i)}, body)}
			if !r.Lend(1, l.mem, l) {
				copy(b[1:], l.mem)
				r.Commit(1 + body)
				continue
			}
			r.Commit(1 + body)
			out <- l
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	for read := 0; read < messages*(1+body); {
		if err := r.Wait(1, time.Minute); err != nil {
			t.Fatal(err)
		}
		n := 1 + random.IntN(r.Len())
		at := read
		for _, b := range r.Borrow(nil, r.Start(), n) {
			for _, got := range b {
				if want := byte(at / (1 + body)); got != want {
					t.Fatalf("byte %d is %#x, want %#x", at, got, want)
				}
				at++
			}
		}
		r.Return()
		r.Consume(n)
		read += n
	}
	running.Wait()
}

func TestOnlyAConsumerThatTakesLoansIsLentTo(t *testing.T) {
	r := newTestRing(t, MinRing)
	if _, err := r.Reserve(10, NoWait); err != nil {
		t.Fatal(err)
	}
	l := &testLender{mem: make([]byte, 10)}
	if r.MayLend() || r.Lend(0, l.mem, l) {
		t.Error("lent to a consumer that may read it itself")
	}
	r.TakeLoans()
	if r.Lend(1, l.mem, l) {
		t.Error("lent more than is reserved")
	}
	for i := range MaxLoans {
		if !r.Lend(i%2, l.mem[:1], l) {
			t.Fatalf("loan %d refused", i)
		}
	}
	if r.MayLend() || r.Lend(0, l.mem, l) {
		t.Error("more loans than there may be")
	}
}
