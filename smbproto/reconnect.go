package smbproto

import (
	"slices"
	"strings"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// reconnect gives a client back an open that was kept for it, MS-SMB2 3.3.5.9.7 and 3.3.5.9.12. The other fields of the CREATE
// don't matter.
func (c *Conn) reconnect(r *request, w *reply, name string, d *durableAsk) wire.Status {
	if !r.session.admits(r.tree.share) {
		return wire.StatusAccessDenied
	}
	o, status := c.srv.files.reclaim(r, c, name, d)
	if status != wire.StatusOK {
		return status
	}
	if err := o.fill(&c.info); err != nil {
		return c.abandon(o, wire.StatusOf(err))
	}
	if !r.session.addOpen(o) {
		return c.abandon(o, wire.StatusUserSessionDeleted)
	}
	c.srv.files.setInstance(o, o.instance) // from here on others may close it
	held := c.srv.files.held(o)
	cr := creation{maximal: o.maximal, wantMxAc: d.wantMxAc, wantQFid: d.wantQFid}
	return c.putCreate(w, wire.ActionOpened, o.id, &cr, &held, nil)
}

// reclaim has an open of the session take over what is kept, or says why it is not this client's. To be a guest proves nothing: such
// a client must also be the same, by its GUID.
func (t *fileTable) reclaim(r *request, c *Conn, name string, d *durableAsk) (*open, wire.Status) {
	id := c.srv.newFileID()
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.absent, func(o *open) bool { return o.id.Persistent == d.id.Persistent })
	if i < 0 {
		return nil, wire.StatusObjectNameNotFound
	}
	o := t.absent[i]
	var l *lease
	if o.oplock != nil {
		l = o.oplock.lease
	}
	switch {
	case d.persistent, o.held != r.tree.share, d.v2 && o.create.guid != d.create.guid, (l != nil) != d.lease:
		return nil, wire.StatusObjectNameNotFound
	case l != nil && (l.id != leaseID{r.session.client, d.leaseKey} || l.v2 != d.leaseV2):
		return nil, wire.StatusObjectNameNotFound
	case l != nil && !o.isCalled(name):
		return nil, wire.StatusInvalidParameter
	case !sameUser(o.durable.owner, r.session.who()), o.durable.owner.Guest && o.session.client != r.session.client:
		return nil, wire.StatusAccessDenied
	case c.locks+o.away.locks > maxConnLocks:
		return nil, wire.StatusInsufficientResources
	}
	t.comeBack(o)
	return t.takeOver(o, wire.FileID{Persistent: o.id.Persistent, Volatile: id.Volatile}, r, c), wire.StatusOK
}

// isCalled reports whether a CREATE by this name would be for the open's file.
func (o *open) isCalled(name string) bool {
	path, stream, _, err := vfs.ParseName(name)
	is := path.Backslashed()
	if stream != "" {
		is += ":" + stream
	}
	return err == nil && strings.EqualFold(is, o.name())
}

// takeOver makes an open of the request's session that has all that another had, which ends. The new one is not shared yet, and so
// not known as its instance's.
func (t *fileTable) takeOver(was *open, id wire.FileID, r *request, c *Conn) *open {
	o := &open{
		id: id, session: r.session, conn: c, tree: r.tree, held: was.held, named: was.named, access: was.access, maximal: was.maximal, share: was.share,
		options: was.options, asked: was.asked, create: was.create, durable: was.durable, locked: was.locked,
		file: was.file, state: was.state, entry: was.entry, deleteOnClose: was.deleteOnClose, oplock: was.oplock, doomed: was.doomed,
		position: was.position, nextEA: was.nextEA, renamed: was.renamed, wrote: was.wrote, mode: was.mode, frozen: was.frozen, sequence: sequence{number: r.header().ChannelSequence()},
	}
	swap := func(list []*open) { list[slices.Index(list, was)] = o }
	swap(o.state.opens)
	if o.oplock != nil {
		swap(o.oplock.opens)
	}
	for i := range o.state.locks {
		if l := &o.state.locks[i]; l.owner == was {
			l.owner = o
		}
	}
	if t.instances[was.instance] == was {
		o.instance = was.instance
		t.endInstance(was)
	}
	o.addLocks(was.away.locks)
	was.away = nil
	return o
}
