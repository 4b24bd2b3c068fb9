package smbproto

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ustack/smbproto/wire"
)

// pending is a request that waits for something else than its client: it has had an interim
// answer, STATUS_PENDING, and gets its final one when it is settled (MS-SMB2 3.3.4.2). What waits for
// it holds it until then, and whoever takes it from there settles it: once.
type pending struct {
	conn    *Conn  // on which it came, and is answered
	id      uint64 // AsyncId
	head    [wire.HeaderSize]byte
	cmd     wire.Command
	channel *channel
	open    *open // or nil
	signed  bool
	sealed  bool
	place   place
	create  *made  // of a CREATE that may be replayed, while it waits
	orphan  bool   // its connection has ended, and conn is another channel's: see orphans.go
	again   []byte // of a request that is to be tried again: it, and what follows in its frame
	chain   chain  // likewise: what comes before in its frame
	smb1    smb1Pending
	// othersLease is since when it waits for another program's lease of a file, if it has.
	othersLease time.Time

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
	some   atomic.Bool
	mu     sync.Mutex
	list   []*pending
	breaks []breakNotice
	closed bool // the connection has ended: what comes now is not heard
	// orphaned is what the requests in list take that other connections have left to this one, bytes.
	orphaned int
}

// park makes a request wait at a place, where it is put by the caller, who returns STATUS_PENDING.
// It fails for a request whose answer others follow in a compound, and when too many wait.
func (c *Conn) park(r *request, w *reply, at place) (*pending, wire.Status) {
	switch {
	case !r.last:
		return nil, wire.StatusInternalError // MS-SMB2 3.3.5.2.7, product behaviour
	case c.waitsEnough():
		return nil, wire.StatusInsufficientResources
	}
	return c.newPending(r, w, at), wire.StatusOK
}

func (c *Conn) waitsEnough() bool { return len(c.pending) >= c.cfg.Limits.MaxPending }

func (c *Conn) newPending(r *request, w *reply, at place) *pending {
	p := &pending{
		conn: c, id: c.srv.asyncIDs.Add(1), cmd: r.cmd, channel: r.channel, open: r.open,
		signed: r.signed, sealed: c.sealing != nil, place: at,
	}
	copy(p.head[:], r.msg)
	c.keep(p)
	if c.smb1 != nil {
		p.smb1 = c.smb1.pending()
	}
	w.async = p.id
	return p
}

// maxAgain bounds what the requests of a connection that are to be tried again take, bytes.
const maxAgain = 1 << 20

// parkAgain makes a request wait as park does, but for being tried again when it is settled, and with it what follows in
// its frame: others may come between (MS-SMB2 3.3.5.2.7, product behaviour on requests that break an oplock).
func (c *Conn) parkAgain(r *request, w *reply, at place) (*pending, wire.Status) {
	if r.frame == nil {
		return nil, wire.StatusSharingViolation // what is only a part of SMB1's messages does not wait
	}
	if c.again(r) {
		p := c.resumed
		p.place, p.open = at, r.open
		c.keep(p)
		return p, wire.StatusOK
	}
	if c.waitsEnough() || c.againSize+len(r.frame) > maxAgain {
		return nil, wire.StatusInsufficientResources
	}
	p := c.newPending(r, w, at)
	p.again, p.chain = slices.Clone(r.frame), c.chain
	c.againSize += len(p.again)
	return p, wire.StatusOK
}

// settle says how a request ends that was taken from its place; output is what the
// answer carries.
func (p *pending) settle(status wire.Status, output []byte) {
	p.status, p.output = status, output
	if p.smb1.timer != nil {
		p.smb1.timer.Stop() // or it would keep the connection, perhaps for weeks
	}
	c := p.conn // which may leave it to another as soon as it is in the list
	s := &c.settled
	s.mu.Lock()
	s.list = append(s.list, p)
	s.some.Store(true)
	s.mu.Unlock()
	c.in.Wake()
}

// again reports whether a request is the one that is tried again.
func (c *Conn) again(r *request) bool { return c.resumed != nil && &r.msg[0] == &c.resumed.again[0] }

// refusal is why a request that has waited is not tried again. A CLOSE always is: cancelled, it only waits no more, or its client,
// which takes the open for closed, would never close it.
func (p *pending) refusal() wire.Status {
	if p.cmd == wire.CommandClose || p.smb1.code == wire.SMB1Close {
		return wire.StatusOK
	}
	return p.status
}

func (s *settled) take() ([]*pending, []breakNotice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, breaks := s.list, s.breaks
	s.list, s.breaks, s.orphaned = nil, nil, 0
	s.some.Store(false)
	return list, breaks
}

