package smbproto

import (
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// makeKeys gives a session what protects its messages, MS-SMB2 3.3.5.5.3.
func (c *Conn) makeKeys(sess *session, sessionKey [16]byte) error {
	signing := sessionKey[:]
	if c.dialect >= wire.Dialect300 {
		keys := crypt.DeriveKeys(crypt.Parameters{Dialect: c.dialect, Preauth: sess.preauth}, sessionKey)
		signing = keys.Signing
	}
	var err error
	sess.signer, err = crypt.NewSigner(c.protection.signing, signing)
	return err
}

// hashPreauth takes a request and its answer into the preauth integrity hash, MS-SMB2 3.3.5.4
// and 3.3.5.5: those of the negotiation, and the answers of a log-on that goes on. Its
// requests are taken before they are looked at, for the last one is in the keys.
func (c *Conn) hashPreauth(r *request, w *reply, answer []byte, status wire.Status) {
	if c.dialect != wire.Dialect311 {
		return
	}
	switch {
	case r.cmd == wire.CommandNegotiate && status == wire.StatusOK:
		c.preauth.Add(r.msg)
		c.preauth.Add(answer)
	case r.cmd == wire.CommandSessionSetup && status == wire.StatusMoreProcessingRequired:
		if sess := c.sessions[w.session]; sess != nil {
			sess.preauth.Add(answer)
		}
	}
}
