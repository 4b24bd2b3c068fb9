package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

// oracle is what gVisor's headers say of a frame that parseFrame has accepted.
func oracle(t *testing.T, f []byte, s *segment) {
	t.Helper()
	eth := header.Ethernet(f)
	ip := f[header.EthernetMinimumSize:]
	var tcp header.TCP
	var src, dst []byte
	var length, frame int // bytes of TCP, and of the frame without what fills it up
	switch eth.Type() {
	case header.IPv4ProtocolNumber:
		h := header.IPv4(ip)
		if !h.IsValid(len(ip)) || h.Protocol() != uint8(header.TCPProtocolNumber) || h.More() || h.FragmentOffset() != 0 {
			t.Fatalf("gVisor sees no whole IPv4 TCP packet in %x", f)
		}
		a, b := h.SourceAddress().As4(), h.DestinationAddress().As4()
		src, dst = append(make([]byte, 10), 0xff, 0xff), append(make([]byte, 10), 0xff, 0xff)
		src, dst = append(src, a[:]...), append(dst, b[:]...)
		length = int(h.PayloadLength())
		frame = ethLen + int(h.TotalLength())
		tcp = header.TCP(ip[h.HeaderLength():])
	case header.IPv6ProtocolNumber:
		h := header.IPv6(ip)
		if !h.IsValid(len(ip)) || h.NextHeader() != uint8(header.TCPProtocolNumber) {
			t.Fatalf("gVisor sees no IPv6 TCP packet in %x", f)
		}
		a, b := h.SourceAddress().As16(), h.DestinationAddress().As16()
		src, dst = a[:], b[:]
		length = int(h.PayloadLength())
		frame = ethLen + ipv6Len + length
		tcp = header.TCP(ip[header.IPv6MinimumSize:])
	default:
		t.Fatalf("gVisor sees no IP packet in %x", f)
	}
	offset := int(tcp.DataOffset())
	switch {
	case !bytes.Equal(src, s.src[:]), !bytes.Equal(dst, s.dst[:]):
		t.Errorf("addresses %x to %x, gVisor sees %x to %x", s.src, s.dst, src, dst)
	case tcp.SourcePort() != s.srcPort, tcp.DestinationPort() != s.dstPort:
		t.Errorf("ports %d to %d, gVisor sees %d to %d", s.srcPort, s.dstPort, tcp.SourcePort(), tcp.DestinationPort())
	case tcp.SequenceNumber() != s.seq, tcp.AckNumber() != s.ack:
		t.Errorf("seq %d ack %d, gVisor sees %d and %d", s.seq, s.ack, tcp.SequenceNumber(), tcp.AckNumber())
	case uint8(tcp.Flags())&0x3f != s.flags, tcp.WindowSize() != s.window:
		t.Errorf("flags %#x window %d, gVisor sees %#x and %d", s.flags, s.window, tcp.Flags(), tcp.WindowSize())
	case length-offset != s.payload, frame-s.payload != s.headerLen:
		t.Errorf("%d header and %d payload bytes, gVisor sees %d of payload", s.headerLen, s.payload, length-offset)
	case !bytes.Equal(s.options, tcp.Options()):
		t.Errorf("options %x, gVisor sees %x", s.options, tcp.Options())
	}
	checkOptions(t, s)
}

func checkOptions(t *testing.T, s *segment) {
	t.Helper()
	o := header.ParseTCPOptions(s.options)
	blocks, found := tcpOption(s.options, optionSACK)
	if n := len(o.SACKBlocks); n > 0 && !found {
		t.Errorf("gVisor sees %d SACK blocks in %x, we none", n, s.options)
	}
	if len(blocks) > 40 {
		t.Errorf("an option of %d bytes", len(blocks))
	}
	if s.flags&flagSYN == 0 {
		return
	}
	syn := header.ParseSynOptions(s.options, s.flags&flagACK != 0)
	if v, ok := tcpOption(s.options, optionWindowScale); ok && len(v) == 1 && syn.WS >= 0 {
		if want := int(min(v[0], header.MaxWndScale)); syn.WS != want && countOption(s.options, optionWindowScale) == 1 {
			t.Errorf("window scale %d, gVisor sees %d in %x", v[0], syn.WS, s.options)
		}
	}
}

// countOption counts the options of a kind.
func countOption(o []byte, kind byte) (n int) {
	for len(o) > 0 && o[0] != optionEnd {
		if o[0] == optionNop {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return n
		}
		if o[0] == kind {
			n++
		}
		o = o[o[1]:]
	}
	return n
}

