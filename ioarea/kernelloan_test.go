package ioarea_test

import (
	"errors"
	"net"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/loantest"
)

func TestTheKernelReadsWhatWasLent(t *testing.T) {
	a, client, end := overKernel(t)
	loantest.Exchange(t, a, client)
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestAKernelsStreamEndsWithWhatIsLost(t *testing.T) {
	a, client, end := overKernel(t)
	loantest.Lose(t, a, client)
	if err := end(); !errors.Is(err, loantest.ErrBroken) {
		t.Errorf("it ended with %v", err)
	}
}

// overKernel returns an area over the kernel's TCP, its peer, and what closes both.
func overKernel(t *testing.T) (a *ioarea.Area, client net.Conn, end func() error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := ioarea.NewPool(4<<10, 1<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	a, err = ioarea.StartKernel(pool, server.(*net.TCPConn), server.(*net.TCPConn), func(err error) { ended <- err })
	if err != nil {
		t.Fatal(err)
	}
	return a, client, func() error {
		a.Close()
		client.Close()
		return errors.Join(<-ended, pool.Close())
	}
}
