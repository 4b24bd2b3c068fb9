package netstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

func TestEchoComesBackOverBothFamilies(t *testing.T) {
	for _, addr := range []string{"10.1.0.2", "fd00::2"} {
		t.Run(addr, func(t *testing.T) {
			h := newHosts(t, nil, nil, nil)
			to := netip.AddrPortFrom(netip.MustParseAddr(addr), 7)
			serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
			a := dial(t, h.a, to)
			for i, n := range []int{1, 64, 1400, 5000, 100_000, 64} {
				msg := make([]byte, n)
				handlers.Fill(msg, uint64(i), 0)
				if err := a.Out.Append(patience, msg); err != nil {
					t.Fatal(err)
				}
				mustWait(t, a, n)
				if got := a.In.Peek(n); !bytes.Equal(got, msg) {
					t.Fatalf("%d bytes came back wrong", n)
				}
				a.In.Consume(n)
			}
			a.Out.Close(nil)
			if err := a.In.Wait(1, patience); err != io.EOF {
				t.Fatalf("after closing our side: %v, want EOF", err)
			}
			a.Close()
		})
	}
}

// A dialled connection is placed from its beginning, whoever of dialler, TCP and
// loop comes first.
func TestEveryDialledConnectionIsPlaced(t *testing.T) {
	h := newHosts(t, nil, nil, func(c *Config) { c.RingIn, c.RingOut = 256<<10, 64<<10 })
	to := netip.AddrPortFrom(h.addrB, 7)
	serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
	for i := range 200 {
		a := dial(t, h.a, to)
		var placing bool
		h.a.onLoop(t, func() { placing = a.Stream().(*flow).placing })
		if !placing {
			t.Fatalf("connection %d copies its payload", i)
		}
		a.Abort(nil)
	}
}

func TestEitherSideCanCloseFirst(t *testing.T) {
	const size = 3 << 20
	for _, first := range []string{"client", "server", "both"} {
		t.Run(first, func(t *testing.T) {
			h := newHosts(t, nil, nil, nil)
			client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
			ends := map[string]*ioarea.Area{"client": client, "server": server}
			if first == "both" {
				client.Out.Close(nil)
				server.Out.Close(nil)
			} else {
				one, other := ends[first], server
				if first == "server" {
					other = client
				}
				one.Out.Close(nil) // half: it goes on reading
				if err := other.In.Wait(1, patience); err != io.EOF {
					t.Fatalf("the other side hears %v, want EOF", err)
				}
				sent := make(chan error, 1)
				go func() { sent <- push(other, size, 1); other.Out.Close(nil) }()
				if err := pull(one, size, 1); err != nil {
					t.Fatal(err)
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
			}
			for name, a := range ends {
				if err := a.In.Wait(1, patience); err != io.EOF {
					t.Errorf("%s hears %v, want EOF", name, err)
				}
				a.Close()
			}
			eventually(t, "no connection left", func() bool { return h.a.Stats().Conns+h.b.Stats().Conns == 0 })
		})
	}
}

func TestWhatWasCommittedIsSentAfterClose(t *testing.T) {
	const size = 3 << 20
	h := newHosts(t, nil, nil, nil)
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	if err := push(server, size, 4); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if err := pull(client, size, 4); err != nil {
		t.Fatal(err)
	}
	if err := client.In.Wait(1, patience); err != io.EOF {
		t.Fatalf("then %v, want EOF", err)
	}
	client.Close()
}

func TestAResetIsSeenAsSuch(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	client.Abort(nil)
	if err := server.In.Wait(1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reader hears %v, want ECONNRESET", err)
	}
	if err := push(server, 64<<20, 1); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a writer hears %v, want ECONNRESET", err)
	}
	server.Close()
}

