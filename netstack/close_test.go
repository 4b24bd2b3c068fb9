package netstack

import (
	"net/netip"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

func TestWhatWasCommittedIsSentBeforeTheStackCloses(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 9)
	ln, err := h.b.Listen(to)
	if err != nil {
		t.Fatal(err)
	}
	a := dial(t, h.a, to)
	defer a.Close()
	served, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, 3<<20)
	handlers.Fill(msg, 3, 0)
	if err := served.Out.Append(ioarea.Forever, msg); err != nil {
		t.Fatal(err)
	}
	served.Close()
	closed := make(chan error, 1)
	go func() { closed <- h.b.Close() }()
	if err := pull(a, uint64(len(msg)), 3); err != nil {
		t.Fatalf("of %d bytes: %v", len(msg), err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestAnAddressOfOurOwnIsSentTheBytes(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	for _, own := range []string{"10.1.0.2", "fd00::2"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(own), 7)
		serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
		a := dial(t, h.b, to)
		msg := []byte("to myself")
		if err := a.Out.Append(time.Second, msg); err != nil {
			t.Fatal(err)
		}
		if err := a.In.Wait(len(msg), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if got := a.In.Peek(len(msg)); string(got) != string(msg) {
			t.Errorf("%s: %q came back", own, got)
		}
		a.Close()
	}
}

func TestNoAddressOfTheStackIsLentTo(t *testing.T) {
	h := newHosts(t, nil, nil, nil)
	for _, own := range h.b.l.stk.AllAddresses()[nicID] {
		a, _ := netip.AddrFromSlice(own.AddressWithPrefix.Address.AsSlice())
		if h.b.l.byLink(a) {
			t.Errorf("payload to %v, an address of the stack's own, would be lent", a)
		}
	}
	if !h.b.l.byLink(h.addrA) {
		t.Error("payload to the peer is not lent")
	}
}
