package netstack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/tap"
)

// A wire is the other end of a stack's link, where a test writes and reads frames
// of its own making. It answers ARP, and is 10.1.0.9.
type wire struct {
	t     testing.TB
	dev   tap.Device
	queue tap.Queue
	stack *Stack
	mac   [6]byte // the stack's, once it has been heard
	id    uint16
	buf   []byte
}

var (
	wireMAC = []byte{2, 0, 0, 0, 0, 9}
	wireIP  = []byte{10, 1, 0, 9}
	hostIP  = []byte{10, 1, 0, 2}
)

func newWire(t testing.TB, tune func(*Config)) *wire {
	t.Helper()
	near, far := tap.NewPair(tap.PairConfig{Depth: 4096})
	w := &wire{t: t, dev: far, buf: make([]byte, tap.HdrLen+tap.MaxFrame)}
	var err error
	if w.queue, err = far.AttachQueue(); err != nil {
		t.Fatal(err)
	}
	w.stack = newStack(t, near, func(c *Config) {
		c.HardwareAddr = []byte{2, 0, 0, 0, 0, 2}
		if tune != nil {
			tune(c)
		}
	}, "10.1.0.2/24", "fd00::2/64")
	copy(w.mac[:], []byte{2, 0, 0, 0, 0, 2})
	watchdog := time.AfterFunc(patience, func() { far.Close() })
	t.Cleanup(func() {
		watchdog.Stop()
		far.Close()
	})
	return w
}

// write sends one frame, whose checksum the device vouches for.
func (w *wire) write(frame []byte) {
	w.t.Helper()
	w.writeHdr(tap.Hdr{Flags: tap.FlagDataValid}, frame)
}

// writeWrong sends a frame of TCP over IPv4 without options with a wrong checksum, for which nobody
// vouches: whatever else stands there is right by chance, once in 65,535 times.
func (w *wire) writeWrong(frame []byte) {
	w.t.Helper()
	spoilChecksum(frame)
	w.writeHdr(tap.Hdr{}, frame)
}

func (w *wire) writeHdr(h tap.Hdr, frame []byte) {
	w.t.Helper()
	var hdr [tap.HdrLen]byte
	h.Encode(hdr[:])
	for {
		_, err := w.queue.Writev([][]byte{hdr[:], frame})
		if err == nil {
			return
		}
		if err != tap.ErrWouldBlock {
			w.t.Fatalf("write a frame of %d bytes: %v", len(frame), err)
		}
		w.read() // make room on both sides
	}
}

