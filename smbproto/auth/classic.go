package auth

import (
	"fmt"
	"io"
)

// Classic is a log-on without SPNEGO and NTLMSSP, as SMB1 has it: the challenge stands in the answer to the
// negotiation, and the response in the one request that follows (MS-CIFS 2.2.4.53). It proves no less than NTLMSSP does:
// only an NTLMv2 response is taken. A Classic may be used for many log-ons, one at a time.
type Classic struct {
	cfg       Config
	challenge [8]byte
}

// NewClassic makes a challenge.
func NewClassic(cfg Config) (*Classic, error) {
	cfg.setDefaults()
	c := &Classic{cfg: cfg}
	if _, err := io.ReadFull(cfg.Rand, c.challenge[:]); err != nil {
		return nil, fmt.Errorf("auth: no randomness for the server challenge: %w", err)
	}
	return c, nil
}

// Challenge is what the client is told.
func (c *Classic) Challenge() []byte { return c.challenge[:] }

// LogOn judges the responses of a client: lm, that of LAN Manager, is not looked at but to know an anonymous
// client, which sends none. Errors are as those of Exchange.Step.
func (c *Classic) LogOn(user, domain string, lm, nt []byte) (Identity, error) {
	m := authenticate{user: utf16le(user), domain: utf16le(domain), lm: lm, nt: nt}
	if len(m.user) > maxName || len(m.domain) > maxName || len(nt) > MaxToken {
		return Identity{}, malformed("user of %d bytes, domain of %d, response of %d", len(m.user), len(m.domain), len(nt))
	}
	a := acceptor{cfg: c.cfg, serverChallenge: c.challenge}
	err := a.judge(&m)
	return a.id, err
}
