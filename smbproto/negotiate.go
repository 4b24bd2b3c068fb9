package smbproto

import (
	"fmt"
	"io"
	"slices"

	"ustack/smbproto/wire"
)

// checkState says whether the command may come now: NEGOTIATE first, and once
// (MS-SMB2 3.3.5.2, 3.3.5.3.1). An error ends the connection.
func (c *Conn) checkState(r *request) error {
	begun := c.dialect != 0 && c.dialect != wire.DialectWildcard
	if begun == (r.cmd == wire.CommandNegotiate) {
		return fmt.Errorf("%w: %v when the dialect is %v", wire.ErrMalformed, r.cmd, c.dialect)
	}
	return nil
}

// negotiateSMB1 answers a client that begins with SMB1 and says that it can do more,
// MS-SMB2 3.3.5.3. One that cannot is told so in its own words, and left.
func (c *Conn) negotiateSMB1(msg []byte) error {
	req := wire.SMB1NegotiateRequest(msg)
	if err := req.Valid(); err != nil {
		return err
	}
	if c.dialect != 0 {
		return fmt.Errorf("%w: SMB1 message when the dialect is %v", wire.ErrMalformed, c.dialect)
	}
	c.srv.counters.requests[wire.CommandNegotiate].Add(1)
	switch {
	case req.Offers(wire.SMB1DialectWildcard) && c.cfg.MaxDialect >= wire.Dialect210:
		c.dialect = wire.DialectWildcard
	case req.Offers(wire.SMB1Dialect202) && c.cfg.MinDialect <= wire.Dialect202 && c.cfg.MaxDialect >= wire.Dialect202:
		c.setDialect(wire.Dialect202)
	case req.Offers(wire.SMB1DialectNT1) && c.cfg.MinDialect == wire.DialectNT1:
		return c.negotiateNT1(req)
	default:
		c.log.Info("client speaks no dialect that is allowed here", "least", c.cfg.MinDialect.String())
		b, err := c.reserve(wire.SMB1RefusalSize)
		if err != nil {
			return err
		}
		wire.PutSMB1Refusal(b[wire.FrameHeaderSize:], req)
		c.commit(b, wire.SMB1RefusalSize)
		return errHangUp
	}
	if err := c.credits.take(0, 1); err != nil {
		return err
	}
	b, err := c.reserve(wire.NegotiateFixed + len(c.cfg.offer))
	if err != nil {
		return err
	}
	out := b[wire.FrameHeaderSize:]
	n := c.putNegotiate(out, nil)
	h := wire.Header(out)
	h.PutFirst(wire.CommandNegotiate)
	h.PutCredits(c.credits.grant(1))
	c.commit(b, n)
	return nil
}

// negotiate chooses the dialect, MS-SMB2 3.3.5.4.
func (c *Conn) negotiate(r *request, w *reply) wire.Status {
	req := wire.NegotiateRequest(r.msg)
	if req.Valid() != nil || req.DialectCount() == 0 {
		return wire.StatusInvalidParameter
	}
	best := c.cfg.bestDialect(req.DialectCount(), req.Dialect)
	if best == 0 {
		return wire.StatusNotSupported
	}
	p, status := c.protect(req, best)
	if status != wire.StatusOK {
		return status
	}
	var salt []byte
	if best == wire.Dialect311 {
		salt = make([]byte, wire.PreauthSaltSize)
		if _, err := io.ReadFull(c.srv.cfg.Rand, salt); err != nil {
			c.log.Error("salt", "cause", err)
			return wire.StatusInsufficientResources
		}
	}
	c.protection = p
	c.setDialect(best)
	c.clientMode = req.SecurityMode()
	c.clientCaps = req.Capabilities()
	copy(c.clientGUID[:], req.ClientGUID())
	w.n = c.putNegotiate(w.msg, salt)
	return wire.StatusOK
}

// bestDialect is the highest one that both sides speak and the configuration allows, or 0.
func (c *Config) bestDialect(n int, offered func(i int) wire.Dialect) (best wire.Dialect) {
	for i := range n {
		d := offered(i)
		if slices.Contains(Dialects, d) && d >= c.MinDialect && d <= c.MaxDialect {
			best = max(best, d)
		}
	}
	return best
}

func (c *Conn) setDialect(d wire.Dialect) {
	c.dialect = d
	c.largeMTU = d >= wire.Dialect210
	if !c.largeMTU {
		const most = 64 << 10
		c.maxRead, c.maxWrite, c.maxTransact = min(c.maxRead, most), min(c.maxWrite, most), min(c.maxTransact, most)
	}
}

// capabilities of the server. Those of encryption, channels and leases of directories are told to clients that have them: some stumble over what they did not
// ask for. That of encryption belongs to dialects 3.0 and 3.0.2: in 3.1.1 the negotiate context says it (MS-SMB2 3.3.5.4).
func (c *Conn) capabilities() (caps uint32) {
	if c.largeMTU {
		caps |= wire.CapabilityLargeMTU | wire.CapabilityLeasing
	}
	if c.multiChannel() {
		caps |= c.clientCaps & wire.CapabilityMultiChannel
	}
	if c.dialect >= wire.Dialect300 {
		caps |= c.clientCaps & wire.CapabilityDirectoryLeasing
	}
	if c.protection.cipher != 0 && c.dialect < wire.Dialect311 {
		caps |= wire.CapabilityEncryption
	}
	return caps
}

func (c *Conn) securityMode() uint16 {
	if c.cfg.RequireSigning {
		return wire.SigningEnabled | wire.SigningRequired
	}
	return wire.SigningEnabled
}

// putNegotiate writes the response; its contexts, of dialect 3.1.1, need a salt.
func (c *Conn) putNegotiate(msg, salt []byte) int {
	s := c.srv
	n := wire.NegotiateFixed + copy(msg[wire.NegotiateFixed:], c.cfg.offer)
	var contexts, at int
	if c.dialect == wire.Dialect311 {
		at = wire.Align8(n)
		clear(msg[n:at])
		contexts, n = c.protection.putContexts(msg[at:], salt)
		n += at
	}
	wire.NegotiateResponse(msg).Put(&wire.NegotiateValues{
		SecurityMode:    c.securityMode(),
		Dialect:         c.dialect,
		GUID:            s.cfg.GUID,
		Capabilities:    c.capabilities(),
		MaxTransact:     uint32(c.maxTransact),
		MaxRead:         uint32(c.maxRead),
		MaxWrite:        uint32(c.maxWrite),
		SystemTime:      wire.FiletimeOf(s.cfg.Now()),
		ServerStartTime: 0, // some clients take a late start for a restart
		TokenLength:     len(c.cfg.offer),
		ContextCount:    contexts,
		ContextOffset:   at,
	})
	return n
}