func FuzzParseFrame(f *testing.F) {
	for _, s := range seedFrames() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var whole, part segment
		ok := parseFrame(frame, len(frame), &whole)
		if ok {
			oracle(t, frame, &whole)
		}
		// The first bytes say the same as the whole, as long as headers lie in them.
		first := frame[:min(len(frame), maxHeaderLen)]
		if parseFrame(first, len(frame), &part) != ok {
			t.Fatalf("accepted %t by its first %d bytes, %t by all", !ok, len(first), ok)
		}
		if ok && (part.seq != whole.seq || part.payload != whole.payload || part.headerLen != whole.headerLen) {
			t.Errorf("the first bytes say %+v, all say %+v", part, whole)
		}
		end := whole.headerLen + whole.payload
		if ok && (!parseFrame(frame, len(frame)+1, &part) || part.payload != whole.payload) {
			t.Error("what fills a frame up is counted")
		}
		if ok && parseFrame(frame, end-1, &part) {
			t.Error("accepted without its last byte")
		}
	})
}

// seedFrames are well-formed frames, and such as are just not.
func seedFrames() [][]byte {
	w := &wire{}
	copy(w.mac[:], []byte{2, 0, 0, 0, 0, 2})
	c := &rawConn{port: 1000}
	syn := []byte{2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 0}
	sack := append([]byte{1, 1, 5, 10}, make([]byte, 8)...)
	frames := [][]byte{
		w.ip(protoTCP, nil, c.tcp(flagSYN, 1, 0, syn, nil)),
		w.ip(protoTCP, nil, c.tcp(flagSYN|flagACK, 1, 9, syn, nil)),
		w.ip(protoTCP, nil, c.tcp(flagACK, 1, 2, sack, []byte("payload"))),
		w.ip(protoTCP, bytes.Repeat([]byte{1}, 40), c.tcp(flagACK|flagFIN, 1, 2, bytes.Repeat([]byte{1}, 40), []byte("x"))),
		w.ip(protoTCP, nil, c.tcp(flagRST, 1, 2, nil, nil)),
		w.ip(protoTCP, nil, c.tcp(flagACK|flagURG, 1, 2, []byte{5, 0, 5, 1}, []byte("u"))),
		w.ip(17, nil, make([]byte, 8)),
		w.ip(1, nil, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}),
		w.ip6(protoTCP, hostIP6, c.tcp(flagACK, 1, 2, nil, []byte("payload"))), {}, make([]byte, 13), make([]byte, 14), make([]byte, 60),
	}
	for _, cut := range []int{1, 20, 21} {
		f := frames[2]
		frames = append(frames, f[:len(f)-cut], append(bytes.Clone(f), make([]byte, cut)...))
	}
	fragment := bytes.Clone(frames[2])
	fragment[ethLen+6] = 0x20
	binary.BigEndian.PutUint16(fragment[ethLen+10:], 0)
	binary.BigEndian.PutUint16(fragment[ethLen+10:], onesSum(fragment[ethLen:ethLen+20]))
	tooBig := (&mtuPeer{rawConn: &rawConn{w: w}}).tooBig(0, 1, 1000)
	frames = append(frames, fragment, w.ip(protoICMP, nil, tooBig))
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4}
	for _, options := range [][]byte{{7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, {148, 4, 0, 0}, {131, 7, 4, 1, 2, 3, 4, 0}} {
		frames = append(frames, w.ip(protoICMP, options, echo)) // the route, times, an alert, the way to go
	}
	for _, typ := range []byte{3, 4, 5, 11, 12, 13} { // what quotes a packet
		frames = append(frames, w.ip(protoICMP, nil, []byte{typ, 0, 0, 0, 0, 0, 0, 0}, frames[2][ethLen:]))
	}
	frames = append(frames, w.ip(2, []byte{148, 4, 0, 0}, []byte{0x11, 1, 0, 0, 0, 0, 0, 0}))
	target := append(make([]byte, 4), hostIP6...)
	link := append([]byte{1, 1}, wireMAC...)
	for _, of := range []struct {
		typ  byte
		body []byte
	}{
		{1, append(make([]byte, 4), frames[8][ethLen:]...)}, {3, append(make([]byte, 4), frames[8][ethLen:]...)},
		{128, []byte{0, 1, 0, 1, 1, 2, 3}}, {130, make([]byte, 20)}, {133, append(make([]byte, 4), link...)},
		{134, append([]byte{64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}, link...)},
		{135, slices.Concat(target, link)}, {136, slices.Concat(target, []byte{2, 1}, wireMAC)}, {137, slices.Concat(target, hostIP6)},
	} {
		m := append([]byte{of.typ, 0, 0, 0}, of.body...)
		frames = append(frames, w.ip6(protoICMPv6, hostIP6, m), w.ip6(protoDestOpts, hostIP6, []byte{protoICMPv6, 0, 1, 4, 0, 0, 0, 0}, m),
			w.ip6(0, hostIP6, []byte{protoFragment, 0, 5, 2, 0, 0, 1, 0}, []byte{protoICMPv6, 0, 0, 0, 0, 0, 0x47, 0x11}, m))
	}
	return frames
}

