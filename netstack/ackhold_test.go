package netstack

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ustack/tap"
)

// A takingQueue takes frames, as many as it may, and remembers what they say.
type takingQueue struct {
	t    *testing.T
	may  int
	said []segment
}

func (q *takingQueue) Readv([][]byte) (int, error) { return 0, tap.ErrWouldBlock }
func (q *takingQueue) Close() error                { return nil }

func (q *takingQueue) Writev(bufs [][]byte) (int, error) {
	if q.may == 0 {
		return 0, tap.ErrWouldBlock
	}
	q.may--
	b := bytes.Join(bufs, nil)
	var s segment
	if f := b[tap.HdrLen:]; !parseFrame(f, len(f), &s) {
		q.t.Fatalf("no TCP: % x", b)
	}
	q.said = append(q.said, s)
	return len(b), nil
}

// packetOf is a packet of IPv4 that says s, as TCP queues it.
func packetOf(s segment) *stack.PacketBuffer {
	b := make([]byte, ethLen+ipv4MinLen+tcpMinLen+len(s.options)+s.payload)
	header.Ethernet(b).Encode(&header.EthernetFields{Type: header.IPv4ProtocolNumber})
	header.IPv4(b[ethLen:]).Encode(&header.IPv4Fields{TotalLength: uint16(len(b) - ethLen), Protocol: protoTCP})
	header.TCP(b[ethLen+ipv4MinLen:]).Encode(&header.TCPFields{
		SrcPort: s.srcPort, DstPort: 50000, AckNum: s.ack, Flags: header.TCPFlags(s.flags), WindowSize: s.window,
		DataOffset: uint8(tcpMinLen + len(s.options)),
	})
	copy(b[ethLen+ipv4MinLen+tcpMinLen:], s.options)
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	p.TransportProtocolNumber = header.TCPProtocolNumber
	return p
}

// newAckLoop is a loop with flows of two local ports that writes to q, and has nothing else.
func newAckLoop(q *takingQueue) *loop {
	l := &loop{queues: []*queue{{q: q}}, flows: map[flowKey]*flow{}, batchNo: 1, conns: &connTable{flows: map[*flow]struct{}{}}}
	for _, port := range []uint16{445, 446} {
		var s segment
		p := packetOf(segment{srcPort: port, flags: flagACK})
		if !headersOf(p, &s) {
			q.t.Fatal("no headers")
		}
		p.DecRef()
		l.flows[s.outbound()] = &flow{l: l, key: s.outbound(), queue: l.queues[0], ackPending: -1, wndTold: 0xffff}
	}
	return l
}

