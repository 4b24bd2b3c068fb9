package smbproto

import (
	"sync/atomic"

	"ustack/smbproto/wire"
)

// breakNotice says what a client is told of an oplock that breaks. Its connection sends it.
type breakNotice struct {
	session  *session
	open     wire.FileID // of an oplock
	lease    bool
	key      wire.LeaseKey
	epoch    uint16
	from, to wire.LeaseState
	ack      bool
	sealed   bool // it is of a share that must be encrypted
	// awaited is true while an acknowledgment is, if there is to be one.
	awaited  *atomic.Bool
	delivery *delivery // nil where there is no other channel to send it over
}

// notify has the connection's goroutine send a notice; false if the connection has ended. Any goroutine may call it, under any
// lock. There are never more than the client has had oplocks granted, for each of which it made a request.
func (c *Conn) notify(b breakNotice) bool {
	s := &c.settled
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.breaks = append(s.breaks, b)
	s.some.Store(true)
	c.in.Wake()
	return true
}

// sendBreak sends a notice, MS-SMB2 3.3.4.6 and 3.3.4.7. It is never signed.
func (c *Conn) sendBreak(n *breakNotice) error {
	ch := c.sessions[n.session.id]
	if ch == nil || ch.ended() {
		return nil
	}
	if c.smb1 != nil {
		return c.sendBreakSMB1(n)
	}
	if ch.mustSeal || n.sealed && ch.sealer != nil {
		c.sealing = ch
		defer func() { c.sealing = nil }()
	}
	size := wire.OplockBreakSize
	if n.lease {
		size = wire.LeaseBreakSize
	}
	b, at, err := c.begin(size)
	if err != nil {
		return err
	}
	m := b[at : at+size]
	wire.PutUnasked(m, wire.CommandOplockBreak)
	if n.lease {
		wire.LeaseBreak(m).Put(n.key, n.from, n.to, n.epoch, n.ack)
	} else {
		wire.OplockBreak(m).Put(n.to.Level(), n.open)
	}
	c.srv.counters.breaks.Add(1)
	err = c.send(b, size)
	if n.delivery != nil {
		n.delivery.end.Store(c.a.Out.End())
	}
	return err
}

// oplockBreak takes an acknowledgment, MS-SMB2 3.3.5.22.
func (c *Conn) oplockBreak(r *request, w *reply) wire.Status {
	if wire.LeaseAck(r.msg).Is() {
		return c.leaseAck(r, w)
	}
	req := wire.OplockBreak(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	o := r.session.open(req.FileID())
	if o == nil || o.tree != r.tree {
		return wire.StatusFileClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return wire.StatusFileClosed
	}
	level, status := c.srv.files.acknowledge(o, req.Level())
	if status != wire.StatusOK {
		return status
	}
	wire.OplockBreak(w.msg).Put(level, o.id)
	w.n = wire.OplockBreakSize
	return wire.StatusOK
}

// acknowledge takes the acknowledgment of an oplock's break, MS-SMB2 3.3.5.22.1.
func (t *fileTable) acknowledge(o *open, level wire.OplockLevel) (wire.OplockLevel, wire.Status) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := o.oplock
	switch {
	case level == wire.OplockLease, h != nil && h.lease != nil:
		return 0, wire.StatusInvalidParameter
	case h == nil || !h.breaking:
		return 0, wire.StatusInvalidOplockProtocol
	case level != wire.OplockNone && level.State() != h.breakTo:
		t.acknowledged(h, 0)
		return 0, wire.StatusInvalidOplockProtocol
	}
	t.acknowledged(h, level.State())
	return level, wire.StatusOK
}

// leaseAck takes the acknowledgment of a lease's break, MS-SMB2 3.3.5.22.2.
func (c *Conn) leaseAck(r *request, w *reply) wire.Status {
	req := wire.LeaseAck(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	key, state := req.Key(), req.State()
	if status := c.srv.files.acknowledgeLease(leaseID{r.session.client, key}, state); status != wire.StatusOK {
		return status
	}
	wire.LeaseAck(w.msg).Put(key, state)
	w.n = wire.LeaseAckSize
	return wire.StatusOK
}

func (t *fileTable) acknowledgeLease(id leaseID, state wire.LeaseState) wire.Status {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.leases[id]
	switch {
	case h == nil:
		return wire.StatusObjectNameNotFound
	case !h.breaking:
		return wire.StatusUnsuccessful
	case state&^h.breakTo != 0:
		return wire.StatusRequestNotAccepted
	}
	t.acknowledged(h, state)
	return wire.StatusOK
}
