package smbproto

import (
	"strings"

	"ustack/smbproto/wire"
)

// What TRANSACTION2 may ask for, MS-CIFS 2.2.6.
var trans2Functions = map[uint16]*transFunction{
	0x00: {name: "TRANS2_OPEN2", needs: needDisk | changesNames, params: 28, run: (*Conn).open2},
	0x01: {name: "TRANS2_FIND_FIRST2", needs: needDisk, params: 12, run: (*Conn).findFirst2},
	0x02: {name: "TRANS2_FIND_NEXT2", needs: needDisk, params: 12, run: (*Conn).findNext2},
	0x03: {name: "TRANS2_QUERY_FS_INFORMATION", needs: needDisk, params: 2, run: (*Conn).queryFS},
	0x04: {name: "TRANS2_SET_FS_INFORMATION", needs: needDisk, params: 4, run: (*Conn).setFS},
	0x05: {name: "TRANS2_QUERY_PATH_INFORMATION", needs: needDisk, params: 6, run: (*Conn).queryPath},
	0x06: {name: "TRANS2_SET_PATH_INFORMATION", needs: needDisk | changesNames, params: 6, run: (*Conn).setPath},
	0x07: {name: "TRANS2_QUERY_FILE_INFORMATION", needs: needOpen, params: 4, run: (*Conn).queryFileSMB1},
	0x08: {name: "TRANS2_SET_FILE_INFORMATION", needs: needOpen | changesNames, params: 4, run: (*Conn).setFileSMB1},
	0x0D: {name: "TRANS2_CREATE_DIRECTORY", needs: needDisk | changesNames, params: 4, run: (*Conn).createDirectory2},
	0x10: {name: "TRANS2_GET_DFS_REFERRAL", run: (*Conn).dfsReferral},
}

// dfsReferral: there is no DFS here.
func (c *Conn) dfsReferral(*smb1Request, *transaction, *transOut) wire.Status {
	return wire.StatusNotFound
}

// queryFS: MS-CIFS 2.2.6.4.
func (c *Conn) queryFS(r *smb1Request, t *transaction, out *transOut) (status wire.Status) {
	if !r.session.admits(r.tree.share) {
		return wire.StatusAccessDenied
	}
	level := wire.SMB1U16(t.params)
	if level == wire.SMB1FsWho {
		return c.queryWho(r, out)
	}
	v, status := c.volume(r.tree.share, r.tree.share.root)
	if status != wire.StatusOK {
		return status
	}
	if class, ok := wire.SMB1FsClass(level); ok {
		out.nd, status = wire.PutFsInfo(out.data, class, &v)
		if status == wire.StatusInvalidInfoClass {
			status = wire.StatusInvalidLevel
		}
		return status
	}
	switch level {
	case wire.SMB1FsUnix:
		out.nd, status = wire.PutSMB1UnixFs(out.data, unixCapabilities)
		return status
	case wire.SMB1FsPosix:
		out.nd, status = v.PutSMB1PosixFs(out.data)
		return status
	}
	out.nd, status = wire.PutSMB1FsInfo(out.data, level, &v, r.unicode())
	return status
}

// queryPath: MS-CIFS 2.2.6.6.
func (c *Conn) queryPath(r *smb1Request, t *transaction, out *transOut) wire.Status {
	level := wire.SMB1U16(t.params)
	name, status := r.nameIn(t.params, 6)
	if status != wire.StatusOK {
		return status
	}
	if wire.SMB1UnixNames(level) {
		return c.queryUnixPath(r, name, level, out)
	}
	access := wire.AccessReadAttributes
	if level == wire.SMB1InfoEAList || level == wire.SMB1InfoAllEAs {
		access |= wire.AccessReadEA
	}
	return c.withPath(r, name, access, shareEverything, 0, func(o *open) wire.Status {
		return c.queryLevel(r, o, level, t.data, out)
	})
}

// queryFileSMB1: MS-CIFS 2.2.6.8.
func (c *Conn) queryFileSMB1(r *smb1Request, t *transaction, out *transOut) wire.Status {
	return c.queryLevel(r, r.open, wire.SMB1U16(t.params[2:]), t.data, out)
}

