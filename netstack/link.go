package netstack

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A link is the gVisor link endpoint over the device of all loops, and the queueing
// discipline in front of it.
//
// It claims no CapabilityTXChecksumOffload: with it gVisor leaves SYN-ACKs
// without a checksum. Segments of a connection carry a GSO request, and with it
// the checksum is left to the device.
type link struct {
	loops      []*loop
	mtu        uint32
	addr       tcpip.LinkAddress
	dispatcher stack.NetworkDispatcher
	tcp        stack.TransportProtocol
	awaiting   sync.Mutex // held by the loop that waits for tcp

	delivering sync.Mutex
	validated  atomic.Bool // of the frame that is being delivered; set by the holder of delivering
}

var (
	_ stack.LinkEndpoint       = (*link)(nil)
	_ stack.GSOEndpoint        = (*link)(nil)
	_ stack.QueueingDiscipline = (*link)(nil)
)

func (k *link) MTU() uint32                             { return k.mtu }
func (k *link) SetMTU(uint32)                           {}
func (k *link) MaxHeaderLength() uint16                 { return header.EthernetMinimumSize }
func (k *link) LinkAddress() tcpip.LinkAddress          { return k.addr }
func (k *link) SetLinkAddress(tcpip.LinkAddress)        {}
func (k *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
func (k *link) Attach(d stack.NetworkDispatcher)        { k.dispatcher = d }
func (k *link) IsAttached() bool                        { return k.dispatcher != nil }
func (k *link) Wait()                                   {}
func (k *link) Close()                                  {}
func (k *link) SetOnCloseAction(func())                 {}

// Capabilities says for the frame that is being delivered whether its checksums
// were vouched for by the device: gVisor asks before each, on the goroutine that delivers
// it, and nowhere else for that bit.
func (k *link) Capabilities() stack.LinkEndpointCapabilities {
	caps := stack.CapabilityResolutionRequired
	if k.validated.Load() {
		caps |= stack.CapabilityRXChecksumOffload
	}
	return caps
}

// GSOMaxSize implements stack.GSOEndpoint: the largest IP packet.
func (k *link) GSOMaxSize() uint32 { return 65535 }

// SupportedGSO implements stack.GSOEndpoint.
func (k *link) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// AddHeader implements stack.LinkEndpoint.
func (k *link) AddHeader(pkt *stack.PacketBuffer) {
	eth := header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize))
	eth.Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.LinkEndpoint.
func (k *link) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// WritePacket implements stack.QueueingDiscipline, which the link is itself: packets
// wait for the end of the loop's batch. (gVisor's own makes a list for each.) Any
// goroutine may call it, with the endpoint's lock held.
func (k *link) WritePacket(pkt *stack.PacketBuffer) tcpip.Error {
	k.enqueue(pkt)
	return nil
}

// WritePackets implements stack.LinkWriter.
func (k *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		k.enqueue(pkt)
	}
	return pkts.Len(), nil
}

// deliver hands gVisor a frame. Segments of known connections mostly go another way
// (gather.go), so loops seldom wait for each other here.
func (k *link) deliver(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer, validated bool) {
	k.delivering.Lock()
	defer k.delivering.Unlock()
	k.validated.Store(validated)
	k.dispatcher.DeliverNetworkPacket(proto, pkt)
}

// enqueue has the loop of the packet's connection write it, and the first loop what
// belongs to none.
func (k *link) enqueue(pkt *stack.PacketBuffer) {
	l := k.loops[0]
	var s segment
	if len(k.loops) > 1 && headersOf(pkt, &s) {
		l = l.ownerOf(s.outbound())
	}
	l.enqueue(pkt)
}