// read waits for a frame that is not ARP, and returns it without its virtio-net
// header, until the next read.
func (w *wire) read() []byte {
	w.t.Helper()
	for {
		n, err := w.queue.Readv([][]byte{w.buf})
		if err == tap.ErrWouldBlock {
			if err := w.dev.Wait(); err != nil {
				w.t.Fatalf("no frame came: %v", err)
			}
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		f := w.buf[tap.HdrLen:n]
		if binary.BigEndian.Uint16(f[12:]) == ethTypeARP {
			w.answerARP(f)
			continue
		}
		return f
	}
}

// answerARP answers a request for wireIP (RFC 826).
func (w *wire) answerARP(f []byte) {
	if binary.BigEndian.Uint16(f[20:]) != 1 || !bytes.Equal(f[38:42], wireIP) {
		return
	}
	a := make([]byte, 42)
	copy(a, f[6:12])
	copy(a[6:], wireMAC)
	copy(a[12:22], f[12:22])
	a[21] = 2
	copy(a[22:], wireMAC)
	copy(a[28:], wireIP)
	copy(a[32:], f[22:32])
	w.write(a)
}

func onesSum(b []byte) uint16 {
	s := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// spoilChecksum gives a frame of TCP over IPv4 without options a wrong checksum.
func spoilChecksum(frame []byte) {
	ip := frame[ethLen:]
	tcp := ip[ipv4MinLen:]
	sum := tcp[16:18]
	clear(sum)
	pseudo := append(bytes.Clone(ip[12:20]), 0, protoTCP, byte(len(tcp)>>8), byte(len(tcp)))
	right := onesSum(append(append(pseudo, tcp...), make([]byte, len(tcp)%2)...))
	binary.BigEndian.PutUint16(sum, right^0x0101)
}

// ip makes an IPv4 packet in a frame to the stack.
func (w *wire) ip(proto byte, options []byte, body ...[]byte) []byte {
	f := make([]byte, ethLen+ipv4MinLen, 2048)
	copy(f, w.mac[:])
	copy(f[6:], wireMAC)
	f[12], f[13] = 0x08, 0x00
	w.id++
	h := f[ethLen:]
	h[0] = 0x40 | byte(5+len(options)/4)
	binary.BigEndian.PutUint16(h[4:], w.id)
	h[8], h[9] = 64, proto
	copy(h[12:], wireIP)
	copy(h[16:], hostIP)
	f = append(f, options...)
	for _, b := range body {
		f = append(f, b...)
	}
	h = f[ethLen:]
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	binary.BigEndian.PutUint16(h[10:], onesSum(h[:20+len(options)]))
	return f
}

// barrier returns when the stack has read all frames written before: it answers
// pings in their order, from the goroutine that reads frames.
func (w *wire) barrier(id uint16) {
	w.t.Helper()
	w.barrierSeeing(id, func([]byte) {})
}

// barrierSeeing is barrier, and shows the frames that come before the answer.
func (w *wire) barrierSeeing(id uint16, see func(frame []byte)) {
	w.t.Helper()
	echo := make([]byte, 8)
	echo[0] = 8
	binary.BigEndian.PutUint16(echo[4:], id)
	w.id++
	binary.BigEndian.PutUint16(echo[6:], w.id)
	seq := w.id
	binary.BigEndian.PutUint16(echo[2:], onesSum(echo))
	w.write(w.ip(1, nil, echo))
	for {
		f := w.read()
		if len(f) >= 42 && f[12] == ethTypeIPv4>>8 && f[ethLen+9] == protoICMP && f[34] == 0 && binary.BigEndian.Uint16(f[40:]) == seq {
			return
		}
		see(f)
	}
}

// together writes frames while the stack's loop is held, so that it reads them in
// one batch.
func (w *wire) together(write func()) {
	w.t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	if !w.stack.l.do(func() { close(held); <-release }) {
		w.t.Fatal("the loop has ended")
	}
	<-held
	defer close(release)
	write()
}

// A rawConn is the peer's side of a TCP connection, whose segments a test makes
// one by one.
type rawConn struct {
	w        *wire
	port     uint16
	iss, irs uint32
	window   int  // 0 is closed
	unscaled bool // the window is without a scale
}

// tcp makes a segment whose payload has stream offset off.
func (c *rawConn) tcp(flags byte, seq, ack uint32, options, payload []byte) []byte {
	h := make([]byte, tcpMinLen, tcpMinLen+len(options))
	binary.BigEndian.PutUint16(h, c.port)
	binary.BigEndian.PutUint16(h[2:], 7)
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], ack)
	h[12] = byte(5+len(options)/4) << 4
	h[13] = flags
	binary.BigEndian.PutUint16(h[14:], uint16(c.window))
	return append(append(h, options...), payload...)
}

// open makes a connection to port 7 of the stack, with an initial sequence
// number of choice.
func (w *wire) open(port uint16, iss uint32) *rawConn {
	w.t.Helper()
	c := &rawConn{w: w, port: port, iss: iss, window: 0xffff}
	c.connect()
	return c
}

func (c *rawConn) connect() {
	w, iss := c.w, c.iss
	w.t.Helper()
	syn := []byte{2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 0} // MSS, SACK permitted, window scale
	if c.unscaled {
		syn = syn[:4]
	}
	w.write(w.ip(protoTCP, nil, c.tcp(flagSYN, iss, 0, syn, nil)))
	s := c.until(func(s *segment) bool { return s.flags&flagSYN != 0 })
	if s.ack != iss+1 {
		w.t.Fatalf("SYN-ACK acknowledges %d, want %d", s.ack, iss+1)
	}
	c.irs = s.seq
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, iss+1, c.irs+1, nil, nil)))
}

// send sends payload as if it were that of the stream at offset off.
func (c *rawConn) send(off uint64, payload []byte) {
	c.w.t.Helper()
	c.w.write(c.w.ip(protoTCP, nil, c.tcp(flagACK|flagPSH, c.iss+1+uint32(off), c.irs+1, nil, payload)))
}

// until reads frames up to one of the connection that ok likes.
func (c *rawConn) until(ok func(s *segment) bool) *segment {
	c.w.t.Helper()
	for {
		f := c.w.read()
		s := new(segment)
		if parseFrame(f, len(f), s) && s.dstPort == c.port && ok(s) {
			return s
		}
	}
}

// payload reads frames up to one of the connection that ok likes, and returns what
// it carries.
func (c *rawConn) payload(ok func(s *segment) bool) string {
	c.w.t.Helper()
	for {
		f := c.w.read()
		s := new(segment)
		if parseFrame(f, len(f), s) && s.dstPort == c.port && ok(s) {
			return string(f[s.headerLen:])
		}
	}
}

// hostAddr is where the stack behind a wire listens in these tests.
var hostAddr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, 2}), 7)

