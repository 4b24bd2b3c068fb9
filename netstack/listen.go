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

	mu     sync.Mutex // guards logged
	logged time.Time  // when a refusal was, last
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
// caller is. net.ErrClosed after Close; ErrDevice when no connection can come any more.
func (ln *Listener) Accept() (*ioarea.Area, error) {
	select {
	case a := <-ln.accepted:
		err := ln.ended()
		if err == nil {
			return a, nil
		}
		a.Abort(err) // both were ready: what waited is reset
	case <-ln.closing:
	case <-ln.s.dead.failed:
	case <-ln.s.l.done:
	}
	err := ln.ended()
	if err == nil { // the stack is closed
		err = net.ErrClosed
	}
	return nil, fmt.Errorf("netstack: accept at %v: %w", ln.addr, err)
}

// ended is why nothing is accepted any more.
func (ln *Listener) ended() error {
	select {
	case <-ln.closing:
		return net.ErrClosed
	default:
	}
	select {
	case <-ln.s.dead.failed:
		return ln.s.dead.err
	default:
		return nil
	}
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
		ln.abortWaiting()
	})
	return nil
}

// abortWaiting resets the connections that wait for Accept.
func (ln *Listener) abortWaiting() {
	for {
		select {
		case a := <-ln.accepted:
			a.Abort(net.ErrClosed)
		default:
			return
		}
	}
}

// acceptAll makes flows of what gVisor has accepted, each on the loop of its shard. The first
// loop calls it.
func (ln *Listener) acceptAll() {
	for {
		var peer tcpip.FullAddress
		ep, wq, err := ln.ep.Accept(&peer)
		if err != nil {
			return // nothing more, or closed
		}
		local, err := ep.GetLocalAddress()
		if err != nil {
			reset(ep)
			ln.refused(ln.s.l, addrPort(peer), streamError(err))
			continue
		}
		l := ln.s.l.ownerOf(keyOf(addrPort(local), addrPort(peer)))
		take := func() {
			if err := ln.take(l, ep, wq, addrPort(local), addrPort(peer)); err != nil {
				reset(ep)
				ln.refused(l, addrPort(peer), err)
			}
		}
		if l == ln.s.l {
			take()
		} else if !l.do(take) {
			reset(ep)
		}
	}
}

func reset(ep tcpip.Endpoint) {
	ep.Abort()
	ep.Close()
}

// take makes a flow of a connection. Its loop calls it.
func (ln *Listener) take(l *loop, ep tcpip.Endpoint, wq *waiter.Queue, local, peer netip.AddrPort) error {
	if len(ln.accepted) == cap(ln.accepted) {
		return fmt.Errorf("%w: %d wait to be accepted", ErrTableFull, len(ln.accepted))
	}
	f, err := l.newFlow(ep, wq, local, peer)
	if err != nil {
		return err
	}
	select {
	case ln.accepted <- f.area:
	default: // another shard was faster
		f.area.Abort(ErrTableFull)
		ln.refused(l, peer, ErrTableFull)
		return nil
	}
	select {
	case <-ln.closing: // and may have looked before
		ln.abortWaiting()
	default:
	}
	return nil
}

// refused counts a refusal, and says so, at most once a second. l is the loop that calls it.
func (ln *Listener) refused(l *loop, peer netip.AddrPort, err error) {
	l.c.refused.Add(1)
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if l.now.Sub(ln.logged) < time.Second {
		return
	}
	ln.logged = l.now
	l.log.Warn("connection refused", "peer", peer, "err", err, "refused", l.c.refused.Load())
}
