package netstack

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// padded fills a frame up to the least length of Ethernet, with what must not matter.
func padded(f []byte) []byte {
	for len(f) < 60 {
		f = append(f, '!')
	}
	return f
}

func TestAnAcknowledgementInAPaddedFrameGivesOutBack(t *testing.T) {
	for _, expected := range []bool{false, true} {
		t.Run(fmt.Sprintf("expected=%t", expected), func(t *testing.T) {
			w := newWire(t, nil)
			ln := w.listen()
			c := w.open(1001, 7)
			a := w.accept(ln)
			if expected { // read with its payload at a place in the ring
				c.send(0, []byte("x"))
				mustWait(t, a, 1)
			}
			said := make([]byte, 1000)
			if err := a.Out.Append(patience, said); err != nil {
				t.Fatal(err)
			}
			c.until(func(s *segment) bool { return s.payload == len(said) })
			w.write(padded(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1+uint32(a.In.Len()), c.irs+1+uint32(len(said)), nil, nil))))
			w.barrier(1)
			var seen uint64
			w.stack.onLoop(t, func() { seen = a.Stream().(*flow).ackedTo })
			if seen != uint64(len(said)) {
				t.Errorf("%d bytes were seen to be acknowledged, of %d", seen, len(said))
			}
			if _, err := a.Out.Reserve(a.Out.Cap(), patience); err != nil {
				t.Errorf("%d bytes of Out are not given back: %v", a.Out.Len(), err)
			}
		})
	}
}

func TestPaddingIsNoPayload(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	want := ""
	for i := range 12 {
		// Of several lengths, so that padding lies in the headers' part and behind it.
		options := []byte{1, 1, 1, 1}[:4*(i/4%2)]
		p := "abcdefgh"[:1+i%4]
		w.write(padded(w.ip(protoTCP, nil, c.tcp(flagACK|flagPSH, c.iss+1+uint32(len(want)), c.irs+1, options, []byte(p)))))
		want += p
		mustWait(t, a, len(want))
	}
	if got := string(a.In.Peek(a.In.Len())); got != want {
		t.Errorf("the handler reads %q, want %q", got, want)
	}
	w.barrier(1)
	st := a.Stream().Stats()
	if st.PlacedIn == 0 || st.PlacedIn+st.CopiedIn != st.BytesIn {
		t.Errorf("%d bytes came in place, %d were copied, of %d", st.PlacedIn, st.CopiedIn, st.BytesIn)
	}
}

// fragments cuts a packet in two (RFC 791, section 3.2).
func (w *wire) fragments(frame []byte, at int) [2][]byte {
	w.t.Helper()
	const headers = ethLen + ipv4MinLen
	f := [2][]byte{append([]byte{}, frame[:headers+at]...), append([]byte{}, frame[:headers]...)}
	f[1] = append(f[1], frame[headers+at:]...)
	for i, more := range []uint16{0x2000, uint16(at / 8)} {
		ip := f[i][ethLen:]
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		binary.BigEndian.PutUint16(ip[6:], more)
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], onesSum(ip[:ipv4MinLen]))
	}
	return f
}

// An acknowledgement whose headers placement does not read counts all the same.
func TestAnAcknowledgementInFragmentsGivesOutBack(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	said := make([]byte, 1000)
	if err := a.Out.Append(patience, said); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload == len(said) })
	whole := w.ip(protoTCP, nil, c.tcp(flagACK|flagPSH, c.iss+1, c.irs+1+uint32(len(said)), nil, []byte("in two parts")))
	for _, f := range w.fragments(whole, 24) {
		w.write(f)
	}
	mustWait(t, a, len("in two parts"))
	if _, err := a.Out.Reserve(a.Out.Cap(), patience); err != nil {
		t.Errorf("%d bytes of Out are not given back: %v", a.Out.Len(), err)
	}
}
