package smbproto

import (
	"ustack/smbproto/auth"
	"ustack/smbproto/wire"
)

const (
	// smb1MaxBuffer is the longest message that an SMB1 client may send, READs and WRITEs that are called large
	// apart: what Windows and Samba have.
	smb1MaxBuffer = 16644
	// smb1MaxMpx is how many requests a client may have outstanding. Those that wait for something are bounded by
	// Limits.MaxPending besides.
	smb1MaxMpx = 50
)

// smb1Capabilities, but for that of extended security.
const smb1Capabilities = wire.SMB1CapUnicode | wire.SMB1CapLevel2Oplocks | wire.SMB1CapLargeFiles | wire.SMB1CapNTSMBs | wire.SMB1CapRPCRemoteAPIs |
	wire.SMB1CapStatus32 | wire.SMB1CapLockAndRead | wire.SMB1CapNTFind | wire.SMB1CapPassthru |
	wire.SMB1CapLargeReadX | wire.SMB1CapLargeWriteX | wire.SMB1CapUnix

// negotiateNT1 answers a client that speaks no SMB2, or none that is allowed here (MS-CIFS 2.2.4.52, MS-SMB 2.2.4.5).
func (c *Conn) negotiateNT1(req wire.SMB1NegotiateRequest) error {
	h := wire.SMB1Header(req)
	extended := h.Has(wire.SMB1Flags2ExtendedSecurity)
	c.dialect = wire.DialectNT1
	c.smb1 = &smb1{
		maxBuffer: smb1MaxBuffer,
		sessions:  map[uint16]*channel{},
		trees:     map[uint16]*tree{},
		files:     map[uint16]*open{},
		searches:  map[uint16]*smb1Search{},
	}
	v := wire.SMB1NegotiateValues{
		Index:        req.Index(wire.SMB1DialectNT1),
		SecurityMode: wire.SMB1SecurityUser | wire.SMB1SecurityEncrypt | wire.SMB1SecuritySigningEnabled,
		MaxMpx:       smb1MaxMpx,
		MaxBuffer:    uint32(min(smb1MaxBuffer, c.largestFrame)),
		Capabilities: smb1Capabilities,
		Time:         wire.FiletimeOf(c.srv.cfg.Now()),
	}
	if c.cfg.RequireSigning {
		v.SecurityMode |= wire.SMB1SecuritySigningRequired
	}
	if extended {
		v.Capabilities |= wire.SMB1CapExtendedSecurity | wire.SMB1CapDynamicReauth
	} else {
		classic, err := auth.NewClassic(c.srv.settings().cfg.Auth)
		if err != nil {
			return err
		}
		c.smb1.classic, v.Challenge = classic, classic.Challenge()
	}
	domain, server := c.srv.cfg.Auth.Domain, c.srv.cfg.Auth.ServerName
	b, err := c.reserve(wire.SMB1HeaderSize + 64 + len(c.cfg.offer) + wire.SMB1StringSize(domain) + wire.SMB1StringSize(server))
	if err != nil {
		return err
	}
	w := smb1Reply{reply: reply{msg: b[wire.FrameHeaderSize:]}, at: wire.SMB1HeaderSize}
	wire.PutSMB1Negotiate(w.words(wire.SMB1NegotiateWords), &v)
	if extended {
		w.grow(copy(w.room(), c.srv.cfg.GUID[:]))
		w.grow(copy(w.room(), c.cfg.offer))
	} else {
		w.grow(copy(w.room(), v.Challenge))
		// In Unicode, whether the request says so or not, as from Windows: what the client takes is agreed by this answer, whose
		// capabilities say that the server has it. They are not aligned (MS-CIFS 2.2.4.52.2).
		for _, s := range []string{domain, server} {
			w.grow(wire.PutSMB1String(w.room(), 0, s, true))
		}
	}
	answer := wire.SMB1Header(w.msg)
	answer.PutResponse(h)
	c.commit(b, w.n)
	return nil
}
