package netstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. No verdict depends on
// it but that of a hang.
const patience = 60 * time.Second

// scaled is a number of bytes for a full run, less under the race detector and
// with -short, in whole megabytes.
func scaled(n int) int {
	if raceEnabled {
		n /= 32
	}
	if testing.Short() {
		n /= 8
	}
	return max(n, 1<<20)
}

// withProcs runs f with that many processors for Go.
func withProcs(t *testing.T, n int, f func(t *testing.T)) {
	t.Run(fmt.Sprintf("procs=%d", n), func(t *testing.T) {
		old := runtime.GOMAXPROCS(n)
		t.Cleanup(func() { runtime.GOMAXPROCS(old) })
		f(t)
	})
}

// A pairOfHosts is two stacks joined by a link in memory.
type pairOfHosts struct {
	a, b         *Stack
	addrA, addrB netip.Addr
	addrB6       netip.Addr
}

func newHosts(t testing.TB, wrapA, wrapB func(tap.Device) tap.Device, tune func(*Config)) *pairOfHosts {
	t.Helper()
	da, db := tap.NewPair(tap.PairConfig{})
	if wrapA != nil {
		da = wrapA(da)
	}
	if wrapB != nil {
		db = wrapB(db)
	}
	return &pairOfHosts{
		addrA:  netip.MustParseAddr("10.1.0.1"),
		addrB:  netip.MustParseAddr("10.1.0.2"),
		addrB6: netip.MustParseAddr("fd00::2"),
		a:      newStack(t, da, tune, "10.1.0.1/24", "fd00::1/64"),
		b:      newStack(t, db, tune, "10.1.0.2/24", "fd00::2/64"),
	}
}

// newStack makes a stack that is closed when the test ends, and must then leave
// nothing behind.
func newStack(t testing.TB, d tap.Device, tune func(*Config), addrs ...string) *Stack {
	t.Helper()
	return newStackWith(t, d, ringViewLayout, tune, addrs...)
}

func newStackWith(t testing.TB, d tap.Device, layout func() (viewLayout, error), tune func(*Config), addrs ...string) *Stack {
	t.Helper()
	c := Config{
		Device: d,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, a := range addrs {
		c.Addrs = append(c.Addrs, netip.MustParsePrefix(a))
	}
	if tune != nil {
		tune(&c)
	}
	s, err := newWith(c, layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := s.pool.Made(); n != 0 {
			t.Errorf("%d areas are still mapped after Close", n)
		}
	})
	return s
}

// onLoop runs f on the loop's goroutine and waits for it.
func (s *Stack) onLoop(t testing.TB, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !s.l.do(func() { f(); close(done) }) {
		t.Fatal("the loop has ended")
	}
	<-done
}

// eventually asks again and again until ok says yes, letting others run.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// serve answers each connection at addr with a handler of its own.
func serve(t testing.TB, s *Stack, addr netip.AddrPort, handler func() ioarea.Handler) {
	t.Helper()
	ln, err := s.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { _ = ioarea.Serve(a, handler()) })
		}
	})
	t.Cleanup(func() {
		s.Close()
		running.Wait()
	})
}

func dial(t testing.TB, s *Stack, addr netip.AddrPort) *ioarea.Area {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := s.Dial(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// acceptOne dials from one stack to the other and returns both ends.
func acceptOne(t testing.TB, from, to *Stack, addr netip.AddrPort) (client, server *ioarea.Area) {
	t.Helper()
	ln, err := to.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client = dial(t, from, addr)
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

var errWrongByte = errors.New("a wrong byte")

// pull reads n bytes of the stream named by seed, and checks each.
func pull(a *ioarea.Area, n, seed uint64) error {
	want := make([]byte, 64<<10)
	for off := uint64(0); off < n; {
		if err := a.In.Wait(1, patience); err != nil {
			return fmt.Errorf("at %d of %d: %w", off, n, err)
		}
		b := a.In.Peek(len(want))
		handlers.Fill(want[:len(b)], seed, off)
		if !bytes.Equal(b, want[:len(b)]) {
			i := 0
			for b[i] == want[i] {
				i++
			}
			return fmt.Errorf("%w at %d", errWrongByte, off+uint64(i))
		}
		a.In.Consume(len(b))
		off += uint64(len(b))
	}
	return nil
}

// push writes n bytes of the stream named by seed.
func push(a *ioarea.Area, n, seed uint64) error {
	for off := uint64(0); off < n; {
		k := int(min(n-off, 64<<10, uint64(a.Out.Cap()/4)))
		out, err := a.Out.Reserve(k, patience)
		if err != nil {
			return fmt.Errorf("at %d of %d: %w", off, n, err)
		}
		handlers.Fill(out, seed, off)
		a.Out.Commit(k)
		off += uint64(k)
	}
	return nil
}

// exchange sends n bytes each way over one connection, checks each, and closes
// both directions in order.
func exchange(a *ioarea.Area, n, seedOut, seedIn uint64) error {
	sent := make(chan error, 1)
	go func() {
		err := push(a, n, seedOut)
		a.Out.Close(nil)
		sent <- err
	}()
	err := pull(a, n, seedIn)
	if err == nil {
		if end := a.In.Wait(1, patience); end != io.EOF {
			err = fmt.Errorf("after the last byte: %v, want EOF", end)
		}
	}
	if err != nil {
		a.Out.Refuse(err) // ends push: Out has one producer
		<-sent
		a.Abort(err)
		return err
	}
	err = <-sent
	a.Close()
	return err
}

// placedShare is the share of a connection's payload that the device wrote to
// its place.
func placedShare(s ioarea.Stats) float64 { return float64(s.PlacedIn) / float64(s.BytesIn) }
