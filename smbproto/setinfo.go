package smbproto

import (
	"ustack/smbproto/sd"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// setInfo: MS-SMB2 3.3.5.21.
func (c *Conn) setInfo(r *request, w *reply) wire.Status {
	req := wire.SetInfoRequest(r.msg)
	if req.Valid() != nil || len(req.Buffer()) > c.maxTransact || !c.paid(r, len(req.Buffer())) {
		return wire.StatusInvalidParameter
	}
	var status wire.Status
	switch {
	case r.open.file == nil:
		return wire.StatusNotSupported
	case req.Type() == wire.InfoFile:
		class := wire.FileInfoClass(req.Class())
		if status := c.waitToSet(r, w, class, req.Buffer()); status != wire.StatusOK {
			return status
		}
		status = c.setFile(r.open, class, req.Buffer())
	case req.Type() == wire.InfoSecurity:
		status = setSecurity(r.open, req.Buffer(), sd.Parts(req.Additional()))
	default:
		return wire.StatusNotSupported
	}
	if status != wire.StatusOK {
		return status
	}
	wire.PutSetInfo(w.msg)
	w.n = wire.SetInfoResponseSize
	return wire.StatusOK
}

// waitToSet has what takes a name away wait for those who keep the file open.
func (c *Conn) waitToSet(r *request, w *reply, class wire.FileInfoClass, b []byte) wire.Status {
	switch class {
	case wire.FileRenameInformation:
		return c.waitForRename(r, w, wire.RenameInfo(b))
	case wire.FileDispositionInformation:
		if d := wire.DispositionInfo(b); d.Valid() == nil && d.Delete() {
			return c.waitForUnlink(r, w)
		}
	}
	return wire.StatusOK
}

// setRights are what setting each class takes, MS-FSA 2.1.5.15.
var setRights = map[wire.FileInfoClass]wire.Access{
	wire.FileBasicInformation:       wire.AccessWriteAttributes,
	wire.FileRenameInformation:      wire.AccessDelete,
	wire.FileDispositionInformation: wire.AccessDelete,
	wire.FileEndOfFileInformation:   wire.AccessWriteData,
	wire.FileAllocationInformation:  wire.AccessWriteData,
	wire.FilePositionInformation:    wire.AccessReadData | wire.AccessWriteData,
	wire.FileModeInformation:        wire.AccessAll,
	wire.FileFullEAInformation:      wire.AccessWriteEA,
}

func (c *Conn) setFile(o *open, class wire.FileInfoClass, b []byte) wire.Status {
	rights, ok := setRights[class]
	switch {
	case class == wire.FileLinkInformation:
		// No right of the open's is needed: what the user may do, and whether the share may be changed, counts.
		return c.link(o, wire.RenameInfo(b))
	case !ok:
		return wire.StatusInvalidInfoClass
	case !o.access.Has(rights):
		return wire.StatusAccessDenied
	}
	switch class {
	case wire.FileBasicInformation:
		return setBasic(o, wire.BasicInfo(b))
	case wire.FileFullEAInformation:
		return setEAs(o, b)
	case wire.FileRenameInformation:
		return c.rename(o, wire.RenameInfo(b))
	case wire.FileDispositionInformation:
		return c.setDisposition(o, wire.DispositionInfo(b))
	case wire.FileEndOfFileInformation, wire.FileAllocationInformation, wire.FilePositionInformation:
		return setSize(o, class, wire.SizeInfo(b))
	}
	return setMode(o, wire.ModeInfo(b))
}

// setMode: MS-FSA 2.1.5.15, FileModeInformation.
func setMode(o *open, b wire.ModeInfo) wire.Status {
	if b.Valid() != nil {
		return wire.StatusInfoLengthMismatch
	}
	if b.Mode()&^wire.OptionsModeSettable != 0 {
		return wire.StatusInvalidParameter
	}
	o.mode = o.mode&^wire.OptionsModeSettable | b.Mode()
	return wire.StatusOK
}

// setBasic: MS-FSA 2.1.5.15.2.
func setBasic(o *open, b wire.BasicInfo) wire.Status {
	if b.Valid() != nil {
		return wire.StatusInfoLengthMismatch
	}
	a := b.Attributes()
	switch dir := o.file.IsDir(); {
	case !b.Creation().Valid(), !b.LastAccess().Valid(), !b.LastWrite().Valid(), !b.Change().Valid(),
		a&wire.AttributeDirectory != 0 && !dir, a&wire.AttributeTemporary != 0 && dir:
		return wire.StatusInvalidParameter
	}
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if a != 0 {
		o.state.archive.Store(a&wire.AttributeArchive != 0)
	}
	if err := o.file.SetBasic(vfs.Basic{
		Attributes: a, Creation: b.Creation(), LastAccess: b.LastAccess(), LastWrite: b.LastWrite(), Change: b.Change(),
	}); err != nil {
		return wire.StatusOf(err)
	}
	o.session.srv.files.entryChanged(o, o.file.Path())
	if b.LastAccess().Sets() && !b.LastWrite().Sets() {
		o.session.srv.tellAccessed(o.file)
	}
	switch t := b.LastWrite(); {
	case t.Sets(): // Open.UserSetModificationTime
		o.frozen = t
	case t.Stops():
		o.frozen = o.file.LastWrite()
	case t.Restarts():
		o.frozen = 0
	}
	return wire.StatusOK
}

func setSize(o *open, class wire.FileInfoClass, b wire.SizeInfo) wire.Status {
	if len(b) < 8 {
		return wire.StatusInfoLengthMismatch
	}
	if b.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	switch {
	case class == wire.FilePositionInformation:
		o.position = uint64(b.Size())
		return wire.StatusOK
	case o.file.IsDir():
		return wire.StatusInvalidParameter
	}
	set := o.file.Allocate
	if class == wire.FileEndOfFileInformation {
		set = o.file.Truncate
	}
	if err := set(b.Size()); err != nil {
		return wire.StatusOf(err)
	}
	o.modified()
	return wire.StatusOf(o.settle(false))
}

// setDisposition: the file's name is deleted when its last open is closed, MS-FSA 2.1.5.15.3.
func (c *Conn) setDisposition(o *open, b wire.DispositionInfo) wire.Status {
	if b.Valid() != nil {
		return wire.StatusInfoLengthMismatch
	}
	if !b.Delete() {
		for _, f := range c.srv.files.spare(o) {
			c.shut(f)
		}
		return wire.StatusOK
	}
	return c.doom(o)
}

// doom has a file's name deleted when its last open is closed.
func (c *Conn) doom(o *open) wire.Status {
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if err := o.file.CanRemove(); err != nil {
		return wire.StatusOf(err)
	}
	c.srv.files.doom(o)
	return wire.StatusOK
}
