package smbproto

import (
	"slices"

	"ustack/smbproto/wire"
)

// A CREATE that waits for an oplock to be broken, and that its client can replay, outlives its connection where the session has another
// channel: a replay over that finds it under way, and then what it has come to (MS-SMB2 3.3.5.9.10). Without it the replay would
// be a new CREATE, whose client could not know whether the first has made the file.
//
// A request is its connection's until that ends: the connection's goroutine takes it from the place where it waits, or finds it settled,
// and so is the only one to have it; it makes it another connection's and settles it there. The goroutine of that tries it again, which
// makes it wait where it did if the oplock is still in its way. It has no answer, and CANCEL finds it by its AsyncId.

// leaveCreates leaves the CREATEs among requests, which nobody else has, to other channels, and forgets those that can't be left. taken
// are those that somebody had taken from their places: if they are not among the others, they are being cancelled.
func (c *Conn) leaveCreates(requests, taken []*pending) {
	for _, p := range requests {
		if p.create != nil && !c.leaveCreate(p) {
			c.srv.files.forgetCreate(p.create)
		}
	}
	for _, p := range taken {
		if !slices.Contains(requests, p) && p.create != nil { // in this order: what was left is another's by now
			c.srv.files.forgetCreate(p.create)
		}
	}
}

// leaveCreate leaves a CREATE to another channel of its session; false if there is none, or others follow in its frame, which nobody
// would have an answer to.
func (c *Conn) leaveCreate(p *pending) bool {
	if wire.Header(p.again).NextCommand() != 0 {
		return false
	}
	s := p.channel.session
	s.mu.Lock()
	channels := slices.Clone(s.channels)
	s.mu.Unlock()
	return slices.ContainsFunc(channels, func(ch *channel) bool { return ch.conn != c && ch.conn.adopt(p, ch) })
}

// adopt makes a request, which the caller alone has, the connection's, and has it tried again; false if the connection has ended, or
// has been left as much as it may wait for.
func (c *Conn) adopt(p *pending, ch *channel) bool {
	s := &c.settled
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.list) >= c.cfg.Limits.MaxPending || s.orphaned+len(p.again) > maxAgain {
		return false
	}
	p.conn, p.channel, p.orphan = c, ch, true
	s.orphaned += len(p.again)
	s.list = append(s.list, p)
	s.some.Store(true)
	c.in.Wake()
	return true
}

// takesUp forgets that a request waits that has been settled; false if it is one that was left to the connection, which has
// enough of its own.
func (c *Conn) takesUp(p *pending) bool {
	if !p.orphan || c.pending[p.id] == p {
		c.forget(p)
		return true
	}
	if c.waitsEnough() || c.againSize+len(p.again) > maxAgain {
		c.srv.files.forgetCreate(p.create)
		return false
	}
	return true
}

// tryOrphan is compound for a CREATE that nobody is answered to. What is wrong with it is not this connection's fault.
func (c *Conn) tryOrphan(p *pending) {
	room, err := c.measure(p.again)
	if err == nil {
		_, err = c.answer(p.again, make([]byte, room))
		c.req, c.rep = request{}, reply{}
	}
	if err != nil {
		c.log.Warn("a CREATE that another connection has left", "cause", err)
	}
}
