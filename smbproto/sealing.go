package smbproto

import (
	"fmt"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// sealOverhead is what an encrypted answer takes in the out ring besides its messages, bytes.
const sealOverhead = wire.TransformSize + crypt.SealRoom

// Encryption says whether messages may, or must, be encrypted: MS-SMB2 3.3.1.5, EncryptData,
// with RejectUnencryptedAccess always true.
type Encryption int

// The values of Encryption. A client that encrypts without having to is answered encrypted.
const (
	EncryptionOffered  Encryption = iota // clients of dialect 3.0 and later may encrypt
	EncryptionOff                        // no message is encrypted
	EncryptionRequired                   // who does not encrypt is refused, and so are guests
)

// String is the value's name on a command line.
func (e Encryption) String() string {
	switch e {
	case EncryptionOffered:
		return "offered"
	case EncryptionOff:
		return "off"
	case EncryptionRequired:
		return "required"
	}
	return fmt.Sprintf("encryption %d", int(e))
}

// sealed decrypts a frame in place, MS-SMB2 3.3.5.2.1.1, and answers its messages in an
// encrypted frame. Whatever is wrong with it ends the connection.
func (c *Conn) sealed(b []byte) error {
	h := wire.TransformHeader(b)
	if err := h.Valid(); err != nil {
		return err
	}
	ch := c.sessions[h.SessionID()]
	if ch == nil || ch.opener == nil || ch.ended() {
		return fmt.Errorf("%w: an encrypted message of session %#x, which has no key for that", wire.ErrMalformed, h.SessionID())
	}
	msg, ok := ch.opener.Open(b)
	if !ok {
		return fmt.Errorf("%w: an encrypted message of session %#x does not bear the right tag", wire.ErrMalformed, ch.id)
	}
	if !wire.IsSMB2(msg) {
		return fmt.Errorf("%w: protocol identifier % x in an encrypted message", wire.ErrMalformed, msg[:4])
	}
	c.sealing = ch
	err := c.compound(msg)
	c.sealing = nil
	return err
}

// checkSealed refuses what is not encrypted where it must be: on a session
// (MS-SMB2 3.3.5.2.9) or a tree, if there is one (3.3.5.2.11).
func (c *Conn) checkSealed(r *request) wire.Status {
	if c.sealing == nil && (r.session.mustSeal || r.tree != nil && r.tree.share.Encrypt) {
		c.log.Info("request refused: it is not encrypted", "command", r.cmd.String(), "session", hexID(r.session.id))
		return wire.StatusAccessDenied
	}
	return wire.StatusOK
}
