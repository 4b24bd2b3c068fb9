package smbproto

import (
	"slices"

	"ustack/smbproto/auth"
)

// admits says whether a share may be used: MS-SMB2 3.3.5.7, Share.ConnectSecurity. The name of a guest proves nothing.
func (s *Share) admits(id auth.Identity) bool {
	if id.Guest || id.Anonymous {
		return !s.NoGuests
	}
	return len(s.Users) == 0 || slices.ContainsFunc(s.Users, func(u string) bool { return auth.SameName(u, id.User) })
}

// admits says so of a session. Who has become nobody since the log-on, where nobody else is let in, has IPC$ only.
func (s *session) admits(sh *share) bool {
	id := s.who()
	return sh.admits(id) && (sh.root == nil || !id.Anonymous || s.anonymous || s.srv.settings().cfg.Auth.Guest)
}
