package netstack

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"ustack/ioarea"
	"ustack/tap"
)

// carry sends n bytes each way through each of conns connections at once, and
// checks each.
func carry(t *testing.T, h *pairOfHosts, to netip.AddrPort, conns int, n uint64) []ioarea.Stats {
	t.Helper()
	ln, err := h.b.Listen(to)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	stats := make([]ioarea.Stats, 2*conns)
	var running sync.WaitGroup
	for i := range conns {
		client := dial(t, h.a, to)
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// Connections are told apart by their seeds: one must not get another's bytes.
		up, down := uint64(2*i)<<40, uint64(2*i+1)<<40
		for k, end := range []struct {
			a       *ioarea.Area
			out, in uint64
		}{{client, up, down}, {server, down, up}} {
			stream := end.a.Stream()
			running.Go(func() {
				if err := exchange(end.a, n, end.out, end.in); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
				stats[2*i+k] = stream.Stats()
			})
		}
	}
	running.Wait()
	return stats
}

func TestEveryByteIsRight(t *testing.T) {
	total := scaled(1 << 30) // each way
	for _, procs := range []int{1, 2} {
		withProcs(t, procs, func(t *testing.T) {
			n := total
			if procs == 1 {
				n /= 4
			}
			h := newHosts(t, nil, nil, nil)
			for _, s := range carry(t, h, netip.AddrPortFrom(h.addrB, 7), 8, uint64(n/8)) {
				t.Logf("in %d, in place %.4f, retransmits %d", s.BytesIn, placedShare(s), s.Retransmits)
			}
		})
	}
}

// happened reports whether each kind of fault that f asks for was met, in one direction
// at least.
func happened(f tap.Faults, in, out tap.FaultCounts) bool {
	met := func(r tap.Rate, n uint64) bool { return r == tap.Rate{} || n > 0 }
	return met(f.Drop, in.Dropped+out.Dropped) && met(f.Duplicate, in.Duplicated+out.Duplicated) &&
		met(f.Reorder, in.Reordered+out.Reordered) && met(f.Overlap, in.Overlapped+out.Overlapped) &&
		met(f.Split, in.Split+out.Split) && met(f.Corrupt, in.Corrupted+out.Corrupted)
}

func TestEveryByteIsRightThroughABadLink(t *testing.T) {
	rare, often := tap.Prob(0.02), tap.Prob(0.1)
	kinds := []struct {
		name string
		f    tap.Faults
	}{
		{"drop", tap.Faults{Drop: rare}},
		{"duplicate", tap.Faults{Duplicate: often}},
		{"reorder", tap.Faults{Reorder: often, HoldFrames: 3}},
		{"overlap", tap.Faults{Overlap: tap.Prob(0.5)}},
		{"split", tap.Faults{Split: often}},
		{"corrupt", tap.Faults{Corrupt: rare}},
		{"all", tap.Faults{Drop: rare, Duplicate: rare, Reorder: rare, Overlap: rare, Split: rare, Corrupt: rare}},
	}
	size := scaled(32 << 20)
	for i, k := range kinds {
		for j, family := range []string{"IPv4", "IPv6"} {
			size := size
			if k.f.Drop.Prob+k.f.Corrupt.Prob > 0 {
				size = max(size/4, 1<<20) // TCP waits for its timers here
			}
			t.Run(k.name+"/"+family, func(t *testing.T) {
				withProcs(t, 1+(i+j)%2, func(t *testing.T) {
					seed := uint64(100*i + j)
					var bad *tap.Impaired
					h := newHosts(t, func(d tap.Device) tap.Device {
						bad = tap.Impair(d, tap.Impairment{Seed: seed, In: k.f, Out: k.f})
						return bad
					}, nil, nil)
					addr := h.addrB
					if family == "IPv6" {
						addr = h.addrB6
					}
					var in, placed uint64
					var fin, fout tap.FaultCounts
					for !happened(k.f, fin, fout) { // a short stream may pass unharmed
						for _, s := range carry(t, h, netip.AddrPortFrom(addr, 7), 4, uint64(size/4)) {
							in += s.BytesIn
							placed += s.PlacedIn
						}
						if fin, fout = bad.Faults(); t.Failed() {
							return
						}
					}
					t.Logf("in place %.3f, sent again %d; in %+v, out %+v", float64(placed)/float64(in), h.a.Stats().Retransmits+h.b.Stats().Retransmits, fin, fout)
				})
			})
		}
	}
}

