package netstack

import (
	"testing"
)

// A talk is what a flow sends in one batch, and which of it goes out.
func TestACKFilter(t *testing.T) {
	sack := []byte{optionNop, optionNop, optionSACK, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	ack := func(n uint32) segment { return segment{flags: flagACK, ack: n} }
	data := func(n uint32) segment { return segment{flags: flagACK | flagPSH, ack: n, payload: 100} }
	newBatch := segment{flags: 0xff}
	for _, c := range []struct {
		name string
		says []segment
		goes []bool // for each but newBatch
	}{
		{"a lone ACK", []segment{ack(10)}, []bool{true}},
		{"an ACK and a reply become one frame", []segment{ack(10), data(10)}, []bool{false, true}},
		{"a later ACK says more", []segment{ack(10), ack(20), ack(30)}, []bool{false, false, true}},
		{"duplicate ACKs are all sent", []segment{ack(10), ack(10), ack(10), ack(10)}, []bool{true, true, true, true}},
		{"a duplicate ACK of the last batch", []segment{ack(10), newBatch, ack(10), data(10)}, []bool{true, true, true}},
		{"duplicates, then news", []segment{ack(10), ack(10), ack(20)}, []bool{true, true, true}},
		{"SACK is never dropped", []segment{{flags: flagACK, ack: 10, options: sack}, data(20)}, []bool{true, true}},
		{"but says more than the ACK before it", []segment{ack(10), {flags: flagACK, ack: 20, options: sack}}, []bool{false, true}},
		{"a SACK with the same number is a duplicate", []segment{ack(10), {flags: flagACK, ack: 10, options: sack}}, []bool{true, true}},
		{"data is never dropped", []segment{data(10), data(20), ack(30)}, []bool{true, true, true}},
		{"an ACK that goes back overtakes none", []segment{ack(20), data(10)}, []bool{true, true}},
		{"FIN overtakes, and is not overtaken", []segment{ack(10), {flags: flagACK | flagFIN, ack: 10}, data(10)}, []bool{false, true, true}},
		{"RST overtakes none", []segment{ack(10), {flags: flagACK | flagRST, ack: 10}}, []bool{true, true}},
		{"not across batches", []segment{ack(10), newBatch, data(20)}, []bool{true, true}},
		{"numbers wrap", []segment{ack(0xfffffff0), data(0x10)}, []bool{false, true}},
		{"an urgent ACK is not pure", []segment{{flags: flagACK | flagURG, ack: 10}, data(10)}, []bool{true, true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &loop{batchNo: 7}
			f := &flow{l: l, ackPending: -1}
			var goes []bool
			first := 0
			for _, s := range c.says {
				if s.flags == 0xff {
					l.batchNo++
					first = len(goes)
					continue
				}
				if j := f.overtakes(&s, len(goes)-first); j >= 0 {
					goes[first+j] = false
				}
				goes = append(goes, true)
			}
			for i := range goes {
				if goes[i] != c.goes[i] {
					t.Errorf("sent %v, want %v", goes, c.goes)
					break
				}
			}
		})
	}
}

func TestHandshakesAreBoundedAndTakenOnce(t *testing.T) {
	h := handshakes{}
	syn := func(port uint16, seq uint32) *segment {
		return &segment{srcPort: 80, dstPort: port, seq: seq, ack: seq + 1000, flags: flagSYN | flagACK, options: []byte{3, 3, 9}}
	}
	for i := range 3 * maxHalfOpen {
		s := syn(uint16(i), uint32(i))
		s.src[0] = byte(i >> 16)
		h.sent(s)
		if len(h) > maxHalfOpen {
			t.Fatalf("%d handshakes remembered", len(h))
		}
	}
	last := syn(7, 5)
	h.sent(last)
	h.sent(syn(7, 6)) // the second attempt counts
	hs, ok := h.take(last.outbound())
	if !ok || hs.irs != 1005 || hs.iss != 6 || hs.wndScale != 9 {
		t.Errorf("%+v, %t", hs, ok)
	}
	if _, ok := h.take(last.outbound()); ok {
		t.Error("taken twice")
	}

	// Of a connection we began the first ACK tells the peer's number, not the SYN.
	own := &segment{srcPort: 90, dstPort: 1, seq: 50, flags: flagSYN}
	h.sent(own)
	if hs, ok := h[own.outbound()]; !ok || hs.haveIRS {
		t.Errorf("after the SYN: %+v", hs)
	}
	h.sent(&segment{srcPort: 90, dstPort: 1, seq: 99, ack: 7, flags: flagACK}) // not of this attempt
	h.sent(&segment{srcPort: 90, dstPort: 1, seq: 51, ack: 701, flags: flagACK})
	h.sent(&segment{srcPort: 90, dstPort: 1, seq: 51, ack: 901, flags: flagACK}) // later: data has come
	if hs, ok := h.take(own.outbound()); !ok || hs.irs != 700 {
		t.Errorf("%+v, %t; want 700", hs, ok)
	}
}
