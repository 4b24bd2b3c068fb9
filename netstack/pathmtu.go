package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Path MTU discovery (RFC 1191, RFC 8201) believes whoever says that a packet was too big. gVisor's
// TCP believes it of any number, down to segments of one byte, for good, and whether or not it has sent the
// segment that is quoted: anybody who can guess a connection's ports could have it sent in crumbs (RFC 5927,
// section 7). So what the network layer tells the transports of errors goes by a guard. By then fragments are
// one packet, extension headers are read and checksums are right, and there is nothing to be parsed a second time. Segments
// do not go this way.

// minPathMTU is the least path MTU over IPv4 that is believed: Linux's (net.ipv4.route.min_pmtu). Routers
// that predate RFC 1191 say 0. The least over IPv6 is 1280 bytes, and an error that says less is to be
// discarded (RFC 8201, section 4).
const minPathMTU = 552

// A guardedProtocol is a network protocol whose errors are looked at.
type guardedProtocol struct {
	stack.NetworkProtocol
	stk  *stack.Stack
	link *link
}

// guarded puts the guard into what a network protocol will tell the transports.
func (k *link) guarded(factory stack.NetworkProtocolFactory) stack.NetworkProtocolFactory {
	return func(s *stack.Stack) stack.NetworkProtocol { return guardedProtocol{factory(s), s, k} }
}

// NewEndpoint implements stack.NetworkProtocol.
func (p guardedProtocol) NewEndpoint(nic stack.NetworkInterface, d stack.TransportDispatcher) stack.NetworkEndpoint {
	return p.NetworkProtocol.NewEndpoint(nic, errorGuard{d, p})
}

// An errorGuard stands between a network protocol and the transports.
type errorGuard struct {
	stack.TransportDispatcher
	guardedProtocol
}

// DeliverTransportError implements stack.TransportDispatcher. pkt holds what is quoted of a segment of ours.
func (g errorGuard) DeliverTransportError(local, remote tcpip.Address, net tcpip.NetworkProtocolNumber, trans tcpip.TransportProtocolNumber, e stack.TransportError, pkt *stack.PacketBuffer) {
	if trans == tcp.ProtocolNumber && e.Kind() == stack.PacketTooBigTransportError {
		quoted, ok := pkt.Data().PullUp(8)
		if !ok {
			return
		}
		id := stack.TransportEndpointID{
			LocalPort: binary.BigEndian.Uint16(quoted), LocalAddress: local,
			RemotePort: binary.BigEndian.Uint16(quoted[2:]), RemoteAddress: remote,
		}
		if e = g.believed(id, net, binary.BigEndian.Uint32(quoted[4:]), e); e == nil {
			return
		}
	}
	g.TransportDispatcher.DeliverTransportError(local, remote, net, trans, e, pkt)
}

// believed is what TCP is to hear of an error that says that the segment at seq was too big, or nil.
func (g errorGuard) believed(id stack.TransportEndpointID, net tcpip.NetworkProtocolNumber, seq uint32, e stack.TransportError) stack.TransportError {
	l := g.link.loops[0]
	ep, ok := g.stk.FindTransportEndpoint(net, tcp.ProtocolNumber, id, nicID).(*tcp.Endpoint)
	if !ok || !l.endpoints.inFlight(ep, seq) {
		l.c.pathMTURefused.Add(1)
		return nil
	}
	least := uint32(minPathMTU - ipv4MinLen)
	switch {
	case net != ipv4.ProtocolNumber && e.Info() == 0: // it was less than 1280
		l.c.pathMTURefused.Add(1)
		return nil
	case net == ipv4.ProtocolNumber && e.Info() < least:
		// As with Linux, routers may make fragments for a path that takes less.
		l.c.pathMTURefused.Add(1)
		if err := ep.SetSockOptInt(tcpip.MTUDiscoverOption, int(tcpip.PMTUDiscoveryDont)); err != nil {
			return nil
		}
		return raisedMTU{e, least}
	}
	return e
}

// A raisedMTU says another MTU, less IP's header, than the error that came.
type raisedMTU struct {
	stack.TransportError
	mtu uint32
}

// Info implements tcpip.SockErrorCause.
func (e raisedMTU) Info() uint32 { return e.mtu }
