package ioarea_test

import (
	"net"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/loantest"
)

func TestTheKernelReadsWhatWasLent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	pool, err := ioarea.NewPool(4<<10, 1<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	a, err := ioarea.StartKernel(pool, server.(*net.TCPConn), server.(*net.TCPConn), func(err error) { ended <- err })
	if err != nil {
		t.Fatal(err)
	}
	loantest.Exchange(t, a, client)
	a.Close()
	client.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
}
