package smbproto

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// steady is a request that can be handled again and again.
type steady struct {
	p   *peer
	b   []byte // the frame
	msg []byte // in it
	ids uint64
}

func newSteady(p *peer, msg []byte) *steady {
	b := frame(msg)
	return &steady{p: p, b: b, msg: b[wire.FrameHeaderSize:], ids: uint64(max(wire.Header(msg).CreditCharge(), 1))}
}

// once feeds the request with the next id, in pieces of at most piece bytes, and
// throws its answer away.
func (s *steady) once(tb testing.TB, piece int) {
	s.renumber()
	if r := s.exchange(tb, s.b, piece); wire.Header(r).Status() != wire.StatusOK {
		tb.Fatal("the request was refused")
	}
	s.p.a.Out.Consume(s.p.a.Out.Len())
}

// renumber gives the request the next id.
func (s *steady) renumber() {
	le.PutUint64(s.msg[24:], s.p.message)
	s.p.message += s.ids
}

// exchange feeds the frame b in pieces of at most piece bytes, and returns what the answer's
// frame holds, which is still in the out ring.
func (s *steady) exchange(tb testing.TB, b []byte, piece int) []byte {
	for len(b) > 0 {
		n := min(len(b), piece)
		if err := s.p.a.In.Append(ioarea.NoWait, b[:n]); err != nil {
			tb.Fatal(err)
		}
		if _, err := s.p.c.Handle(s.p.a); err != nil {
			tb.Fatal(err)
		}
		b = b[n:]
	}
	out := s.p.a.Out
	r := out.Peek(out.Len())
	if len(r) < wire.FrameHeaderSize+wire.HeaderSize {
		tb.Fatal("there is no answer")
	}
	return r[wire.FrameHeaderSize:]
}

func steadyRead(tb testing.TB, n int) *steady {
	p := newPeer(tb, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(n))), wire.StatusOK)
	msg := p.readMsg(id, 0, n)
	p.message--
	return newSteady(p, msg)
}

func steadyWrite(tb testing.TB, n int) *steady {
	p := newPeer(tb, nil).logOn("pub")
	msg := p.writeMsg(p.newFile("file"), 0, pattern(n))
	p.message--
	return newSteady(p, msg)
}

func TestReadAndWriteAllocateNothing(t *testing.T) {
	lent := steadyRead(t, 1<<20)
	lent.p.lent()
	for name, s := range map[string]*steady{
		"READ 1 MiB, lent": lent,
		"READ 4 KiB":       steadyRead(t, 4<<10), "READ 1 MiB": steadyRead(t, 1<<20),
		"WRITE 4 KiB": steadyWrite(t, 4<<10), "WRITE 1 MiB": steadyWrite(t, 1<<20),
	} {
		if n := testing.AllocsPerRun(50, func() { s.once(t, 64<<10) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	s := steadyWrite(t, 64<<10)
	s.p.key()
	s.p.c.sessions[s.p.session].mustSign = true
	sign := func() {
		le.PutUint64(s.msg[24:], s.p.message)
		s.p.signMsg(s.msg)
	}
	sign()
	cost := testing.AllocsPerRun(50, sign) // of the client's side, here
	if n := testing.AllocsPerRun(50, func() { sign(); s.once(t, 1<<20) }); n > cost {
		t.Errorf("signed WRITE: %v allocations", n-cost)
	}
}

func benchmark(b *testing.B, s *steady, n int) {
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		s.once(b, 64<<10)
	}
}

func BenchmarkRead4K(b *testing.B)  { benchmark(b, steadyRead(b, 4<<10), 4<<10) }
func BenchmarkRead1M(b *testing.B)  { benchmark(b, steadyRead(b, 1<<20), 1<<20) }
func BenchmarkWrite4K(b *testing.B) { benchmark(b, steadyWrite(b, 4<<10), 4<<10) }
func BenchmarkWrite1M(b *testing.B) { benchmark(b, steadyWrite(b, 1<<20), 1<<20) }

// Time passes here while all wait, so a slow machine leaves nobody, and the client is left
// when its time is up, no sooner and no later.
func TestClientThatStopsMidRequestIsLeft(t *testing.T) {
	const limit = 20 * time.Millisecond
	for name, cut := range map[string]func(p *peer) []byte{
		"in the frame header": func(p *peer) []byte { return []byte{0, 0} },
		"in a header":         func(p *peer) []byte { return frame(p.request(wire.CommandEcho, 4, nil))[:20] },
		"in a body":           func(p *peer) []byte { return frame(p.createMsg("x", opening{rd, shareAll, wire.OpenIf, 0}))[:80] },
		"in a write's data": func(p *peer) []byte {
			return frame(p.charged(p.writeMsg(p.newFile("file"), 0, pattern(100_000))))[:5000]
		},
		"before it logs on": nil,
		"between requests":  func(p *peer) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { isLeft(t, limit, cut) }) })
	}
}

