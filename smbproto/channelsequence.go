package smbproto

import "ustack/smbproto/wire"

// sequence is what an open knows of its client's channels, MS-SMB2 3.3.1.10: after one of them broke, requests bear a
// greater ChannelSequence, and what was sent before and comes late changes nothing any more. The open's lock guards it.
type sequence struct {
	number      uint16 // Open.ChannelSequence
	outstanding int    // requests with it that wait for something else than the lock
	before      int    // those with an earlier one
}

// admit takes the ChannelSequence of a request, MS-SMB2 3.3.5.2.10, and says whether the request may change something.
func (s *sequence) admit(h wire.Header) bool {
	switch ahead := h.ChannelSequence() - s.number; {
	case ahead > 0x7FFF:
		return false
	case ahead > 0:
		s.before, s.outstanding = s.before+s.outstanding, 0
		s.number = h.ChannelSequence()
	}
	return !h.Has(wire.FlagReplay) || s.before == 0 // nothing is done twice
}

// begin notes a request that stays unanswered for a while, and end its answer.
func (s *sequence) begin(h wire.Header) { *s.count(h)++ }
func (s *sequence) end(h wire.Header)   { *s.count(h)-- }

func (s *sequence) count(h wire.Header) *int {
	if h.ChannelSequence() == s.number {
		return &s.outstanding
	}
	return &s.before
}

// checkSequence refuses what comes too late to change an open, which is locked.
func (c *Conn) checkSequence(r *request) wire.Status {
	if c.dialect < wire.Dialect300 || r.open.sequence.admit(r.header()) {
		return wire.StatusOK
	}
	switch r.cmd {
	case wire.CommandWrite, wire.CommandSetInfo, wire.CommandIoctl:
		return wire.StatusFileNotAvailable
	}
	return wire.StatusOK
}
