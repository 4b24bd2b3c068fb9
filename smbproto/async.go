package smbproto

import (
	"sync"
	"sync/atomic"

	"ustack/smbproto/wire"
)

// pending is a request that waits for something else than its client: it has had an interim
// answer, STATUS_PENDING, and gets its final one when it is settled (MS-SMB2 3.3.4.2). What waits for
// it holds it until then, and whoever takes it from there settles it: once.
type pending struct {
	conn    *Conn
	id      uint64 // AsyncId
	head    [wire.HeaderSize]byte
	cmd     wire.Command
	session *session
	signed  bool
	sealed  bool
	place   place

	// What settle has said.
	status wire.Status
	output []byte
}

// A place is where requests wait.
type place interface {
	// withdraw takes a request back; false if it does not wait any more. Any lock but an
	// open's may be taken.
	withdraw(p *pending) bool
}

// settled are a connection's requests that can be answered. Any goroutine may add to
// it, under any lock; the connection's own takes them out.
type settled struct {
	some atomic.Bool
	mu   sync.Mutex
	list []*pending
}

// park makes a request wait at a place, where it is put by the caller, who returns STATUS_PENDING.
// It fails for a request whose answer others follow in a compound, and when too many wait.
func (c *Conn) park(r *request, w *reply, at place) (*pending, wire.Status) {
	switch {
	case !r.last:
		return nil, wire.StatusInternalError // MS-SMB2 3.3.5.2.7, product behaviour
	case len(c.pending) >= c.cfg.Limits.MaxPending:
		return nil, wire.StatusInsufficientResources
	}
	c.lastAsync++
	p := &pending{
		conn: c, id: c.lastAsync, cmd: r.cmd, session: r.session, signed: r.signed, sealed: c.sealing != nil, place: at,
	}
	copy(p.head[:], r.msg)
	c.pending[p.id] = p
	w.async = p.id
	return p, wire.StatusOK
}

// settle says how a request ends that was taken from its place; output is what the
// answer carries.
func (p *pending) settle(status wire.Status, output []byte) {
	p.status, p.output = status, output
	s := &p.conn.settled
	s.mu.Lock()
	s.list = append(s.list, p)
	s.some.Store(true)
	s.mu.Unlock()
	p.conn.in.Wake()
}

func (s *settled) take() []*pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list
	s.list = nil
	s.some.Store(false)
	return list
}

// answerSettled answers the requests that have been settled.
func (c *Conn) answerSettled() error {
	for _, p := range c.settled.take() {
		delete(c.pending, p.id)
		if err := c.answerPending(p); err != nil {
			return err
		}
		c.changes.Add(-int64(len(p.output)))
	}
	return nil
}

func (c *Conn) answerPending(p *pending) error {
	if p.sealed {
		c.sealing = p.session
		defer func() { c.sealing = nil }()
	}
	room := max(wire.ErrorSize, wire.EmptySize, wire.OutputFixed+len(p.output))
	b, at, err := c.begin(room)
	if err != nil {
		return err
	}
	c.req = request{msg: p.head[:], cmd: p.cmd, session: p.session, signed: p.signed}
	c.rep = reply{msg: b[at : at+room], async: p.id}
	r, w := &c.req, &c.rep
	switch {
	case p.status != wire.StatusOK:
	case p.cmd == wire.CommandLock:
		wire.PutEmpty(w.msg)
		w.n = wire.EmptySize
	case p.cmd == wire.CommandChangeNotify:
		copy(w.msg[wire.OutputFixed:], p.output)
		wire.PutOutput(w.msg, len(p.output))
		w.n = wire.OutputFixed + len(p.output)
	}
	c.finish(r, w, p.status)
	c.sign(r, w.msg[:w.n])
	n := w.n
	c.req, c.rep = request{}, reply{}
	return c.send(b, n)
}

// cancel: MS-SMB2 3.3.5.16. It has no answer; what it cancels has. A request that does not wait has its
// answer already.
func (c *Conn) cancel(r *request, _ *reply) wire.Status {
	h := r.header()
	if h.Has(wire.FlagAsync) {
		c.cancelPending(c.pending[h.AsyncID()])
		return wire.StatusOK
	}
	for _, p := range c.pending {
		if wire.Header(p.head[:]).MessageID() == h.MessageID() {
			c.cancelPending(p)
		}
	}
	return wire.StatusOK
}

func (c *Conn) cancelPending(p *pending) {
	if p != nil && p.place.withdraw(p) {
		p.settle(wire.StatusCancelled, nil)
	}
}
