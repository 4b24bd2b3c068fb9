package smbproto

import "ustack/smbproto/wire"

// An application that moves from one machine to another names its instance when it opens a file, and what it still has open on the
// machine that it came from is closed: MS-SMB2 3.3.5.9.13. Versions of instances are not looked at.

// setInstance notes that an open, which its session has, is an instance's: the last one that has opened its file.
func (t *fileTable) setInstance(o *open, id wire.GUID) {
	if id == (wire.GUID{}) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
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

// closeInstance closes what another client has open of the file as the same instance, if the user may read the file.
func (c *Conn) closeInstance(r *request, name string, id wire.GUID) {
	if id == (wire.GUID{}) {
		return
	}
	o := c.srv.files.instance(r, name, id)
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || !r.session.mayRead(o) {
		return
	}
	c.log.Info("a file was closed: its application's instance opens it elsewhere", "file", name, "session", hexID(o.session.id))
	c.drop(o)
}

// instance finds what is to be closed, and closes what is only kept for its client to come back.
func (t *fileTable) instance(r *request, name string, id wire.GUID) *open {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.instances[id]
	switch {
	case o == nil, o.tree.share != r.tree.share, o.session.client == r.session.client, !o.isCalled(name):
		return nil
	case o.away == nil:
		return o
	case r.session.mayRead(o):
		t.evict(o)
	}
	return nil
}

// mayRead reports whether the user may read the file of another's open, which is locked, or kept and the table is: only then
// is it closed for an instance.
func (s *session) mayRead(o *open) bool {
	read := wire.AccessGenericRead.Specific()
	granted, err := guard{token: s.token.Load(), tree: o.tree}.granted(o.file, read)
	return err == nil && read&^granted == 0
}
