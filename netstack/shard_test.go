package netstack

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"ustack/tap"
)

// Connections of several shards, at one listener.
func TestEveryByteIsRightInShards(t *testing.T) {
	for _, shards := range []int{2, 3} {
		withProcs(t, shards, func(t *testing.T) {
			h := newHosts(t, nil, nil, func(c *Config) { c.Shards = shards })
			stats := carry(t, h, netip.AddrPortFrom(h.addrB, 7), 32, uint64(scaled(8<<20))) // that some shard has none of so many is no chance to reckon with
			var in, placed uint64
			for _, s := range stats {
				in += s.BytesIn
				placed += s.PlacedIn
			}
			if placed < in/2 {
				t.Errorf("%d of %d bytes in place: shards take each other's frames", placed, in)
			}
			for name, s := range map[string]*Stack{"client": h.a, "server": h.b} {
				st := s.Stats()
				t.Logf("%s: in place %d of %d, %d strays of %d frames, sent again %d", name, st.PlacedIn, st.PlacedIn+st.CopiedIn, st.Strays, st.FramesIn, st.Retransmits)
				if st.StraysLost != 0 {
					t.Errorf("%s: %d strays lost", name, st.StraysLost)
				}
				for i, l := range s.loops {
					if l.c.rxFrames.Load() == 0 {
						t.Errorf("%s: shard %d has read nothing", name, i)
					}
				}
			}
		})
	}
}

// A flow whose frames come now by one shard's queue and now by another's stays whole.
func TestAFlowThatMovesBetweenShardsStaysWhole(t *testing.T) {
	const conns = 8 // each writes more than ten frames that must be answered: 1 MiB
	for _, home := range []int{1, 3, 7} {
		withProcs(t, 2, func(t *testing.T) {
			w := newWandering(home)
			h := newHosts(t, func(d tap.Device) tap.Device { return &wanderer{d, 0, w} }, nil, func(c *Config) { c.Shards = 2 })
			carry(t, h, netip.AddrPortFrom(h.addrB, 7), conns, uint64(scaled(8<<20)))
			// The last answer may be on its way when all bytes have come.
			eventually(t, "each flow has moved, and what came elsewhere was handed on", func() bool {
				moves, flows := w.moves()
				return flows == conns && h.a.Stats().Strays >= moves
			})
			st := h.a.Stats()
			moves, _ := w.moves()
			t.Logf("%d moves; %d of %d frames were strays, %d lost; sent again %d and %d",
				moves, st.Strays, st.FramesIn, st.StraysLost, st.Retransmits, h.b.Stats().Retransmits)
		})
	}
}

// What another shard hands on is taken also when the device is gone: a loop with strays does not
// rest.
func TestAShardWithoutADeviceTakesStrays(t *testing.T) {
	h := newHosts(t, nil, nil, func(c *Config) { c.Shards = 2 })
	l := h.a.loops[1]
	gone := make(chan struct{})
	l.do(func() { l.gone = true; close(gone) })
	<-gone
	l.mu.Lock()
	l.strays = append(l.strays, stray{frame: make([]byte, 60)})
	l.mu.Unlock()
	l.wake()
	eventually(t, "the stray is taken", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.strays) == 0
	})
}

// What a loop has been given to do, and said that it would, is done also when it ends. A timer
// of TCP's that waits for all loops would never run otherwise.
func TestALoopThatEndsKeepsItsPromises(t *testing.T) {
	h := newHosts(t, nil, nil, func(c *Config) { c.Shards = 2 })
	l := h.a.loops[1]
	var promised, ran atomic.Int64
	var again func()
	again = func() {
		ran.Add(1)
		if l.do(again) {
			promised.Add(1)
		}
	}
	promised.Add(1)
	if !l.do(again) {
		t.Fatal("the loop has ended")
	}
	eventually(t, "some turns", func() bool { return ran.Load() > 100 })
	if err := h.a.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all that was promised", func() bool { return ran.Load() == promised.Load() })
}

func TestShardsAreBounded(t *testing.T) {
	da, db := tap.NewPair(tap.PairConfig{Queues: 2})
	defer da.Close()
	defer db.Close()
	for name, c := range map[string]Config{
		"negative":             {Shards: -1, Device: da},
		"more than queues":     {Shards: 3, Queues: 2, Device: da},
		"more than the device": {Shards: 3, Device: da},
		"not to be split":      {Shards: 2, Device: tap.Impair(db, tap.Impairment{})},
	} {
		c.Addrs = []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}
		if s, err := New(c); err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		} else {
			t.Log(err)
		}
	}
}
