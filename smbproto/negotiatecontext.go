package smbproto

import (
	"slices"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// protection is how the messages of a connection are signed and encrypted.
type protection struct {
	cipher       crypt.Cipher // 0: none
	askedCipher  bool         // a client of dialect 3.1.1 wants to be told
	signing      crypt.SigningAlgorithm
	askedSigning bool // a client of dialect 3.1.1 wants to be told
}

// signingChoice is what is chosen of what a client offers, best first: GMAC takes an eighth of CMAC's time.
var signingChoice = []crypt.SigningAlgorithm{crypt.AESGMAC, crypt.AESCMAC, crypt.HMACSHA256}

// cipherChoice is what is chosen of what a client offers, best first. GCM before CCM: it is done in
// one pass, by instructions that work on several blocks at once, where CCM takes two passes of AES, one of
// them block after block. AES-128 before AES-256: it takes ten rounds instead of fourteen, and NTLM's session
// key, from which the keys are derived, has 128 bits.
var cipherChoice = []crypt.Cipher{crypt.AES128GCM, crypt.AES256GCM, crypt.AES128CCM, crypt.AES256CCM}

// protect chooses what protects the messages in dialect d, MS-SMB2 3.3.5.4.
func (c *Conn) protect(req wire.NegotiateRequest, d wire.Dialect) (p protection, status wire.Status) {
	if d >= wire.Dialect300 {
		p.signing = crypt.AESCMAC
	}
	switch {
	case d >= wire.Dialect311:
		status = c.readContexts(req, &p)
	case d >= wire.Dialect300 && c.cfg.Encryption != EncryptionOff && req.Capabilities()&wire.CapabilityEncryption != 0:
		p.cipher = crypt.AES128CCM
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
	wire.ContextEncryption:       (*Conn).readEncryption,
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

// readEncryption chooses a cipher. If there is none in common, the answer says so with
// a 0, MS-SMB2 3.3.5.4.
func (c *Conn) readEncryption(p *protection, data []byte) error {
	d := wire.Algorithms(data)
	if err := d.Valid(); err != nil {
		return err
	}
	if c.cfg.Encryption == EncryptionOff {
		return nil // as if the context were unknown here
	}
	p.askedCipher = true
	p.cipher = bestOf(cipherChoice, d, 0)
	return nil
}

// readSigning chooses how messages are signed: by AES-CMAC if nothing is in common, MS-SMB2 3.3.5.4.
func (c *Conn) readSigning(p *protection, data []byte) error {
	d := wire.Algorithms(data)
	if err := d.Valid(); err != nil {
		return err
	}
	p.askedSigning = true
	p.signing = bestOf(signingChoice, d, crypt.AESCMAC)
	return nil
}

// bestOf is the first of choice that is offered, or otherwise.
func bestOf[A ~uint16](choice []A, offers wire.Algorithms, otherwise A) A {
	if i := slices.IndexFunc(choice, func(a A) bool { return offers.Offers(uint16(a)) }); i >= 0 {
		return choice[i]
	}
	return otherwise
}

// putContexts writes the contexts of a negotiate response, and returns their number and length.
func (p *protection) putContexts(b, salt []byte) (count, n int) {
	count, n = 1, wire.PutPreauth(b, salt)
	add := func(kind wire.NegotiateContextType, algorithm uint16) {
		at := wire.Align8(n)
		clear(b[n:at])
		count, n = count+1, at+wire.PutAlgorithm(b[at:], kind, algorithm)
	}
	if p.askedCipher {
		add(wire.ContextEncryption, uint16(p.cipher))
	}
	if p.askedSigning {
		add(wire.ContextSigning, uint16(p.signing))
	}
	return count, n
}
