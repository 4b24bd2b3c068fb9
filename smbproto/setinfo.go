package smbproto

import (
	"errors"
	"strings"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// setInfo: MS-SMB2 3.3.5.21.
func (c *Conn) setInfo(r *request, w *reply) wire.Status {
	req := wire.SetInfoRequest(r.msg)
	if req.Valid() != nil || len(req.Buffer()) > c.maxTransact || !c.paid(r, len(req.Buffer())) {
		return wire.StatusInvalidParameter
	}
	if req.Type() != wire.InfoFile || r.open.file == nil {
		return wire.StatusNotSupported
	}
	if status := c.setFile(r.open, wire.FileInfoClass(req.Class()), req.Buffer()); status != wire.StatusOK {
		return status
	}
	wire.PutSetInfo(w.msg)
	w.n = wire.SetInfoResponseSize
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
}

func (c *Conn) setFile(o *open, class wire.FileInfoClass, b []byte) wire.Status {
	rights, ok := setRights[class]
	switch {
	case class == wire.FileFullEAInformation:
		return wire.StatusEASNotSupported
	case class == wire.FileLinkInformation:
		return wire.StatusNotSupported
	case !ok:
		return wire.StatusInvalidInfoClass
	case !o.access.Has(rights):
		return wire.StatusAccessDenied
	}
	switch class {
	case wire.FileBasicInformation:
		return setBasic(o, wire.BasicInfo(b))
	case wire.FileRenameInformation:
		return c.rename(o, wire.RenameInfo(b))
	case wire.FileDispositionInformation:
		return c.setDisposition(o, wire.DispositionInfo(b))
	case wire.FileEndOfFileInformation, wire.FileAllocationInformation, wire.FilePositionInformation:
		return setSize(o, class, wire.SizeInfo(b))
	}
	return wire.StatusOK // the mode changes nothing that is remembered
}

func setBasic(o *open, b wire.BasicInfo) wire.Status {
	if b.Valid() != nil {
		return wire.StatusInfoLengthMismatch
	}
	a := b.Attributes()
	if a&wire.AttributeDirectory != 0 && !o.file.IsDir() {
		return wire.StatusInvalidParameter
	}
	if err := o.file.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if a != 0 {
		if err := o.file.SetReadOnly(a&wire.AttributeReadOnly != 0); err != nil {
			return wire.StatusOf(err)
		}
	}
	return wire.StatusOf(o.file.SetTimes(b.LastAccess(), b.LastWrite()))
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
	case class == wire.FileEndOfFileInformation:
		return wire.StatusOf(o.file.Truncate(b.Size()))
	}
	return wire.StatusOf(o.file.Allocate(b.Size()))
}

// setDisposition: the file is deleted when its last open is closed, MS-FSA 2.1.5.15.3.
func (c *Conn) setDisposition(o *open, b wire.DispositionInfo) wire.Status {
	if b.Valid() != nil {
		return wire.StatusInfoLengthMismatch
	}
	if b.Delete() {
		if err := o.file.Stat(); err != nil {
			return wire.StatusOf(err)
		}
		if err := o.file.CanRemove(); err != nil {
			return wire.StatusOf(err)
		}
	}
	c.srv.files.setDelete(o, b.Delete())
	return wire.StatusOK
}

// rename: MS-FSA 2.1.5.15.11. The new name is from the share's root.
func (c *Conn) rename(o *open, b wire.RenameInfo) wire.Status {
	if len(b) < 20 {
		return wire.StatusInfoLengthMismatch
	}
	if b.Valid() != nil || b.RootDirectory() != 0 {
		return wire.StatusInvalidParameter
	}
	name, err := wire.UTF16ToString(b.Name())
	if err != nil {
		return wire.StatusObjectNameInvalid
	}
	to, err := vfs.ParsePath(strings.TrimPrefix(name, `\`))
	if err != nil {
		return wire.StatusOf(err)
	}
	root := o.tree.share.root
	target, err := root.Hold(to)
	switch {
	case errors.Is(err, vfs.ErrNotFound):
		return c.move(o, to, false)
	case err != nil:
		return wire.StatusOf(err)
	}
	defer c.shut(target)
	switch {
	case target.ID() == o.file.ID():
		return c.move(o, to, false)
	case !b.Replace():
		return wire.StatusObjectNameCollision
	case target.IsDir(), !c.srv.files.reserve(target.ID()):
		return wire.StatusAccessDenied
	}
	defer c.srv.files.drop(target.ID())
	// What is reserved keeps its name; but it may have lost it before.
	switch id, err := root.Identify(to); {
	case err != nil:
		return wire.StatusOf(err)
	case id != target.ID():
		return wire.StatusAccessDenied
	}
	return c.move(o, to, true)
}

// move renames the file. It replaces only what is reserved: nobody must lose a file
// that came to be there meanwhile.
func (c *Conn) move(o *open, to vfs.Path, replace bool) wire.Status {
	if err := o.file.Rename(to, replace); err != nil {
		return wire.StatusOf(err)
	}
	if err := c.srv.files.renamed(o); err != nil {
		c.log.Warn("telling other opens of a rename", "cause", err)
	}
	return wire.StatusOK
}