// What the hint in the first header of FuzzFrames's input asks for: no stack looks at hints.
const (
	framesShards = 1 << iota // two shards
	framesCopied             // no placement, no lending
	framesRACK               // the other loss recovery
	framesIPv6               // frames are made to fit a connection over IPv6, too
)

// FuzzFrames: whatever comes from the wire, under any virtio-net header, the stack
// goes on answering. Each frame is its header of 10 bytes, the length of the rest
// in two, and the rest; some of it is made to fit an open connection.
func FuzzFrames(f *testing.F) {
	var all []byte
	pack := func(h tap.Hdr, frame []byte) []byte {
		b := make([]byte, tap.HdrLen+2)
		h.Encode(b)
		binary.BigEndian.PutUint16(b[tap.HdrLen:], uint16(len(frame)))
		return append(b, frame...)
	}
	for i, s := range seedFrames() {
		h := []tap.Hdr{
			{}, {Flags: tap.FlagDataValid}, {Flags: tap.FlagNeedsCsum, CsumStart: 34, CsumOffset: 16},
			{Flags: 0xff, GSOType: 0xff, HdrLen: 0xffff, GSOSize: 0xffff, CsumStart: 0xffff, CsumOffset: 0xffff},
			{GSOType: tap.GSOTCPv4, GSOSize: 1}, {GSOType: tap.GSOTCPv6, GSOSize: 0},
		}[i%6]
		all = append(all, pack(h, s)...)
		f.Add(pack(h, s))
	}
	for asks := range 2 * framesIPv6 {
		asked := bytes.Clone(all)
		asked[2] = byte(asks)
		f.Add(asked)
	}
	f.Add(pack(tap.Hdr{Flags: tap.FlagDataValid}, bytes.Repeat([]byte{0xff}, 0xfff0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		asks := 0
		if len(data) > 2 {
			asks = int(data[2])
		}
		w := newWire(t, func(c *Config) {
			c.RingIn, c.RingOut, c.CopyAll = 256<<10, 64<<10, asks&framesCopied != 0
			if asks&framesShards != 0 {
				c.Shards = 2
			}
			if asks&framesRACK != 0 {
				c.Recovery = "rack"
			}
		})
		serve(t, w.stack, hostAddr, func() ioarea.Handler { return handlers.Echo{} })
		c := w.open(1000, 0xfffffff0)
		var six *mtuPeer
		if asks&framesIPv6 != 0 {
			host6 := netip.AddrPortFrom(netip.AddrFrom16([16]byte(hostIP6)), hostAddr.Port())
			serve(t, w.stack, host6, func() ioarea.Handler { return handlers.Echo{} })
			six = &mtuPeer{rawConn: &rawConn{w: w, port: 1002, iss: 0xfffffff0, window: 0xffff}, v6: true}
			six.connect(synMSS)
		}
		for range 64 {
			if len(data) < tap.HdrLen+2 {
				break
			}
			h, _ := tap.DecodeHdr(data)
			n := int(binary.BigEndian.Uint16(data[tap.HdrLen:]))
			data = data[tap.HdrLen+2:]
			n = min(n, len(data))
			w.inject(h, data[:n])
			w.inject(h, c.adapted(data[:n]))
			w.inject(h, w.mended(data[:n]))
			if six != nil {
				w.inject(h, six.adapted6(data[:n]))
			}
			data = data[n:]
		}
		// Another client is served as ever.
		w.barrier(3)
		d := w.open(1001, 5)
		d.send(0, []byte("are you there?"))
		got := d.until(func(s *segment) bool { return s.payload > 0 || s.flags&flagRST != 0 })
		if got.payload != 14 {
			t.Fatalf("the answer is %+v", got)
		}
		w.stack.onAll(func(l *loop) { l.stopAll(evKilled, errStopped) }) // what the peer has left half closed would have its time
	})
}

// inject writes a frame that may be any.
func (w *wire) inject(h tap.Hdr, frame []byte) {
	if len(frame) >= ethLen {
		w.writeHdr(h, frame)
	}
}

// adapted makes a TCP segment one of the connection's, near what comes next, as far
// as its bytes let it.
func (c *rawConn) adapted(frame []byte) []byte {
	f := bytes.Clone(frame)
	if len(f) < ethLen+ipv4MinLen+tcpMinLen {
		return f
	}
	copy(f, c.w.mac[:])
	f[12], f[13] = 0x08, 0x00
	ip := f[ethLen:]
	ihl := max(5, min(int(ip[0]&15), (len(ip)-tcpMinLen)/4))
	ip[0], ip[9] = 0x40|byte(ihl), protoTCP
	ip[6] &^= 0x3f
	ip[7] = 0
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], wireIP)
	copy(ip[16:], hostIP)
	ip[10], ip[11] = 0, 0
	binary.BigEndian.PutUint16(ip[10:], onesSum(ip[:ihl*4]))
	c.adaptTCP(ip[ihl*4:])
	return f
}

