package main

import (
	"fmt"
	"log/slog"
	"net/netip"

	"ustack/cmd/ustack/stock"
	"ustack/netstack"
)

// stockBackend is gVisor's netstack as it comes, behind the same areas.
type stockBackend struct {
	stack *stock.Stack
	addr  netip.Addr
}

func newStockBackend(f *stackFlags, log *slog.Logger, in, out int) (backend, error) {
	addrs, host, err := f.link()
	if err != nil {
		return nil, err
	}
	if len(addrs) != 1 || !addrs[0].Addr().Is4() {
		return nil, fmt.Errorf("%s %v: stock netstack is for comparison, and takes one IPv4 address", f.label("addr"), addrs)
	}
	if err := (netstack.Config{Addrs: addrs, Congestion: f.Congestion}).Check(); err != nil {
		return nil, err
	}
	s, err := stock.New(stock.Config{
		TAP: f.TAP, Addr: addrs[0], HostAddrs: host, RingIn: in, RingOut: out, MaxConns: f.MaxConns, Congestion: f.Congestion,
	})
	if err != nil {
		return nil, fmt.Errorf("stock netstack: %w", err)
	}
	warnOfNoNeighbour(log, f.TAP, addrs)
	log.Info("stock netstack is up", "tap", f.TAP, "addr", addrs[0], "congestion", f.Congestion, "ring_in", in, "ring_out", out)
	return &stockBackend{s, addrs[0].Addr()}, nil
}

func (b *stockBackend) Kind() string { return "stock" }
func (b *stockBackend) Close() error { return b.stack.Close() }

func (b *stockBackend) Listen(port uint16) (acceptor, error) {
	return b.stack.Listen(netip.AddrPortFrom(b.addr, port))
}

func (b *stockBackend) Snapshot(conns bool) snapshot {
	s := snapshot{Congestion: b.stack.Congestion(), Retransmits: b.stack.Retransmits(), Total: b.stack.Totals()}
	if !conns {
		return s
	}
	for _, st := range b.stack.Streams() {
		s.Conns = append(s.Conns, netstack.Conn{Local: addrPortOf(st.LocalAddr()), Remote: addrPortOf(st.RemoteAddr()), Stats: st.Stats()})
	}
	return s
}