// queryLevel says of an open what a level asks for.
func (c *Conn) queryLevel(r *smb1Request, o *open, level uint16, in []byte, out *transOut) (status wire.Status) {
	wire.PutSMB1U16(out.params, 0) // no EA is wrong
	out.np = 2
	if wire.SMB1UnixNames(level) {
		return c.queryUnix(r, o, level, out)
	}
	class, known := wire.SMB1QueryClass(level)
	if o.file == nil {
		c.info = o.pipeInfo()
		c.info.DeletePending = true
	} else {
		err := o.fill(&c.info)
		if err == nil && (class.HasEASize() || level == wire.SMB1InfoEASize) {
			c.info.EASize, err = sizeEAs(o)
		}
		if err != nil {
			return wire.StatusOf(err)
		}
	}
	switch {
	case level == wire.SMB1InfoNameValid:
		return wire.StatusOK
	case level == wire.SMB1InfoEAList || level == wire.SMB1InfoAllEAs:
		return queryEAsSMB1(o, level, in, out)
	}
	var done bool
	if out.nd, status, done = wire.PutSMB1FileInfo(out.data, level, &c.info); done {
		return status
	}
	if !known || class == wire.FileFullEAInformation {
		return wire.StatusInvalidLevel
	}
	if class == wire.FileStreamInformation && o.file != nil {
		out.nd, status = o.queryStreams(out.data)
		return status
	}
	out.nd, status = wire.PutFileInfo(out.data, class, &c.info)
	if status == wire.StatusInvalidInfoClass {
		status = wire.StatusInvalidLevel
	}
	return status
}

