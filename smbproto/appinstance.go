package smbproto

import "ustack/smbproto/wire"

// An application that moves from one machine to another names its instance when it opens a file, and what it still has open on the
// machine that it came from is closed: MS-SMB2 3.3.5.9.13. Versions of instances are not looked at.

// setInstance notes that an open is an instance's, the last one that has opened its file.
func (t *fileTable) setInstance(o *open, id wire.GUID) {
	if id == (wire.GUID{}) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.instances == nil {
		t.instances = map[wire.GUID]*open{}
	}
	o.instance = id
	t.instances[id] = o
}

// endInstance forgets so of an open that ends, under the table's lock.
func (t *fileTable) endInstance(o *open) {
	if t.instances[o.instance] == o {
		delete(t.instances, o.instance)
	}
}

// closeInstance closes what another client has open of the file as the same instance.
func (c *Conn) closeInstance(r *request, name string, id wire.GUID) {
	if id == (wire.GUID{}) {
		return
	}
	if o := c.srv.files.instance(r, name, id); o != nil {
		c.log.Info("a file was closed: its application's instance opens it elsewhere", "file", name, "session", o.session.id)
		o.session.dropOpen(o)
		c.abandon(o, wire.StatusOK)
	}
}

// instance finds what is to be closed, and closes what is only kept for its client to come back.
func (t *fileTable) instance(r *request, name string, id wire.GUID) *open {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.instances[id]
	if o == nil || o.tree.share != r.tree.share || o.session.client == r.session.client || !o.isCalled(name) {
		return nil
	}
	if o.away != nil {
		t.evict(o)
		return nil
	}
	return o
}
