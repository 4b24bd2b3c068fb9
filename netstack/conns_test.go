package netstack

import (
	"bytes"
	"testing"

	"ustack/ioarea"
)

// While Totals asks a connection, which takes its endpoint's lock, the loops find the table
// free, and one that ends then, before it was asked or after, is counted once.
func TestTotalsHoldUpNobodyAndCountEachOnce(t *testing.T) {
	for _, first := range []bool{true, false} {
		table := &connTable{flows: map[*flow]struct{}{}, past: ioarea.Stats{BytesIn: 1, Retransmits: 100}}
		for range 3 {
			f := new(flow)
			f.bytesIn.Store(10)
			f.last.Retransmits = 1000
			table.add(f)
		}
		asked := 0
		sum := table.totals(func(f *flow) ioarea.Stats {
			if !table.mu.TryLock() {
				t.Fatal("the table is locked meanwhile")
			}
			table.mu.Unlock()
			if asked++; asked > 1 {
				return f.Stats()
			}
			s := f.Stats()
			for other := range table.flows {
				if (other == f) == first {
					table.remove(other)
				}
			}
			return s
		})
		if sum.BytesIn != 31 || sum.Retransmits != 3100 {
			t.Errorf("%d bytes and %d segments sent again, want 31 and 3100", sum.BytesIn, sum.Retransmits)
		}
		if again := table.totals((*flow).Stats); again != sum {
			t.Errorf("then %+v, was %+v", again, sum)
		}
	}
}

// What TCP has counted for a connection is told also when it has ended: the totals never fall.
func TestAConnectionThatHasEndedTellsItsLastCounts(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	said := bytes.Repeat([]byte("s"), 100)
	if err := a.Out.Append(patience, said); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time, again
		c.until(func(s *segment) bool { return s.payload == len(said) })
	}
	stream := a.Stream() // the area goes to others
	before := stream.Stats()
	a.Abort(nil)
	eventually(t, "no connection", func() bool { return w.stack.conns.len() == 0 })
	s := stream.Stats()
	if before.Retransmits == 0 || s.Retransmits < before.Retransmits || s.BytesOut != before.BytesOut {
		t.Errorf("%+v, was %+v", s, before)
	}
	if s.RTT != 0 || s.Cwnd != 0 || s.RingOut != 0 {
		t.Errorf("what it has no more is told: %+v", s)
	}
	if total := w.stack.Totals(); total.Retransmits != s.Retransmits || total.BytesOut != s.BytesOut {
		t.Errorf("in all %+v, and %+v of the only one", total, s)
	}
}
