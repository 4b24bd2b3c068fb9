package smbproto

import "ustack/smbproto/wire"

// Levels of oplocks as SMB1 counts them, MS-CIFS 2.2.4.64.2.
const (
	smb1OplockNone = iota
	smb1OplockExclusive
	smb1OplockBatch
	smb1OplockII
)

// oplockSMB1 is the level that an open has been granted. A client that does not know level II has none then: it is not told
// when it breaks.
func (c *Conn) oplockSMB1(o *open) byte {
	if o.file == nil {
		return smb1OplockNone
	}
	held := c.srv.files.held(o)
	switch held.level {
	case wire.OplockExclusive:
		return smb1OplockExclusive
	case wire.OplockBatch:
		return smb1OplockBatch
	case wire.OplockII:
		if c.smb1.level2 {
			return smb1OplockII
		}
	}
	return smb1OplockNone
}

// askOplock has a creation ask for an oplock, or none.
func (cr *creation) askOplock(exclusive, batch bool) {
	switch {
	case batch:
		cr.asked.state = wire.OplockBatch.State()
	case exclusive:
		cr.asked.state = wire.OplockExclusive.State()
	}
}

// hasOplock reports whether an open has an oplock that the older calls know: not one of level II, of which they can't say.
func (c *Conn) hasOplock(o *open) bool {
	level := c.oplockSMB1(o)
	return level == smb1OplockExclusive || level == smb1OplockBatch
}

// sendBreakSMB1 tells the client that an oplock breaks: by a request of the server's, a LOCKING_ANDX (MS-CIFS 2.2.4.32.1). It
// is never signed.
func (c *Conn) sendBreakSMB1(n *breakNotice) error {
	o := n.session.open(n.open)
	ch := c.sessions[n.session.id]
	if o == nil || ch == nil || o.smb1 == nil {
		return nil // closed meanwhile
	}
	level2 := n.to&wire.LeaseRead != 0 && c.smb1.level2
	if !c.smb1.level2 && !n.ack {
		return nil // of level II, of which the client does not know that it has it
	}
	b, err := c.reserve(wire.SMB1BreakSize)
	if err != nil {
		return err
	}
	wire.PutSMB1Break(b[wire.FrameHeaderSize:], ch.uid, uint16(o.tree.id), o.smb1.fid, level2)
	c.srv.counters.breaks.Add(1)
	c.commit(b, wire.SMB1BreakSize)
	return nil
}

// acknowledgeSMB1 takes an acknowledgment, MS-CIFS 3.3.5.30. One that nobody waits for, because the answer to the
// break and another one have crossed, is nothing.
func (c *Conn) acknowledgeSMB1(o *open, level byte) {
	to := wire.OplockNone
	if level == 1 {
		to = wire.OplockII
	}
	if _, status := c.srv.files.acknowledge(o, to); status != wire.StatusOK {
		c.log.Debug("oplock break acknowledged in vain", "status", status.String())
	}
}
