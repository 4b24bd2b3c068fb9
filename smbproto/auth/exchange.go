package auth

import (
	"bytes"
	"crypto/rand"
	"io"
	"time"
)

// MaxToken is the largest token that Step looks at, in bytes.
const MaxToken = 64 << 10

// Users knows the accounts. Lookup is called with the name as the client wrote
// it and must not care for case, as NTLMv2 does not. It may be called from many goroutines.
type Users interface {
	Lookup(name string) (ntHash [16]byte, ok bool)
}

// Config says who may log on, and what the server tells about itself.
type Config struct {
	Users    Users     // nil: nobody has an account
	Kerberos *Kerberos // nil: there is none
	Guest    bool      // unknown users and anonymous logons become guest
	// Anonymous lets in who gives no name, also without Guest.
	Anonymous bool

	ServerName string // NetBIOS name in the challenge, up to 255 characters; default "USTACK"
	Domain     string // NetBIOS domain in the challenge, likewise; default "WORKGROUP"

	Now  func() time.Time // the time in the challenge; default time.Now
	Rand io.Reader        // the server challenge; default crypto/rand
}

func (c *Config) setDefaults() {
	if c.ServerName == "" {
		c.ServerName = "USTACK"
	}
	if c.Domain == "" {
		c.Domain = "WORKGROUP"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
}

// account looks a user's account up, if there are any.
func (c *Config) account(name string) (ntHash [16]byte, ok bool) {
	if c.Users == nil {
		return ntHash, false
	}
	return c.Users.Lookup(name)
}

// Identity is who was authenticated. The names are the client's own words:
// well-formed UTF-8 of at most 256 UTF-16 units, but not otherwise checked.
type Identity struct {
	User, Domain, Workstation string

	// Realm is that of a user who has proved himself by a ticket, and has no account; "" for all others.
	Realm string

	Guest     bool // no account: SessionKey is zero, unless Anonymous
	Anonymous bool // gave no name; Guest is set as well

	// SessionKey is the key after key exchange, which MS-SMB2 3.3.5.5.3 calls Session.SessionKey. That of an
	// anonymous user is no secret: what it is made of goes over the wire.
	SessionKey [16]byte
	// FullSessionKey is the whole of a key that has more than 16 bytes, as those of Kerberos may: Session.FullSessionKey. nil
	// if there is no more.
	FullSessionKey []byte

	// Expires is when the ticket ends that has proved the user, Session.ExpirationTime; zero for who needed none.
	Expires time.Time
}

// Exchange is one authentication. It is not safe for concurrent use.
type Exchange struct {
	ntlm      acceptor
	kerberos  *kerberosAcceptor // nil: it is by NTLMSSP
	state     state
	raw       bool   // NTLMSSP without SPNEGO
	mechTypes []byte // the client's list, which mechListMIC covers
	needMIC   bool   // the client's first choice was another mechanism
}

type state int

const (
	wantInit         state = iota // any first token
	wantNegotiate                 // SPNEGO has agreed on NTLMSSP; its first message is due
	wantAuthenticate              // the challenge is out
	wantTicket                    // SPNEGO has agreed on Kerberos; its message is due
	wantMIC                       // all is proved but that nobody has changed the client's list
	finished
	failed
)

// NewExchange starts an authentication.
func NewExchange(cfg Config) *Exchange {
	cfg.setDefaults()
	return &Exchange{ntlm: acceptor{cfg: cfg}}
}

// Identity returns who was authenticated, and the zero value before Step has reported done.
func (e *Exchange) Identity() Identity {
	if e.state != finished {
		return Identity{}
	}
	if e.kerberos != nil {
		return e.kerberos.id
	}
	return e.ntlm.id
}

// Claimed is who the client says that it is, whether or not it could prove it: the zero value before it has said so.
func (e *Exchange) Claimed() Identity {
	if e.kerberos != nil {
		return e.kerberos.claimed
	}
	return e.ntlm.claimed
}

// Step takes the client's next token, SPNEGO or raw NTLMSSP, and returns the
// reply to send: with done, together with success (a raw exchange has then
// nothing to send), else with the request for more. After an error or done every further Step
// fails. Errors wrap ErrLogonFailure, ErrMalformed or ErrUnsupported, except when Config.Rand fails.
func (e *Exchange) Step(token []byte) (reply []byte, done bool, err error) {
	if e.state == finished || e.state == failed {
		return nil, false, malformed("a token after the exchange has ended")
	}
	if len(token) > MaxToken {
		e.state = failed
		return nil, false, malformed("token of %d bytes, want at most %d", len(token), MaxToken)
	}
	reply, err = e.step(token)
	if err != nil {
		e.state = failed
		return nil, false, err
	}
	return reply, e.state == finished, nil
}

func (e *Exchange) step(token []byte) ([]byte, error) {
	if e.state == wantInit {
		if bytes.HasPrefix(token, ntlmSignature) {
			e.raw, e.state = true, wantNegotiate
		} else {
			return e.stepInit(token)
		}
	}
	if e.raw {
		return e.stepNTLM(token)
	}
	return e.stepResp(token)
}

// stepNTLM passes on one NTLMSSP message.
func (e *Exchange) stepNTLM(msg []byte) (reply []byte, err error) {
	if e.state == wantNegotiate {
		reply, err = e.ntlm.offer(msg)
		e.state = wantAuthenticate
		return reply, err
	}
	err = e.ntlm.accept(msg)
	e.state = finished
	return nil, err
}

// choose takes the first mechanism of the client's that there is here.
func (e *Exchange) choose(mechs [][]byte) (mech []byte, first bool) {
	for i, oid := range mechs {
		switch {
		case bytes.Equal(oid, oidNTLMSSP):
			e.state = wantNegotiate
			return oidNTLMSSP, i == 0
		case isKerberos(oid) && e.ntlm.cfg.Kerberos != nil:
			e.state, e.kerberos = wantTicket, &kerberosAcceptor{cfg: &e.ntlm.cfg}
			return bytes.Clone(oid), i == 0
		}
	}
	return nil, false
}

// stepInit answers the NegTokenInit.
func (e *Exchange) stepInit(token []byte) ([]byte, error) {
	t, err := parseNegInit(token)
	if err != nil {
		return nil, err
	}
	mech, first := e.choose(t.mechs)
	if mech == nil {
		return nil, unsupported("the client's mechanisms include neither NTLMSSP nor, where there is a keytab, Kerberos")
	}
	if len(t.mechTypes) > maxNegotiate {
		return nil, malformed("list of mechanisms of %d bytes, want at most %d", len(t.mechTypes), maxNegotiate)
	}
	e.mechTypes = append([]byte(nil), t.mechTypes...)
	if !first {
		// RFC 4178 4.2.2 and 5: the token is for another mechanism. The client is to
		// begin again with ours and to prove that nobody changed its list.
		e.needMIC = true
		return encodeNegResp(requestMIC, mech, nil, nil), nil
	}
	if t.token == nil {
		return encodeNegResp(acceptIncomplete, mech, nil, nil), nil
	}
	if e.kerberos != nil {
		return e.stepTicket(mech, t.token, nil)
	}
	challenge, err := e.stepNTLM(t.token)
	if err != nil {
		return nil, err
	}
	return encodeNegResp(acceptIncomplete, mech, challenge, nil), nil
}

// stepTicket takes the one message of Kerberos.
func (e *Exchange) stepTicket(mech, token, mic []byte) ([]byte, error) {
	reply, err := e.kerberos.accept(token)
	if err != nil {
		return nil, err
	}
	if mic == nil && !e.needMIC {
		e.state = finished
		return encodeNegResp(acceptCompleted, mech, reply, nil), nil
	}
	ours, err := e.kerberos.sum(e.mechTypes)
	if err != nil {
		return nil, err
	}
	if mic == nil {
		// The client could not make one: the key is in the answer, RFC 4178 5.
		e.state = wantMIC
		return encodeNegResp(acceptIncomplete, mech, reply, ours), nil
	}
	return e.finishTicket(encodeNegResp(acceptCompleted, mech, reply, ours), mic)
}

// finishTicket ends an authentication by Kerberos with a client's mechListMIC.
func (e *Exchange) finishTicket(reply, mic []byte) ([]byte, error) {
	if mic == nil {
		return nil, refused("user %q: no mechListMIC, but Kerberos was not the client's first choice", e.kerberos.claimed.User)
	}
	if err := e.kerberos.verify(e.mechTypes, mic); err != nil {
		return nil, refused("user %q: mechListMIC: %w", e.kerberos.claimed.User, err)
	}
	e.state = finished
	return reply, nil
}

// stepResp answers a NegTokenResp.
func (e *Exchange) stepResp(token []byte) ([]byte, error) {
	t, err := parseNegResp(token)
	if err != nil {
		return nil, err
	}
	if t.state == rejected {
		return nil, refused("the client gave up the negotiation")
	}
	if e.state == wantMIC {
		return e.finishTicket(encodeNegResp(acceptCompleted, nil, nil, nil), t.mic)
	}
	if t.token == nil {
		return nil, malformed("NegTokenResp without responseToken")
	}
	if e.kerberos != nil {
		return e.stepTicket(nil, t.token, t.mic)
	}
	reply, err := e.stepNTLM(t.token)
	if err != nil {
		return nil, err
	}
	if e.state != finished {
		return encodeNegResp(acceptIncomplete, nil, reply, nil), nil
	}
	mic, err := e.checkMechListMIC(t.mic)
	if err != nil {
		return nil, err
	}
	return encodeNegResp(acceptCompleted, nil, nil, mic), nil
}

// checkMechListMIC verifies the client's mechListMIC and returns the server's, which is
// due when the client sent one (RFC 4178 5); nil when none is to be sent.
func (e *Exchange) checkMechListMIC(mic []byte) ([]byte, error) {
	switch {
	case e.ntlm.fromClient == nil && (e.ntlm.id.Guest || mic == nil && !e.needMIC):
		return nil, nil // a guest whose key is unknown, or nothing to verify
	case e.ntlm.fromClient == nil:
		return nil, refused("user %q: no extended session security, whose mechListMIC alone is known here", e.ntlm.id.User)
	case mic == nil && e.needMIC && !e.ntlm.id.Guest:
		return nil, refused("user %q: no mechListMIC, but NTLMSSP was not the client's first choice", e.ntlm.id.User)
	case mic == nil:
		return nil, nil
	case !e.ntlm.fromClient.verify(e.mechTypes, mic):
		return nil, refused("user %q: mechListMIC does not fit the list of mechanisms", e.ntlm.id.User)
	}
	sum := e.ntlm.toClient.sum(e.mechTypes)
	return sum[:], nil
}
