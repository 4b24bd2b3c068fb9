package main

import (
	"fmt"
	"net"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ustack/tap"
)

// gsoPayload is how many bytes of TCP payload the largest frame carries: what bulk
// flows mostly consist of. gsoSegment is what fits an MTU of 1500 with timestamps.
const (
	gsoSegment = 1448
	gsoPayload = 45 * gsoSegment
)

// gsoFrame is a train of TCP segments behind its virtio-net header, as a TCP with
// segmentation offload sends it, of a connection that does not exist.
func gsoFrame(from, to net.HardwareAddr) ([]byte, error) {
	eth := &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 2)}
	tcp := &layers.TCP{SrcPort: 9, DstPort: 9, ACK: true, PSH: true, Window: 65535}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, eth, ip, tcp, gopacket.Payload(make([]byte, gsoPayload))); err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	const ethLen, ipLen, tcpLen, tcpSum = 14, 20, 20, 16
	frame := make([]byte, tap.HdrLen, tap.HdrLen+len(buf.Bytes()))
	tap.Hdr{
		Flags: tap.FlagNeedsCsum, GSOType: tap.GSOTCPv4, HdrLen: ethLen + ipLen + tcpLen, GSOSize: gsoSegment,
		CsumStart: ethLen + ipLen, CsumOffset: tcpSum,
	}.Encode(frame)
	return append(frame, buf.Bytes()...), nil
}