// listen accepts the connections of open.
func (w *wire) listen() *Listener {
	w.t.Helper()
	ln, err := w.stack.Listen(hostAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	return ln
}

// learned makes a connection that has brought n bytes: where its next segment belongs is known.
func (w *wire) learned(n int) (*rawConn, *ioarea.Area) {
	w.t.Helper()
	ln := w.listen()
	conn := w.open(4000, 7)
	a := w.accept(ln)
	conn.send(0, make([]byte, n))
	mustWait(w.t, a, n)
	return conn, a
}

func (w *wire) accept(ln *Listener) *ioarea.Area {
	w.t.Helper()
	a, err := ln.Accept()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { a.Abort(nil) })
	return a
}

func mustWait(t testing.TB, a *ioarea.Area, n int) {
	t.Helper()
	if err := a.In.Wait(n, patience); err != nil {
		t.Fatalf("waiting for %d bytes, have %d: %v", n, a.In.Len(), err)
	}
}

// A byte of version v at offset off: it tells both.
func versioned(b []byte, off uint64, v byte) []byte {
	for i := range b {
		b[i] = byte(off+uint64(i))*16 ^ byte((off+uint64(i))>>4)&0xf0 | v&0xf
	}
	return b
}

// The way in which a stale target once overwrote what was shown: a gap closes, so
// that more is shown than was seen in order, another flow's frame comes between,
// and then the bytes behind the gap once more.
func TestShownBytesAreNoTargetWhenAGapHasClosed(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	ca := w.open(1001, 7)
	a := w.accept(ln)
	cb := w.open(1002, 9)
	b := w.accept(ln)

	ca.send(100, bytes.Repeat([]byte("x"), 100))
	w.together(func() {
		ca.send(0, bytes.Repeat([]byte("a"), 100))
		cb.send(0, []byte("other flow"))
	})
	mustWait(t, b, 10)
	mustWait(t, a, 200)
	shown := a.In.Peek(200)
	before := bytes.Clone(shown)

	ca.send(100, bytes.Repeat([]byte("!"), 100))
	ca.send(50, bytes.Repeat([]byte("!"), 100))
	ca.send(200, []byte("end"))
	mustWait(t, a, 203)
	if !bytes.Equal(shown, before) {
		t.Fatalf("shown bytes changed:\n%q\n%q", before, shown)
	}
	if got := a.In.Peek(203)[200:]; string(got) != "end" {
		t.Fatalf("the stream goes on with %q", got)
	}
}

// A handler relies on what it has checked, whatever a peer sends: random
// segments with other bytes each time, around what was shown, what is held and
// what is missing, some of them such as TCP refuses, on several flows at once.
func TestShownBytesNeverChange(t *testing.T) {
	isns := []uint32{0, 1 << 31, 0xffffffff, 0xffffff00, 0xfffff000, 0xffff0000}
	seeds := 24
	if raceEnabled {
		seeds = 8
	}
	if testing.Short() {
		seeds /= 4
	}
	for _, size := range []struct {
		name    string
		ring    int
		largest int
	}{{"small segments", 256 << 10, 64}, {"all sizes", 256 << 10, 60000}, {"all sizes, large ring", 8 << 20, 60000}} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/seed=%d", size.name, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(seed), uint64(size.ring+size.largest)))
				harass(t, rng, isns[seed%len(isns)], size.ring, size.largest)
			})
		}
	}
}

// refused is the version of bytes in segments that TCP refuses.
const refused = 15

// A watched is a connection under attack, and what its handler was shown.
type watched struct {
	c     *rawConn
	a     *ioarea.Area
	start uint64 // offset of the first unconsumed byte
	shown []byte // a copy of what was shown of it
	nextV byte
}

func harass(t *testing.T, rng *rand.Rand, iss uint32, ring, largest int) {
	w := newWire(t, func(c *Config) { c.RingIn = ring })
	ln := w.listen()
	conns := make([]*watched, 3)
	for i := range conns {
		c := w.open(uint16(2000+i), iss+uint32(i))
		conns[i] = &watched{c: c, a: w.accept(ln)}
	}
	rounds := 60
	for range rounds {
		for range 1 + rng.IntN(12) {
			conns[rng.IntN(len(conns))].provoke(rng, largest)
		}
		if rng.IntN(2) == 0 {
			w.barrier(1)
		}
		for _, wc := range conns {
			wc.look(t)
			if rng.IntN(3) == 0 {
				wc.consume(t, rng)
			}
		}
	}
	// In the end every stream can still be carried on, byte for byte.
	for _, wc := range conns {
		wc.finish(t)
	}
}