// A port is used again while the handler of its last connection is busy elsewhere: the
// new connection is served as any other.
func TestAPortMayBeUsedAgainBeforeItsHandlerHasLetGo(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	c.send(0, []byte("hello"))
	mustWait(t, a, 5)
	w.write(w.ip(protoTCP, nil, c.tcp(flagRST|flagACK, c.iss+6, c.irs+1, nil, nil)))
	if err := a.In.Wait(6, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the first connection ends with %v, want ECONNRESET", err)
	}

	d := w.open(1001, 1<<20)
	b := w.accept(ln)
	if err := b.Out.Append(patience, []byte("welcome")); err != nil {
		t.Fatal(err)
	}
	if got := d.payload(func(s *segment) bool { return s.payload > 0 }); got != "welcome" {
		t.Errorf("the second connection is told %q", got)
	}
	w.write(w.ip(protoTCP, nil, d.tcp(flagACK, d.iss+1, d.irs+1+7, nil, nil)))
	w.barrier(1)
	var seen uint64
	w.stack.onLoop(t, func() { seen = b.Stream().(*flow).ackedTo })
	if seen != 7 {
		t.Errorf("%d bytes were seen to be acknowledged, want 7", seen)
	}
	d.send(0, []byte("thank you"))
	mustWait(t, b, 9)
	if got := string(a.In.Peek(5)); got != "hello" || a.In.Len() != 5 {
		t.Errorf("the first connection's handler reads %q of %d bytes now", got, a.In.Len())
	}
}

func TestDialSaysWhy(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := h.a.Dial(ctx, netip.AddrPortFrom(h.addrB, 81)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a closed port: %v, want ECONNREFUSED", err)
	}
	if _, err := h.a.Dial(ctx, netip.MustParseAddrPort("192.0.2.1:80")); err == nil {
		t.Error("an address without a route: no error")
	}
	short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := h.a.Dial(short, netip.MustParseAddrPort("10.1.0.77:80")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an address that nobody has: %v, want DeadlineExceeded", err)
	}
	h.a.Close()
	if _, err := h.a.Dial(ctx, netip.AddrPortFrom(h.addrB, 81)); err == nil {
		t.Error("from a closed stack: no error")
	}
}

func TestAFullTableRefusesAndSaysSo(t *testing.T) {
	var log lockedBuffer
	na, nb := tap.NewPair(tap.PairConfig{})
	client := newStack(t, na, nil, "10.2.0.1/24")
	server := newStack(t, nb, func(c *Config) {
		c.MaxConns = 2
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	}, "10.2.0.2/24")
	to := netip.MustParseAddrPort("10.2.0.2:7")
	serve(t, server, to, func() ioarea.Handler { return handlers.Echo{} })
	kept := []*ioarea.Area{dial(t, client, to), dial(t, client, to)}
	eventually(t, "two connections", func() bool { return server.Stats().Conns == 2 })

	// The handshake is over before the table is asked: the reset may come after Dial.
	third, err := client.Dial(t.Context(), to)
	if err == nil {
		err = third.In.Wait(1, patience)
		third.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one too many hears %v, want ECONNRESET", err)
	}
	eventually(t, "a refusal counted", func() bool { return server.Stats().Refused == 1 })
	if !bytes.Contains(log.bytes(), []byte("connection table full")) {
		t.Errorf("the log says %q", log.bytes())
	}
	// One that goes makes room, and those that stay work.
	kept[0].Abort(nil)
	eventually(t, "room", func() bool { return server.Stats().Conns == 1 })
	kept[0] = dial(t, client, to)
	for _, a := range kept {
		if err := a.Out.Append(patience, []byte("ping")); err != nil {
			t.Fatal(err)
		}
		mustWait(t, a, 4)
		a.Close()
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// A client that stops in the middle of a request costs its area for as long as the
// handler says, and no longer.
func TestASilentClientIsAborted(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	ended := make(chan error, 1)
	ln, err := h.b.Listen(netip.AddrPortFrom(h.addrB, 7))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		a, err := ln.Accept()
		if err != nil {
			ended <- err
			return
		}
		ended <- ioarea.Serve(a, ioarea.HandlerFunc(func(*ioarea.Area) (ioarea.Next, error) {
			return ioarea.Next{Min: 100, Within: 20 * time.Millisecond}, nil
		}))
	}()
	client := dial(t, h.a, netip.AddrPortFrom(h.addrB, 7))
	if err := client.Out.Append(patience, []byte("half a req")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ioarea.ErrTimeout) {
		t.Errorf("the handler ends with %v, want ErrTimeout", err)
	}
	if err := client.In.Wait(1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client hears %v, want ECONNRESET", err)
	}
	client.Close()
	eventually(t, "the area back in its pool", func() bool { return h.b.Stats().Conns == 0 && h.b.Stats().Limbo == 0 })
}

// A peer that goes on sending after the handler has left gets no more time by it.
func TestAPeerThatNeverClosesIsLeft(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	server.Close()
	if err := client.In.Wait(1, patience); err != io.EOF {
		t.Fatalf("the client hears %v, want EOF", err)
	}
	// It sends a byte at a time, without end, and so without letting the other rest.
	for i := 0; ; i++ {
		if err := client.Out.Append(patience, []byte("x")); err != nil {
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("then %v, want ECONNRESET or EPIPE", err)
			}
			break
		}
		eventually(t, "the byte taken", func() bool { return client.Out.Len() == 0 || client.Out.Refused() != nil })
	}
	client.Close()
	eventually(t, "no connection left", func() bool { return h.b.Stats().Conns == 0 })
}

