package netstack

import (
	"context"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"ustack/ioarea"
)

// Dial connects to addr and returns the connection's area, whose handler the
// caller is. It gives up when ctx does. net.ErrClosed after Close; ErrDevice
// when the device has failed.
func (s *Stack) Dial(ctx context.Context, addr netip.AddrPort) (*ioarea.Area, error) {
	area, err := s.dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("netstack: dial %v: %w", addr, err)
	}
	return area, nil
}

func (s *Stack) dial(ctx context.Context, addr netip.AddrPort) (*ioarea.Area, error) {
	select {
	case <-s.l.done:
		return nil, errStopped
	default:
	}
	wq := new(waiter.Queue)
	ep, terr := s.l.stk.NewEndpoint(tcp.ProtocolNumber, family(addr.Addr()), wq)
	if terr != nil {
		return nil, streamError(terr)
	}
	ent, connected := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	wq.EventRegister(&ent)
	defer wq.EventUnregister(&ent)
	terr = ep.Connect(full(addr))
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		select {
		case <-connected:
			terr = ep.LastError()
		case <-ctx.Done():
			ep.Close()
			return nil, ctx.Err()
		case <-s.l.done:
			ep.Close()
			return nil, errStopped
		case <-s.dead.failed: // nobody will answer
			ep.Close()
			return nil, s.dead.err
		}
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
	type result struct {
		f   *flow
		err error
	}
	made := make(chan result, 1)
	l := s.l.ownerOf(keyOf(addrPort(local), addr))
	if !l.do(func() {
		f, err := l.newFlow(ep, wq, addrPort(local), addr)
		made <- result{f, err}
	}) {
		ep.Close()
		return nil, errStopped
	}
	select {
	case r := <-made:
		if r.err != nil {
			ep.Close()
			return nil, r.err
		}
		return r.f.area, nil
	case <-l.done:
		ep.Close()
		return nil, errStopped
	}
}