// answerSettled answers the requests that have been settled, and tells the client which oplocks break.
func (c *Conn) answerSettled() error {
	list, breaks := c.settled.take()
	for i := range breaks {
		if err := c.sendBreak(&breaks[i]); err != nil {
			return err
		}
	}
	for _, p := range list {
		if !c.takesUp(p) {
			continue
		}
		answer := c.answerPending
		if p.again != nil {
			answer = c.tryAgain
		}
		output := len(p.output) // one that waits again may be settled again from here on
		if err := answer(p); err != nil {
			return err
		}
		c.changes.Add(-int64(output))
	}
	return nil
}

// tryAgain runs a request that has waited once more, or says that it can't be, and then what follows in its frame.
func (c *Conn) tryAgain(p *pending) error {
	if c.smb1 != nil {
		return c.tryAgainSMB1(p)
	}
	if p.sealed {
		c.sealing = p.channel
		defer func() { c.sealing = nil }()
	}
	c.resumed = p
	defer func() { c.resumed = nil }()
	var err error
	if p.orphan {
		c.tryOrphan(p)
	} else {
		err = c.compound(p.again)
	}
	if c.pending[p.id] == nil {
		c.srv.files.forgetCreate(p.create) // unless it has come to something
	}
	return err
}

// keep notes that a request waits, where it is answered and where its session finds it. Its open is locked.
func (c *Conn) keep(p *pending) {
	c.pending[p.id] = p
	c.againSize += len(p.again)
	if p.open != nil {
		p.open.sequence.begin(wire.Header(p.head[:]))
	}
	s := p.channel.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[p.id] = p
}

// forget ends what keep began. No open is locked.
func (c *Conn) forget(p *pending) {
	delete(c.pending, p.id)
	c.againSize -= len(p.again)
	if o := p.open; o != nil {
		o.mu.Lock()
		o.sequence.end(wire.Header(p.head[:]))
		o.mu.Unlock()
	}
	s := p.channel.session
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, p.id)
}

// forgetPending gives up the requests that wait, without an answer, but for CREATEs that are left to other channels. What was to be told
// of oplocks is told over other channels of which the connection was one.
func (c *Conn) forgetPending() {
	var left, taken []*pending
	for _, p := range c.pending {
		if p.place.withdraw(p) {
			left = append(left, p)
		} else {
			taken = append(taken, p)
		}
		c.forget(p)
	}
	c.settled.mu.Lock()
	c.settled.closed = true
	c.settled.mu.Unlock()
	list, breaks := c.settled.take()
	for _, p := range list {
		c.changes.Add(-int64(len(p.output))) // its own watches may go on
	}
	c.leaveCreates(append(left, list...), taken)
	for _, b := range breaks {
		if b.delivery != nil {
			b.delivery.moved.Store(true)
		}
		b.session.notify(nil, b)
	}
}

func (c *Conn) answerPending(p *pending) error {
	if c.smb1 != nil {
		return c.answerPendingSMB1(p)
	}
	if p.sealed {
		c.sealing = p.channel
		defer func() { c.sealing = nil }()
	}
	room := max(wire.ErrorSize, wire.EmptySize, wire.OutputFixed+len(p.output))
	b, at, err := c.begin(room)
	if err != nil {
		return err
	}
	c.req = request{msg: p.head[:], cmd: p.cmd, session: p.channel.session, channel: p.channel, signed: p.signed}
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
// answer already. One that waits may have come over another channel of the session.
func (c *Conn) cancel(r *request, _ *reply) wire.Status {
	h := r.header()
	if h.Has(wire.FlagAsync) {
		if p := c.pending[h.AsyncID()]; p != nil {
			p.cancelAt(p.place)
		} else if r.session != nil {
			r.session.cancelWaiting(h.AsyncID())
		}
		return wire.StatusOK
	}
	for _, p := range c.pending {
		if !p.orphan && wire.Header(p.head[:]).MessageID() == h.MessageID() {
			p.cancelAt(p.place)
		}
	}
	return wire.StatusOK
}

// cancelWaiting cancels a request that may have come over another channel, whose goroutine has it wait somewhere else when
// it is tried again: but not while it is in waiting.
func (s *session) cancelWaiting(id uint64) {
	var at place
	s.mu.Lock()
	p := s.waiting[id]
	if p != nil {
		at = p.place
	}
	s.mu.Unlock()
	if p != nil {
		p.cancelAt(at)
	}
}

// cancelAt cancels a request if it still waits at a place.
func (p *pending) cancelAt(at place) {
	if at.withdraw(p) {
		p.settle(wire.StatusCancelled, nil)
	}
}
