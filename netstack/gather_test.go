package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"ustack/tap"
)

// Segments that follow each other and say the same go to TCP as one, any other by itself, and
// the handler sees the stream as it was sent.
func TestWhatFollowsGoesToTCPAsOne(t *testing.T) {
	const size = 1000
	stamp := func(n byte) []byte { return []byte{1, 1, 8, 10, 0, 0, 0, n, 0, 0, 0, 0} }
	for _, c := range []struct {
		name     string
		change   func(i int, c *rawConn, frame []byte) []byte // of five frames
		gathered uint64
	}{
		{"alike", func(_ int, _ *rawConn, f []byte) []byte { return f }, 4},
		{"one is pushed", func(i int, c *rawConn, f []byte) []byte {
			if i == 2 {
				f[47] |= flagPSH
			}
			return f
		}, 4},
		{"another window each", func(i int, c *rawConn, f []byte) []byte {
			binary.BigEndian.PutUint16(f[48:], uint16(1000+i))
			return f
		}, 0},
		{"congestion experienced", func(i int, c *rawConn, f []byte) []byte {
			if i == 2 {
				f[15] |= 3
				resum(f)
			}
			return f
		}, 2}, // 0 with 1, and 3 with 4
		{"congestion window reduced", func(i int, c *rawConn, f []byte) []byte {
			if i == 4 {
				f[47] |= 0x80
			}
			return f
		}, 3},
		{"a bad IP checksum", func(i int, c *rawConn, f []byte) []byte {
			if i == 2 {
				f[24] ^= 1
			}
			return f
		}, 2}, // the device has vouched for it: TCP takes it
		{"urgent", func(i int, c *rawConn, f []byte) []byte {
			if i == 2 {
				f[47] |= flagURG
			}
			return f
		}, 1}, // it breaks the order that placement knows
		{"time stamps", func(i int, c *rawConn, f []byte) []byte {
			return c.w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1+size+uint32(i*size), c.irs+1, stamp(byte(i/3)), f[54:]))
		}, 2}, // 0 has longer headers than was expected; 1, 2 and 3, 4
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, nil)
			ln := w.listen()
			conn := w.open(4000, 0xfffff000) // the sequence numbers wrap
			a := w.accept(ln)
			var want []byte
			part := func(i int) []byte {
				p := bytes.Repeat([]byte{byte('a' + i)}, size)
				p[0] = '.'
				return p
			}
			conn.send(0, part(0))
			want = append(want, part(0)...)
			mustWait(t, a, size)
			before := w.stack.Stats()
			w.together(func() {
				for i := range 5 {
					p := part(i + 1)
					want = append(want, p...)
					f := w.ip(protoTCP, nil, conn.tcp(flagACK, conn.iss+1+size+uint32(i*size), conn.irs+1, nil, p))
					w.write(c.change(i, conn, f))
				}
			})
			mustWait(t, a, len(want))
			if got := a.In.Peek(len(want)); !bytes.Equal(got, want) {
				t.Errorf("the handler sees other bytes than were sent")
			}
			if n := w.stack.Stats().Gathered - before.Gathered; n != c.gathered {
				t.Errorf("%d frames were a part of the one before, want %d", n, c.gathered)
			}
		})
	}
}

// resum makes the checksum of a frame's IPv4 header right.
func resum(f []byte) {
	f[24], f[25] = 0, 0
	binary.BigEndian.PutUint16(f[24:], ^onesSum(f[ethLen:ethLen+ipv4MinLen]))
}

