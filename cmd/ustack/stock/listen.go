package stock

import (
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"

	"ustack/ioarea"
)

// A Listener accepts connections as areas.
type Listener struct {
	s  *Stack
	ln *gonet.TCPListener
}

// Listen listens at an address of the stack's.
func (s *Stack) Listen(at netip.AddrPort) (*Listener, error) {
	addr := tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(at.Addr().AsSlice()), Port: at.Port()}
	ln, err := gonet.ListenTCP(s.stk, addr, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("listen at %v: %w", at, err)
	}
	return &Listener{s, ln}, nil
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close ends it: Accept returns net.ErrClosed.
func (l *Listener) Close() error {
	l.ln.Shutdown() // wakes Accept
	return l.ln.Close()
}

// Accept waits for the next connection.
func (l *Listener) Accept() (*ioarea.Area, error) {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			// gonet names the failure after what gVisor's endpoint said; whichever it
			// was, a listener of this kind does not come back.
			return nil, fmt.Errorf("%w: %v", net.ErrClosed, err)
		}
		a, err := l.s.start(c.(*gonet.TCPConn))
		if err == nil {
			return a, nil
		}
		c.Close()
	}
}
