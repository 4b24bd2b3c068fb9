package netstack

import "ustack/tap"

// Trains: gVisor cuts what it sends into frames of 64 KiB, the most that an IPv4
// header can tell. Where the device takes more (tap.BigSender), lent segments that
// follow each other in a batch leave as one frame: one system call, one packet for the
// kernel at the other end, one wake of who reads there, and one ACK. Its payload is
// one slice of Out, or a few, where some of it is lent from files.

// train returns how many packets of the batch, from the first on, make one frame, and
// the bytes of its payload. Packets that are dropped may be among them. 1 if there is
// no train.
func (l *loop) train(first int) (n, payload int) {
	head := &l.batch[first]
	n, payload = 1, head.seg.payload
	for i := first + 1; i < len(l.batch); i++ {
		o := &l.batch[i]
		if o.drop {
			continue
		}
		if !head.continuedBy(o, payload) || payload+o.seg.payload > l.trainMax {
			break
		}
		n, payload = i-first+1, payload+o.seg.payload
	}
	return n, payload
}

// continuedBy reports whether o carries on where payload bytes from head's first on
// end, under headers that say the same but for what grows.
func (head *outFrame) continuedBy(o *outFrame, payload int) bool {
	return o.lent == head.lent && o.queue == head.queue &&
		o.seg.seq == head.seg.seq+uint32(payload) &&
		o.seg.headerLen == head.seg.headerLen &&
		o.seg.flags == head.seg.flags|o.seg.flags&flagPSH
}

// writeTrain writes the n packets from the first on as one frame, under the headers
// of the last, whose acknowledgement and timestamp are the newest. It returns false if
// nothing was written: the device may still take them one by one, and is not asked for
// more until the next batch.
func (l *loop) writeTrain(first, n, payload int) bool {
	head, last := &l.batch[first], &l.batch[first+n-1]
	s := head.seg
	s.payload = payload
	off, ok := head.lent.lentAt(&s)
	if !ok {
		return false
	}
	q := head.queue
	views, offset := last.pkt.AsViewList()
	h := q.trainHead[:copy(q.trainHead[:], views.Front().AsSlice()[offset:][:s.headerLen])]
	restate(h, s.seq, payload)
	v := vnetHeader(last.pkt)
	v.HdrLen, v.GSOType, v.GSOSize = uint16(s.headerLen), tap.GSOTCPv4, last.pkt.GSOOptions.MSS
	v.Encode(q.vnetOut[:])
	written, err := q.writeLent(head.lent, h, off, payload)
	if err != nil {
		l.c.trainsRefused.Add(1)
		l.noTrains = l.batchNo
		return false
	}
	l.c.trains.Add(1)
	l.c.txFrames.Add(1)
	l.c.txBytes.Add(uint64(written - tap.HdrLen))
	return true
}
