package netstack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"ustack/ioarea"
	"ustack/tap"
)

const (
	protoICMP     = 1
	protoFragment = 44
	protoICMPv6   = 58
	protoDestOpts = 60
)

var (
	wireIP6 = []byte{0xfd, 15: 9}
	hostIP6 = []byte{0xfd, 15: 2}
	synMSS  = []byte{2, 4, 5, 0xb4} // 1460
)

// A mtuPeer is the peer of a connection over IPv4 or IPv6, and speaks for the routers on the
// path to it.
type mtuPeer struct {
	*rawConn
	v6       bool
	a        *ioarea.Area
	una, nxt uint32 // what it has acknowledged, and what is behind all that it was sent
	pathMTU  int    // segments of larger packets get lost, and a router says so
	largest  int    // segment that was taken
	df       bool   // of the last one: nobody may fragment it
}

// newMTUPeer opens a connection with a SYN of those options.
func newMTUPeer(t *testing.T, v6 bool, options []byte) *mtuPeer {
	w := newWire(t, nil)
	host := hostAddr.Addr()
	if v6 {
		host = netip.AddrFrom16([16]byte(hostIP6))
	}
	ln, err := w.stack.Listen(netip.AddrPortFrom(host, hostAddr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	p := &mtuPeer{rawConn: &rawConn{w: w, port: 1001, iss: 7, window: 0xffff}, v6: v6, pathMTU: 1500}
	p.connect(options)
	p.a = w.accept(ln)
	return p
}

// connect makes the handshake.
func (p *mtuPeer) connect(options []byte) {
	p.w.t.Helper()
	p.write(protoTCP, p.tcp(flagSYN, p.iss, 0, options, nil))
	s, _ := p.next()
	p.irs = s.seq
	p.una, p.nxt = s.seq+1, s.seq+1
	p.ack()
}

func (p *mtuPeer) ack() {
	p.write(protoTCP, p.tcp(flagACK, p.iss+1, p.una, nil, nil))
}

// write sends a packet whose checksums above IP the device vouches for; gVisor looks at those of ICMP all the same.
func (p *mtuPeer) write(proto byte, body ...[]byte) {
	p.w.t.Helper()
	if !p.v6 {
		p.w.write(p.w.ip(proto, nil, body...))
		return
	}
	p.w.write(p.w.ip6(proto, hostIP6, body...))
}

// ip6 makes an IPv6 packet in a frame to the stack.
func (w *wire) ip6(next byte, dst []byte, body ...[]byte) []byte {
	f := make([]byte, ethLen+ipv6Len, 2048)
	copy(f, w.mac[:])
	copy(f[6:], wireMAC)
	binary.BigEndian.PutUint16(f[12:], ethTypeIPv6)
	f[ethLen], f[ethLen+6], f[ethLen+7] = 0x60, next, 255
	copy(f[ethLen+8:], wireIP6)
	copy(f[ethLen+24:], dst)
	f = append(f, bytes.Join(body, nil)...)
	binary.BigEndian.PutUint16(f[ethLen+4:], uint16(len(f)-ethLen-ipv6Len))
	return f
}

// icmp6 gives an ICMPv6 message from wireIP6 its checksum (RFC 4443, section 2.3).
func icmp6(dst, m []byte) []byte {
	pseudo := bytes.Join([][]byte{wireIP6, dst, {0, 0, byte(len(m) >> 8), byte(len(m)), 0, 0, 0, protoICMPv6}, m}, nil)
	binary.BigEndian.PutUint16(m[2:], onesSum(append(pseudo, make([]byte, len(m)%2)...)))
	return m
}

// next returns the next segment of the connection, and its payload. A solicitation of the
// neighbour (RFC 4861, section 4.3) that comes before is answered.
func (p *mtuPeer) next() (*segment, []byte) {
	p.w.t.Helper()
	for {
		f := p.w.read()
		if ip := f[ethLen:]; f[12] == 0x86 && ip[6] == protoICMPv6 && ip[40] == 135 && bytes.Equal(ip[48:64], wireIP6) {
			to := bytes.Clone(ip[8:24])
			m := append([]byte{136, 0, 0, 0, 0x60, 0, 0, 0}, wireIP6...)
			p.w.write(p.w.ip6(protoICMPv6, to, icmp6(to, append(append(m, 2, 1), wireMAC...))))
			continue
		}
		if s := new(segment); parseFrame(f, len(f), s) && s.dstPort == p.port {
			p.df = f[12] == 0x08 && f[ethLen+6]&0x40 != 0
			return s, f[s.headerLen:]
		}
	}
}

// onWire is the payload of the segments that a frame stands for: of all but the last.
func (p *mtuPeer) onWire(s *segment) int {
	h, err := tap.DecodeHdr(p.w.buf)
	if err != nil {
		p.w.t.Fatal(err)
	}
	if h.GSOType != tap.GSONone {
		return min(s.payload, int(h.GSOSize))
	}
	return s.payload
}

// tooBig says that the segment at seq to port did not fit (RFC 1191, section 4; RFC 4443, section 3.2).
func (p *mtuPeer) tooBig(mtu int, seq uint32, port uint16) []byte {
	quoted := make([]byte, 8)
	binary.BigEndian.PutUint16(quoted, hostAddr.Port())
	binary.BigEndian.PutUint16(quoted[2:], port)
	binary.BigEndian.PutUint32(quoted[4:], seq)
	m := make([]byte, 8)
	if p.v6 {
		m[0] = 2
		binary.BigEndian.PutUint32(m[4:], uint32(mtu))
		ip := p.w.ip6(protoTCP, wireIP6, quoted)[ethLen:]
		copy(ip[8:], hostIP6)
		return icmp6(hostIP6, append(m, ip...))
	}
	m[0], m[1] = 3, 4
	binary.BigEndian.PutUint16(m[6:], uint16(mtu))
	ip := p.w.ip(protoTCP, nil, quoted)[ethLen:]
	copy(ip[12:], hostIP)
	copy(ip[16:], wireIP)
	m = append(m, ip...)
	binary.BigEndian.PutUint16(m[2:], onesSum(m))
	return m
}

func (p *mtuPeer) icmp() byte {
	if p.v6 {
		return protoICMPv6
	}
	return protoICMP
}

// say has the handler say n more bytes.
func (p *mtuPeer) say(n int) {
	p.w.t.Helper()
	if err := p.a.Out.Append(patience, versioned(make([]byte, n), uint64(p.nxt-p.irs-1), 3)); err != nil {
		p.w.t.Fatal(err)
	}
}

// inFlight has n bytes on their way, which nobody has acknowledged.
func (p *mtuPeer) inFlight(n int) {
	p.w.t.Helper()
	p.say(n)
	for end := p.nxt + uint32(n); p.nxt != end; {
		s, _ := p.next()
		p.nxt = s.seq + uint32(s.payload)
	}
}

// take takes what is on its way and n bytes more, and returns the largest segment that came.
func (p *mtuPeer) take(n int) int {
	p.w.t.Helper()
	p.say(n)
	end := p.nxt + uint32(n)
	headers := ipv4MinLen + tcpMinLen
	if p.v6 {
		headers = ipv6Len + tcpMinLen
	}
	p.largest, p.una = 0, p.nxt
	p.ack()
	for p.una != end {
		s, payload := p.next()
		size := p.onWire(s)
		if size+headers > p.pathMTU {
			p.write(p.icmp(), p.tooBig(p.pathMTU, s.seq, p.port))
			continue
		}
		p.largest = max(p.largest, size)
		off := uint64(s.seq - p.irs - 1)
		if want := versioned(make([]byte, len(payload)), off, 3); !bytes.Equal(payload, want) {
			p.w.t.Fatalf("%d bytes at %d are not what was said", len(payload), off)
		}
		if s.seq == p.una {
			p.una += uint32(s.payload)
		}
		p.ack()
	}
	p.nxt = end
	return p.largest
}

// An envelope is a way to bring a packet to the host.
type envelope struct {
	name string
	send func(p *mtuPeer, body []byte)
}

var plainly = envelope{"plainly", func(p *mtuPeer, body []byte) { p.write(p.icmp(), body) }}

var envelopes = map[bool][]envelope{
	false: {plainly, {"in fragments", func(p *mtuPeer, body []byte) {
		f := p.w.fragments(p.w.ip(protoICMP, nil, body), 8)
		p.w.write(f[1])
		p.w.write(f[0])
	}}},
	true: {plainly, {"behind options", func(p *mtuPeer, body []byte) {
		p.write(protoDestOpts, []byte{protoICMPv6, 0, 1, 4, 0, 0, 0, 0}, body)
	}}, {"in fragments", func(p *mtuPeer, body []byte) {
		p.write(protoFragment, []byte{protoICMPv6, 0, 0, 8, 0, 0, 0x47, 0x11}, body[8:])
		p.write(protoFragment, []byte{protoICMPv6, 0, 0, 1, 0, 0, 0x47, 0x11}, body[:8])
	}}},
}

func eachFamily(t *testing.T, f func(t *testing.T, v6 bool)) {
	for _, v6 := range []bool{false, true} {
		t.Run(map[bool]string{false: "IPv4", true: "IPv6"}[v6], func(t *testing.T) { f(t, v6) })
	}
}

// fullIPv4 and fullIPv6 are the payload of a segment that fills a packet of 1500 bytes.
const fullIPv4, fullIPv6 = 1500 - ipv4MinLen - tcpMinLen, 1500 - ipv6Len - tcpMinLen

func TestPathMTUIsNotLoweredBelowTheLeast(t *testing.T) {
	eachFamily(t, func(t *testing.T, v6 bool) {
		mtus, want := []int{0, 1, 68, minPathMTU - 1}, minPathMTU-ipv4MinLen-tcpMinLen
		if v6 {
			mtus, want = []int{0, 68, 1279}, fullIPv6
		}
		for _, e := range envelopes[v6] {
			for _, mtu := range mtus {
				t.Run(fmt.Sprintf("%d, %s", mtu, e.name), func(t *testing.T) {
					p := newMTUPeer(t, v6, synMSS)
					p.inFlight(5000)
					e.send(p, p.tooBig(mtu, p.una, p.port))
					p.w.barrier(1)
					if n := p.take(20000); n != want {
						t.Errorf("segments of %d, want %d", n, want)
					}
					if p.df {
						t.Error("routers may not make fragments for what takes less")
					}
					if n := p.w.stack.Stats().PathMTURefused; n != 1 {
						t.Errorf("%d errors refused, want 1", n)
					}
				})
			}
		}
	})
}

// Who is not on the path does not know what is on its way (RFC 5927, section 7.2).
func TestPathMTUIsLoweredForSegmentsOnTheirWayAlone(t *testing.T) {
	const sent = 5000
	eachFamily(t, func(t *testing.T, v6 bool) {
		full := fullIPv4
		if v6 {
			full = fullIPv6
		}
		for _, c := range []struct {
			name    string
			ahead   uint32 // of what is acknowledged
			port    uint16
			lowered bool
		}{
			{"acknowledged", ^uint32(0), 1001, false},
			{"first", 0, 1001, true},
			{"last", sent - 1, 1001, true},
			{"not sent", sent, 1001, false},
			{"far off", 1 << 31, 1001, false},
			{"another connection", 0, 1002, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := newMTUPeer(t, v6, synMSS)
				p.take(10000)
				p.inFlight(sent)
				p.write(p.icmp(), p.tooBig(1300, p.una+c.ahead, c.port))
				p.w.barrier(1)
				want, refused := full, uint64(1)
				if c.lowered {
					want, refused = full-200, 0
				}
				if n := p.take(10000); n != want {
					t.Errorf("segments of %d, want %d", n, want)
				}
				if n := p.w.stack.Stats().PathMTURefused; n != refused {
					t.Errorf("%d errors refused, want %d", n, refused)
				}
			})
		}
	})
}

// An error for a SYN says nothing of segments, and gVisor would not believe the same number later.
func TestPathMTUIsNotLoweredByAnErrorForASYN(t *testing.T) {
	p := newMTUPeer(t, false, synMSS)
	p.port++
	p.write(protoTCP, p.tcp(flagSYN, p.iss, 0, synMSS, nil))
	s, _ := p.next()
	p.write(protoICMP, p.tooBig(1300, s.seq, p.port))
	p.w.barrier(1)
	if n := p.w.stack.Stats().PathMTURefused; n != 1 {
		t.Errorf("%d errors refused, want 1", n)
	}
}

func TestPathMTUDiscovery(t *testing.T) {
	eachFamily(t, func(t *testing.T, v6 bool) {
		p := newMTUPeer(t, v6, synMSS)
		mtus, headers := []int{1400, 1000, minPathMTU}, ipv4MinLen+tcpMinLen
		if v6 {
			mtus, headers = []int{1400, 1280}, ipv6Len+tcpMinLen
		}
		for _, mtu := range mtus {
			p.pathMTU = mtu
			if n := p.take(300 << 10); n != mtu-headers {
				t.Errorf("a path of %d is given segments of %d", mtu, n)
			}
		}
		if !v6 && !p.df {
			t.Error("routers may make fragments")
		}
		if n := p.w.stack.Stats().PathMTURefused; n != 0 {
			t.Errorf("%d errors refused, want none", n)
		}
	})
}

// A peer can't ask for segments of a byte either: gVisor takes less than 48 bytes for 48, as Linux
// does (net.ipv4.tcp_min_snd_mss), and 0 for nothing said.
func TestLeastSegmentSize(t *testing.T) {
	eachFamily(t, func(t *testing.T, v6 bool) {
		const sackBlocks = 4 + 4*8 // that there may be, with what fills up
		for _, c := range []struct{ mss, want int }{{0, 536}, {1, 48}, {47, 48}, {49, 49}} {
			mss := []byte{2, 4, 0, byte(c.mss)}
			if n := newMTUPeer(t, v6, mss).take(5000); n != c.want {
				t.Errorf("segments of %d for a maximum of %d, want %d", n, c.mss, c.want)
			}
			sack := []byte{4, 2, 1, 1}
			if n := newMTUPeer(t, v6, append(sack, mss...)).take(5000); n != c.want-sackBlocks {
				t.Errorf("segments of %d with SACK for a maximum of %d, want %d", n, c.mss, c.want-sackBlocks)
			}
		}
	})
}
