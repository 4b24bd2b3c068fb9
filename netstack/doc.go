// Package netstack is a TCP/IP host in user space whose receive buffers are the
// in rings of IO areas: gVisor's netstack, wired to a tap.Device on one side and
// to ioarea.Areas on the other.
//
// A frame's payload is read from the device to the place in the ring where the
// handler will read it (placement.go), TCP does its work on views of the ring's
// own memory (ringview.go), and the receive step moves In.end over what is in
// order (receive.go). Outward, the bytes that a handler committed stay in Out and
// are written from there, first and again, until the peer has acknowledged them
// (send.go, lend.go).
//
// # Who owns what
//
// The loop (loop.go) is one goroutine and owns the device's queues, all flows, and
// the stack's side of their rings. gVisor's goroutines and timers call back with
// an endpoint's lock held: there the package only signals the loop, and queues
// packets for it to write. An area that Accept or Dial returns belongs to its
// caller, who ends it with Close or Abort; its rings go to another connection when
// the peer has taken what was sent and TCP holds no view of them any more.
//
// With GOMAXPROCS=1 the loop, TCP and the handlers take turns on one thread, which
// is what small messages want. Everything is correct with more.
//
// # Use
//
//	dev, err := tap.Open(tap.Config{Name: "ustack0"})
//	...
//	s, err := netstack.New(netstack.Config{
//		Device: dev,
//		Addrs:  []netip.Prefix{netip.MustParsePrefix("10.77.0.2/24")},
//	})
//	...
//	defer s.Close()
//	ln, err := s.Listen(netip.MustParseAddrPort("10.77.0.2:7"))
//	for {
//		a, err := ln.Accept()
//		...
//		go ioarea.Serve(a, handlers.Echo{})
//	}
package netstack
