package netstack

import (
	"errors"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ustack/tap"
)

// maxWaiting is how many frames may wait for a device that takes no more, before
// further ones are lost, and counted. To stop reading instead would have two stacks
// that are joined wait for each other.
const maxWaiting = 4096

// An outFrame is a packet in the batch that waits to be written.
type outFrame struct {
	pkt   *stack.PacketBuffer
	queue *queue
	drop  bool
	ack   *flow   // a pure ACK of this flow, which may wait
	lent  *flow   // the payload is in this flow's Out
	seg   segment // if lent
	news  bool    // if lent: it must be told that what it acknowledges has come
}

// enqueue adds a packet to what the next flush writes. Any goroutine.
func (l *loop) enqueue(p *stack.PacketBuffer) {
	l.mu.Lock()
	l.txQueued = append(l.txQueued, p.IncRef())
	l.mu.Unlock()
	l.wake()
}

// flush writes what was queued, in order, without pure ACKs that were overtaken, and
// without those that may wait if it is to hold them: they begin the next batch.
// It reports whether it wrote anything but ACKs that waited before, which only time has
// made due: who polls has not found work in them (spin.go). If the device takes no more,
// the rest stays, and the loop comes again.
func (l *loop) flush(hold bool) bool {
	l.collect()
	wrote := 0
	for wrote < len(l.batch) {
		o := &l.batch[wrote]
		if o.ack != nil && !o.drop {
			if hold && o.ack.canWait(wrote) {
				l.heldACKs = append(l.heldACKs, *o)
				wrote++
				continue
			}
			o.ack.told(wrote)
		}
		n := l.writeNext(wrote)
		if n == 0 {
			break
		}
		for ; n > 0; n-- {
			l.batch[wrote].pkt.DecRef()
			l.batch[wrote].pkt = nil
			wrote++
		}
	}
	held, before := len(l.heldACKs), l.acksHeld
	if held > 0 && before == 0 {
		l.heldFrom = l.now
	}
	l.acksHeld = held
	l.endBatch(wrote)
	return wrote > max(held, before)
}

// writeNext writes packet i of the batch, and with it those behind it that make one
// frame with it, and returns how many that were: 0 if the device takes no more now.
func (l *loop) writeNext(i int) int {
	o := &l.batch[i]
	if o.drop {
		return 1
	}
	if o.lent != nil && o.lent.trains && l.noTrains != l.batchNo {
		if n, payload := l.train(i); n > 1 && l.writeTrain(i, n, payload) {
			return n
		}
	}
	if !l.write(o) {
		return 0
	}
	return 1
}

// collect moves what was queued to the batch, and learns from it what the
// handshakes have fixed.
func (l *loop) collect() {
	l.mu.Lock()
	queued := l.txQueued
	l.txQueued = l.txSpare[:0]
	l.mu.Unlock()
	for i, p := range queued {
		// However many were queued at once: where TCP's goroutines lag they bring much together.
		if l.waiting == 0 || len(l.batch) < maxWaiting {
			l.addToBatch(p)
		} else {
			p.DecRef()
			l.c.txLost.Add(1)
		}
		queued[i] = nil
	}
	l.mu.Lock()
	l.txSpare = queued[:0]
	l.mu.Unlock()
}

// addToBatch appends a packet, after the ACK filter has looked at it.
func (l *loop) addToBatch(p *stack.PacketBuffer) {
	o := outFrame{pkt: p, queue: l.queues[0]}
	i := len(l.batch)
	s := &l.segOut
	s.payload = 0
	if headersOf(p, s) {
		f := l.flows[s.outbound()]
		if f == nil || s.flags&flagSYN != 0 {
			l.handshakes.sent(s)
		}
		if f != nil {
			o.queue = f.queue
			f.mss = int(p.GSOOptions.MSS)
			again := false // it may be acknowledged, and stale, when it is written
			if f.lending && (s.payload > 0 || s.flags&flagFIN != 0) {
				again = f.isAgain(s)
			}
			if f.lending && s.payload > 0 {
				o.lent, o.seg, o.news = f, *s, f.news(s)
				o.seg.options = nil
			}
			if j := f.overtakes(s, i); j >= 0 && !again {
				l.batch[j].drop = true
				l.c.acksDropped.Add(1)
			}
			if f.ackPending == i {
				o.ack = f
			}
		}
	}
	if o.lent == nil && l.lend && l.unknown(p, s) {
		o.drop = true
		l.c.txStale.Add(1)
	}
	l.batch = append(l.batch, o)
}

