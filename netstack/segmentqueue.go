package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// gVisor refuses payload for an endpoint that holds as much as it may, but takes segments without any, however many
// wait: where those come faster than they are looked at, its queue of them grew without end. An acknowledgement in
// recovery takes TCP a hundred times as long as it takes a loop to read it.

// emptyMost is how much memory segments without payload may take beyond the receive buffer.
const emptyMost = 1 << 20

// A tcpProtocol is what gVisor's TCP is to the stack.
type tcpProtocol interface {
	stack.TransportProtocol
	stack.SendBufSizeProto
	segmentTaker
}

// A boundedTCP drops what would exceed the bound.
type boundedTCP struct {
	tcpProtocol
	dropped   *tcpip.StatCounter
	endpoints endpointLayout
}

// boundedTCP makes TCP, bounded if that can be.
func (l *loop) boundedTCP(stk *stack.Stack) stack.TransportProtocol {
	p := tcp.NewProtocol(stk)
	if t, ok := p.(tcpProtocol); ok {
		return &boundedTCP{t, stk.Stats().DroppedPackets, l.endpoints}
	}
	return p
}

// QueuePacket implements segmentTaker.
func (p *boundedTCP) QueuePacket(ep stack.TransportEndpoint, id stack.TransportEndpointID, pkt *stack.PacketBuffer) {
	if e, ok := ep.(*tcp.Endpoint); ok {
		if held, ok := p.endpoints.held(e); ok && held > int(e.SocketOptions().GetReceiveBufferSize())+emptyMost {
			p.dropped.Increment()
			return
		}
	}
	p.tcpProtocol.QueuePacket(ep, id, pkt)
}
