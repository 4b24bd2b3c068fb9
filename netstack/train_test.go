package netstack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"ustack/tap"
)

// A picky device refuses large frames, or loses some of all that are written.
type picky struct {
	tap.Device
	refuse bool
	lose   uint64 // each lose-th frame
	large  atomic.Uint64
	lost   atomic.Uint64
}

func (p *picky) MaxSend() int { return p.Device.(tap.BigSender).MaxSend() }

func (p *picky) AttachQueue() (tap.Queue, error) {
	q, err := p.Device.AttachQueue()
	return &pickyQueue{Queue: q, p: p}, err
}

type pickyQueue struct {
	tap.Queue
	p *picky
	n uint64
}

func (q *pickyQueue) Writev(bufs [][]byte) (int, error) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	if n > tap.HdrLen+tap.MaxFrame {
		q.p.large.Add(1)
		if q.p.refuse {
			return 0, tap.ErrWouldBlock
		}
	}
	if q.n++; q.p.lose > 0 && q.n > 16 && q.n%q.p.lose == 0 {
		q.p.lost.Add(1)
		return n, nil
	}
	return q.Queue.Writev(bufs)
}

// What is sent in frames of more than 64 KiB is what was said: also where the device
// has no memory for such frames, and where some are lost.
func TestTrainsCarryTheRightBytes(t *testing.T) {
	for _, c := range []struct {
		name  string
		picky *picky
	}{
		{"taken", &picky{}},
		{"refused", &picky{refuse: true}},
		{"lost now and then", &picky{lose: 37}},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := max(uint64(scaled(256<<20)), 16<<20)
			if c.picky.lose > 0 {
				size = 4 << 20 // TCP waits for its timers here
			}
			h := newKernelHost(t, func(d tap.Device) tap.Device {
				big, ok := d.(tap.BigSender)
				if !ok || big.MaxSend() <= tap.MaxFrame {
					cannot(t, "need a kernel that takes IPv4 packets without a length (Linux 6.3)")
				}
				c.picky.Device = d
				return c.picky
			}, nil)
			kernelBulk(t, h, 2, 0, size)
			st := h.stack.Stats()
			t.Logf("%d trains, %d refused, %d frames, %d lost, %d sent again", st.Trains, st.TrainsRefused, st.FramesOut, c.picky.lost.Load(), st.Retransmits)
			if c.picky.large.Load() == 0 {
				t.Error("no frame was larger than 64 KiB")
			}
			if st.Trains == 0 && !c.picky.refuse || st.TrainsRefused > 0 != c.picky.refuse {
				t.Errorf("%d trains went out, %d were refused", st.Trains, st.TrainsRefused)
			}
			if 4*st.TrainsRefused > st.FramesOut {
				t.Errorf("%d trains were tried for %d frames", st.TrainsRefused, st.FramesOut)
			}
			if c.picky.lose > 0 && (c.picky.lost.Load() == 0 || st.Retransmits == 0) {
				t.Error("nothing was lost, or nothing was sent again")
			}
		})
	}
}

func TestNoTrainsWhereTheyAreNotWanted(t *testing.T) {
	h := newKernelHost(t, nil, func(c *Config) { c.MaxSend = -1 })
	kernelBulk(t, h, 1, 0, 16<<20)
	if st := h.stack.Stats(); st.Trains != 0 || st.TrainsRefused != 0 {
		t.Errorf("%d trains", st.Trains+st.TrainsRefused)
	}
}

// The headers of a train are what they would be if they were made for it.
func TestHeadersOfATrain(t *testing.T) {
	src, dst := netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.9")
	headers := func(options, seq, payload, ipLen int) []byte {
		h := make([]byte, ethLen+ipv4MinLen+tcpMinLen+options)
		ip := header.IPv4(h[ethLen:])
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(ipLen), TTL: 64, Protocol: protoTCP, SrcAddr: address(src), DstAddr: address(dst)})
		ip.SetChecksum(^ip.CalculateChecksum())
		tcp := header.TCP(ip[ipv4MinLen:])
		tcp.Encode(&header.TCPFields{SrcPort: 9, DstPort: 1000, SeqNum: uint32(seq), DataOffset: uint8(tcpMinLen + options), Flags: header.TCPFlagAck})
		length := len(tcp) + payload
		sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(protoTCP), address(src), address(dst), 0)
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(length))
		tcp.SetChecksum(checksum.Checksum(b[:], sum))
		return h
	}
	for _, options := range []int{0, 12} {
		for _, c := range []struct{ last, total int }{{1, 2}, {1000, 1460}, {40000, 65000}, {65400 - options, 65496 - options}, {1460, 65536}, {65160, 131000}, {65160, 262000}} {
			t.Run(fmt.Sprintf("%d of %d, %d of options", c.last, c.total, options), func(t *testing.T) {
				overhead := ipv4MinLen + tcpMinLen + options
				want := overhead + c.total
				if want > 0xffff {
					want = 0
				}
				got := headers(options, 5000, c.last, overhead+c.last)
				restate(got, 77, c.total)
				if w := headers(options, 77, c.total, want); string(got) != string(w) {
					t.Errorf("%x\nwant %x", got, w)
				}
			})
		}
	}
}
