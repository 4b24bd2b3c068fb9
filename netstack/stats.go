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

	Steered     uint64 `json:"steered"`      // flows that were given a queue of their own
	ACKsDropped uint64 `json:"acks_dropped"` // pure ACKs overtaken in their batch
	Refused     uint64 `json:"refused"`      // connections refused because the table was full
	Parks       uint64 `json:"parks"`        // times that the loop rested
	WriteWaits  uint64 `json:"write_waits"`  // writes that found the device full, and waited
	WritesLost  uint64 `json:"writes_lost"`  // frames lost: the interface was down or refused them, or too many waited

	WritesStale uint64 `json:"writes_stale"` // segments that were acknowledged before they were sent again

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

// Stats reads the stack's counters. It may be called at any time.
func (s *Stack) Stats() Stats {
	c := &s.l.c
	st := Stats{
		FramesIn: c.rxFrames.Load(), BytesIn: c.rxBytes.Load(),
		FramesOut: c.txFrames.Load(), BytesOut: c.txBytes.Load(),
		Trains: c.trains.Load(), TrainsRefused: c.trainsRefused.Load(),
		BadFrames: c.rxBad.Load(), ForeignFrames: c.rxForeign.Load(),
		PlacedIn: c.placed.Load(), CopiedIn: c.copied.Load(),
		Gathered: c.gathered.Load(),
		Steered:  c.steered.Load(), ACKsDropped: c.acksDropped.Load(),
		Refused: c.refused.Load(), Parks: c.parks.Load(), Polls: c.polls.Load(),
		WriteWaits: c.txWaits.Load(), WritesLost: c.txLost.Load(), WritesStale: c.txStale.Load(),
		Conns:  s.l.conns.len(),
		Queues: int(c.queues.Load()), Limbo: int(c.limbo.Load()),
	}
	t := s.l.stk.Stats()
	st.Retransmits = t.TCP.Retransmits.Value()
	st.ChecksumErrors = t.TCP.ChecksumErrors.Value() + t.IP.MalformedPacketsReceived.Value()
	st.QueueDrops = t.DroppedPackets.Value()
	if m, ok := s.l.dev.(tap.Meter); ok {
		d := m.Stats()
		st.Syscalls = d.ReadCalls + d.WriteCalls
	}
	return st
}
