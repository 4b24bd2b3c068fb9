package netstack

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A segment waits to be sent again when the peer acknowledges it, wholly or in part.
// What it acknowledges is told all the same, and what is missing is sent.
func TestAStaleSegmentStillAcknowledges(t *testing.T) {
	const mss, segments, request = 1460, 5, 1000
	for _, c := range []struct {
		name string
		upTo uint32
	}{{"wholly", segments * mss}, {"in part", mss + 700}} {
		t.Run(c.name, func(t *testing.T) {
			withProcs(t, 1, func(t *testing.T) {
				w := newWire(t, nil)
				ln := w.listen()
				// Without SACK a loss is found by duplicate acknowledgements alone.
				p := &rawConn{w: w, port: 1001, iss: 7, window: 0xffff, unscaled: true}
				p.connect()
				a := w.accept(ln)
				said := versioned(make([]byte, segments*mss), 0, 3)
				if err := a.Out.Append(patience, said); err != nil {
					t.Fatal(err)
				}
				p.until(func(s *segment) bool { return s.seq+uint32(s.payload) == p.irs+1+segments*mss })
				ack := func(seq, upTo uint32, payload []byte) {
					w.write(w.ip(protoTCP, nil, p.tcp(flagACK|flagPSH, p.iss+1+seq, p.irs+1+upTo, nil, payload)))
				}
				ack(0, mss, nil)
				w.barrier(1)
				w.together(func() {
					ack(0, mss, make([]byte, request))
					for range 3 {
						ack(request, mss, nil)
					}
					ack(request, c.upTo, nil)
				})
				told := false
				for next := c.upTo; !told || next < segments*mss; {
					var s *segment
					b := p.payload(func(seg *segment) bool { s = seg; return true })
					told = told || s.ack == p.iss+1+request
					if len(b) == 0 && s.ack == p.iss+1+request && s.seq != p.irs+1+segments*mss {
						t.Errorf("an ACK at %d, which the peer need not take", s.seq-p.irs-1)
					}
					at := s.seq - p.irs - 1
					if len(b) > 0 && at <= next {
						if !bytes.Equal([]byte(b), said[at:][:len(b)]) {
							t.Fatalf("%d bytes at %d are not what was said", len(b), at)
						}
						next = max(next, at+uint32(len(b)))
						ack(request, next, nil)
					}
				}
				if c.upTo == segments*mss && w.stack.Stats().WritesStale == 0 {
					t.Error("no segment was stale")
				}
			})
		})
	}
}

// A segment whose last byte alone is sent again, and acknowledged before it is, looks like a
// probe. gVisor has no such byte to send (claim.go).
func TestAStaleByteIsSentAsAProbe(t *testing.T) {
	const mss = 1460
	withProcs(t, 1, func(t *testing.T) {
		w := newWire(t, nil)
		ln := w.listen()
		p := &rawConn{w: w, port: 1001, iss: 7, window: 0xffff, unscaled: true}
		p.connect()
		a := w.accept(ln)
		if err := a.Out.Append(patience, versioned(make([]byte, mss+1), 0, 3)); err != nil {
			t.Fatal(err)
		}
		p.until(func(s *segment) bool { return s.seq+uint32(s.payload) == p.irs+1+mss+1 })
		ack := func(upTo uint32) {
			w.write(w.ip(protoTCP, nil, p.tcp(flagACK, p.iss+1, p.irs+1+upTo, nil, nil)))
		}
		ack(mss)
		w.barrier(1)
		w.together(func() {
			for range 3 {
				ack(mss)
			}
			ack(mss + 1)
		})
		s := p.until(func(s *segment) bool { return s.payload > 0 })
		if s.payload != 1 || s.seq != p.irs+1+mss {
			t.Errorf("%d bytes at %d, want one at %d", s.payload, s.seq-p.irs-1, mss)
		}
		eventually(t, "Out given back", func() bool { return a.Out.Free() == a.Out.Cap() })
	})
}

// The headers of a shortened segment are what they would be if they were made for it.
func TestHeadersOfAShortenedSegment(t *testing.T) {
	headers := func(local, remote netip.Addr, options int, seq uint32, payload int) []byte {
		tcp := header.TCP(make([]byte, tcpMinLen+options))
		tcp.Encode(&header.TCPFields{SrcPort: 9, DstPort: 1000, SeqNum: seq, DataOffset: uint8(len(tcp)), Flags: header.TCPFlagAck})
		length := len(tcp) + payload
		tcp.SetChecksum(header.PseudoHeaderChecksum(header.TCPProtocolNumber, address(local), address(remote), uint16(length)))
		if local.Is6() {
			ip := header.IPv6(make([]byte, ipv6Len))
			ip.Encode(&header.IPv6Fields{PayloadLength: uint16(length), TransportProtocol: header.TCPProtocolNumber, SrcAddr: address(local), DstAddr: address(remote)})
			return bytes.Join([][]byte{make([]byte, ethLen), ip, tcp}, nil)
		}
		ip := header.IPv4(make([]byte, ipv4MinLen))
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(ipv4MinLen + length), TTL: 64, Protocol: protoTCP, SrcAddr: address(local), DstAddr: address(remote)})
		ip.SetChecksum(^ip.CalculateChecksum())
		return bytes.Join([][]byte{make([]byte, ethLen), ip, tcp}, nil)
	}
	for _, pair := range [][2]string{{"10.1.0.2", "10.1.0.9"}, {"fd00::2", "fd00::9"}} {
		local, remote := netip.MustParseAddr(pair[0]), netip.MustParseAddr(pair[1])
		for _, options := range []int{0, 12} {
			for _, c := range []struct{ was, is int }{{1460, 0}, {1460, 1}, {65000, 1460}, {2, 1}} {
				t.Run(fmt.Sprintf("%s, %d of options, %d of %d", pair[0], options, c.is, c.was), func(t *testing.T) {
					h := headers(local, remote, options, 5, c.was)
					restate(h, 0xfffffff0, c.is)
					if want := headers(local, remote, options, 0xfffffff0, c.is); !bytes.Equal(h, want) {
						t.Errorf("%x\nwant %x", h, want)
					}
				})
			}
		}
	}
}