// setPath: MS-CIFS 2.2.6.7.
func (c *Conn) setPath(r *smb1Request, t *transaction, out *transOut) wire.Status {
	level := wire.SMB1U16(t.params)
	name, status := r.nameIn(t.params, 6)
	if status != wire.StatusOK {
		return status
	}
	if wire.SMB1UnixSets(level) && r.tree.unix {
		return c.setUnixPath(r, t, name, level, out)
	}
	access := wire.AccessWriteAttributes
	if level == wire.SMB1InfoEASize {
		access = wire.AccessWriteEA
	}
	class, _ := wire.SMB1SetClass(level)
	if rights, ok := setRights[class]; ok {
		access = rights
	}
	if class == wire.FilePositionInformation {
		return setDone(out, wire.StatusOK) // which is an open's
	}
	switch access {
	case wire.AccessAll, wire.AccessReadData | wire.AccessWriteData:
		access = wire.AccessReadAttributes // any will do
	}
	cr := creation{
		share: shareEverything, disposition: wire.Open, renames: class == wire.FileRenameInformation,
		removes:  class == wire.FileRenameInformation || class == wire.FileDispositionInformation && len(t.data) > 0 && t.data[0] != 0,
		outdates: class == wire.FileEndOfFileInformation || class == wire.FileAllocationInformation,
	}
	opened := false
	status = c.withPathFor(r, name, &cr, access, func(o *open) wire.Status {
		opened = true
		if level == wire.SMB1InfoEndOfFile {
			return wire.StatusInvalidLevel // by name only in the form of NT, as Windows has it
		}
		return c.setLevel(r, o, level, t.data)
	})
	if !opened && cr.removes && class == wire.FileDispositionInformation {
		c.auditRefusal("delete", &r.request, `\`+r.path(name), status)
	}
	return setDone(out, status)
}

// setDone says that no EA was wrong.
func setDone(out *transOut, status wire.Status) wire.Status {
	wire.PutSMB1U16(out.params, 0)
	out.np = 2
	return status
}

// setFileSMB1: MS-CIFS 2.2.6.9.
func (c *Conn) setFileSMB1(r *smb1Request, t *transaction, out *transOut) wire.Status {
	if r.open.file == nil {
		return wire.StatusInvalidDeviceRequest
	}
	level := wire.SMB1U16(t.params[2:])
	status := c.waitToSetSMB1(r, out.w, level, t.data)
	if status == wire.StatusOK {
		status = c.setLevel(r, r.open, level, t.data)
	}
	return setDone(out, status)
}

// waitToSetSMB1 has what a level says wait as what SMB2's class does.
func (c *Conn) waitToSetSMB1(r *smb1Request, w *smb1Reply, level uint16, b []byte) (status wire.Status) {
	class, _ := wire.SMB1SetClass(level)
	if class == wire.FileRenameInformation {
		if b, status = r.renameTarget(r.open, b); status != wire.StatusOK {
			return status
		}
	}
	return c.waitToSet(&r.request, &w.reply, class, b)
}

// setLevel sets of an open what a level says.
func (c *Conn) setLevel(r *smb1Request, o *open, level uint16, b []byte) wire.Status {
	if wire.SMB1UnixSets(level) && r.tree.unix {
		return c.setUnixFile(o, level, b)
	}
	switch level {
	case wire.SMB1InfoStandard:
		if len(b) < 12 {
			return wire.StatusInvalidParameter
		}
		return setTimes(o, b)
	case wire.SMB1InfoEASize:
		return setEAsSMB1(o, b)
	}
	class, ok := wire.SMB1SetClass(level)
	if !ok {
		return wire.StatusInvalidLevel
	}
	switch class {
	case wire.FileRenameInformation, wire.FileLinkInformation:
		to, status := r.renameTarget(o, b)
		if status != wire.StatusOK {
			return status
		}
		was := o.name()
		status = c.setFile(o, class, to)
		event := "rename"
		if class == wire.FileLinkInformation {
			event = "link"
		}
		if target, err := wire.UTF16ToString(to.Name()); err == nil {
			c.auditMove(event, o, was, target, status)
		}
		return status
	case wire.FileDispositionInformation:
		status := c.setFile(o, class, b)
		if d := wire.DispositionInfo(b); d.Valid() == nil && d.Delete() {
			c.auditRefusal("delete", &r.request, o.name(), status)
		}
		return status
	case wire.FileFullEAInformation, wire.FileBasicInformation, wire.FileAllocationInformation,
		wire.FileEndOfFileInformation, wire.FilePositionInformation, wire.FileModeInformation:
	default:
		return wire.StatusInvalidLevel
	}
	return c.setFile(o, class, b)
}

// renameTarget reads FileRenameInformation in the form of SMB1, MS-FSCC 2.4.42.1: the name is one in the directory of
// the file, or of a stream.
func (r *smb1Request) renameTarget(o *open, b []byte) (wire.RenameInfo, wire.Status) {
	if len(b) < 12 {
		return nil, wire.StatusInvalidParameter
	}
	n := wire.SMB1U32(b[8:])
	if n == 0 || uint64(n) > uint64(len(b)-12) || wire.SMB1U32(b[4:]) != 0 {
		return nil, wire.StatusInvalidParameter
	}
	str := wire.NewSMB1Strings(b[12:12+n], 12, r.unicode())
	name, err := str.Next()
	if err != nil {
		return nil, wire.StatusObjectNameInvalid
	}
	name, status := r.named(strings.TrimPrefix(name, `\`))
	switch {
	case status != wire.StatusOK:
		return nil, status
	case strings.HasPrefix(name, ":"):
	case strings.Contains(name, `\`):
		return nil, wire.StatusNotSupported
	default:
		own := o.file.Path().Backslashed()
		name = own[1:strings.LastIndexByte(own, '\\')+1] + name
	}
	return wire.NewRenameInfo(name, b[0] != 0), wire.StatusOK
}

// createDirectory2: MS-CIFS 2.2.6.14.
func (c *Conn) createDirectory2(r *smb1Request, t *transaction, out *transOut) wire.Status {
	name, status := r.nameIn(t.params, 4)
	if status != wire.StatusOK {
		return status
	}
	var eas []wire.EA
	if len(t.data) > 4 {
		if eas, status = readEAsSMB1(t.data, r.tree.share.root); status != wire.StatusOK {
			return status
		}
	}
	return setDone(out, c.mkdir(r, name, eas))
}

// open2: MS-CIFS 2.2.6.1, an OPEN_ANDX with EAs.
func (c *Conn) open2(r *smb1Request, t *transaction, out *transOut) wire.Status {
	p := t.params
	name, status := r.nameIn(p, 28)
	if status != wire.StatusOK {
		return status
	}
	cr, desired, deny, status := denied(wire.SMB1U16(p[2:]), name)
	if status != wire.StatusOK {
		return status
	}
	if cr.disposition, status = openFunction(wire.SMB1U16(p[12:]), wire.SMB1U16(p[2:])); status != wire.StatusOK {
		return wire.StatusObjectNameCollision
	}
	cr.attributes, cr.length = wire.Attributes(wire.SMB1U16(p[6:]))&wire.AttributesSettable, wire.SMB1U32(p[14:])
	if len(t.data) > 4 {
		if cr.eas, status = readEAsSMB1(t.data, r.tree.share.root); status != wire.StatusOK {
			return status
		}
	}
	var eas uint32
	cr.first = func(o *open, _ wire.CreateAction) wire.Status {
		var err error
		if eas, err = sizeEAs(o); err != nil {
			c.log.Debug("size of EAs", "cause", err)
		}
		return wire.StatusOK
	}
	o, action, status := c.openLegacy(r, &cr, name, desired, deny)
	if status != wire.StatusOK {
		return status
	}
	b := out.params
	clear(b[:30])
	wire.PutSMB1U16(b, o.smb1.fid)
	c.info.PutSMB1Core(b[2:])
	wire.PutSMB1U16(b[12:], wire.SMB1U16(p[2:]))
	wire.PutSMB1U16(b[18:], openResult(action))
	wire.PutSMB1U32(b[20:], uint32(c.info.FileIndex))
	wire.PutSMB1U32(b[26:], eas)
	out.np = 30
	return wire.StatusOK
}
