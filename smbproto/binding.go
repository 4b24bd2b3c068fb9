package smbproto

import (
	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// foreign is who a request is from whose session this connection does not have: a channel that
// is being bound, or one that may be. It is nil where there is no such session, or nothing that shows that the
// client has it; else the request is verified, and its answer signed, with the session's first key: also one that is
// refused, so that the client can trust it.
//
// AES-GMAC's nonce is the MessageId (MS-SMB2 3.1.4.1), which each connection counts for itself: a request that somebody else sends
// again over another connection would have a second message signed with the nonce of its first answer, and two such signatures
// give away what forges more. So with GMAC nobody is trusted on another connection whose client has no channels. For one
// that has, the protocol itself has a session's key sign on each.
func (c *Conn) foreign(h wire.Header, id uint64) *channel {
	if ch := c.binding[id]; ch != nil {
		if !ch.ended() {
			return ch
		}
		delete(c.binding, id)
	}
	sess := c.srv.session(id)
	if sess == nil || !h.Has(wire.FlagSigned) || !sess.isValid() || sess.keys.signing == nil {
		return nil
	}
	if sess.keys.with.signing == crypt.AESGMAC && !sess.keys.several {
		return nil
	}
	signer, err := crypt.NewSigner(sess.keys.with.signing, sess.keys.signing)
	if err != nil {
		c.log.Error("a session's key", "cause", err)
		return nil
	}
	return &channel{session: sess, conn: c, signer: signer, preauth: c.preauth}
}

// bind begins to make the connection a channel of a session, or goes on with it: MS-SMB2 3.3.5.5, step 4.
// A client with another ClientGuid is not refused, which the section leaves to the server: to bind it needs the session's
// key and the user's password.
func (c *Conn) bind(r *request) (*channel, wire.Status) {
	id := r.header().SessionID()
	if id == 0 {
		return nil, wire.StatusInvalidParameter
	}
	status := c.mayBind(r, c.srv.session(id))
	if status == wire.StatusOK && c.binding[id] == nil {
		if status = c.admitLogOn(); status == wire.StatusOK {
			c.binding[id] = r.channel
		}
	}
	if status != wire.StatusOK {
		delete(c.binding, id)
		return nil, status
	}
	return r.channel, wire.StatusOK
}

// mayBind says whether the connection fits the session, in the order in which Windows looks.
func (c *Conn) mayBind(r *request, sess *session) wire.Status {
	if sess == nil {
		return wire.StatusUserSessionDeleted
	}
	if !sess.isValid() {
		return wire.StatusRequestNotAccepted
	}
	if sess.expired() {
		return wire.StatusNetworkSessionExpired
	}
	ours, theirs := &c.protection, &sess.keys.with
	switch {
	case ours.signing != theirs.signing && theirs.signing == crypt.AESGMAC:
		return wire.StatusRequestOutOfSequence
	case ours.signing != theirs.signing && ours.signing == crypt.AESGMAC:
		return wire.StatusNotSupported
	case c.dialect < wire.Dialect300, c.cfg.Limits.MaxChannels == 1, r.session != nil:
		return wire.StatusRequestNotAccepted
	case c.dialect != sess.keys.dialect, ours.cipher != theirs.cipher:
		return wire.StatusInvalidParameter
	case sess.keys.signing == nil || sess.anonymous:
		return wire.StatusNotSupported
	case !r.signed: // each step is
		return wire.StatusInvalidParameter
	}
	return wire.StatusOK
}

// bound makes a channel of one that was being bound, when its user has shown the password again: MS-SMB2 3.3.5.5.3.
// The channel's key for signing is its own, those for encryption are the session's.
func (c *Conn) bound(ch *channel, id auth.Identity) error {
	if id.Guest || !sameUser(ch.who(), id) {
		return wire.StatusAccessDenied
	}
	keys := crypt.DeriveKeys(crypt.Parameters{Dialect: c.dialect, Cipher: c.protection.cipher, Preauth: ch.preauth}, id.SessionKey)
	signer, err := crypt.NewSigner(c.protection.signing, keys.Signing)
	if err != nil {
		c.log.Error("key of a channel", "cause", err)
		return wire.StatusInternalError
	}
	if status := ch.addChannel(ch); status != wire.StatusOK {
		return status
	}
	ch.signer = signer
	if ch.keys.sealer != nil {
		ch.sealer, ch.opener = ch.keys.sealer.Another(), ch.keys.opener.Another()
	}
	delete(c.binding, ch.id)
	c.sessions[ch.id] = ch
	c.loggedOn = true
	return nil
}
