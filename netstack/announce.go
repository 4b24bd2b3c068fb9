package netstack

import (
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ustack/tap"
)

// announceEvery and announceTimes are ANNOUNCE_INTERVAL and ANNOUNCE_NUM of RFC 5227, section 1.1, and within what
// RFC 4861, section 7.2.6, allows.
const (
	announceEvery = 2 * time.Second
	announceTimes = 2
)

// An announcer tells neighbours of the stack's addresses, unasked: its hardware address is another than that of a stack
// that had them before, for which their tables keep sending what is meant for this one. gVisor does not tell. The first
// loop's own.
type announcer struct {
	frames [][]byte // one for each address
	left   int      // times that they are yet to go out, all of them
	last   time.Time
}

func newAnnouncer(addrs []netip.Prefix, own net.HardwareAddr) announcer {
	a := announcer{left: announceTimes}
	for _, p := range addrs {
		if ip := p.Addr().Unmap(); ip.Is4() {
			a.frames = append(a.frames, arpAnnouncement(address(ip), own))
		} else {
			a.frames = append(a.frames, advertisement(address(ip), own))
		}
	}
	return a
}

// announce sends what is due. On a link that is down it is lost, and sent again when that may be up.
func (l *loop) announce() {
	a := &l.announcer
	if a.left == 0 || l.gone || l.now.Sub(a.last) < announceEvery {
		return
	}
	a.last = l.now
	var vnet [tap.HdrLen]byte
	sent := true
	for _, frame := range a.frames {
		n, err := l.queues[0].q.Writev([][]byte{vnet[:], frame})
		l.written(n, err)
		sent = sent && err == nil
	}
	if sent {
		a.left--
	}
}

// arpAnnouncement is the frame of RFC 5227, section 2.3.
func arpAnnouncement(ip tcpip.Address, own net.HardwareAddr) []byte {
	b := ethernet(header.ARPSize, header.EthernetBroadcastAddress, own, header.ARPProtocolNumber)
	arp := header.ARP(b[header.EthernetMinimumSize:])
	arp.SetIPv4OverEthernet()
	arp.SetOp(header.ARPRequest)
	copy(arp.HardwareAddressSender(), own)
	copy(arp.ProtocolAddressSender(), ip.AsSlice())
	copy(arp.ProtocolAddressTarget(), ip.AsSlice())
	return b
}

// advertisement is the frame of RFC 4861, section 7.2.6: to all nodes, and it overrides what they know.
func advertisement(ip tcpip.Address, own net.HardwareAddr) []byte {
	options := header.NDPOptionsSerializer{header.NDPTargetLinkLayerAddressOption(own)}
	size := header.ICMPv6NeighborAdvertMinimumSize + options.Length()
	to := header.IPv6AllNodesMulticastAddress
	b := ethernet(header.IPv6MinimumSize+size, header.EthernetAddressFromMulticastIPv6Address(to), own, header.IPv6ProtocolNumber)
	packet := header.IPv6(b[header.EthernetMinimumSize:])
	packet.Encode(&header.IPv6Fields{
		PayloadLength:     uint16(size),
		TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit:          header.NDPHopLimit,
		SrcAddr:           ip,
		DstAddr:           to,
	})
	icmp := header.ICMPv6(packet.Payload())
	icmp.SetType(header.ICMPv6NeighborAdvert)
	na := header.NDPNeighborAdvert(icmp.MessageBody())
	na.SetTargetAddress(ip)
	na.SetOverrideFlag(true)
	na.Options().Serialize(options)
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: icmp, Src: ip, Dst: to}))
	return b
}

// ethernet is a frame with room for a payload of n bytes.
func ethernet(n int, to tcpip.LinkAddress, own net.HardwareAddr, proto tcpip.NetworkProtocolNumber) []byte {
	b := make([]byte, header.EthernetMinimumSize+n)
	header.Ethernet(b).Encode(&header.EthernetFields{SrcAddr: tcpip.LinkAddress(own), DstAddr: to, Type: proto})
	return b
}
