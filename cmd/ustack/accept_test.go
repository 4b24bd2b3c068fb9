package main

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"ustack/ioarea"
)

// A scripted acceptor accepts what a test gives it, until it is closed.
type scripted struct {
	next   chan accepted
	closed chan struct{}
}

func newScripted() *scripted {
	return &scripted{make(chan accepted, 8), make(chan struct{})}
}

func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }
func (s *scripted) Close() error   { close(s.closed); return nil }

func (s *scripted) Accept() (*ioarea.Area, error) {
	select {
	case a := <-s.next:
		return a.area, a.err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// What keeps listeners from accepting for a while, as a peer that uses up the descriptors
// does, ends none of them.
func TestListenersThatFailAcceptAgain(t *testing.T) {
	pool, err := ioarea.NewPool(4096, 4096, 1)
	if err != nil {
		t.Fatal(err)
	}
	area, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	a, b := newScripted(), newScripted()
	j := join(acceptors{a, b})
	for range 3 {
		for _, l := range []*scripted{a, b} {
			l.next <- accepted{nil, syscall.EMFILE}
			if _, err := j.Accept(); !errors.Is(err, syscall.EMFILE) {
				t.Fatalf("%v, want what the listener said", err)
			}
		}
	}
	for _, l := range []*scripted{a, b} {
		l.next <- accepted{area, nil}
		if got, err := j.Accept(); got != area || err != nil {
			t.Errorf("after its errors: %v, %v", got, err)
		}
	}

	// A connection that is accepted while the server stops is let go.
	b.next <- accepted{area, nil}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := errors.Join(pool.Put(area), pool.Close()); err != nil {
		t.Error(err)
	}
}
