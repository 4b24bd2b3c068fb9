package smbproto

import (
	"sync/atomic"

	"ustack/smbproto/vfs"
)

// share is a Share with its directory open; root is nil for IPC$. The settings that it is in hold it, and so do trees, opens,
// and a CREATE while it runs: whoever is the last to drop it closes the directory.
type share struct {
	Share
	root *vfs.Root

	holders atomic.Int64
	gone    atomic.Bool // it is there no more: no tree is added. Set before its trees are looked for
}

// newShare returns a share that its caller holds.
func newShare(sh Share, root *vfs.Root) *share {
	s := &share{Share: sh, root: root}
	s.holders.Store(1)
	return s
}

// hold keeps the directory open until drop; false if the share is gone.
func (s *share) hold() bool {
	for !s.gone.Load() {
		n := s.holders.Load()
		if n == 0 {
			return false
		}
		if s.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

func (s *share) drop() error {
	if s.holders.Add(-1) > 0 || s.root == nil {
		return nil
	}
	return s.root.Close()
}

// let drops a share for a request.
func (c *Conn) let(sh *share) {
	if err := sh.drop(); err != nil {
		c.log.Warn("closing a share's directory", "share", sh.Name, "cause", err)
	}
}
