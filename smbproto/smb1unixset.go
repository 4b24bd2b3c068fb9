package smbproto

import (
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// setUnixPath does to a name, be it a link's, what one of the extensions' levels says.
func (c *Conn) setUnixPath(r *smb1Request, t *transaction, name string, level uint16, out *transOut) (status wire.Status) {
	switch level {
	case wire.SMB1InfoUnixLink:
		status = c.makeLink(r, name, t.data)
	case wire.SMB1InfoUnixHardLink:
		status = c.linkUnix(r, name, t.data)
	case wire.SMB1InfoPosixOpen:
		return c.posixOpen(r, t, name, out)
	case wire.SMB1InfoPosixUnlink:
		status = c.posixUnlink(r, name, t.data)
	default:
		var ch wire.SMB1UnixChange
		if ch, status = readUnixChange(t.data, level); status != wire.StatusOK {
			return status
		}
		cr := creation{share: shareEverything, disposition: wire.Open, exact: true, link: true, outdates: ch.HasSize}
		status = c.withPathFor(r, name, &cr, unixRights(&ch), func(o *open) wire.Status { return c.changeUnix(o, &ch) })
	}
	return setDone(out, status)
}

// setUnixFile does it to an open.
func (c *Conn) setUnixFile(o *open, level uint16, b []byte) wire.Status {
	if level != wire.SMB1InfoUnixBasic && level != wire.SMB1InfoUnixInfo2 {
		return wire.StatusInvalidLevel // what is of names
	}
	ch, status := readUnixChange(b, level)
	if status != wire.StatusOK {
		return status
	}
	// To POSIX it is the file whose mode is changed, however it is open; who opens it the other way has what he asked for.
	if unixRights(&ch)&^(o.access|o.maximal) != 0 {
		return wire.StatusAccessDenied
	}
	return c.changeUnix(o, &ch)
}

// readUnixChange reads what is to be changed. Devices, FIFOs and sockets are not made here.
func readUnixChange(b []byte, level uint16) (wire.SMB1UnixChange, wire.Status) {
	ch, err := wire.ReadSMB1UnixChange(b, level)
	switch {
	case err != nil:
		return ch, wire.StatusInvalidParameter
	case ch.Device:
		return ch, wire.StatusNotSupported
	case ch.Flags:
		return ch, wire.StatusInvalidParameter
	}
	return ch, wire.StatusOK
}

// unixRights are what a change takes. The mode says, as a descriptor does, who may do what: to other programs.
func unixRights(ch *wire.SMB1UnixChange) (a wire.Access) {
	a = wire.AccessReadAttributes
	if ch.HasSize {
		a |= wire.AccessWriteData
	}
	if ch.Mode != wire.UnixNoChange {
		a |= wire.AccessWriteDAC
	}
	if ch.Creation|ch.LastAccess|ch.LastWrite != 0 || ch.UID != wire.UnixNoChange || ch.GID != wire.UnixNoChange {
		a |= wire.AccessWriteAttributes
	}
	return a
}

// changeUnix changes an open's file: its size, its mode, its owner, and then the times, which all that changes.
func (c *Conn) changeUnix(o *open, ch *wire.SMB1UnixChange) wire.Status {
	if o.file == nil || o.named {
		return wire.StatusInvalidLevel
	}
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if ch.HasSize && uint64(o.file.Size()) != ch.Size {
		if status := c.cut(o, ch.Size); status != wire.StatusOK {
			return status
		}
	}
	if ch.Mode != wire.UnixNoChange || ch.UID != wire.UnixNoChange || ch.GID != wire.UnixNoChange {
		status := changeMode(o, ch)
		c.auditMove("set security", o, o.name(), "", status)
		if status != wire.StatusOK {
			return status
		}
	}
	status := setBasic(o, wire.NewBasicInfo(ch.Creation, ch.LastAccess, ch.LastWrite, 0, 0))
	if ch.LastWrite != 0 {
		o.frozen = 0 // as utimes(2) does, and smbd: the next write sets it again
	}
	return status
}

func changeMode(o *open, ch *wire.SMB1UnixChange) wire.Status {
	if ch.Mode != wire.UnixNoChange {
		if err := o.file.SetMode(ch.Mode); err != nil {
			return wire.StatusOf(err)
		}
	}
	return changeOwner(o, ch)
}

// changeOwner gives a file to another owner of Linux's: for who may take ownership of files, if Linux lets the server.
func changeOwner(o *open, ch *wire.SMB1UnixChange) wire.Status {
	uid, gid := o.file.Owner()
	if (ch.UID == wire.UnixNoChange || ch.UID == uid) && (ch.GID == wire.UnixNoChange || ch.GID == gid) {
		return wire.StatusOK
	}
	if !o.session.token.Load().TakeOwnership || !o.tree.access.Has(wire.AccessWriteOwner) {
		return wire.StatusAccessDenied
	}
	return wire.StatusOf(o.file.SetOwner(ch.UID, ch.GID))
}

// textIn is the string in the data of a request.
func (r *smb1Request) textIn(data []byte) (string, wire.Status) {
	str := wire.NewSMB1Strings(data, 0, r.unicode())
	text, err := str.Next()
	if err != nil {
		return "", wire.StatusObjectNameInvalid
	}
	return text, wire.StatusOK
}

// makeLink makes a symbolic link.
func (c *Conn) makeLink(r *smb1Request, name string, data []byte) wire.Status {
	text, status := r.textIn(data)
	if status != wire.StatusOK {
		return status
	}
	to, status := newPath(r.path(name))
	switch {
	case status != wire.StatusOK:
		return status
	case !r.session.admits(r.tree.share), r.tree.access&wire.AccessChanges == 0:
		c.auditRefusal("symbolic link", &r.request, to.Backslashed(), wire.StatusAccessDenied)
		return wire.StatusAccessDenied
	}
	files := &c.srv.files
	files.paths.RLock()
	defer files.paths.RUnlock()
	err := r.tree.share.root.MakeLink(to, text, func(in *vfs.Dir) error {
		if err := files.mayFill(in.ID()); err != nil {
			return err
		}
		_, _, err := mayAdd(r.session.token.Load(), r.tree, in, false)
		return err
	})
	by := &open{session: r.session, conn: c, tree: r.tree} // who tells of it
	if err == nil {
		files.entryChanged(by, to)
	}
	c.auditMove("symbolic link", by, to.Backslashed(), "", wire.StatusOf(err))
	return wire.StatusOf(err)
}

// linkUnix gives a file, whose name is in the data, one more name.
func (c *Conn) linkUnix(r *smb1Request, name string, data []byte) wire.Status {
	from, status := r.textIn(data)
	if status == wire.StatusOK {
		from, status = r.named(from)
	}
	if status != wire.StatusOK {
		return status
	}
	const whatever = 0xff // attributes
	return c.linkName(r, from, name, &creation{share: shareEverything, disposition: wire.Open, exact: true}, whatever)
}

// posixUnlink removes a name: a file's or a link's, or, as the data says, a directory's. Others may have it open.
func (c *Conn) posixUnlink(r *smb1Request, name string, data []byte) wire.Status {
	if len(data) < 2 {
		return wire.StatusInvalidParameter
	}
	cr := creation{share: shareEverything, disposition: wire.Open, options: wire.OptionNonDirectory, exact: true, link: true, removes: true}
	switch wire.SMB1U16(data) {
	case 0:
	case 1:
		cr.options = wire.OptionDirectory
	default:
		return wire.StatusInvalidParameter
	}
	return c.removePath(r, name, &cr, c.unlinkNow)
}

// unlinkNow takes the name of what is open away at once, if it is no directory: who else has the file open, and shares
// that it is deleted, goes on with it, as POSIX has it and as Windows does when it is asked for that (MS-FSCC 2.4.12,
// FILE_DISPOSITION_POSIX_SEMANTICS).
func (c *Conn) unlinkNow(o *open) wire.Status {
	if o.file.IsDir() {
		return c.doom(o)
	}
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if err := o.file.CanRemove(); err != nil {
		return wire.StatusOf(err)
	}
	if err := o.file.Remove(); err != nil {
		return wire.StatusOf(err)
	}
	for _, f := range c.srv.files.takenAway(o) {
		c.shut(f)
	}
	o.removed(doomed{file: o.file, asked: o.asked}, nil)
	return wire.StatusOK
}
