package smbproto

import (
	"net"
	"net/netip"
	"testing"
)

func TestAClientHasSoManyConnections(t *testing.T) {
	var c clients
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for i, want := range []bool{true, true, false} {
		if got := c.enter(a, 2); got != want {
			t.Errorf("connection %d: %v", i, got)
		}
	}
	if !c.enter(b, 2) || !c.enter(b, 0) || !c.enter(b, 0) {
		t.Error("another client, or one without a bound, is refused")
	}
	c.leave(a)
	if !c.enter(a, 2) {
		t.Error("a connection that has ended still counts")
	}
	for range 2 {
		c.leave(a)
	}
	for range 3 {
		c.leave(b)
	}
	if len(c.conns) != 0 {
		t.Errorf("left: %v", c.conns)
	}
}

func TestAClientIsItsAddress(t *testing.T) {
	v4 := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}
	mapped := &net.TCPAddr{IP: net.ParseIP("::ffff:10.0.0.1"), Port: 2}
	if addrOf(v4) != addrOf(mapped) || addrOf(v4) != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("%v, %v", addrOf(v4), addrOf(mapped))
	}
	if addrOf(nil).IsValid() || addrOf(&net.UnixAddr{Name: "x"}).IsValid() {
		t.Error("an address of who has none")
	}
}
