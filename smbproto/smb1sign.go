package smbproto

import "ustack/smbproto/wire"

// checkSignatureSMB1 takes the request's sequence number, and verifies its signature if messages are signed.
func (c *Conn) checkSignatureSMB1(r *smb1Request) wire.Status {
	s := c.smb1
	r.seq = s.seq
	if s.signer == nil {
		return wire.StatusOK
	}
	// A request without an answer takes one number, any other two (MS-CIFS 3.1.4.1).
	s.seq += 2
	if smb1Commands[r.header().Command()].silent {
		s.seq--
	}
	if !s.signer.Verify(r.msg, r.seq) {
		c.log.Warn("bad signature", "command", smb1Commands[r.header().Command()].name)
		return wire.StatusAccessDenied
	}
	return wire.StatusOK
}

// signSMB1 signs an answer to the request of a sequence number.
func (c *Conn) signSMB1(msg []byte, seq uint32) {
	s := c.smb1
	if s.signer == nil {
		return
	}
	h := wire.SMB1Header(msg)
	h.PutFlags2(h.Flags2() | wire.SMB1Flags2Signed)
	if err := s.signer.Sign(msg, seq+1); err != nil {
		panic(err) // msg has a whole header: a mistake in this package
	}
}
