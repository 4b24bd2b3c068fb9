package smbproto

import (
	"fmt"

	"ustack/smbproto/wire"
)

// treeConnect connects a session to a share, MS-SMB2 3.3.5.7.
func (c *Conn) treeConnect(r *request, w *reply) wire.Status {
	if c.dialect >= wire.Dialect311 && r.channel.signer != nil && !r.session.anonymous && !r.signed && c.sealing == nil {
		c.hangUp = fmt.Errorf("%w: TREE_CONNECT that is neither signed nor encrypted in dialect %v", wire.ErrMalformed, c.dialect)
		return wire.StatusAccessDenied
	}
	req := wire.TreeConnectRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	path, err := wire.UTF16ToString(req.Path())
	if err != nil {
		return wire.StatusInvalidParameter
	}
	sh := c.srv.share(path)
	if sh == nil {
		return wire.StatusBadNetworkName
	}
	if !c.admits(r.session, sh) {
		return wire.StatusAccessDenied
	}
	if sh.Encrypt && (r.channel.opener == nil || r.session.anonymous) {
		why := "the client can't encrypt"
		if r.channel.signer == nil || r.session.anonymous {
			why = "it must be encrypted, and guests have no key"
		}
		c.log.Info("share refused: "+why, "share", sh.Name, "dialect", c.dialect.String(), "session", hexID(r.session.id))
		return wire.StatusAccessDenied
	}
	t := newTree(sh)
	kind, flags := wire.ShareDisk, uint32(0)
	if t.isPipe() {
		kind, flags = wire.SharePipe, wire.ShareFlagNoCaching
	}
	if sh.Encrypt {
		flags |= wire.ShareFlagEncryptData
	}
	if status := c.addTree(r.session, t); status != wire.StatusOK {
		return status
	}
	w.tree = t.id
	wire.PutTreeConnect(w.msg, kind, flags, t.access)
	w.n = wire.TreeConnectSize
	return wire.StatusOK
}

// newTree is a tree that has no id yet.
func newTree(sh *share) *tree {
	t := &tree{share: sh, access: wire.AccessAll}
	if sh.ReadOnly && !t.isPipe() {
		t.access = wire.AccessReadOnly
	}
	return t
}

// admits says whether a session may connect to a share.
func (c *Conn) admits(s *session, sh *share) bool {
	if s.admits(sh) {
		return true
	}
	user := s.who()
	c.log.Info("share refused: it is not this user's", "share", sh.Name, "user", user.User, "guest", user.Guest, "session", hexID(s.id))
	return false
}

func (c *Conn) addTree(s *session, t *tree) wire.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return wire.StatusUserSessionDeleted
	}
	if len(s.trees) >= c.cfg.Limits.MaxTrees {
		return wire.StatusInsufficientResources
	}
	if !t.share.hold() {
		return wire.StatusBadNetworkName
	}
	for {
		c.nextTree++
		if _, taken := s.trees[c.nextTree]; !taken && c.nextTree != 0 && c.nextTree != ^uint32(0) {
			break
		}
	}
	t.id = c.nextTree
	s.trees[t.id] = t
	s.srv.counters.trees.Add(1)
	return wire.StatusOK
}

// treeDisconnect: MS-SMB2 3.3.5.8.
func (c *Conn) treeDisconnect(r *request, w *reply) wire.Status {
	if wire.EmptyRequest(r.msg).Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if _, err := r.session.endTree(r.tree); err != nil {
		c.log.Warn("closing a tree", "share", r.tree.share.Name, "cause", err)
	}
	wire.PutEmpty(w.msg)
	w.n = wire.EmptySize
	return wire.StatusOK
}
