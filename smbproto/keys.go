package smbproto

import (
	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// makeKeys gives a session what protects its messages, MS-SMB2 3.3.5.5.3. It is called
// once for each session: a log-on that is renewed keeps the keys (3.3.5.5.2), and the nonces go on.
// NTLM's session key has 16 bytes, and so has then the whole one that AES-256 asks for.
func (c *Conn) makeKeys(ch *channel, id *auth.Identity) error {
	var err error
	own := &ch.keys
	own.dialect, own.with, own.signing = c.dialect, c.protection, id.SessionKey[:]
	if c.dialect < wire.Dialect300 {
		ch.signer, err = crypt.NewSigner(c.protection.signing, own.signing)
		return err
	}
	cipher := c.protection.cipher
	keys := crypt.DeriveKeys(crypt.Parameters{Dialect: c.dialect, Cipher: cipher, Preauth: ch.preauth, FullKey: id.FullSessionKey}, id.SessionKey)
	own.signing = keys.Signing
	own.several = c.capabilities()&wire.CapabilityMultiChannel != 0
	if ch.signer, err = crypt.NewSigner(c.protection.signing, keys.Signing); err != nil || cipher == 0 {
		return err
	}
	if own.sealer, err = crypt.NewSealer(cipher, keys.Encryption, ch.id); err != nil {
		return err
	}
	if own.opener, err = crypt.NewOpener(cipher, keys.Decryption); err != nil {
		return err
	}
	ch.sealer, ch.opener = own.sealer, own.opener
	return nil
}

// algorithms names what signs and encrypts a session's messages, where either end wants that. What guests and nobody have
// protects nothing.
func (s *session) algorithms() (signing, cipher string) {
	if s.keys.signing == nil || s.anonymous {
		return "none", "none"
	}
	return s.keys.with.signing.String(), s.keys.with.cipher.String()
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
		if r.channel == nil { // the first of a new session
			r.channel = c.sessions[w.session]
		}
		r.channel.preauth.Add(answer)
	}
}