// mended makes a packet one for the host, whose lengths and checksums are right: what is in it is looked at.
func (w *wire) mended(frame []byte) []byte {
	f := bytes.Clone(frame)
	if len(f) < ethLen+ipv4MinLen {
		return f
	}
	copy(f, w.mac[:])
	switch ip := f[ethLen:]; {
	case f[12] == ethTypeIPv4>>8 && f[13] == 0:
		ihl := max(ipv4MinLen, min(int(ip[0]&15)*4, len(ip)&^3))
		ip[0] = 0x40 | byte(ihl/4)
		binary.BigEndian.PutUint16(ip[2:], uint16(min(len(ip), 0xffff)))
		copy(ip[16:], hostIP)
		sumAt(ip[:ihl], 10, 0)
		if ip[9] == protoICMP {
			sumAt(ip[ihl:], 2, 0)
		}
	case f[12] == ethTypeIPv6>>8 && f[13] == ethTypeIPv6&0xff && len(ip) >= ipv6Len:
		ip[0] = 0x60
		binary.BigEndian.PutUint16(ip[4:], uint16(min(len(ip)-ipv6Len, 0xffff)))
		if ip[24] != 0xff { // of a group
			copy(ip[24:], hostIP6)
		}
		w.mendICMP6(ip)
	}
	return f
}

// mendICMP6 gives ICMPv6 behind whatever extension headers its checksum.
func (w *wire) mendICMP6(ip []byte) {
	next, body := ip[6], ip[ipv6Len:]
	for next != protoICMPv6 {
		n := 8
		switch {
		case len(body) < 8:
			return
		case next == 0, next == 43, next == protoDestOpts:
			n += int(body[1]) * 8
		case next != protoFragment:
			return
		}
		if n > len(body) {
			return
		}
		next, body = body[0], body[n:]
	}
	sumAt(body, 2, ^onesSum(slices.Concat(ip[8:40], []byte{byte(len(body) >> 8), byte(len(body)), 0, protoICMPv6})))
}

// sumAt writes the checksum of b, and of what has been summed, at a place in it.
func sumAt(b []byte, at int, sum uint16) {
	if len(b) < at+2 {
		return
	}
	b[at], b[at+1] = 0, 0
	padded := slices.Concat(b, make([]byte, len(b)%2))
	binary.BigEndian.PutUint16(b[at:], onesSum(binary.BigEndian.AppendUint16(padded, sum)))
}

// adapted6 is adapted over IPv6.
func (p *mtuPeer) adapted6(frame []byte) []byte {
	if len(frame) < ethLen+ipv6Len+tcpMinLen {
		return frame
	}
	f := p.w.ip6(protoTCP, hostIP6, frame[ethLen+ipv6Len:])
	p.adaptTCP(f[ethLen+ipv6Len:])
	return f
}

func (c *rawConn) adaptTCP(tcp []byte) {
	binary.BigEndian.PutUint16(tcp, c.port)
	binary.BigEndian.PutUint16(tcp[2:], 7)
	binary.BigEndian.PutUint32(tcp[4:], c.iss+1+uint32(int8(tcp[7])))
	binary.BigEndian.PutUint32(tcp[8:], c.irs+1+uint32(int8(tcp[11]))) // of what the echo sends, or not yet
}

func TestFramesThatAreNoneOfOursAreCounted(t *testing.T) {
	w := newWire(t, nil)
	serve(t, w.stack, hostAddr, func() ioarea.Handler { return handlers.Echo{} })
	c := w.open(1000, 1)
	w.barrier(1)

	foreign := w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1, nil, []byte("not for you")))
	foreign[5]++
	w.write(foreign)
	w.write(make([]byte, ethLen)) // no more than an Ethernet header, to nobody
	w.barrier(1)
	if n := w.stack.Stats().ForeignFrames; n != 2 {
		t.Errorf("%d foreign frames counted, want 2", n)
	}
	// The largest frame there can be, in one piece.
	largest := make([]byte, tap.MaxFrame)
	copy(largest, foreign)
	w.write(largest)
	w.barrier(1)
	c.send(0, []byte("still here"))
	if s := c.until(func(s *segment) bool { return s.payload > 0 }); s.payload != 10 {
		t.Errorf("%d bytes came back, want 10", s.payload)
	}
}
