package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// Who is told to listen at each address of one family listens at none of the other's.
func TestAnAddressOfOneFamilyIsNoneOfTheOther(t *testing.T) {
	if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("no IPv6: ", err)
	} else {
		ln.Close()
	}
	f := stackFlags{Addr: []string{"0.0.0.0", "::"}, MaxConns: 2, Congestion: "cubic"}
	b, err := newKernelBackend(&f, slog.New(slog.DiscardHandler), 4096, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ln, err := b.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, addr := range addrsOf(ln) {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		own, other := "127.0.0.1", "::1"
		if ap.Addr().Is6() {
			own, other = other, own
		}
		for _, host := range []string{own, other} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(ap.Port()))))
			if err == nil {
				c.Close()
			}
			if (err == nil) != (host == own) {
				t.Errorf("%s, where %s is listened at: %v", host, addr, err)
			}
		}
	}
}

// A peer that asks again and again for what it is refused fills no log.
func TestRefusalsFillNoLog(t *testing.T) {
	const asked = 50
	var log bytes.Buffer
	f := stackFlags{Addr: []string{"127.0.0.1"}, MaxConns: 1, Congestion: "cubic"}
	b, err := newKernelBackend(&f, slog.New(slog.NewTextHandler(&log, nil)), 4096, 4096)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := b.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }
	first, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepting := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		accepting <- err
	}()
	began := time.Now()
	for range asked {
		c, err := dial()
		if err != nil { // the reset was faster
			continue
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection beyond the table was served")
		}
		c.Close()
	}
	most := 2 + int(time.Since(began)/time.Second)
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	a.Abort(nil)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if n := bytes.Count(log.Bytes(), []byte("connection refused")); n < 1 || n > most {
		t.Errorf("%d lines of %d refusals, want 1 to %d:\n%s", n, asked, most, log.Bytes())
	}
	if n := b.(*kernelBackend).refused; n != asked {
		t.Errorf("%d refusals are counted, want %d", n, asked)
	}
}
