package netstack

import "ustack/tap"

// Stats are a stack's counters since it was made.
type Stats struct {
	FramesIn  uint64 `json:"frames_in"`
	BytesIn   uint64 `json:"bytes_in"` // of frames
	FramesOut uint64 `json:"frames_out"`
	BytesOut  uint64 `json:"bytes_out"`

	// Trains are frames out of several packets of TCP's; TrainsRefused such that the device did not take.
	Trains        uint64 `json:"trains"`
	TrainsRefused uint64 `json:"trains_refused"`

	BadFrames     uint64 `json:"bad_frames"`     // too short, or with a bad virtio-net header
	ForeignFrames uint64 `json:"foreign_frames"` // for another hardware address

	// PlacedIn and CopiedIn count TCP payload when it is read from the device:
	// what landed in its place in a ring, and what did not.
	PlacedIn uint64 `json:"placed_in"`
	CopiedIn uint64 `json:"copied_in"`

	// Gathered are the frames that TCP was handed as a part of the one before.
	Gathered uint64 `json:"gathered"`

	// Strays are frames that came by a queue of another shard than their connection's, and were
	// handed on; StraysLost those of them for which that shard had no room.
	Strays     uint64 `json:"strays"`
	StraysLost uint64 `json:"strays_lost"`

	Steered     uint64 `json:"steered"`      // flows that were given a queue of their own
	ACKsDropped uint64 `json:"acks_dropped"` // pure ACKs that were overtaken before they went out
	Refused     uint64 `json:"refused"`      // connections refused because the table was full
	Coalesced   uint64 `json:"coalesced"`    // times that a queue was left alone for bulk to gather
	Parks       uint64 `json:"parks"`        // times that the loop rested
	WriteWaits  uint64 `json:"write_waits"`  // writes that found the device full, and waited
	WritesLost  uint64 `json:"writes_lost"`  // frames lost: the interface was down or refused them, or too many waited

	WritesStale uint64 `json:"writes_stale"` // segments that were acknowledged before they were sent again

	// PathMTURefused are the errors, such as "fragmentation needed", that would have lowered a path MTU for a segment that is
	// not on its way, or below what is the least: over IPv4 those lower it to that.
	PathMTURefused uint64 `json:"path_mtu_refused"`

	Retransmits    uint64 `json:"retransmits"`
	ChecksumErrors uint64 `json:"checksum_errors"`
	QueueDrops     uint64 `json:"queue_drops"` // segments dropped because an endpoint's queue was full
	Conns          int    `json:"conns"`
	Queues         int    `json:"queues"`
	Limbo          int    `json:"limbo"` // rings of ended connections that TCP still refers to

	// Syscalls are the reads and writes of frames, if the device counts them,
	// Polls the looks at which queues have one.
	Syscalls uint64 `json:"syscalls"`
	Polls    uint64 `json:"polls"`
}

// Stats reads the stack's counters, of all shards together. It may be called at any time.
func (s *Stack) Stats() Stats {
	st := Stats{Conns: s.conns.len()}
	for _, l := range s.loops {
		st.add(&l.c)
		if m, ok := l.dev.(tap.Meter); ok {
			d := m.Stats()
			st.Syscalls += d.ReadCalls + d.WriteCalls
		}
	}
	t := s.l.stk.Stats()
	st.Retransmits = t.TCP.Retransmits.Value()
	st.ChecksumErrors = t.TCP.ChecksumErrors.Value() + t.IP.MalformedPacketsReceived.Value()
	st.QueueDrops = t.DroppedPackets.Value()
	return st
}

func (st *Stats) add(c *counters) {
	st.FramesIn += c.rxFrames.Load()
	st.BytesIn += c.rxBytes.Load()
	st.FramesOut += c.txFrames.Load()
	st.BytesOut += c.txBytes.Load()
	st.Trains += c.trains.Load()
	st.TrainsRefused += c.trainsRefused.Load()
	st.BadFrames += c.rxBad.Load()
	st.ForeignFrames += c.rxForeign.Load()
	st.PlacedIn += c.placed.Load()
	st.CopiedIn += c.copied.Load()
	st.Gathered += c.gathered.Load()
	st.Strays += c.strays.Load()
	st.StraysLost += c.straysLost.Load()
	st.PathMTURefused += c.pathMTURefused.Load()
	st.Steered += c.steered.Load()
	st.ACKsDropped += c.acksDropped.Load()
	st.Refused += c.refused.Load()
	st.Coalesced += c.coalesced.Load()
	st.Parks += c.parks.Load()
	st.Polls += c.polls.Load()
	st.WriteWaits += c.txWaits.Load()
	st.WritesLost += c.txLost.Load()
	st.WritesStale += c.txStale.Load()
	st.Queues += int(c.queues.Load())
	st.Limbo += int(c.limbo.Load())
}
