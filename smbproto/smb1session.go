package smbproto

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// What the server is called in the answers of SMB1 that say so.
const (
	nativeOS     = "Unix"
	nativeLanMan = "ustack"
)

// Session setups, MS-CIFS 2.2.4.53 and MS-SMB 2.2.4.6: with a token of extended security, and with two responses.
const (
	smb1SetupWords         = 13
	smb1SetupExtendedWords = 12
)

// smb1Guest is what the answer says of a guest: SMB_SETUP_GUEST.
const smb1Guest = 1

// sessionSetupSMB1: MS-CIFS 2.2.4.53, MS-SMB 2.2.4.6.
func (c *Conn) sessionSetupSMB1(r *smb1Request, w *smb1Reply) wire.Status {
	b := &r.block
	s := c.smb1
	if c.cfg.Encryption == EncryptionRequired {
		c.log.Info("log-on refused: the client can't encrypt", "dialect", c.dialect.String())
		return wire.StatusAccessDenied
	}
	caps := b.U32(20) // of the client; two bytes further on without extended security
	if b.HasWords(smb1SetupWords) {
		caps = b.U32(22)
	}
	s.level2, s.reauth = caps&wire.SMB1CapLevel2Oplocks != 0, caps&wire.SMB1CapDynamicReauth != 0
	if n := int(b.Word(2)); n >= leastSMB1Buffer {
		s.maxBuffer = n
	}
	if b.Count() == smb1SetupExtendedWords {
		return c.sessionSetupExtended(r, w)
	}
	if !b.HasWords(smb1SetupWords) {
		return wire.StatusInvalidParameter
	}
	str := r.strings()
	lm, ok := str.Take(int(b.Word(7)))
	nt, ok2 := str.Take(int(b.Word(8)))
	user, err := str.Next()
	domain, err2 := str.Next()
	if !ok || !ok2 || err != nil || err2 != nil {
		return wire.StatusInvalidParameter
	}
	ch, status := c.newSession()
	if status != wire.StatusOK {
		return status
	}
	if s.classic == nil {
		if len(user) > 0 || len(nt) > 0 {
			return c.refuse(&r.request, ch, errors.New("no challenge was sent: extended security was negotiated"))
		}
		if s.classic, err = auth.NewClassic(c.srv.settings().cfg.Auth); err != nil {
			return c.refuse(&r.request, ch, err)
		}
	}
	id, err := s.classic.LogOn(user, domain, lm, nt)
	if err == nil {
		err = c.acceptSMB1(r, ch, id, nt)
	}
	if err != nil {
		status := c.refuse(&r.request, ch, err)
		c.auditLogOn(ch.session, auth.Identity{User: user, Domain: domain}, status, err)
		return status
	}
	c.auditLogOn(ch.session, id, wire.StatusOK, nil)
	words := w.andX(3)
	words[4] = ch.actionSMB1()
	c.setupDone(r, w, ch, true)
	return wire.StatusOK
}

// leastSMB1Buffer is the shortest message that a client must take.
const leastSMB1Buffer = 1024

// sessionSetupExtended carries one step of an authentication by SPNEGO.
func (c *Conn) sessionSetupExtended(r *smb1Request, w *smb1Reply) wire.Status {
	b := &r.block
	str := r.strings()
	token, ok := str.Take(int(b.Word(7)))
	if !ok {
		return wire.StatusInvalidParameter
	}
	ch := r.channel
	if ch == nil {
		if r.header().UID() != 0 {
			return wire.StatusSMBBadUID
		}
		var status wire.Status
		if ch, status = c.newSession(); status != wire.StatusOK {
			return status
		}
		ch.uid = nextID(&c.smb1.nextUID, c.smb1.sessions)
		c.smb1.sessions[ch.uid] = ch
	}
	if ch.exchange == nil {
		cfg := c.srv.settings().cfg.Auth
		cfg.Anonymous = ch.isValid() // who is somebody may become nobody
		ch.exchange = auth.NewExchange(cfg)
	}
	exchange := ch.exchange
	answer, done, err := exchange.Step(token)
	if err == nil && len(answer) > min(maxToken, len(w.msg)-w.at-(1+setupFixed+2)) {
		err = errors.New("the reply token is too long")
	}
	if err == nil && done {
		id := exchange.Identity()
		ch.exchange = nil
		err = c.acceptSMB1(r, ch, id, nil)
		if err == nil {
			c.auditLogOn(ch.session, id, wire.StatusOK, nil)
		}
	}
	if err != nil {
		status := c.refuse(&r.request, ch, err)
		c.auditLogOn(ch.session, exchange.Claimed(), status, err)
		c.dropEndedSMB1()
		return status
	}
	words := w.andX(4)
	words[6], words[7] = byte(len(answer)), byte(len(answer)>>8)
	w.grow(copy(w.room(), answer))
	status := wire.StatusMoreProcessingRequired
	if done {
		words[4] = ch.actionSMB1()
		status = wire.StatusOK
	}
	c.setupDone(r, w, ch, false)
	return status
}

