package smbproto

import (
	"log/slog"
	"strings"

	"ustack/smbproto/wire"
)

// Flags of TREE_CONNECT_ANDX, MS-SMB 2.2.4.7.1.
const (
	smb1TreeDisconnect = 0x0001
	smb1TreeExtended   = 0x0008
)

// Kinds of services, MS-CIFS 2.2.4.50.1.
const (
	serviceAny  = "?????"
	serviceDisk = "A:"
	servicePipe = "IPC"
)

// connectSMB1 connects to a share, MS-CIFS 2.2.4.50 and 2.2.4.55.
func (c *Conn) connectSMB1(r *smb1Request, path, service string) (t *tree, status wire.Status) {
	if c.srv.cfg.Audit != nil {
		defer func() {
			c.srv.auditEvent("tree connect", r.session, c.remote, status, slog.String("share", path))
		}()
	}
	sh := c.srv.share(`\\server\` + lastOf(path)) // of \\server\share, or the share alone
	if sh == nil {
		return nil, wire.StatusBadNetworkName
	}
	t = newTree(sh)
	kind := serviceDisk
	if t.isPipe() {
		kind = servicePipe
	}
	switch {
	case service != serviceAny && !strings.EqualFold(service, kind):
		return nil, wire.StatusBadDeviceType
	case !c.admits(r.session, sh):
		return nil, wire.StatusAccessDenied
	case sh.Encrypt:
		c.log.Info("share refused: the client can't encrypt", "share", sh.Name, "dialect", c.dialect.String(), "session", hexID(r.session.id))
		return nil, wire.StatusAccessDenied
	case len(c.smb1.trees) >= c.cfg.Limits.MaxTrees:
		return nil, wire.StatusInsuffServerResources
	}
	tid := nextID(&c.smb1.nextTID, c.smb1.trees)
	t.id = uint32(tid)
	if status := r.session.joinTree(t); status != wire.StatusOK {
		return nil, status
	}
	c.smb1.trees[tid] = t
	r.tree = t
	return t, wire.StatusOK
}

// joinTree makes a tree, which is one of the connection's, the session's own too: whoever ends all trees of a share
// comes by the sessions.
func (s *session) joinTree(t *tree) wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.dead:
		return wire.StatusSMBBadUID
	case s.trees[t.id] == t:
		return wire.StatusOK
	case !t.share.hold():
		return wire.StatusNetworkNameDeleted
	}
	s.trees[t.id] = t
	s.srv.counters.trees.Add(1)
	return wire.StatusOK
}

// treeConnectAndX: MS-CIFS 2.2.4.55, MS-SMB 2.2.4.7.
func (c *Conn) treeConnectAndX(r *smb1Request, w *smb1Reply) wire.Status {
	b := &r.block
	str := r.strings()
	if _, ok := str.Take(int(b.Word(3))); !ok {
		return wire.StatusInvalidParameter
	}
	path, err := str.Next()
	service, err2 := str.OEM()
	if err != nil || err2 != nil {
		return wire.StatusInvalidParameter
	}
	flags := b.Word(2)
	if flags&smb1TreeDisconnect != 0 && r.tree != nil {
		c.endTreeSMB1(r.tree)
	}
	t, status := c.connectSMB1(r, path, service)
	if status != wire.StatusOK {
		return status
	}
	w.tid = uint16(t.id)
	n := 3
	if flags&smb1TreeExtended != 0 {
		n = 7
	}
	words := w.andX(n)
	const support = 1 // search attributes have bits that must be there: SMB_SUPPORT_SEARCH_BITS
	words[4] = support
	if n == 7 {
		wire.PutSMB1U32(words[6:], uint32(t.access))
		wire.PutSMB1U32(words[10:], uint32(t.access))
	}
	if t.isPipe() {
		w.grow(wire.PutSMB1String(w.room(), 0, servicePipe, false))
		w.text("", r.unicode())
		return wire.StatusOK
	}
	w.grow(wire.PutSMB1String(w.room(), 0, serviceDisk, false))
	w.text("NTFS", r.unicode())
	return wire.StatusOK
}

// treeConnectSMB1: MS-CIFS 2.2.4.50.
func (c *Conn) treeConnectSMB1(r *smb1Request, w *smb1Reply) wire.Status {
	str := r.strings()
	path, err := str.Path()
	_, err2 := str.Path() // the password
	service, err3 := str.Path()
	if err != nil || err2 != nil || err3 != nil {
		return wire.StatusInvalidParameter
	}
	t, status := c.connectSMB1(r, path, service)
	if status != wire.StatusOK {
		return status
	}
	words := w.words(2)
	wire.PutSMB1U16(words, smb1MaxBuffer)
	wire.PutSMB1U16(words[2:], uint16(t.id))
	w.tid = uint16(t.id)
	return wire.StatusOK
}

// endTreeSMB1 disconnects a tree, and closes the opens and searches in it, whosesoever they are.
func (c *Conn) endTreeSMB1(t *tree) {
	for sid, s := range c.smb1.searches {
		if s.open.tree == t {
			c.endSearch(sid)
		}
	}
	for _, ch := range c.smb1.sessions {
		if _, err := ch.endTree(t); err != nil {
			c.log.Warn("closing a tree", "share", t.share.Name, "cause", err)
		}
	}
	delete(c.smb1.trees, uint16(t.id))
	c.smb1.forget()
}

// closeSMB1 closes an open that nobody uses.
func (c *Conn) closeSMB1(fid uint16, o *open) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.releaseSMB1(fid, o)
}

// releaseSMB1 closes an open, which is locked, and says what drop does.
func (c *Conn) releaseSMB1(fid uint16, o *open) wire.Status {
	delete(c.smb1.files, fid)
	return c.drop(o)
}

// treeDisconnectSMB1: MS-CIFS 2.2.4.51.
func (c *Conn) treeDisconnectSMB1(r *smb1Request, _ *smb1Reply) wire.Status {
	c.endTreeSMB1(r.tree)
	return wire.StatusOK
}

// processExit closes what a process of the client's has opened, MS-CIFS 2.2.4.18.
func (c *Conn) processExit(r *smb1Request, _ *smb1Reply) wire.Status {
	for fid, o := range c.smb1.files {
		if o.session == r.session && o.smb1.pid == r.pid {
			c.closeSMB1(fid, o)
		}
	}
	return wire.StatusOK
}
