package smbproto

import "ustack/smbproto/wire"

// checkSignature applies the session's signing rule, MS-SMB2 3.3.5.2.4. Requests of
// sessions that have no key, those of guests, are taken as unsigned; what was encrypted needs no signature. A log-on that
// is renewed is signed, for it has a key.
func (c *Conn) checkSignature(r *request, cmd *command, verify bool) wire.Status {
	ch := r.channel
	signed := r.header().Has(wire.FlagSigned)
	if ch == nil || ch.signer == nil || c.sealing != nil {
		return wire.StatusOK
	}
	switch {
	case signed && c.again(r):
		r.signed = true // it was verified when it came, which may have been by another channel's key
	case signed && verify:
		if !ch.signer.Verify(r.msg) {
			c.log.Warn("bad signature", "command", r.cmd.String(), "session", hexID(ch.id))
			return wire.StatusAccessDenied
		}
		r.signed = true
	case !signed && ch.mustSign && (cmd.needs&canBeUnsigned == 0 || r.cmd == wire.CommandSessionSetup):
		return wire.StatusAccessDenied
	}
	return wire.StatusOK
}

// sign signs a response in the out ring, MS-SMB2 3.3.4.1.1. Padding to the next
// message of a compound is signed too. In an encrypted frame nothing is signed (3.1.4.1). With the key of a session that the
// connection does not have, only who has shown that he has it is answered: to others it signs nothing.
func (c *Conn) sign(r *request, msg []byte) {
	h := wire.Header(msg)
	if c.sealing != nil || r.channel == nil || r.channel.signer == nil ||
		!r.signed && (!r.channel.mustSign || c.sessions[r.channel.id] != r.channel) {
		return
	}
	if h.Status() == wire.StatusPending {
		return // an interim answer is not signed (3.3.4.2): it would use up the nonce of the final one
	}
	h.PutFlags(h.Flags() | wire.FlagSigned)
	if err := r.channel.signer.Sign(msg); err != nil {
		panic(err) // msg has a whole header: a mistake in this package
	}
}
