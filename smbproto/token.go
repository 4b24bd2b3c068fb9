package smbproto

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"ustack/smbproto/auth"
	"ustack/smbproto/sd"
)

// MachineSID is the default of Config.MachineSID: the SID of the domain that the server's own accounts are in, S-1-5-21 and three
// numbers (MS-DTYP 2.4.2.4). It comes of the server's name, in whatever case, so it is the same after a restart.
func MachineSID(server string) sd.SID {
	sum := sha256.Sum256([]byte("machine " + strings.ToUpper(server)))
	n := func(i int) uint32 { return binary.LittleEndian.Uint32(sum[4*i:]) }
	return sd.NewSID(5, 21, n(0), n(1), n(2))
}

// UserSID is the SID of a user who has an account at a server whose own is machine.
func UserSID(machine sd.SID, user string) sd.SID { return machine.Sub(auth.RID(user)) }

// realmSID is that of a user of a Kerberos realm. It is longer than any account's, so nobody has both.
func realmSID(machine sd.SID, id *auth.Identity) sd.SID {
	for _, n := range auth.RealmNumbers(id.User, id.Realm) {
		machine = machine.Sub(n)
	}
	return machine
}

// token is who a session's user is to security descriptors, MS-SMB2 3.3.1.8 Session.SecurityContext.
func (s *Server) token(id auth.Identity) *sd.Token {
	domain := s.cfg.MachineSID
	switch {
	case id.Anonymous && !s.settings().cfg.Auth.Guest:
		// Who has become nobody where nobody is let in is not among everyone, as on Windows (EveryoneIncludesAnonymous).
		return &sd.Token{User: sd.Anonymous, Group: sd.Anonymous, Groups: []sd.SID{sd.Network}}
	case id.Anonymous:
		return &sd.Token{User: sd.Anonymous, Group: sd.Guests, Groups: []sd.SID{sd.Guests, sd.Everyone, sd.Network}}
	case id.Guest:
		return &sd.Token{User: domain.Sub(sd.GuestRID), Group: sd.Guests, Groups: []sd.SID{sd.Guests, sd.Everyone, sd.Network}}
	}
	group, user := domain.Sub(sd.DomainUsersRID), UserSID(domain, id.User)
	if id.Realm != "" {
		user = realmSID(domain, &id)
	}
	t := &sd.Token{
		User:   user,
		Group:  group,
		Groups: []sd.SID{group, sd.Everyone, sd.Network, sd.AuthenticatedUsers, sd.Users},
	}
	if slices.ContainsFunc(s.settings().cfg.Admins, func(name string) bool { return auth.SameName(name, id.User) }) {
		t.Groups = append(t.Groups, sd.Administrators)
		t.Security, t.TakeOwnership, t.Restore = true, true, true
	}
	return t
}
