package smbproto

import (
	"testing"

	"ustack/smbproto/auth/authtest"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// SMB1 signs with all of a ticket's key, of which SMB2 takes 16 bytes.
func TestSMB1SignsWithAWholeKey(t *testing.T) {
	for _, etype := range authtest.AES {
		r, dir := authtest.NewRealm(t, authtest.AES...), t.TempDir()
		p := connect1(t, newServerIn(t, dir, withTickets(t, r)), dir)
		p.negotiate1()
		p.flags2 |= wire.SMB1Flags2Signed
		u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: etype}
		msg := p.setupMsg1(authtest.InitToken(ticketMechs, u.Token(t, r)))
		answer := p.ask1(msg)
		p.isAnswer(answer, msg, wire.StatusOK)
		if !crypt.NewSMB1Signer(u.Subkey.KeyValue, nil).Verify(answer, 1) {
			t.Errorf("a key of %d bytes: the answer does not bear the right signature", len(u.Subkey.KeyValue))
		}
	}
}
