package smbproto

import (
	"slices"
	"sync/atomic"
	"time"
)

// unheard is how long the TCP of a client may take to acknowledge what it is told of an oplock, until it is told so over
// another channel: some round trips and retransmissions, and small beside oplockTimeout.
const unheard = 2 * time.Second

// telling is a notice on its way to a client that has several channels: it is sent over one after the other, until one of
// them has it (MS-SMB2 3.3.4.6 and 3.3.4.7). notify and its timers use it, one at a time.
type telling struct {
	notice breakNotice
	tried  []*Conn
}

// delivery is how far a notice has come on a connection.
type delivery struct {
	end atomic.Uint64 // offset in the connection's stream at which it ends; 0 before it is sent
	// moved: the connection has ended before it was sent, and another has it.
	moved atomic.Bool
}

// notify has a notice sent over a channel that lives: want, or else the first. Any goroutine may call it, under
// any lock but a session's.
func (s *session) notify(want *Conn, b breakNotice) {
	t := &telling{notice: b}
	t.send(want)
}

// send sends the notice over a channel that has not had it.
func (t *telling) send(want *Conn) {
	for {
		c, others := t.notice.session.untried(want, t.tried)
		if c == nil {
			return
		}
		t.tried = append(t.tried, c)
		b := t.notice
		if others {
			b.delivery = new(delivery)
		}
		if !c.notify(b) {
			continue
		}
		if others {
			time.AfterFunc(unheard, func() { t.again(c, b.delivery) })
		}
		return
	}
}

// again sends the notice over another channel, unless the client has it or it is over.
func (t *telling) again(c *Conn, d *delivery) {
	if d.moved.Load() || c.hasHeard(d.end.Load()) || t.notice.awaited != nil && !t.notice.awaited.Load() {
		return
	}
	c.log.Info("oplock break not heard: told over another channel", "session", hexID(t.notice.session.id))
	t.send(nil)
}

// hasHeard says whether the peer's TCP has acknowledged the stream up to an offset. Any goroutine may call it.
func (c *Conn) hasHeard(end uint64) bool {
	c.settled.mu.Lock()
	ended := c.settled.closed
	c.settled.mu.Unlock()
	if end == 0 || ended || c.stream == nil {
		return false
	}
	st := c.stream.Stats()
	return st.BytesOut-uint64(st.Unacked) >= end
}

// untried picks the connection for what the server has to say of its own accord, MS-SMB2 3.3.4.1.6: of those that are channels
// and not among tried, want if it can be, or else the first; nil when there is none. It says whether there are others.
// The connection may end before it has been heard; then it is no channel any more.
func (s *session) untried(want *Conn, tried []*Conn) (c *Conn, others bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, ch := range s.channels {
		if slices.Contains(tried, ch.conn) {
			continue
		}
		if c == nil || ch.conn == want {
			c = ch.conn
		}
		n++
	}
	return c, n > 1
}
