package smbproto

import (
	"slices"
	"strings"

	"ustack/smbproto/auth"
)

// admits says whether a share may be used: MS-SMB2 3.3.5.7, Share.ConnectSecurity. The name of a guest proves nothing.
func (s *Share) admits(id auth.Identity) bool {
	if id.Guest || id.Anonymous {
		return !s.NoGuests
	}
	return len(s.Users) == 0 || slices.ContainsFunc(s.Users, func(u string) bool { return strings.EqualFold(u, id.User) })
}