// A peer that takes the rest of a reply slowly has time as long as it takes any.
func TestAPeerHasTimeWhileItTakesItsReply(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := &rawConn{w: w, port: 1001, iss: 7, window: 0xffff, unscaled: true}
	c.connect()
	a := w.accept(ln)
	f := a.Stream().(*flow)
	if err := a.Out.Append(patience, make([]byte, 4*drainLeast)); err != nil {
		t.Fatal(err)
	}
	a.Close()
	w.stack.onLoop(t, func() {
		if f.linger == nil {
			t.Error("the time of the rest of Out does not run")
		}
	})
	acked := uint32(0)
	take := func(n uint32) {
		for end := acked + n; acked < end; {
			s := c.until(func(s *segment) bool { return s.payload > 0 && s.seq == c.irs+1+acked })
			acked = min(end, acked+uint32(s.payload))
			w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+acked, nil, nil)))
		}
		eventually(t, "the acknowledgement counted", func() (counted bool) {
			w.stack.onLoop(t, func() { counted = f.ep == nil || f.taken() == uint64(acked) })
			return counted
		})
	}
	// timeIsOver reports whether the connection is there when drainTime has passed.
	timeIsOver := func() (open bool) {
		f.notify(evLinger)
		w.stack.onLoop(t, func() { open = f.ep != nil })
		return open
	}
	for range 2 {
		take(drainLeast)
		if !timeIsOver() {
			t.Fatal("a peer that takes its reply was given up")
		}
	}
	take(1)
	if timeIsOver() {
		t.Error("a peer that takes a byte in all this time keeps its rings")
	}
	c.until(func(s *segment) bool { return s.flags&flagRST != 0 })
}

func TestListenerClose(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 7)
	ln, err := h.b.Listen(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.b.Listen(to); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v, want EADDRINUSE", err)
	}
	early := dial(t, h.a, to)
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, h.a, to) // nobody will accept it
	eventually(t, "two connections", func() bool { return h.b.Stats().Conns == 2 })
	for range 2 {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v, want net.ErrClosed", err)
	}
	if err := waiting.In.Wait(1, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one that waited hears %v, want ECONNRESET", err)
	}
	waiting.Close()
	// What was accepted goes on.
	if err := early.Out.Append(patience, []byte("still")); err != nil {
		t.Fatal(err)
	}
	mustWait(t, accepted, 5)
	early.Close()
	accepted.Close()
	if _, err := h.b.Listen(to); err != nil {
		t.Errorf("listening again: %v", err)
	}
}

