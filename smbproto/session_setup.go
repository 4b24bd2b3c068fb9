package smbproto

import (
	"errors"
	"fmt"
	"maps"

	"ustack/smbproto/auth"
	"ustack/smbproto/wire"
)

// sessionSetup carries one step of an authentication, MS-SMB2 3.3.5.5.
func (c *Conn) sessionSetup(r *request, w *reply) wire.Status {
	req := wire.SessionSetupRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if c.cfg.Encryption == EncryptionRequired && c.protection.cipher == 0 {
		c.log.Info("log-on refused: the client can't encrypt", "dialect", c.dialect.String())
		return wire.StatusAccessDenied // MS-SMB2 3.3.5.5
	}
	ch, status := c.logOnOf(r, req)
	if status != wire.StatusOK {
		return status
	}
	w.session = ch.id
	if c.dialect == wire.Dialect311 {
		ch.preauth.Add(r.msg)
	}
	exchange := ch.exchange
	token, done, err := exchange.Step(req.Token())
	if err == nil && len(token) > maxToken {
		err = errors.New("the reply token is too long")
	}
	if err == nil && done {
		err = c.accept(ch, req)
	}
	if err != nil {
		status := c.refuse(r, ch, err)
		c.auditLogOn(ch.session, exchange.Claimed(), status, err)
		return status
	}
	status = wire.StatusMoreProcessingRequired
	var flags uint16
	if done {
		c.auditLogOn(ch.session, exchange.Claimed(), wire.StatusOK, nil)
		status, flags = wire.StatusOK, ch.flags()
		r.session, r.channel = ch.session, ch
		r.signed = ch.signer != nil && !ch.anonymous // so that the client knows who granted it
	}
	wire.PutSessionSetup(w.msg, flags, len(token))
	w.n = wire.SessionSetupFixed + copy(w.msg[wire.SessionSetupFixed:], token)
	return status
}

// logOnOf finds the log-on that a request begins or goes on with: of a new session, of one that the connection
// has, or one that binds it to another's.
func (c *Conn) logOnOf(r *request, req wire.SessionSetupRequest) (ch *channel, status wire.Status) {
	cfg := c.srv.settings().cfg.Auth
	switch {
	case req.Flags()&wire.SessionBinding != 0:
		ch, status = c.bind(r)
	case r.session != nil:
		ch = r.channel
		cfg.Anonymous = ch.valid // who is somebody may become nobody
	case r.header().SessionID() != 0:
		delete(c.binding, r.header().SessionID())
		status = wire.StatusUserSessionDeleted
	default:
		ch, status = c.newSession()
	}
	if status == wire.StatusOK && ch.exchange == nil { // the first of a log-on, or of a renewed one
		ch.exchange = auth.NewExchange(cfg)
	}
	return ch, status
}

const (
	// maxFirstLogOns bounds the log-ons that a connection has under way before one succeeds.
	maxFirstLogOns = 4
	// maxRefusals is how many log-ons may fail until the connection is ended: a guest, too, has
	// to come again to guess more passwords.
	maxRefusals = 10
)

// admitLogOn says whether the connection may begin one more log-on.
func (c *Conn) admitLogOn() wire.Status {
	most := c.cfg.Limits.MaxSessions
	if !c.loggedOn {
		most = min(most, maxFirstLogOns)
	}
	if len(c.sessions)+len(c.binding) >= most {
		c.dropEnded()
	}
	if len(c.sessions)+len(c.binding) >= most {
		return wire.StatusInsufficientResources
	}
	return wire.StatusOK
}

func (c *Conn) newSession() (*channel, wire.Status) {
	if status := c.admitLogOn(); status != wire.StatusOK {
		return nil, status
	}
	sess := &session{srv: c.srv, client: c.clientGUID, remote: c.remote, trees: map[uint32]*tree{}, opens: map[uint64]*open{}, waiting: map[uint64]*pending{}}
	ch := &channel{session: sess, conn: c, preauth: c.preauth}
	sess.channels = []*channel{ch}
	if err := c.srv.addSession(sess); err != nil {
		c.log.Error("session id", "cause", err)
		return nil, wire.StatusInsufficientResources
	}
	c.sessions[sess.id] = ch
	c.srv.counters.sessions.Add(1)
	return ch, wire.StatusOK
}

// dropEnded forgets the sessions that others have ended.
func (c *Conn) dropEnded() {
	ended := func(_ uint64, ch *channel) bool { return ch.ended() }
	maps.DeleteFunc(c.sessions, ended)
	maps.DeleteFunc(c.binding, ended)
	if c.smb1 != nil {
		c.dropEndedSMB1()
	}
}

