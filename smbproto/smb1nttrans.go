package smbproto

import (
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// What NT_TRANSACT may ask for, MS-CIFS 2.2.7.
var ntFunctions = map[uint16]*transFunction{
	1: {name: "NT_TRANSACT_CREATE", needs: changesNames, params: 53, run: (*Conn).ntTransactCreate},
	2: {name: "NT_TRANSACT_IOCTL", needs: needOpen, fid: 4, run: (*Conn).ntIoctl},
	4: {name: "NT_TRANSACT_NOTIFY_CHANGE", needs: needOpen, fid: 4, run: (*Conn).ntNotifyChange},
	3: {name: "NT_TRANSACT_SET_SECURITY_DESC", needs: needOpen | changesNames, params: 8, run: (*Conn).ntSetSecurity},
	5: {name: "NT_TRANSACT_RENAME", needs: needOpen, params: 4, run: (*Conn).ntTransactRename},
	6: {name: "NT_TRANSACT_QUERY_SECURITY_DESC", needs: needOpen, params: 8, run: (*Conn).ntQuerySecurity},
}

// ntTransactCreate: MS-CIFS 2.2.7.1, NT_CREATE_ANDX with a security descriptor and EAs.
func (c *Conn) ntTransactCreate(r *smb1Request, t *transaction, out *transOut) wire.Status {
	p := t.params
	q := ntCreation{
		flags: wire.SMB1U32(p), root: wire.SMB1U32(p[4:]), desired: wire.Access(wire.SMB1U32(p[8:])), allocation: wire.SMB1U64(p[12:]),
		attributes: wire.SMB1U32(p[20:]), share: wire.SMB1U32(p[24:]), disposition: wire.SMB1U32(p[28:]), options: wire.SMB1U32(p[32:]),
		impersonation: wire.SMB1U32(p[48:]),
	}
	security, eas := uint64(wire.SMB1U32(p[36:])), uint64(wire.SMB1U32(p[40:]))
	if security+eas > uint64(len(t.data)) {
		return wire.StatusInvalidParameter
	}
	name, status := r.nameIn(p, 53)
	if status != wire.StatusOK {
		return status
	}
	if security > 0 && !r.tree.isPipe() {
		if q.security, status = readSecurity(t.data[:security], r.session.token.Load()); status != wire.StatusOK {
			return status
		}
	}
	if eas > 0 && !r.tree.isPipe() {
		if q.eas, status = readEAs(t.data[security:security+eas], r.tree.share.root); status != wire.StatusOK {
			return status
		}
	}
	o, action, status := c.ntCreate(r, name, &q)
	if status != wire.StatusOK {
		return status
	}
	// As the words of NT_CREATE_ANDX, but for a byte and an EA error offset in front of the times (MS-CIFS 2.2.7.1.2).
	var words [64]byte
	c.putCreated(words[:], o, action)
	b := out.params
	clear(b[:69])
	copy(b[2:8], words[1:7])
	copy(b[12:], words[7:7+56])
	b[68] = words[63]
	out.np = 69
	if q.flags&smb1CreateExtended != 0 {
		wire.PutSMB1U16(b[66:], q.status)
		c.putCreatedExtended(b[69:], o)
		out.np = 69 + 32
	}
	return wire.StatusOK
}

// ntIoctl: MS-CIFS 2.2.7.2, the controls that SMB2 has.
func (c *Conn) ntIoctl(r *smb1Request, t *transaction, out *transOut) wire.Status {
	if len(t.setup) < 8 {
		return wire.StatusInvalidParameter
	}
	code, isFsctl := wire.SMB1U32(t.setup), t.setup[6] != 0
	if !isFsctl {
		return wire.StatusNotSupported
	}
	var status wire.Status
	out.nd, status = c.control(r.open, code, t.data, out.data)
	if status == wire.StatusInvalidDeviceRequest && r.open.file != nil {
		status = wire.StatusNotSupported // so says SMB1 of controls that there are not
	}
	out.setup = make([]byte, 2)
	wire.PutSMB1U16(out.setup, uint16(out.nd))
	return status
}

// ntTransactRename: MS-CIFS 2.2.7.5 has reserved it and not said what it does. Windows answers, and leaves the file its name.
func (c *Conn) ntTransactRename(*smb1Request, *transaction, *transOut) wire.Status {
	return wire.StatusOK
}

// ntQuerySecurity: MS-CIFS 2.2.7.6. A client whose buffer is too small is told how large it has to be.
func (c *Conn) ntQuerySecurity(r *smb1Request, t *transaction, out *transOut) (status wire.Status) {
	n, status := querySecurity(r.open, out.data, sd.Parts(wire.SMB1U32(t.params[4:])))
	if status == wire.StatusOK {
		out.nd = n
	}
	if status == wire.StatusOK || status == wire.StatusBufferTooSmall {
		wire.PutSMB1U32(out.params, uint32(n))
		out.np = 4
	}
	return status
}

// ntSetSecurity: MS-CIFS 2.2.7.3.
func (c *Conn) ntSetSecurity(r *smb1Request, t *transaction, _ *transOut) wire.Status {
	if r.open.file == nil {
		return wire.StatusInvalidParameter
	}
	status := setSecurity(r.open, t.data, sd.Parts(wire.SMB1U32(t.params[4:])))
	c.auditMove("set security", r.open, r.open.name(), "", status)
	return status
}

// ntNotifyChange: MS-CIFS 2.2.7.4. It is answered when something has changed.
func (c *Conn) ntNotifyChange(r *smb1Request, t *transaction, out *transOut) wire.Status {
	o := r.open
	if len(t.setup) < 8 || o.file == nil || !o.file.IsDir() {
		return wire.StatusInvalidParameter
	}
	room := min(t.maxParams, c.maxTransact)
	return c.notifyOf(&r.request, &out.w.reply, o, room, wire.NotifyFilter(wire.SMB1U32(t.setup)), t.setup[6] != 0)
}
