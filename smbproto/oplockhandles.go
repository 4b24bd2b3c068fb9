package smbproto

import (
	"slices"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// Clients keep files open that their applications have closed, and cache what directories hold. What is in the way of a name that
// changes is asked for here.

// wantHandles asks all but o's client to close what it keeps open of a file. It reports whether somebody has not done so yet.
func (t *fileTable) wantHandles(st *fileState, o *open) (kept bool) {
	for _, h := range slices.Clone(st.oplocks) {
		if h.state&wire.LeaseHandle != 0 && !h.same(o) {
			t.demote(h, h.state&^wire.LeaseHandle)
			kept = kept || h.state&wire.LeaseHandle != 0
		}
	}
	return kept
}

// waitForRename has a rename wait until nobody keeps open what is in its way, MS-FSA 2.1.5.15.11: the file and its named streams, what
// is below a directory, and what is to be replaced.
func (c *Conn) waitForRename(r *request, w *reply, b wire.RenameInfo) wire.Status {
	t, o := &c.srv.files, r.open
	if t.keepers.Load() == 0 || !o.access.Has(wire.AccessDelete) {
		return wire.StatusOK // nobody is asked for what will be refused
	}
	var target vfs.ID
	if name, status := newName(b); status == wire.StatusOK && b.Replace() && !o.file.Named() {
		if to, status := newPath(name); status == wire.StatusOK {
			// What can't be found is not in the way.
			target, _ = o.tree.share.root.Identify(to, o.file.Exact())
		}
	}
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.wantRoom(o, target); st != nil {
		return c.waitForOplock(r, w, st)
	}
	return wire.StatusOK
}

// waitForUnlink has an unlink wait until nobody else keeps the file open, MS-FSA 2.1.4.12 (FileDispositionInformation).
func (c *Conn) waitForUnlink(r *request, w *reply) wire.Status {
	t, o := &c.srv.files, r.open
	if t.keepers.Load() == 0 || !o.access.Has(wire.AccessDelete) || o.file.CanRemove() != nil {
		return wire.StatusOK // nobody is asked for what will be refused
	}
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wantHandles(o.state, o) {
		return c.waitForOplock(r, w, o.state)
	}
	return wire.StatusOK
}

// waitToClose has the CLOSE of an open that deletes its file wait as an unlink does. It reports whether it waits: one that can't, or
// has been cancelled, closes at once.
func (c *Conn) waitToClose(r *request, w *reply) bool {
	if !r.open.deleteOnClose || c.again(r) && c.resumed.status != wire.StatusOK {
		return false
	}
	return c.waitForUnlink(r, w) == wire.StatusPending
}

// wantRoom asks for all that is in the way of o's rename, and returns what is to be waited for, or nil.
func (t *fileTable) wantRoom(o *open, target vfs.ID) (wait *fileState) {
	want := func(st *fileState) {
		if t.wantHandles(st, o) {
			wait = st
		}
	}
	below := func(st *fileState) bool {
		return slices.ContainsFunc(st.opens, func(other *open) bool { return other.file.Below(o.file) })
	}
	want(o.state)
	for _, st := range o.state.streams.open {
		want(st)
	}
	if st := t.files[target]; st != nil && st != o.state {
		want(st)
	}
	if !o.file.IsDir() {
		return wait
	}
	for _, st := range t.files {
		if below(st) {
			want(st)
		}
		for _, stream := range st.streams.open {
			if below(stream) {
				want(stream)
			}
		}
	}
	return wait
}

// entryChanged tells those who cache what a directory holds that one of its entries has changed, by an open: it was made, is gone, has
// another name, size or time (MS-FSA 2.1.4.12, PARENT_OBJECT). Who made the change under the directory's own lease knows of it, if also is
// under that too: what others had asked for before. Where nobody has such a lease it costs an atomic load.
func (t *fileTable) entryChanged(o *open, path vfs.Path, also ...asked) {
	defer t.sweep()
	t.breakDirectory(o, path, also...)
}

// breakDirectory is entryChanged for who sweeps.
func (t *fileTable) breakDirectory(o *open, path vfs.Path, also ...asked) {
	if t.dirLeases.Load() == 0 || path == "" {
		return
	}
	dir, _ := path.Split()
	id, err := o.tree.share.root.Identify(dir, false)
	if err != nil {
		return // it is gone, and its leases with it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.files[id]
	if st == nil {
		return
	}
	for _, h := range slices.Clone(st.oplocks) {
		foreign := func(a asked) bool { return !a.under(h) }
		if h.dir && (foreign(o.asked) || slices.ContainsFunc(also, foreign)) {
			t.demote(h, 0)
		}
	}
}

// under reports whether a lease is the one of the file's directory that a client names beside the file's own.
func (a *asked) under(h *oplock) bool {
	return a.lease.hasParent && h.lease.id == leaseID{a.lease.id.client, a.lease.parent}
}
