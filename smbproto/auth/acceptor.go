package auth

import (
	"errors"
	"fmt"
	"io"
)

// acceptor is the server's side of one NTLMSSP authentication, without SPNEGO.
type acceptor struct {
	cfg             Config
	flags           uint32
	serverChallenge [8]byte
	negotiate       []byte // the messages as they went over the wire, for the MIC
	challenge       []byte

	id      Identity
	claimed Identity // of the names alone, before anything is proved
	// What signs mechListMIC, each way; nil when the client's key is not known, as with a guest that
	// gave some password, and without extended session security.
	fromClient, toClient *security
}

// offer answers a NEGOTIATE_MESSAGE with a CHALLENGE_MESSAGE.
func (a *acceptor) offer(msg []byte) ([]byte, error) {
	flags, err := parseNegotiate(msg)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(a.cfg.Rand, a.serverChallenge[:]); err != nil {
		return nil, fmt.Errorf("auth: no randomness for the server challenge: %w", err)
	}
	a.negotiate = append([]byte(nil), msg...)
	a.challenge, a.flags = buildChallenge(flags, a.cfg.ServerName, a.cfg.Domain, a.serverChallenge, a.cfg.Now())
	return append([]byte(nil), a.challenge...), nil
}

// accept judges an AUTHENTICATE_MESSAGE. Without an error, a.id says who the peer is.
func (a *acceptor) accept(msg []byte) error {
	m, err := parseAuthenticate(msg, a.flags)
	if err != nil {
		return err
	}
	return a.judge(&m)
}

// judge says who the peer is, and puts it into a.id.
func (a *acceptor) judge(m *authenticate) (err error) {
	id := Identity{User: fromUTF16(m.user), Domain: fromUTF16(m.domain), Workstation: fromUTF16(m.host)}
	a.claimed = id
	if m.anonymous() {
		if !a.cfg.Guest && !a.cfg.Anonymous {
			return refused("anonymous logon")
		}
		id.Anonymous, id.Guest = true, true
		// MS-NLMP 3.3.1 and 3.3.2: the base key of a null session is zero.
		if id.SessionKey, err = a.setKeys(m, [16]byte{}); err != nil {
			return err
		}
		a.id = id
		return nil
	}
	hash, known := a.cfg.account(id.User)
	switch {
	case known:
		if id.SessionKey, err = a.acceptUser(m, hash); err != nil {
			return err
		}
	case a.cfg.Guest:
		id.Guest = true
		a.acceptGuest(m)
	default:
		// The work of a wrong password, and the error of a malformed response, so that
		// neither time nor status tells who has an account. A proof with the zero hash is none.
		if _, err := m.prove(hash, a.serverChallenge); errors.Is(err, ErrMalformed) {
			return err
		}
		return refused("no account for user %q", id.User)
	}
	a.id = id
	return nil
}

// acceptUser demands the proof that the peer knows the account's password, and returns the session key.
func (a *acceptor) acceptUser(m *authenticate, hash [16]byte) (key [16]byte, err error) {
	p, err := m.prove(hash, a.serverChallenge)
	if err != nil {
		return key, err
	}
	if key, err = a.setKeys(m, p.baseKey); err != nil {
		return key, err
	}
	if p.hasMIC {
		return key, m.checkMIC(key, a.negotiate, a.challenge)
	}
	return key, nil
}

// acceptGuest finds the keys of a guest who gave the empty password, as most
// do: such a client may insist on a mechListMIC. Any other password is as good, but
// leaves the keys unknown.
func (a *acceptor) acceptGuest(m *authenticate) {
	if p, err := m.prove(NTHash(""), a.serverChallenge); err == nil {
		// Without keys there is no mechListMIC, and nothing else is lost.
		_, _ = a.setKeys(m, p.baseKey)
	}
}

func (a *acceptor) setKeys(m *authenticate, baseKey [16]byte) (key [16]byte, err error) {
	// MS-NLMP 2.2.1.3: the client chooses from the server's flags. One that has left them out and sends a key has
	// taken what was offered.
	flags := m.flags & a.flags
	if m.flags == 0 && len(m.sessionKey) > 0 {
		flags = a.flags
	}
	if key, err = m.exportedKey(baseKey, flags); err != nil {
		return key, err
	}
	if a.flags&flagExtendedSession == 0 {
		return key, nil
	}
	a.fromClient = newSecurity(key, flags, clientSigning, clientSealing)
	a.toClient = newSecurity(key, flags, serverSigning, serverSealing)
	return key, nil
}