// What TestEveryByteIsRightThroughABadLink shows with many faults, for 1 GiB each
// way through 8 connections with fewer.
func TestEveryByteOfAGibibyteIsRightThroughABadLink(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("12 GiB: takes minutes under the race detector")
	}
	const rate = 0.002
	some := tap.Prob(rate)
	for _, k := range []struct {
		name string
		f    tap.Faults
	}{
		{"drop", tap.Faults{Drop: some}},
		{"duplicate", tap.Faults{Duplicate: some}},
		{"reorder", tap.Faults{Reorder: some, HoldFrames: 3}},
		{"overlap", tap.Faults{Overlap: some}},
		{"corrupt", tap.Faults{Corrupt: some}},
		{"all", tap.Faults{Drop: some, Duplicate: some, Reorder: some, Overlap: some, Split: some, Corrupt: some, HoldFrames: 3}},
	} {
		t.Run(k.name, func(t *testing.T) {
			var bad *tap.Impaired
			h := newHosts(t, func(d tap.Device) tap.Device {
				bad = tap.Impair(d, tap.Impairment{Seed: 2000, In: k.f, Out: k.f})
				return bad
			}, nil, nil)
			var in, placed uint64
			for _, s := range carry(t, h, netip.AddrPortFrom(h.addrB, 7), 8, 1<<30/8) {
				in += s.BytesIn
				placed += s.PlacedIn
			}
			fin, fout := bad.Faults()
			t.Logf("in place %.3f, sent again %d; in %+v, out %+v", float64(placed)/float64(in),
				h.a.Stats().Retransmits+h.b.Stats().Retransmits, fin, fout)
			if fin.Dropped+fin.Duplicated+fin.Reordered+fin.Overlapped+fin.Corrupted == 0 {
				t.Error("the link was not bad")
			}
		})
	}
}

// The peer acknowledges everything at once where nothing is lost: nothing is sent
// again because of what came out of order. What gVisor may still send is a tail
// loss probe, when an ACK takes longer than two round trips (RFC 8985, section
// 7.2): it has no variance in its timer, so a busy machine is enough.
func TestNothingIsTakenForLostWhereNothingIsLost(t *testing.T) {
	for _, conns := range []int{1, 8} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			h := newHosts(t, nil, nil, nil)
			carry(t, h, netip.AddrPortFrom(h.addrB, 7), conns, uint64(scaled(64<<20)))
			for name, s := range map[string]*Stack{"client": h.a, "server": h.b} {
				tcp := s.l.stk.Stats().TCP
				t.Logf("%s: %d sent again, %d fast, %d recoveries, %d timeouts", name, tcp.Retransmits.Value(),
					tcp.FastRetransmit.Value(), tcp.SACKRecovery.Value(), tcp.Timeouts.Value())
				if n := tcp.FastRetransmit.Value(); n != 0 {
					t.Errorf("%s: %d segments taken for lost", name, n)
				}
				if st := s.Stats(); st.WritesLost+st.BadFrames+st.ForeignFrames+st.QueueDrops != 0 {
					t.Errorf("%s: frames lost: %+v", name, st)
				}
			}
		})
	}
}

// Stream offsets are counted beyond what a sequence number can say.
func TestAStreamLongerThanTheSequenceSpace(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("5 GB")
	}
	const size, checked = 1<<32 + 64<<20, 128 << 20 // from before 2^32 on, each byte
	h := newHosts(t, nil, nil, nil)
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	sent := make(chan error, 1)
	go func() {
		for off := 0; off < size-checked; {
			n := min(256<<10, size-checked-off)
			if _, err := client.Out.Reserve(n, patience); err != nil {
				sent <- err
				return
			}
			client.Out.Commit(n)
			off += n
		}
		sent <- push(client, checked, 1)
	}()
	for off := 0; off < size-checked; {
		mustWait(t, server, 1)
		n := min(server.In.Len(), size-checked-off)
		server.In.Consume(n)
		off += n
	}
	if err := pull(server, checked, 1); err != nil {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	checkPlaced(t, []ioarea.Stats{server.Stream().Stats()}, size)
	client.Close()
	server.Close()
}
