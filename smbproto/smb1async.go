package smbproto

import (
	"time"

	"ustack/smbproto/wire"
)

// smb1Pending is what a request of SMB1 that waits has besides. It gets one answer, when what it waits for has come:
// there is no interim one.
type smb1Pending struct {
	seq   uint32
	code  wire.SMB1Command
	timer *time.Timer // ends its waiting; nil if it waits for ever
}

func (s *smb1) pending() smb1Pending { return smb1Pending{seq: s.req.seq, code: s.req.code} }

// answerPendingSMB1 answers a request that has been settled.
func (c *Conn) answerPendingSMB1(p *pending) error {
	out := p.output
	room := wire.SMB1HeaderSize + 256 + len(out)
	b, err := c.reserve(room)
	if err != nil {
		return err
	}
	s := c.smb1
	s.req = smb1Request{request: request{msg: p.head[:], session: p.channel.session, channel: p.channel}, code: p.smb1.code, seq: p.smb1.seq}
	s.rep = smb1Reply{reply: reply{msg: b[wire.FrameHeaderSize : wire.FrameHeaderSize+room]}, at: wire.SMB1HeaderSize}
	r, w := &s.req, &s.rep
	status := p.status
	if status == wire.StatusNotifyEnumDir || status == wire.StatusNotifyCleanup {
		status = wire.StatusOK // with no changes, by which a client knows that there are too many to tell, or none will be
	}
	switch {
	case status != wire.StatusOK:
		w.words(0)
	case r.code == wire.SMB1NTTransact: // NOTIFY_CHANGE: the changes are its parameters
		const at = wire.SMB1HeaderSize + 48 // behind the words
		copy(w.msg[at:], out)
		putTrans(w, true, nil, at, len(out), at+len(out), 0)
	default:
		w.andX(2)
	}
	c.finishSMB1(r, w, status)
	n := w.n
	s.req, s.rep = smb1Request{}, smb1Reply{}
	c.commit(b, n)
	return nil
}

// tryAgainSMB1 runs a message that has waited once more, or says that it can't be.
func (c *Conn) tryAgainSMB1(p *pending) error {
	c.resumed = p
	defer func() { c.resumed = nil }()
	return c.messageSMB1(p.again)
}

// ntCancel: MS-CIFS 2.2.4.65. It has no answer; what it cancels has.
func (c *Conn) ntCancel(r *smb1Request, _ *smb1Reply) wire.Status {
	h := r.header()
	for _, p := range c.pending {
		of := wire.SMB1Header(p.head[:])
		if of.MID() != h.MID() || of.UID() != h.UID() || of.TID() != h.TID() || of.PID() != h.PID() {
			continue
		}
		if p.place.withdraw(p) {
			status := wire.StatusCancelled
			if p.smb1.code == wire.SMB1LockingAndX {
				status = wire.StatusFileLockConflict
			}
			p.settle(status, nil)
		}
	}
	return wire.StatusOK
}

// echoSMB1: MS-CIFS 2.2.4.39. It is answered as often as the client says, within reason.
func (c *Conn) echoSMB1(r *smb1Request, w *smb1Reply) wire.Status {
	n := int(r.block.Word(0))
	if n == 0 {
		w.silent = true
		return wire.StatusOK
	}
	wire.PutSMB1U16(w.words(1), 1)
	if len(r.block.Bytes) > len(w.room()) {
		return wire.StatusInsufficientResources
	}
	w.grow(copy(w.room(), r.block.Bytes))
	w.repeat = min(n, maxEchoes) - 1
	return wire.StatusOK
}

// maxEchoes bounds the answers to one ECHO.
const maxEchoes = 100

func echoRoom(_ *Conn, _ wire.SMB1Header, b *wire.SMB1Block) int { return len(b.Bytes) }