// unknown reports whether p carries TCP payload of no flow that is known: where
// payload is lent, gVisor has nothing but its number, and nothing else must go out.
func (l *loop) unknown(p *stack.PacketBuffer, s *segment) bool {
	if p.TransportProtocolNumber != header.TCPProtocolNumber || p.Data().Size() == 0 {
		return false
	}
	return s.payload == 0 || l.flows[s.outbound()] == nil
}

// headersOf parses a packet's headers, which gVisor has put into one view.
func headersOf(p *stack.PacketBuffer, s *segment) bool {
	if p.TransportProtocolNumber != header.TCPProtocolNumber {
		return false
	}
	views, offset := p.AsViewList()
	first := views.Front()
	if first == nil || first.Size() <= offset {
		return false
	}
	return parseFrame(first.AsSlice()[offset:], p.Size(), s)
}

// write writes one frame to its queue, with one writev. It returns false if the
// device takes no more now.
func (l *loop) write(o *outFrame) bool {
	q, p := o.queue, o.pkt
	v := vnetHeader(p)
	views, offset := p.AsViewList()
	probe := o.lent != nil && o.lent.isProbe(&o.seg)
	if o.lent != nil && !probe {
		h := views.Front().AsSlice()[offset:][:o.seg.headerLen]
		off, payload, ok := o.rest(h)
		if payload == 0 {
			l.c.txStale.Add(1)
		}
		if !ok {
			return true
		}
		if payload <= int(v.GSOSize) {
			v.GSOType, v.GSOSize = 0, 0
		}
		v.Encode(q.vnetOut[:])
		return l.written(q.writeLent(o.lent, h, off, payload))
	}
	v.Encode(q.vnetOut[:])
	bufs := append(q.out[:0], q.vnetOut[:])
	if probe {
		bufs = append(bufs, views.Front().AsSlice()[offset:][:o.seg.headerLen], probeByte[:])
	} else {
		for v := views.Front(); v != nil; v = v.Next() {
			b := v.AsSlice()
			if offset >= len(b) {
				offset -= len(b)
				continue
			}
			bufs = append(bufs, b[offset:])
			offset = 0
		}
	}
	if len(bufs) > len(q.out) {
		bufs = append(q.out[:0], q.vnetOut[:], flattened(p))
	}
	n, err := q.q.Writev(bufs)
	clear(q.out[:])
	return l.written(n, err)
}

// written counts a frame that was written with n bytes, or lost. It returns false if the device takes no more now.
func (l *loop) written(n int, err error) bool {
	switch {
	case err == nil:
		l.c.txFrames.Add(1)
		l.c.txBytes.Add(uint64(n - tap.HdrLen))
		return true
	case err == tap.ErrWouldBlock:
		l.c.txWaits.Add(1)
		return false
	case errors.Is(err, tap.ErrGone), errors.Is(err, tap.ErrClosed):
		l.fail(err)
	}
	// The interface is down, say: the frame is lost as on a pulled cable, and
	// counted; TCP sends it again.
	l.c.txLost.Add(1)
	return true
}

func flattened(p *stack.PacketBuffer) []byte {
	v := p.ToView()
	defer v.Release()
	return v.ToSlice()
}

// vnetHeader says what is left to the device: the checksum, and cutting a packet
// that is larger than a segment (virtio 1.2, section 5.1.6.2).
func vnetHeader(p *stack.PacketBuffer) tap.Hdr {
	gso := &p.GSOOptions
	if gso.Type == stack.GSONone || !gso.NeedsCsum {
		return tap.Hdr{}
	}
	h := tap.Hdr{
		Flags:      tap.FlagNeedsCsum,
		HdrLen:     uint16(p.HeaderSize()),
		CsumStart:  header.EthernetMinimumSize + gso.L3HdrLen,
		CsumOffset: gso.CsumOffset,
	}
	if p.Data().Size() > int(gso.MSS) {
		h.GSOSize = gso.MSS
		switch gso.Type {
		case stack.GSOTCPv4:
			h.GSOType = tap.GSOTCPv4
		case stack.GSOTCPv6:
			h.GSOType = tap.GSOTCPv6
		}
	}
	return h
}

// endBatch begins the next batch with the ACKs that are held and what was not written.
func (l *loop) endBatch(done int) {
	rest := l.batch[done:]
	l.waiting = len(rest)
	next := append(l.heldACKs, rest...)
	clear(l.batch)
	l.batch, l.heldACKs = next, l.batch[:0]
	l.batchNo++ // indices that flows remember are void
	for i := range l.batch[:len(l.batch)-l.waiting] {
		f := l.batch[i].ack
		f.ackPending, f.ackBatch = i, l.batchNo
	}
}