func TestAClosedStackSaysSo(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	h.b.Close()
	if _, err := h.b.Listen(netip.AddrPortFrom(h.addrB, 7)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen: %v, want net.ErrClosed", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := h.b.Dial(ctx, netip.AddrPortFrom(h.addrA, 7)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Dial: %v, want net.ErrClosed", err)
	}
}

// Close comes at any time: while bytes fly both ways, connections begin, and some
// wait to be accepted.
func TestCloseWhileBusy(t *testing.T) {
	rounds := 8
	if raceEnabled || testing.Short() {
		rounds = 3
	}
	for range rounds {
		da, db := tap.NewPair(tap.PairConfig{})
		a := newStack(t, da, nil, "10.1.0.1/24")
		b := newStack(t, db, nil, "10.1.0.2/24")
		to := netip.MustParseAddrPort("10.1.0.2:7")
		serve(t, b, to, func() ioarea.Handler { return handlers.Echo{} })
		unheard := netip.MustParseAddrPort("10.1.0.2:8")
		if _, err := b.Listen(unheard); err != nil { // nobody accepts there
			t.Fatal(err)
		}
		var running sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for i := range 6 {
			running.Go(func() {
				for n := 0; ; n++ {
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					addr := to
					if i == 0 {
						addr = unheard
					}
					c, err := a.Dial(ctx, addr)
					cancel()
					if err != nil {
						return
					}
					stream := make(chan struct{})
					go func() { defer close(stream); _ = push(c, 1<<20, 1) }()
					if i == 0 {
						_ = c.In.Wait(1, time.Millisecond)
					} else if pull(c, 1<<20, 1) == nil && n == 2 {
						once.Do(func() { close(enough) })
					}
					c.Out.Refuse(nil) // ends push: Out has one producer
					<-stream
					c.Abort(nil)
				}
			})
		}
		<-enough
		var closing sync.WaitGroup
		for _, s := range []*Stack{b, b, a} {
			closing.Go(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		closing.Wait()
		running.Wait()
		for _, s := range []*Stack{a, b} {
			if n := s.pool.Made(); n != 0 {
				t.Errorf("%d areas are still mapped", n)
			}
		}
	}
}

// When all connections have gone, TCP holds no ring any more, and their memory is
// used again.
func TestAreasComeBack(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 7)
	serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
	for round := range 5 {
		var areas []*ioarea.Area
		for range 4 {
			a := dial(t, h.a, to)
			areas = append(areas, a)
			sent := make(chan error, 1)
			go func() { sent <- push(a, 1<<20, 1) }()
			if err := pull(a, 1<<20, 1); err != nil {
				t.Fatal(err)
			}
			<-sent
		}
		for i, a := range areas {
			if i%2 == 0 {
				a.Abort(nil)
			} else {
				a.Close()
			}
		}
		for _, s := range []*Stack{h.a, h.b} {
			eventually(t, "no connection and no ring in limbo", func() bool {
				if s.Stats().Conns != 0 {
					return false
				}
				limbo := 0
				s.onLoop(t, func() { limbo = s.l.areas.sweep() })
				return limbo == 0
			})
			if n := s.pool.Made(); n > 4 {
				t.Errorf("round %d: %d areas mapped for 4 connections", round, n)
			}
		}
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	d, _ := tap.NewPair(tap.PairConfig{})
	defer d.Close()
	addr := []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}
	for name, c := range map[string]Config{
		"no device":          {Addrs: addr},
		"no address":         {Device: d},
		"an invalid address": {Device: d, Addrs: []netip.Prefix{{}}},
		"a small ring":       {Device: d, Addrs: addr, RingIn: 4096},
		"a huge ring":        {Device: d, Addrs: addr, RingIn: 2 << 30},
		"a hardware address": {Device: d, Addrs: addr, HardwareAddr: net.HardwareAddr{1, 2}},
		"congestion control": {Device: d, Addrs: addr, Congestion: "prayer"},
	} {
		if s, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
		early := name != "no device" && name != "a huge ring" // which is refused by what makes rings
		if err := c.Check(); (err != nil) != early {
			t.Errorf("%s: Check says %v", name, err)
		}
	}
}
