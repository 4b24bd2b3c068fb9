package netstack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

// A party is some connections between kernel clients and the stack, each busy in its
// way until the party is over.
type party struct {
	talks []*talk
	over  chan struct{}
	leave func() // closes over
	ended chan error
}

// newParty opens the connections: one of each kind over each family.
func newParty(t *testing.T, h *kernelHost) *party {
	t.Helper()
	p := &party{over: make(chan struct{})}
	p.leave = sync.OnceFunc(func() { close(p.over) })
	for _, addr := range []netip.Addr{stackAddr4, stackAddr6} {
		to := netip.AddrPortFrom(addr, 9)
		ln, err := h.stack.Listen(to)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"idle", "bulk in", "bulk out", "bulk both ways", "requests"} {
			c := h.dialKernel(t, to)
			a, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			k := newTalk(kind, addr, c, areaStream{a}, p.over)
			k.close = a.Close
			p.talks = append(p.talks, k)
		}
		ln.Close()
	}
	p.ended = make(chan error, len(p.talks))
	t.Cleanup(func() {
		if t.Failed() {
			p.leave() // the stack resets what does not end by that
		}
	})
	return p
}

func (p *party) begin() {
	for _, k := range p.talks {
		go func() {
			err := k.run()
			k.close()
			if err != nil {
				err = fmt.Errorf("%s: %w", k.name, err)
			}
			p.ended <- err
		}()
	}
}

// awaitProgress waits until every talk that is not idle has gone on.
func (p *party) awaitProgress(t *testing.T, when string) {
	t.Helper()
	for _, k := range p.talks {
		for _, d := range k.busy {
			goal := d.arrived.Load() + d.least
			eventually(t, fmt.Sprintf("%s goes on %s", k.name, when), func() bool {
				if len(p.ended) > 0 {
					t.Fatalf("a talk ended too early: %v", <-p.ended)
				}
				return d.arrived.Load() >= goal
			})
		}
	}
}

// end has every talk come to its end, and wants it to be one in order.
func (p *party) end(t *testing.T) {
	t.Helper()
	p.leave()
	for range p.talks {
		if err := <-p.ended; err != nil {
			t.Error(err)
		}
	}
}

// A talk is one connection of a party.
type talk struct {
	name  string
	run   func() error
	close func() // gives the stack's end up
	busy  []*direction
}

// A direction is one of the two streams of a talk.
type direction struct {
	from, to duplex
	seed     uint64
	over     <-chan struct{}
	sent     atomic.Int64 // bytes
	arrived  atomic.Int64 // bytes, all of them right
	least    int64        // so many more that arrive show that it goes on
}

func newTalk(kind string, addr netip.Addr, client, server duplex, over <-chan struct{}) *talk {
	in := &direction{from: client, to: server, seed: 31, over: over, least: 128 << 10}
	out := &direction{from: server, to: client, seed: 32, over: over, least: 128 << 10}
	k := &talk{name: fmt.Sprintf("%s to %v", kind, addr)}
	ways := func(sendIn, sendOut func() error) func() error {
		return func() error { return together(sendIn, in.receive, sendOut, out.receive) }
	}
	switch kind {
	case "idle":
		k.run = ways(in.sendAtTheEnd, out.sendAtTheEnd)
	case "bulk in":
		k.run, k.busy = ways(in.sendBulk, out.sendAtTheEnd), []*direction{in}
	case "bulk out":
		k.run, k.busy = ways(in.sendAtTheEnd, out.sendBulk), []*direction{out}
	case "bulk both ways":
		k.run, k.busy = ways(in.sendBulk, out.sendBulk), []*direction{in, out}
	case "requests":
		out.seed, out.least = in.seed, 3*requestSize // what comes back is what was sent
		k.run = func() error { return together(func() error { return in.ask(out) }, in.echo) }
		k.busy = []*direction{out}
	}
	return k
}

// together runs all of fs at the same time, and returns their errors.
func together(fs ...func() error) (err error) {
	ended := make(chan error)
	for _, f := range fs {
		go func() { ended <- f() }()
	}
	for range fs {
		err = errors.Join(err, <-ended)
	}
	return err
}

func (d *direction) isOver() bool {
	select {
	case <-d.over:
		return true
	default:
		return false
	}
}

// requestSize is that of a request, of its reply, and of the last thing that is said.
const requestSize = 700

// sendBulk sends without a pause until the end.
func (d *direction) sendBulk() error {
	for !d.isOver() {
		if err := d.send(64 << 10); err != nil {
			return err
		}
	}
	return d.from.CloseWrite()
}

// sendAtTheEnd says nothing until the end.
func (d *direction) sendAtTheEnd() error {
	<-d.over
	if err := d.send(requestSize); err != nil {
		return err
	}
	return d.from.CloseWrite()
}

// send sends the next n bytes of the stream.
func (d *direction) send(n int) error {
	b, off := make([]byte, n), d.sent.Load()
	handlers.Fill(b, d.seed, uint64(off))
	d.sent.Add(int64(n)) // before who counts them can have them all
	if _, err := d.from.Write(b); err != nil {
		return fmt.Errorf("writing at %d: %w", off, err)
	}
	return nil
}

// receive reads the stream to its end, and checks it.
func (d *direction) receive() error {
	b := make([]byte, 64<<10)
	for {
		err := d.read(b, 1)
		if err == io.EOF && d.arrived.Load() == d.sent.Load() {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading at %d of %d: %w", d.arrived.Load(), d.sent.Load(), err)
		}
	}
}

// read reads at least so many bytes into b, and checks them.
func (d *direction) read(b []byte, least int) error {
	n, err := io.ReadAtLeast(d.to, b, least)
	want, off := make([]byte, n), d.arrived.Load()
	handlers.Fill(want, d.seed, uint64(off))
	if !bytes.Equal(b[:n], want) {
		return fmt.Errorf("%w in [%d, %d)", errWrongByte, off, off+int64(n))
	}
	d.arrived.Add(int64(n))
	return err
}

// ask sends a request when the reply to the last one has come, until the end.
func (d *direction) ask(replies *direction) error {
	b := make([]byte, requestSize)
	for !d.isOver() {
		if err := d.send(requestSize); err != nil {
			return err
		}
		replies.sent.Store(d.sent.Load())
		if err := replies.read(b, len(b)); err != nil {
			return fmt.Errorf("reading reply at %d: %w", replies.arrived.Load(), err)
		}
	}
	if err := d.from.CloseWrite(); err != nil {
		return err
	}
	return replies.receive()
}

// echo sends back what comes.
func (d *direction) echo() error {
	if _, err := io.Copy(d.to, d.to); err != nil {
		return fmt.Errorf("echoing: %w", err)
	}
	return d.to.CloseWrite()
}

// A duplex is an end of a connection.
type duplex interface {
	io.ReadWriter
	CloseWrite() error
}

// An areaStream is the stack's end as a duplex.
type areaStream struct{ a *ioarea.Area }

func (s areaStream) Read(b []byte) (int, error) {
	if err := s.a.In.Wait(1, patience); err != nil {
		return 0, err
	}
	n := copy(b, s.a.In.Peek(len(b)))
	s.a.In.Consume(n)
	return n, nil
}

func (s areaStream) Write(b []byte) (int, error) {
	if err := s.a.Out.Append(patience, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s areaStream) CloseWrite() error {
	s.a.Out.Close(nil)
	return nil
}
