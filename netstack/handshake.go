package netstack

// maxHalfOpen bounds the handshakes that are remembered. A connection whose
// handshake was forgotten works as any other, but its payload is copied.
const maxHalfOpen = 8192

// A handshake is what the two SYNs have fixed: the sequence numbers from which
// stream offsets are counted (RFC 9293, section 3.4.1), and our window's scale.
type handshake struct {
	iss, irs uint32
	haveIRS  bool
	wndScale uint8
}

// handshakes remembers the initial sequence numbers of connections from their
// SYN, which the link endpoint sees, until they are accepted: gVisor does not
// tell them. Where it answers several SYNs with cookies (RFC 4987, section 3.6) the last is remembered, whichever is
// acknowledged: ours tells whether it was that. The loop's own.
type handshakes map[flowKey]handshake

// sent looks at a segment that goes out. A SYN-ACK tells both numbers; a SYN
// tells ours, and the first ACK after it the peer's.
func (h handshakes) sent(s *segment) {
	key := s.outbound()
	if s.flags&flagSYN == 0 {
		if len(h) == 0 || s.flags&flagACK == 0 {
			return
		}
		if hs, ok := h[key]; ok && !hs.haveIRS && s.seq == hs.iss+1 {
			hs.irs, hs.haveIRS = s.ack-1, true
			h[key] = hs
		}
		return
	}
	hs := handshake{iss: s.seq}
	if s.flags&flagACK != 0 {
		hs.irs, hs.haveIRS = s.ack-1, true
	}
	if v, ok := tcpOption(s.options, optionWindowScale); ok && len(v) == 1 {
		hs.wndScale = v[0]
	}
	if _, known := h[key]; !known && len(h) >= maxHalfOpen {
		for victim := range h { // any one: a flood is made of strangers
			delete(h, victim)
			break
		}
	}
	h[key] = hs
}

// take returns what is known of a connection's handshake, and forgets it.
func (h handshakes) take(key flowKey) (handshake, bool) {
	hs, ok := h[key]
	delete(h, key)
	return hs, ok && hs.haveIRS
}
