package smbproto

import (
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// protection is how the messages of a connection are signed. No cipher is chosen: none can be
// encrypted.
type protection struct {
	signing      crypt.SigningAlgorithm
	askedSigning bool // a client of dialect 3.1.1 wants to be told
}

// signingChoice is what is chosen of what a client offers, best first: GMAC takes an eighth of CMAC's time.
var signingChoice = []crypt.SigningAlgorithm{crypt.AESGMAC, crypt.AESCMAC, crypt.HMACSHA256}

// protect chooses what protects the messages in dialect d, MS-SMB2 3.3.5.4.
func (c *Conn) protect(req wire.NegotiateRequest, d wire.Dialect) (p protection, status wire.Status) {
	if d >= wire.Dialect300 {
		p.signing = crypt.AESCMAC
	}
	if d >= wire.Dialect311 {
		status = c.readContexts(req, &p)
	}
	return p, status
}

// readContexts reads the negotiate contexts of a client of dialect 3.1.1. Those that
// are unknown are passed over.
func (c *Conn) readContexts(req wire.NegotiateRequest, p *protection) wire.Status {
	var seen [wire.ContextSigning + 1]bool
	err := req.EachContext(func(kind wire.NegotiateContextType, data []byte) error {
		if int(kind) >= len(seen) {
			return nil
		}
		read := contextReaders[kind]
		if read == nil {
			return nil
		}
		if seen[kind] {
			return wire.StatusInvalidParameter // one of each, at most
		}
		seen[kind] = true
		return read(c, p, data)
	})
	if err == nil && !seen[wire.ContextPreauthIntegrity] {
		return wire.StatusInvalidParameter
	}
	return wire.StatusOf(err)
}

var contextReaders = [wire.ContextSigning + 1]func(*Conn, *protection, []byte) error{
	wire.ContextPreauthIntegrity: (*Conn).readPreauth,
	wire.ContextSigning:          (*Conn).readSigning,
}

func (c *Conn) readPreauth(_ *protection, data []byte) error {
	d := wire.PreauthCapabilities(data)
	if err := d.Valid(); err != nil {
		return err
	}
	if !d.Offers(wire.PreauthSHA512) {
		return wire.StatusNoPreauthHashOverlap
	}
	return nil
}

func (c *Conn) readSigning(p *protection, data []byte) error {
	d := wire.Algorithms(data)
	if err := d.Valid(); err != nil {
		return err
	}
	p.askedSigning = true
	for _, a := range signingChoice {
		if d.Offers(uint16(a)) {
			p.signing = a
			return nil
		}
	}
	return nil // AES-CMAC then, MS-SMB2 3.3.5.4
}

// putContexts writes the contexts of a negotiate response, and returns their number and length.
func (p *protection) putContexts(b, salt []byte) (count, n int) {
	n = wire.PutPreauth(b, salt)
	if !p.askedSigning {
		return 1, n
	}
	at := wire.Align8(n)
	clear(b[n:at])
	return 2, at + wire.PutAlgorithm(b[at:], wire.ContextSigning, uint16(p.signing))
}
