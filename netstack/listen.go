package netstack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"ustack/ioarea"
)

// backlog is how many connections wait for Accept; a further one is refused.
const backlog = 1024

// ErrTableFull is why a connection beyond Config.MaxConns is refused.
var ErrTableFull = errors.New("netstack: connection table full")

// A Listener accepts connections as areas.
type Listener struct {
	s        *Stack
	ep       tcpip.Endpoint
	wq       *waiter.Queue
	ent      waiter.Entry
	addr     netip.AddrPort
	accepted chan *ioarea.Area
	closing  chan struct{}
	once     sync.Once
	refused  time.Time // when a refusal was last logged; the loop's own
}

// Listen listens at an address of the stack, or at all of its family if addr's is
// unspecified. Port 0 picks one. net.ErrClosed after Close.
func (s *Stack) Listen(addr netip.AddrPort) (*Listener, error) {
	ln, err := s.listen(addr)
	if err != nil {
		return nil, fmt.Errorf("netstack: listen at %v: %w", addr, err)
	}
	return ln, nil
}

func (s *Stack) listen(addr netip.AddrPort) (*Listener, error) {
	s.mu.Lock() // Close sees each listener, or is seen
	defer s.mu.Unlock()
	if s.stopped {
		return nil, errStopped
	}
	ln := &Listener{s: s, wq: new(waiter.Queue), accepted: make(chan *ioarea.Area, backlog), closing: make(chan struct{})}
	ep, terr := s.l.stk.NewEndpoint(tcp.ProtocolNumber, family(addr.Addr()), ln.wq)
	if terr != nil {
		return nil, streamError(terr)
	}
	ln.ep = ep
	if family(addr.Addr()) == ipv6.ProtocolNumber {
		ep.SocketOptions().SetV6Only(true)
	}
	ep.SocketOptions().SetReuseAddress(true)
	terr = ep.Bind(full(addr))
	if terr == nil {
		ln.ent = waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { s.l.do(ln.acceptAll) })
		ln.wq.EventRegister(&ln.ent)
		terr = ep.Listen(backlog)
	}
	if terr != nil {
		ep.Close()
		return nil, streamError(terr)
	}
	local, terr := ep.GetLocalAddress()
	if terr != nil {
		ep.Close()
		return nil, streamError(terr)
	}
	ln.addr = netip.AddrPortFrom(addr.Addr(), local.Port)
	s.listeners[ln] = struct{}{}
	return ln, nil
}

// Addr is where the listener listens.
func (ln *Listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(ln.addr) }

// Accept waits for the next connection and returns its area, whose handler the
// caller is. net.ErrClosed after Close.
func (ln *Listener) Accept() (*ioarea.Area, error) {
	select {
	case a := <-ln.accepted:
		select {
		case <-ln.closing: // both were ready: what waited is reset
			a.Abort(net.ErrClosed)
		default:
			return a, nil
		}
	case <-ln.closing:
	case <-ln.s.l.done:
	}
	return nil, fmt.Errorf("netstack: accept at %v: %w", ln.addr, net.ErrClosed)
}

// Close stops listening. Connections that wait for Accept are reset; those that
// were accepted go on.
func (ln *Listener) Close() error {
	ln.once.Do(func() {
		ln.s.mu.Lock()
		delete(ln.s.listeners, ln)
		ln.s.mu.Unlock()
		close(ln.closing)
		ln.wq.EventUnregister(&ln.ent)
		ln.ep.Close()
		ln.s.l.do(func() {
			for {
				select {
				case a := <-ln.accepted:
					a.Abort(net.ErrClosed)
				default:
					return
				}
			}
		})
	})
	return nil
}

// acceptAll makes flows of what gVisor has accepted. The loop calls it.
func (ln *Listener) acceptAll() {
	for {
		var peer tcpip.FullAddress
		ep, wq, err := ln.ep.Accept(&peer)
		if err != nil {
			return // nothing more, or closed
		}
		if err := ln.take(ep, wq, addrPort(peer)); err != nil {
			ep.Abort()
			ep.Close()
			ln.refuse(addrPort(peer), err)
		}
	}
}

func (ln *Listener) take(ep tcpip.Endpoint, wq *waiter.Queue, peer netip.AddrPort) error {
	l := ln.s.l
	if len(ln.accepted) == cap(ln.accepted) {
		return fmt.Errorf("%w: %d wait to be accepted", ErrTableFull, len(ln.accepted))
	}
	local, terr := ep.GetLocalAddress()
	if terr != nil {
		return streamError(terr)
	}
	f, err := l.newFlow(ep, wq, addrPort(local), peer)
	if err != nil {
		return err
	}
	ln.accepted <- f.area // the loop alone sends: there is room
	return nil
}

// refuse counts a refusal, and says so, at most once a second.
func (ln *Listener) refuse(peer netip.AddrPort, err error) {
	l := ln.s.l
	l.c.refused.Add(1)
	if l.now.Sub(ln.refused) < time.Second {
		return
	}
	ln.refused = l.now
	l.log.Warn("connection refused", "peer", peer, "err", err, "refused", l.c.refused.Load())
}
