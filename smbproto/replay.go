package smbproto

import "ustack/smbproto/wire"

// createID names a CREATE: by the client and by the client's GUID for it, MS-SMB2 3.3.1.10. The zero value is none.
type createID struct {
	client [16]byte
	guid   wire.GUID
}

// made is what a CREATE has come to that may be sent again. It does not change.
type made struct {
	id      createID
	open    *open // nil while it is under way
	action  wire.CreateAction
	session *session
}

// beginCreate notes that a CREATE is under way, or says what has come of it before: it is there for a replay, and in the way of
// another with its GUID (MS-SMB2 3.3.5.9.10). Who gets one without an open calls forgetCreate or created. again is what a request
// that is tried again has got before: it has kept others off since.
func (t *fileTable) beginCreate(r *request, id createID, again *made) (*made, wire.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.creates[id]
	switch {
	case m == nil:
		if t.creates == nil {
			t.creates = map[createID]*made{}
		}
		m = &made{id: id, session: r.session}
		t.creates[id] = m
	case m == again:
	case !r.header().Has(wire.FlagReplay), m.session != r.session:
		return nil, wire.StatusDuplicateObjectID
	case m.open == nil:
		return nil, wire.StatusFileNotAvailable
	}
	return m, wire.StatusOK
}

// created notes what a CREATE has come to: nothing, if its open has been closed already.
func (t *fileTable) created(o *open, action wire.CreateAction) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.closed {
		delete(t.creates, o.create)
		return
	}
	t.creates[o.create] = &made{o.create, o, action, o.session}
	o.replayable.Store(true)
}

// forgetCreate forgets a CREATE that has come to nothing; not what it has come to. nil is none.
func (t *fileTable) forgetCreate(m *made) {
	if m == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.creates[m.id] == m {
		delete(t.creates, m.id)
	}
}

// used notes that a client has used an open: it has had the answer to its CREATE, which is not to be replayed any more.
func (t *fileTable) used(o *open) {
	if o.replayable.Load() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.endCreate(o)
	}
}

// endCreate forgets the CREATE of an open, under the table's lock.
func (t *fileTable) endCreate(o *open) {
	if o.replayable.Swap(false) {
		delete(t.creates, o.create)
	}
}

// replay answers a CREATE once more, by what its open is now. An oplock is answered as it is asked for, as Windows does.
func (c *Conn) replay(r *request, w *reply, req wire.CreateRequest, m *made, d *durableAsk) wire.Status {
	o := m.open
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return wire.StatusFileNotAvailable // it is being closed
	}
	if !sameUser(o.durable.owner, r.session.who()) || o.tree != r.tree || o.asked.leases != d.lease || d.lease && o.asked.lease.id.key != d.leaseKey {
		return wire.StatusAccessDenied
	}
	if err := o.fill(&c.info); err != nil {
		return wire.StatusOf(err)
	}
	held := c.srv.files.held(o)
	durable := &o.durable
	if !o.asked.leases {
		held.level = req.OplockLevel()
		if held.level != wire.OplockBatch {
			durable = nil
		}
	}
	cr := creation{maximal: o.maximal, wantMxAc: d.wantMxAc, wantQFid: d.wantQFid}
	return c.putCreate(w, m.action, o.id, &cr, &held, durable)
}
