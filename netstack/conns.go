package netstack

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"ustack/ioarea"
)

// A connTable knows the connections that there are. Any goroutine may look.
type connTable struct {
	mu    sync.Mutex
	flows map[*flow]struct{}
	past  ioarea.Stats  // sum over connections that have ended
	empty chan struct{} // closed when the last one goes while somebody waits
}

func (t *connTable) add(f *flow) {
	t.mu.Lock()
	t.flows[f] = struct{}{}
	t.mu.Unlock()
}

// remove takes a connection out that has ended: its counts are its last.
func (t *connTable) remove(f *flow) {
	ended := f.Stats()
	t.mu.Lock()
	t.past.Add(ended)
	delete(t.flows, f)
	if len(t.flows) == 0 && t.empty != nil {
		close(t.empty)
		t.empty = nil
	}
	t.mu.Unlock()
}

func (t *connTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flows)
}

// whenEmpty returns a channel that is closed once there is no connection.
func (t *connTable) whenEmpty() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.empty == nil {
		t.empty = make(chan struct{})
		if len(t.flows) == 0 {
			close(t.empty)
			c := t.empty
			t.empty = nil
			return c
		}
	}
	return t.empty
}

// A Conn describes one connection.
type Conn struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	ioarea.Stats
}

// Conns describes the connections that there are, in order of their addresses.
func (s *Stack) Conns() []Conn {
	_, flows := s.conns.snapshot()
	conns := make([]Conn, len(flows))
	for i, f := range flows {
		conns[i] = Conn{f.local.AddrPort(), f.remote.AddrPort(), f.Stats()}
	}
	slices.SortFunc(conns, func(a, b Conn) int {
		return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote))
	})
	return conns
}

// Totals sums the counters of all connections that there are or were.
func (s *Stack) Totals() ioarea.Stats { return s.conns.totals((*flow).Stats) }

// totals adds what stats says of each connection that there is to what those that have ended
// were. It asks without the lock, for that takes each endpoint's, and loops wait for ours. One
// that ends meanwhile is not in the sum of the past yet, and tells its last counts.
func (t *connTable) totals(stats func(*flow) ioarea.Stats) ioarea.Stats {
	sum, flows := t.snapshot()
	for _, f := range flows {
		sum.Add(stats(f))
	}
	return sum
}

// snapshot returns the sum over the connections that have ended, and all others.
func (t *connTable) snapshot() (past ioarea.Stats, flows []*flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.past, slices.Collect(maps.Keys(t.flows))
}

// counters are the loop's, read by anyone.
type counters struct {
	rxFrames, rxBytes, rxBad, rxForeign                                   atomic.Uint64
	txFrames, txBytes, txWaits, txLost, txStale                           atomic.Uint64
	trains, trainsRefused                                                 atomic.Uint64
	placed, copied, steered, acksDropped, gathered, refused, parks, polls atomic.Uint64
	strays, straysLost, pathMTURefused, coalesced                         atomic.Uint64
	queues, limbo                                                         atomic.Int64 // gauges
}