func (s *session) actionSMB1() byte {
	if s.who().Guest {
		return smb1Guest
	}
	return 0
}

// setupDone puts what every answer to a SESSION_SETUP has.
func (c *Conn) setupDone(r *smb1Request, w *smb1Reply, ch *channel, domain bool) {
	if ch.uid == 0 {
		ch.uid = nextID(&c.smb1.nextUID, c.smb1.sessions)
		c.smb1.sessions[ch.uid] = ch
	}
	w.uid, r.session, r.channel = ch.uid, ch.session, ch
	w.text(nativeOS, r.unicode())
	w.text(nativeLanMan, r.unicode())
	if domain {
		w.text(c.srv.cfg.Auth.Domain, r.unicode())
	}
}

// acceptSMB1 makes a session valid. The first user who logs on gives the connection its key for signing, if the client
// signs (MS-CIFS 2.2.4.53); the answer is signed already. response is that of a client without extended security.
func (c *Conn) acceptSMB1(r *smb1Request, ch *channel, id auth.Identity, response []byte) error {
	s, sess := c.smb1, ch.session
	if !s.reauth {
		id.Expires = time.Time{} // the client could make nothing of it, MS-SMB 2.2.4.6.1
	}
	if sess.valid {
		return c.renew(sess, id)
	}
	if c.cfg.RequireSigning {
		switch {
		case id.Guest || id.Anonymous:
			return errNoKey
		case s.signer == nil && !r.header().Has(wire.SMB1Flags2Signed):
			return errNotSigning
		}
	}
	if s.signer == nil && !id.Guest && !id.Anonymous && r.header().Has(wire.SMB1Flags2Signed) {
		key := id.FullSessionKey // all of it, unlike in SMB2
		if key == nil {
			key = id.SessionKey[:]
		}
		s.signer = crypt.NewSMB1Signer(key, response)
		r.seq, s.seq = 0, 2
	}
	sess.user, sess.anonymous = id, id.Anonymous
	c.validate(sess, id)
	signing := "none"
	if s.signer != nil {
		signing = "MD5"
	}
	c.log.Info("logged on", "user", id.User, "domain", id.Domain, "workstation", id.Workstation,
		"guest", id.Guest, "anonymous", id.Anonymous, "dialect", c.dialect.String(), "signing", signing, "cipher", "none", "session", hexID(sess.id))
	return nil
}

// errNotSigning refuses a client that does not sign where it has to.
var errNotSigning = fmt.Errorf("the client does not sign: %w", wire.StatusAccessDenied)

// logoffSMB1: MS-CIFS 2.2.4.54.
func (c *Conn) logoffSMB1(r *smb1Request, w *smb1Reply) wire.Status {
	c.endSession(r.session)
	c.dropEndedSMB1()
	w.andX(2)
	return wire.StatusOK
}

// dropEndedSMB1 gives up the ids of sessions that have ended, and what they had: opens, which are closed, and searches.
func (c *Conn) dropEndedSMB1() {
	maps.DeleteFunc(c.smb1.sessions, func(_ uint16, ch *channel) bool { return ch.ended() })
	c.smb1.forget()
	for sid, s := range c.smb1.searches {
		if s.session.ended() {
			c.endSearch(sid)
		}
	}
}