// Only what has to differ between two segments that follow each other may.
func TestAlike(t *testing.T) {
	for _, c := range []struct {
		name    string
		ethType uint16
		len     int
		may     []int // offsets of bytes that may differ; PSH may, too
	}{
		{"IPv4", ethTypeIPv4, ethLen + ipv4MinLen + tcpMinLen + 12, []int{16, 17, 18, 19, 24, 25, 38, 39, 40, 41, 50, 51, 52, 53}},
		{"IPv6", ethTypeIPv6, ethLen + ipv6Len + tcpMinLen + 12, []int{18, 19, 58, 59, 60, 61, 70, 71, 72, 73}},
	} {
		a := make([]byte, c.len)
		binary.BigEndian.PutUint16(a[12:], c.ethType)
		flags := c.len - 12 - tcpMinLen + 13
		for i := range a {
			for bit := range 8 {
				b := slices.Clone(a)
				b[i] ^= 1 << bit
				if i == 12 || i == 13 {
					continue // two families
				}
				want := slices.Contains(c.may, i) || i == flags && 1<<bit == flagPSH
				if got := alike(a, b); got != want {
					t.Errorf("%s: bit %d of byte %d differs: alike is %v", c.name, bit, i, got)
				}
			}
		}
		if alike(a, a[:len(a)-4]) {
			t.Errorf("%s: without the last option: alike", c.name)
		}
	}
}

// A frame for another hardware address is not ours, also where it is what was expected.
func TestAFrameForSomebodyElseIsNotTaken(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	conn := w.open(4000, 1)
	a := w.accept(ln)
	conn.send(0, []byte("ours"))
	mustWait(t, a, 4)
	f := w.ip(protoTCP, nil, conn.tcp(flagACK, conn.iss+5, conn.irs+1, nil, []byte("theirs")))
	f[5]++
	w.write(f)
	conn.send(4, []byte(" too"))
	mustWait(t, a, 8)
	if got := a.In.Peek(8); string(got) != "ours too" {
		t.Errorf("%q", got)
	}
	if n := w.stack.Stats().ForeignFrames; n != 1 {
		t.Errorf("%d foreign frames were counted", n)
	}
}

// An IPv6 packet whose addresses are IPv4's, mapped, is none of an IPv4 flow, whose key
// it has.
func TestMappedAddressesAreNoFlowOfIPv4(t *testing.T) {
	f := make([]byte, ethLen+ipv6Len+tcpMinLen+4)
	f[12], f[13] = 0x86, 0xdd
	ip := f[ethLen:]
	ip[0], ip[5], ip[6] = 0x60, tcpMinLen+4, protoTCP
	ip[ipv6Len+12] = tcpMinLen / 4 << 4
	for _, c := range []struct {
		src, dst string
		segment  bool
	}{
		{"fd00::1", "fd00::2", true},
		{"::ffff:10.1.0.9", "fd00::2", false},
		{"fd00::1", "::ffff:10.1.0.2", false},
		{"::ffff:10.1.0.9", "::ffff:10.1.0.2", false},
	} {
		src, dst := netip.MustParseAddr(c.src).As16(), netip.MustParseAddr(c.dst).As16()
		copy(ip[8:], src[:])
		copy(ip[24:], dst[:])
		if got := parseFrame(f, len(f), new(segment)); got != c.segment {
			t.Errorf("from %s to %s: a segment: %v", c.src, c.dst, got)
		}
	}
}

// A kernel's bulk flow goes to TCP in fewer segments than frames.
func TestAKernelsBulkIsGathered(t *testing.T) {
	h := newKernelHost(t, func(d tap.Device) tap.Device { return d }, nil)
	kernelBulk(t, h, 1, uint64(scaled(64<<20)), 0)
	st := h.stack.Stats()
	t.Logf("%d of %d frames", st.Gathered, st.FramesIn)
	if st.Gathered == 0 {
		t.Error("no frame was a part of the one before")
	}
}

// Where gVisor's TCP takes no segments directly, all go by its interface, and every byte is right.
func TestWithoutADirectWayFramesGoByTheInterface(t *testing.T) {
	h := newKernelHost(t, func(d tap.Device) tap.Device { return d }, nil)
	h.stack.onLoop(t, func() { h.stack.l.direct = nil })
	kernelBulk(t, h, 2, uint64(scaled(64<<20)), uint64(scaled(64<<20)))
	if st := h.stack.Stats(); st.Gathered != 0 {
		t.Errorf("%d frames were gathered", st.Gathered)
	}
}
