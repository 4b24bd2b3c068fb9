package smbproto

import (
	"errors"
	"fmt"
	"strings"

	"ustack/smbproto/auth"
	"ustack/smbproto/wire"
)

// sessionSetup carries one step of an authentication, MS-SMB2 3.3.5.5.
func (c *Conn) sessionSetup(r *request, w *reply) wire.Status {
	req := wire.SessionSetupRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if req.Flags()&wire.SessionBinding != 0 {
		return wire.StatusRequestNotAccepted // channels are of SMB 3
	}
	if c.cfg.Encryption == EncryptionRequired && c.protection.cipher == 0 {
		c.log.Info("log-on refused: the client can't encrypt", "dialect", c.dialect.String())
		return wire.StatusAccessDenied // MS-SMB2 3.3.5.5
	}
	sess := r.session
	if sess == nil {
		if r.header().SessionID() != 0 {
			return wire.StatusUserSessionDeleted
		}
		var status wire.Status
		if sess, status = c.newSession(); status != wire.StatusOK {
			return status
		}
	}
	if sess.exchange == nil { // the first of a log-on, or of a renewed one
		sess.exchange = auth.NewExchange(c.srv.settings().cfg.Auth)
	}
	w.session = sess.id
	if c.dialect == wire.Dialect311 {
		sess.preauth.Add(r.msg)
	}
	token, done, err := sess.exchange.Step(req.Token())
	if err != nil {
		return c.refuse(r, sess, err)
	}
	if len(token) > maxToken {
		return c.refuse(r, sess, errors.New("the reply token is too long"))
	}
	status := wire.StatusMoreProcessingRequired
	var flags uint16
	if done {
		if err := c.accept(sess, req); err != nil {
			return c.refuse(r, sess, err)
		}
		status, flags = wire.StatusOK, sess.flags()
		r.session = sess
		r.signed = sess.signer != nil // so that the client knows who granted it
	}
	wire.PutSessionSetup(w.msg, flags, len(token))
	w.n = wire.SessionSetupFixed + copy(w.msg[wire.SessionSetupFixed:], token)
	return status
}

const (
	// maxFirstLogOns bounds the log-ons that a connection has under way before one succeeds.
	maxFirstLogOns = 4
	// maxRefusals is how many log-ons may fail until the connection is ended: a guest, too, has
	// to come again to guess more passwords.
	maxRefusals = 10
)

func (c *Conn) newSession() (*session, wire.Status) {
	most := c.cfg.Limits.MaxSessions
	if !c.loggedOn {
		most = min(most, maxFirstLogOns)
	}
	if len(c.sessions) >= most {
		c.dropEnded()
	}
	if len(c.sessions) >= most {
		return nil, wire.StatusInsufficientResources
	}
	sess := &session{srv: c.srv, conn: c, preauth: c.preauth, trees: map[uint32]*tree{}, opens: map[uint64]*open{}}
	if err := c.srv.addSession(sess); err != nil {
		c.log.Error("session id", "cause", err)
		return nil, wire.StatusInsufficientResources
	}
	c.sessions[sess.id] = sess
	c.srv.counters.sessions.Add(1)
	return sess, wire.StatusOK
}

// dropEnded forgets the sessions that other connections have ended.
func (c *Conn) dropEnded() {
	for id, sess := range c.sessions {
		if sess.ended() {
			delete(c.sessions, id)
		}
	}
}

// refuse ends an exchange, and its session: also one whose user has not been able to log on again, as Windows does.
func (c *Conn) refuse(r *request, sess *session, cause error) wire.Status {
	c.log.Info("log-on refused", "cause", cause)
	if c.refusals++; c.refusals >= maxRefusals {
		c.log.Warn("connection ended: too many log-ons were refused", "refusals", c.refusals)
		c.hangUp = errHangUp
	}
	sess.exchange = nil
	c.endSession(sess)
	if !sess.valid {
		r.session = nil // with none that could sign the refusal
	}
	var status wire.Status
	switch {
	case errors.As(cause, &status):
		return status
	case errors.Is(cause, auth.ErrMalformed):
		return wire.StatusInvalidParameter
	case errors.Is(cause, auth.ErrUnsupported):
		return wire.StatusNotSupported
	}
	return wire.StatusLogonFailure
}

func (c *Conn) endSession(sess *session) {
	delete(c.sessions, sess.id)
	if err := sess.end(); err != nil {
		c.log.Warn("closing a session", "session", sess.id, "cause", err)
	}
}

// errNoKey refuses a guest: a log with the status alone would leave open what was not allowed.
var errNoKey = fmt.Errorf("guests have no key to sign or encrypt with: %w", wire.StatusAccessDenied)

// accept makes a session valid, MS-SMB2 3.3.5.5.3. A renewed log-on keeps the
// key of the first, and must be by the same user.
func (c *Conn) accept(sess *session, req wire.SessionSetupRequest) error {
	id := sess.exchange.Identity()
	sess.exchange = nil
	if sess.valid {
		if !sameUser(sess.identity, id) {
			return wire.StatusAccessDenied
		}
		return nil
	}
	mustSeal := c.cfg.Encryption == EncryptionRequired
	if (id.Guest || id.Anonymous) && (c.cfg.RequireSigning || mustSeal) {
		return errNoKey
	}
	if !id.Guest && !id.Anonymous {
		if err := c.makeKeys(sess, id.SessionKey); err != nil {
			c.log.Error("keys of a session", "cause", err)
			return wire.StatusInternalError
		}
		sess.mustSeal = mustSeal
		sess.mustSign = c.cfg.RequireSigning ||
			(c.clientMode|uint16(req.SecurityMode()))&wire.SigningRequired != 0
	}
	sess.mu.Lock()
	sess.identity, sess.valid = id, true
	sess.mu.Unlock()
	c.loggedOn = true
	if old := req.PreviousSessionID(); old != 0 && old != sess.id {
		c.endPrevious(sess, old)
	}
	c.log.Info("logged on", "user", id.User, "domain", id.Domain, "workstation", id.Workstation,
		"guest", id.Guest, "anonymous", id.Anonymous, "signing_required", sess.mustSign, "encryption_required", sess.mustSeal, "session", sess.id)
	return nil
}

// endPrevious ends the session that a client had before its connection broke, if
// the same user has come back.
func (c *Conn) endPrevious(sess *session, old uint64) {
	prev := c.srv.session(old)
	if prev == nil {
		return
	}
	prev.mu.Lock()
	same := prev.valid && sameUser(prev.identity, sess.identity)
	prev.mu.Unlock()
	if !same {
		return
	}
	if err := prev.end(); err != nil {
		c.log.Warn("closing a previous session", "session", old, "cause", err)
	}
}

func sameUser(a, b auth.Identity) bool {
	return a.Guest == b.Guest && a.Anonymous == b.Anonymous &&
		strings.EqualFold(a.User, b.User) && strings.EqualFold(a.Domain, b.Domain)
}

func (s *session) flags() uint16 {
	switch {
	case s.identity.Anonymous:
		return wire.SessionAnonymous
	case s.identity.Guest:
		return wire.SessionGuest
	case s.mustSeal:
		return wire.SessionEncryptData
	}
	return 0
}

// logoff ends the session, MS-SMB2 3.3.5.6. The response is still signed.
func (c *Conn) logoff(r *request, w *reply) wire.Status {
	if wire.EmptyRequest(r.msg).Valid() != nil {
		return wire.StatusInvalidParameter
	}
	c.endSession(r.session)
	wire.PutEmpty(w.msg)
	w.n = wire.EmptySize
	return wire.StatusOK
}