func TestASmallACKWaitsForWhatGoesOutAnyway(t *testing.T) {
	const most = 2 * header.TCPDefaultMSS // fewer bytes than that may wait
	sack := []byte{optionNop, optionNop, optionSACK, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	ack := func(n uint32) segment { return segment{srcPort: 445, flags: flagACK, ack: n, window: 0xffff} }
	with := func(s segment, change func(*segment)) segment { change(&s); return s }
	data := func(n uint32) segment { return with(ack(n), func(s *segment) { s.payload = 100 }) }
	other := func(s segment) segment { return with(s, func(s *segment) { s.srcPort = 446 }) }
	gap := func(n uint32) segment { return with(ack(n), func(s *segment) { s.options = sack }) }
	small := func(s segment) segment { return with(s, func(s *segment) { s.window = 100 }) }
	type batch struct {
		says []segment
		goes []segment // in this batch, while ACKs may wait
	}
	type all = []segment
	for _, c := range []struct {
		name    string
		batches []batch
		last    []segment // when nothing may wait any more
	}{
		{"for the reply", []batch{{all{ack(4)}, nil}, {all{ack(117), data(117)}, all{data(117)}}}, nil},
		{"for a reply that knows no more", []batch{{all{ack(4)}, nil}, {all{data(4)}, all{data(4)}}}, nil},
		{"until the loop rests", []batch{{all{ack(4)}, nil}, {nil, nil}}, all{ack(4)}},
		{"not beyond two segments", []batch{{all{ack(most)}, all{ack(most)}}, {all{ack(most + 1)}, nil}}, all{ack(most + 1)}},
		{"counted from the last reply", []batch{{all{data(most)}, all{data(most)}}, {all{ack(most + 4)}, nil}}, all{ack(most + 4)}},
		{"not if two come together", []batch{{all{ack(most / 2)}, nil}, {all{ack(most)}, all{ack(most)}}}, nil},
		{"before a duplicate, which tells of a loss", []batch{{all{ack(4)}, nil}, {all{ack(4)}, all{ack(4), ack(4)}}}, nil},
		{"not what fills a gap", []batch{{all{gap(4)}, all{ack(4)}}, {all{ack(40)}, all{ack(40)}}, {all{ack(44)}, nil}}, all{ack(44)}},
		{"not where the peer may send little", []batch{{all{small(data(4))}, all{data(4)}}, {all{small(ack(54))}, all{ack(54)}}}, nil},
		{"not where that opens a window", []batch{{all{small(data(4))}, all{data(4)}}, {all{ack(94)}, all{ack(94)}}, {all{ack(98)}, nil}}, all{ack(98)}},
		{"not a reset, nor behind one", []batch{{all{ack(4), with(ack(4), func(s *segment) { s.flags |= flagRST })}, all{ack(4), with(ack(4), func(s *segment) { s.flags |= flagRST })}}}, nil},
		{"while another connection talks", []batch{{all{ack(4), other(data(9)), other(ack(20))}, all{other(data(9))}}, {all{data(4)}, all{data(4)}}}, all{other(ack(20))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := &takingQueue{t: t}
			l := newAckLoop(q)
			flush := func(says, goes []segment, hold bool) {
				t.Helper()
				for _, s := range says {
					l.txQueued = append(l.txQueued, packetOf(s))
				}
				q.may, q.said = 100, nil
				wrote := l.flush(hold)
				if !slices.EqualFunc(q.said, goes, func(a, b segment) bool {
					return a.flags == b.flags && a.srcPort == b.srcPort && a.ack == b.ack && a.payload == b.payload
				}) {
					t.Fatalf("sent %+v, want %+v", q.said, goes)
				}
				if worked := len(says) > 0 && len(goes) > 0; worked != wrote {
					t.Errorf("that it wrote anything but what waited: it says %t", wrote)
				}
			}
			for _, b := range c.batches {
				flush(b.says, b.goes, true)
			}
			flush(nil, c.last, false)
			if len(l.batch) > 0 || l.acksHeld > 0 {
				t.Errorf("%d frames are left, %d of them ACKs that are held", len(l.batch), l.acksHeld)
			}
		})
	}
}

// What waits for the device and what waits for a reply keep their order.
func TestACKsThatWaitStayBeforeWhatTheDeviceDidNotTake(t *testing.T) {
	q := &takingQueue{t: t}
	l := newAckLoop(q)
	for _, s := range []segment{
		{srcPort: 445, flags: flagACK, ack: 4, window: 0xffff},
		{srcPort: 446, flags: flagACK, ack: 9, payload: 1, window: 0xffff},
	} {
		l.txQueued = append(l.txQueued, packetOf(s))
	}
	l.flush(true)
	if len(q.said) != 0 || l.acksHeld != 1 || l.waiting != 1 || len(l.batch) != 2 {
		t.Fatalf("sent %+v; of %d frames %d are held and %d wait", q.said, len(l.batch), l.acksHeld, l.waiting)
	}
	l.txQueued = append(l.txQueued, packetOf(segment{srcPort: 445, flags: flagACK, ack: 4, payload: 7, window: 0xffff}))
	q.may = 100
	l.flush(true)
	if len(q.said) != 2 || q.said[0].srcPort != 446 || q.said[1].payload != 7 || len(l.batch) != 0 {
		t.Errorf("sent %+v, and %d frames are left", q.said, len(l.batch))
	}
}

// What TCP says of a connection that has been released, the filter does not see.
func TestAnACKOfAConnectionThatEndsWaitsForNothing(t *testing.T) {
	q := &takingQueue{t: t, may: 100}
	l := newAckLoop(q)
	say := func(flags uint8) {
		l.txQueued = append(l.txQueued, packetOf(segment{srcPort: 445, flags: flags, ack: 4, window: 0xffff}))
		l.flush(true)
	}
	say(flagACK)
	if len(q.said) > 0 || l.acksHeld != 1 {
		t.Fatalf("sent %+v, and %d ACKs wait", q.said, l.acksHeld)
	}
	for _, f := range l.flows {
		l.forget(f)
	}
	say(flagACK | flagRST)
	if len(q.said) != 2 || q.said[0].flags != flagACK || q.said[1].flags != flagACK|flagRST || len(l.batch) > 0 {
		t.Errorf("sent %+v, and %d frames are left", q.said, len(l.batch))
	}
}

// An acknowledgement that nothing follows goes out all the same, while the loop polls and
// when it rests.
func TestAnACKWaitsNoLongerThanItMay(t *testing.T) {
	for name, spin := range map[string]time.Duration{"polling": time.Hour, "resting": -1} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, func(c *Config) { c.Spin = spin })
			ln := w.listen()
			c := w.open(1001, 7)
			a := w.accept(ln)
			defer a.Close()
			for i := range 20 {
				c.send(uint64(i), []byte{'a'})
				c.until(func(s *segment) bool { return s.ack == 7+1+uint32(i)+1 })
			}
		})
	}
}
