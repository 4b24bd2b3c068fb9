package smbproto

import (
	"testing"

	"ustack/smbproto/auth"
)

func TestAShareIsForItsUsers(t *testing.T) {
	alice, guest := auth.Identity{User: "Alice"}, auth.Identity{User: "alice", Guest: true}
	anonymous := auth.Identity{Guest: true, Anonymous: true}
	for _, c := range []struct {
		share Share
		id    auth.Identity
		want  bool
	}{
		{Share{}, alice, true},
		{Share{}, guest, true},
		{Share{}, anonymous, true},
		{Share{Users: []string{"bob", "alice"}}, alice, true},
		{Share{Users: []string{"bob"}}, alice, false},
		{Share{Users: []string{"mike"}}, auth.Identity{User: "MIKE"}, true},
		{Share{Users: []string{"mike"}}, auth.Identity{User: "mi\u212ae"}, false}, // with a Kelvin sign: an account of its own
		{Share{Users: []string{"alice"}, NoGuests: true}, guest, false},           // whatever he says that his name is
		{Share{Users: []string{"bob"}}, guest, true},
		{Share{NoGuests: true}, anonymous, false},
		{Share{NoGuests: true}, alice, true},
	} {
		if got := c.share.admits(c.id); got != c.want {
			t.Errorf("%+v for %+v: %v", c.share, c.id, got)
		}
	}
	if m, n := (auth.Identity{User: "mike"}), (auth.Identity{User: "mi\u212ae"}); sameUser(m, n) || auth.RID(m.User) == auth.RID(n.User) {
		t.Errorf("%q and %q are one user", m.User, n.User)
	}
	p := newPeer(t, func(c *Config) { c.Shares[0].NoGuests = true }).logOn("ro")
	if s := p.ask(p.treeMsg(`\\server\pub`)); le.Uint32(s[8:]) != 0xc0000022 {
		t.Errorf("TREE_CONNECT of a guest: %#x, want STATUS_ACCESS_DENIED", le.Uint32(s[8:]))
	}
}
