package smbproto

import "ustack/smbproto/wire"

// posixOpen opens a file as open(2) does, or makes a directory as mkdir(2) does.
func (c *Conn) posixOpen(r *smb1Request, t *transaction, name string, out *transOut) wire.Status {
	q, err := wire.ReadSMB1PosixOpen(t.data)
	if err != nil || len(out.data) < q.ReplySize() {
		return wire.StatusInvalidParameter
	}
	wire.PutSMB1U16(out.params, 0)
	out.np = 2
	if makes := wire.SMB1PosixDirectory | wire.SMB1PosixCreate; q.Flags&makes == makes {
		cr := creation{
			share: shareEverything, disposition: wire.Create, options: wire.OptionDirectory, exact: true, mode: q.Mode, hasMode: true,
		}
		return c.withPathFor(r, name, &cr, wire.AccessReadAttributes, func(o *open) wire.Status {
			if err := o.fill(&c.info); err != nil {
				return wire.StatusOf(err)
			}
			out.nd = q.PutReply(out.data, smb1OplockNone, 0, wire.ActionCreated, &c.info)
			return wire.StatusOK
		})
	}
	cr, desired, status := posixCreation(&q)
	if status == wire.StatusOK {
		status = cr.checkSMB1(r, r.path(name), desired)
	}
	if status != wire.StatusOK {
		return status
	}
	cuts := q.Flags&wire.SMB1PosixTruncate != 0
	cr.first = func(o *open, action wire.CreateAction) wire.Status {
		o.maximal = cr.maximal
		if cuts && action == wire.ActionOpened {
			return c.cut(o, 0)
		}
		return wire.StatusOK
	}
	o, action, status := c.openSMB1(r, &cr, denyModes)
	if status != wire.StatusOK {
		return status
	}
	if cuts && action == wire.ActionOpened {
		action = wire.ActionOverwritten
	}
	out.nd = q.PutReply(out.data, c.oplockSMB1(o), o.smb1.fid, action, &c.info)
	return wire.StatusOK
}

// posixCreation is the creation that an open asks for. What the open could have besides is asked for, for what
// POSIX does to a file that is open, as changing its mode.
func posixCreation(q *wire.SMB1PosixOpen) (cr creation, desired wire.Access, status wire.Status) {
	const (
		reads  = wire.AccessReadData | wire.AccessReadAttributes
		writes = wire.AccessWriteData | wire.AccessAppendData | wire.AccessReadAttributes
	)
	switch q.Flags & (wire.SMB1PosixReadOnly | wire.SMB1PosixWriteOnly | wire.SMB1PosixReadWrite) {
	case 0, wire.SMB1PosixReadOnly:
		desired = reads
	case wire.SMB1PosixWriteOnly:
		desired = writes
	case wire.SMB1PosixReadWrite:
		desired = reads | writes
	default:
		return cr, 0, wire.StatusInvalidParameter
	}
	cr = creation{
		share: shareEverything, disposition: wire.Open, options: wire.OptionNonDirectory, exact: true, wantMxAc: true,
		mode: q.Mode, hasMode: true,
	}
	if q.Flags&wire.SMB1PosixTruncate != 0 {
		desired |= writes
		cr.outdates = true
	}
	if q.Flags&wire.SMB1PosixDirectory != 0 {
		cr.options = wire.OptionDirectory
	}
	if q.Flags&wire.SMB1PosixSync != 0 {
		cr.options |= wire.OptionWriteThrough
	}
	switch {
	case q.Flags&wire.SMB1PosixCreate == 0:
	case q.Flags&wire.SMB1PosixExclusive != 0:
		cr.disposition = wire.Create
	default:
		cr.disposition = wire.OpenIf
	}
	cr.askOplock(q.Oplock&smb1CreateOplock != 0, q.Oplock&smb1CreateBatch != 0)
	return cr, desired, wire.StatusOK
}