// provoke sends a segment of a fresh version at one of the places that matter.
func (wc *watched) provoke(rng *rand.Rand, largest int) {
	n := 1 + rng.IntN(largest)
	if rng.IntN(3) == 0 {
		n = 1 + rng.IntN(min(largest, 64))
	}
	end := wc.start + uint64(len(wc.shown))
	var off uint64
	switch rng.IntN(6) {
	case 0, 1: // just what comes next
		off = end
	case 2: // with what was shown
		off = end - min(end, uint64(rng.IntN(2*n)))
	case 3: // behind a gap
		off = end + uint64(rng.IntN(2*n))
	case 4: // anywhere before
		off = uint64(rng.Int64N(int64(end + 1)))
	case 5: // from what is not yet consumed
		off = wc.start
	}
	payload := make([]byte, n)
	seq, ack := wc.c.iss+1+uint32(off), wc.c.irs+1
	w := wc.c.w
	switch rng.IntN(8) {
	case 0: // it acknowledges nothing (RFC 9293, section 3.10.7.4)
		w.write(w.ip(protoTCP, nil, wc.c.tcp(flagPSH, seq, ack, nil, versioned(payload, off, refused))))
	case 1: // its checksum is wrong, and nobody vouches for it
		w.writeWrong(w.ip(protoTCP, nil, wc.c.tcp(flagACK|flagPSH, seq, ack, nil, versioned(payload, off, refused))))
	default:
		wc.nextV = (wc.nextV + 1) % refused
		wc.c.send(off, versioned(payload, off, wc.nextV))
	}
}

// look compares what was shown before with what is there now, and takes note of
// what is new.
func (wc *watched) look(t *testing.T) {
	t.Helper()
	now := wc.a.In.Peek(wc.a.In.Len())
	if len(now) < len(wc.shown) {
		t.Fatalf("%d bytes shown, were %d", len(now), len(wc.shown))
	}
	if !bytes.Equal(now[:len(wc.shown)], wc.shown) {
		for i := range wc.shown {
			if now[i] != wc.shown[i] {
				t.Fatalf("byte %d (%d shown) was %#x, is %#x", wc.start+uint64(i), len(wc.shown), wc.shown[i], now[i])
			}
		}
	}
	for i := len(wc.shown); i < len(now); i++ {
		off := wc.start + uint64(i)
		var want [1]byte
		if versioned(want[:], off, 0); now[i]&0xf0 != want[0] {
			t.Fatalf("byte %d is %#x, which no version has there", off, now[i])
		}
		if now[i]&0xf == refused {
			t.Fatalf("byte %d is of a segment that TCP refused", off)
		}
	}
	wc.shown = append(wc.shown, now[len(wc.shown):]...)
}

func (wc *watched) consume(t *testing.T, rng *rand.Rand) {
	wc.look(t)
	n := len(wc.shown)
	if n > 0 && rng.IntN(3) > 0 {
		n = rng.IntN(n)
	}
	wc.a.In.Consume(n)
	wc.start += uint64(n)
	wc.shown = append(wc.shown[:0], wc.shown[n:]...)
}

// finish carries the stream on, until a known mark has come behind it.
func (wc *watched) finish(t *testing.T) {
	t.Helper()
	wc.look(t)
	target := wc.start + uint64(len(wc.shown)) + 200_000
	for off := wc.start + uint64(len(wc.shown)); off < target; off = wc.start + uint64(len(wc.shown)) {
		n := int(min(target-off, 9000))
		wc.c.send(off, versioned(make([]byte, n), off, 5))
		// What came when the window was full is dropped: send it again, as TCP would.
		for tries := 0; wc.a.In.Wait(len(wc.shown)+1, 20*time.Millisecond) != nil; tries++ {
			if tries == 500 {
				t.Fatalf("the stream ends at %d (%d shown): %+v", off, len(wc.shown), wc.a.Stream().Stats())
			}
			wc.c.send(off, versioned(make([]byte, n), off, 5))
		}
		wc.look(t)
		wc.a.In.Consume(len(wc.shown))
		wc.start += uint64(len(wc.shown))
		wc.shown = wc.shown[:0]
	}
}

func TestLongHeadersAreNoTrouble(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	var want []byte
	for i := range 40 {
		// No-operation options, up to 40 bytes in each header: 134 in all.
		ipOptions := bytes.Repeat([]byte{1}, i/4*4)
		tcpOptions := bytes.Repeat([]byte{1}, (40-i)/4*4)
		if i%3 == 0 {
			ipOptions, tcpOptions = bytes.Repeat([]byte{1}, 40), bytes.Repeat([]byte{1}, 40)
		}
		p := []byte(fmt.Sprintf("segment %d;", i))
		f := w.ip(protoTCP, ipOptions, c.tcp(flagACK|flagPSH, c.iss+1+uint32(len(want)), c.irs+1, tcpOptions, p))
		w.write(f)
		want = append(want, p...)
		mustWait(t, a, len(want))
	}
	if got := a.In.Peek(len(want)); !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