// isLeft wants a client that goes no further than what cut returns to be left after limit.
func isLeft(t *testing.T, limit time.Duration, cut func(p *peer) []byte) {
	srv := newServerIn(t, t.TempDir(), func(c *Config) {
		c.Limits.RequestTimeout, c.Limits.IdleTimeout = limit, limit
	})
	p := connect(t, srv, "")
	if cut != nil {
		p.logOn("pub")
		if b := cut(p); b != nil {
			if err := p.feed(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.next.Within != limit && cut != nil {
		t.Errorf("waits for %v, want %v", p.next.Within, limit)
	}
	began := time.Now()
	if err := ioarea.Serve(p.a, p.c); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(began); took != limit {
		t.Errorf("left after %v, want %v", took, limit)
	}
	p.hangUp()
	if st := srv.Stats(); st.Opens != 0 || st.Sessions != 0 || st.Connections != 0 {
		t.Errorf("left: %+v", st)
	}
}

// A client that takes no answers is left too, and holds nothing up.
func TestClientThatTakesNoAnswersIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, func(c *Config) { c.Limits.RequestTimeout = 20 * time.Millisecond }).logOn("pub")
		id := p.newFile("file")
		p.want(p.charged(p.writeMsg(id, 0, pattern(1<<20))), wire.StatusOK)
		for range 100 {
			if err := p.feed(frame(p.charged(p.readMsg(id, 0, 1<<20)))); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended with %v", err)
				}
				return
			}
		}
		t.Error("answers went somewhere")
	})
}

func TestRingHoldsTheLargestMessages(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	in, out := p.srv.RingSize()
	if p.c.maxWrite != 1<<20 || p.c.maxRead != 1<<20 || p.c.maxTransact != 1<<20 {
		t.Errorf("read %d, write %d, transact %d", p.c.maxRead, p.c.maxWrite, p.c.maxTransact)
	}
	small, err := ioarea.NewPool(64<<10, 128<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := small.Get()
	if err != nil {
		t.Fatal(err)
	}
	c := p.srv.NewConn(a)
	if c.maxWrite+framing > 64<<10 || c.maxRead+framing > 128<<10 || c.maxTransact > c.maxWrite {
		t.Errorf("read %d, write %d, transact %d in small rings", c.maxRead, c.maxWrite, c.maxTransact)
	}
	if in < 1<<20+framing || out < 1<<20+framing {
		t.Errorf("largest messages %d and %d", in, out)
	}
	if err := errors.Join(c.Close(), small.Put(a), small.Close()); err != nil {
		t.Error(err)
	}
}

// Keeping busy does not replace a log-on.
func TestLogOnHasItsTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newPeer(t, func(c *Config) { c.Now = func() time.Time { return now } })
	p.want(p.negotiateMsg(0x0210), wire.StatusOK)
	for range 2 {
		now = now.Add(DefaultRequestTimeout * 2 / 5)
		p.want(p.request(wire.CommandEcho, 4, nil), wire.StatusOK)
	}
	if p.next.Within > DefaultRequestTimeout/5 {
		t.Errorf("waits for %v more", p.next.Within)
	}
	now = now.Add(DefaultRequestTimeout)
	if err := p.feed(frame(p.request(wire.CommandEcho, 4, nil))); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}