// refuse ends an exchange, and its session: also one whose user has not been able to log on again, as Windows does. A
// session that was to get one more channel stays as it is.
func (c *Conn) refuse(r *request, ch *channel, cause error) wire.Status {
	c.log.Info("log-on refused", "cause", cause)
	c.srv.counters.logOnsRefused.Add(1)
	if c.refusals++; c.refusals >= maxRefusals {
		c.log.Warn("connection ended: too many log-ons were refused", "refusals", c.refusals)
		c.hangUp = errHangUp
	}
	ch.exchange = nil
	if c.binding[ch.id] == ch {
		delete(c.binding, ch.id)
	} else {
		c.endSession(ch.session)
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

// endSession leaves the channel of one that was valid, for its key, until there is to be room.
func (c *Conn) endSession(sess *session) {
	if !sess.valid {
		delete(c.sessions, sess.id)
	}
	if err := sess.end(); err != nil {
		c.log.Warn("closing a session", "session", hexID(sess.id), "cause", err)
	}
}

// errNoKey refuses a guest: a log with the status alone would leave open what was not allowed.
var errNoKey = fmt.Errorf("guests have no key to sign or encrypt with: %w", wire.StatusAccessDenied)

// accept makes a session valid, MS-SMB2 3.3.5.5.3, or one more channel of it. A renewed log-on keeps the
// keys of the first, and must be by the same user, or by nobody.
func (c *Conn) accept(ch *channel, req wire.SessionSetupRequest) error {
	id, sess := ch.exchange.Identity(), ch.session
	ch.exchange = nil
	switch {
	case c.binding[ch.id] == ch:
		if err := c.bound(ch, id); err != nil {
			return err
		}
		c.log.Info("channel bound", "user", id.User, "session", hexID(sess.id))
		return nil
	case sess.valid:
		return c.renew(sess, id)
	}
	mustSeal := c.cfg.Encryption == EncryptionRequired
	if id.Guest && (c.cfg.RequireSigning || mustSeal) {
		return errNoKey
	}
	sess.user, sess.anonymous = id, id.Anonymous
	if !id.Guest || id.Anonymous {
		if err := c.makeKeys(ch, &id); err != nil {
			c.log.Error("keys of a session", "cause", err)
			return wire.StatusInternalError
		}
	}
	if !id.Guest {
		sess.mustSeal = mustSeal
		sess.mustSign = c.cfg.RequireSigning ||
			(c.clientMode|uint16(req.SecurityMode()))&wire.SigningRequired != 0
	}
	c.validate(sess, id)
	if old := req.PreviousSessionID(); old != 0 && old != sess.id {
		c.endPrevious(sess, old)
	}
	signing, cipher := sess.algorithms()
	c.log.Info("logged on", "user", id.User, "domain", id.Domain, "workstation", id.Workstation,
		"guest", id.Guest, "anonymous", id.Anonymous, "dialect", c.dialect.String(), "signing", signing, "cipher", cipher, "signing_required", sess.mustSign, "encryption_required", sess.mustSeal, "session", hexID(sess.id))
	return nil
}

// validate makes a session the user's, with all else that it needs.
func (c *Conn) validate(sess *session, id auth.Identity) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.identify(id)
	sess.valid = true
	c.loggedOn = true
}

// renew gives a session the identity of a log-on that was renewed. The user may become nobody, and the same user again.
func (c *Conn) renew(sess *session, id auth.Identity) error {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	if !id.Anonymous && !sameUser(sess.user, id) {
		return wire.StatusAccessDenied
	}
	sess.identify(id)
	return nil
}

// endPrevious ends the session that a client had before its connection broke, if
// the same user has come back.
func (c *Conn) endPrevious(sess *session, old uint64) {
	prev := c.srv.session(old)
	if prev == nil {
		return
	}
	if !prev.isValid() || !sameUser(prev.who(), sess.who()) {
		return
	}
	if err := prev.end(); err != nil {
		c.log.Warn("closing a previous session", "session", hexID(old), "cause", err)
	}
}

func sameUser(a, b auth.Identity) bool {
	return a.Guest == b.Guest && a.Anonymous == b.Anonymous &&
		auth.SameName(a.User, b.User) && auth.SameName(a.Domain, b.Domain)
}

// flags of the answer to a log-on: of the first, whose keys hold when it is renewed.
func (s *session) flags() uint16 {
	switch {
	case s.anonymous:
		return wire.SessionAnonymous
	case s.keys.signing == nil:
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
