package smbproto

import (
	"errors"

	"ustack/smbproto/sd"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// Who may open a file, and make one, is decided by security descriptors, on top of what the share allows and what Linux lets
// the server do. It is decided once, when the file is opened: what is read and written later costs nothing.

// describe reads a file's descriptor. A file that has none is everybody's, as far as the share is, and is owned by whoever
// owns it in Linux.
func describe(s vfs.Security, t *tree) (*sd.Descriptor, error) {
	if s.Descriptor == nil {
		return sd.Open(sd.UnixUser(s.UID), sd.UnixGroup(s.GID), t.access, s.Dir), nil
	}
	d, err := sd.Parse(s.Descriptor)
	if err != nil {
		return nil, errors.Join(err, wire.StatusFileCorrupt) // by another program: to be safe, it is nobody's
	}
	return d, nil
}

// guard decides about a CREATE, and puts what is granted into the creation.
type guard struct {
	token *sd.Token
	tree  *tree
	cr    *creation
}

// setAccess reads the access that is asked for, which is at most what the tree allows. To delete on close takes the right by its
// own name, as with Windows and Samba: neither all rights, nor the most that can be had, stand for it.
func (cr *creation) setAccess(desired wire.Access, t *tree, token *sd.Token) wire.Status {
	if cr.options&wire.OptionDeleteOnClose != 0 && !desired.Has(wire.AccessDelete) {
		return wire.StatusInvalidParameter
	}
	access := desired.Specific()
	if access.Has(wire.AccessSystemSecurity) && !token.Security {
		return wire.StatusPrivilegeNotHeld
	}
	cr.maximum = access.Has(wire.AccessMaximumAllowed)
	cr.desired = access &^ wire.AccessMaximumAllowed
	if !cr.maximum && cr.desired == 0 || cr.desired&^(t.access|wire.AccessSystemSecurity) != 0 {
		return wire.StatusAccessDenied
	}
	cr.access = cr.desired
	if cr.maximum {
		cr.access |= t.access
	}
	return wire.StatusOK
}

// implied are the rights that a CREATE needs beside those that it asks for, to a file that is there: what it takes to cut
// it, or to give it a further stream. Who cuts a named stream replaces neither EAs nor attributes.
func (cr *creation) implied(adds bool) wire.Access {
	replaced := wire.AccessWriteEA | wire.AccessWriteAttributes
	if cr.stream != "" {
		replaced = 0
	}
	switch {
	case adds:
		return wire.AccessWriteData
	case cr.disposition == wire.Supersede:
		return wire.AccessDelete | replaced
	case cr.disposition == wire.Overwrite, cr.disposition == wire.OverwriteIf:
		return wire.AccessWriteData | replaced
	}
	return 0
}

// Existing: MS-FSA 2.1.5.1.2.1.
func (g guard) Existing(f *vfs.File, adds bool) error {
	cr := g.cr
	need := cr.desired | cr.implied(adds)
	wants := need
	if cr.maximum || cr.wantMxAc {
		wants |= wire.AccessAll
	}
	granted, err := g.granted(f, wants)
	if err != nil {
		return err
	}
	if cr.desired.Has(wire.AccessSystemSecurity) {
		granted |= wire.AccessSystemSecurity // setAccess has seen the privilege
	}
	if g.token.TakeOwnership && cr.desired.Has(wire.AccessWriteOwner) {
		granted |= wire.AccessWriteOwner
	}
	if need&^granted != 0 {
		return wire.StatusAccessDenied
	}
	cr.maximal = granted & g.tree.access
	cr.access = cr.desired
	if cr.maximum {
		cr.access |= cr.maximal
	}
	if cr.access == 0 {
		return wire.StatusAccessDenied
	}
	if !cr.maximal.Has(wire.AccessWriteData) {
		// Who may not write keeps nobody from reading: MS-FSA 2.1.5.1.2.2, which asks for the right to write in the directory, and
		// Windows, which asks for that to the file (FILE_DISALLOW_EXCLUSIVE).
		cr.share |= wire.ShareRead
	}
	if !granted.Has(shareReads | shareWrites) {
		cr.asked.state = 0 // who may do nothing with the data caches none of it, and has nobody wait
	}
	return nil
}

// granted is the rights to a file, and those that its directory gives to it if one of them is wanted and missing.
func (g guard) granted(f *vfs.File, wants wire.Access) (wire.Access, error) {
	if f.IsLink() {
		return g.toLink(f)
	}
	s, err := f.Security()
	if err != nil {
		return 0, err
	}
	d, err := describe(s, g.tree)
	if err != nil {
		return 0, err
	}
	granted := d.Granted(g.token)
	if missing := wants &^ granted; missing.Has(wire.AccessDelete | wire.AccessReadAttributes) {
		by, err := g.byParent(f)
		if err != nil {
			return 0, err
		}
		granted |= by
	}
	return granted, nil
}

// byParent is the rights that somebody has to what is in a directory for those that he has to the directory.
func (g guard) byParent(f *vfs.File) (wire.Access, error) {
	parent, ok, err := g.toParent(f)
	if !ok || err != nil {
		return 0, err
	}
	return toChild(parent), nil
}

// toParent is the rights to the directory that a file's name is in; ok is false for the root of a share.
func (g guard) toParent(f *vfs.File) (granted wire.Access, ok bool, err error) {
	s, ok, err := f.ParentSecurity()
	if !ok || err != nil {
		return 0, false, err
	}
	d, err := describe(s, g.tree)
	if err != nil {
		return 0, false, err
	}
	return d.Granted(g.token), true, nil
}

// toLink is the rights to a symbolic link. It has no descriptor, and is a part of its directory: who may list that may read
// it, and who may add to that may change it and take it away.
func (g guard) toLink(f *vfs.File) (granted wire.Access, err error) {
	parent, ok, err := g.toParent(f)
	if !ok || err != nil {
		return 0, err
	}
	if parent.Has(wire.AccessReadData) {
		granted |= wire.AccessReadAttributes | wire.AccessReadData
	}
	if parent.Has(wire.AccessWriteData) {
		granted |= wire.AccessWriteAttributes | wire.AccessDelete
	}
	return granted | toChild(parent), nil
}

func toChild(parent wire.Access) (child wire.Access) {
	if parent.Has(wire.AccessDeleteChild) {
		child |= wire.AccessDelete
	}
	if parent.Has(wire.AccessReadData) { // to list it
		child |= wire.AccessReadAttributes
	}
	return child
}

// New: MS-FSA 2.1.5.1.1. Who makes a file has the access that he asks for, whatever the descriptor says that it gets.
func (g guard) New(in *vfs.Dir, dir bool) ([]byte, error) {
	cr := g.cr
	granted, parent, err := mayAdd(g.token, g.tree, in, dir)
	if err != nil {
		return nil, err
	}
	d, err := sd.New(parent, cr.security, dir, g.token)
	if err != nil {
		return nil, errors.Join(err, wire.StatusBadInheritanceACL)
	}
	cr.maximal = (d.Granted(g.token) | toChild(granted)) & g.tree.access
	cr.access = cr.desired
	if cr.maximum {
		cr.access |= g.tree.access
	}
	return d.Append(make([]byte, 0, d.Size())), nil
}

// mayAdd says whether a file, or directory, may come to be in a directory.
func mayAdd(token *sd.Token, t *tree, in *vfs.Dir, dir bool) (granted wire.Access, parent *sd.Descriptor, err error) {
	s, err := in.Security()
	if err != nil {
		return 0, nil, err
	}
	if parent, err = describe(s, t); err != nil {
		return 0, nil, err
	}
	need := wire.AccessWriteData
	if dir {
		need = wire.AccessAppendData
	}
	if granted = parent.Granted(token); !granted.Has(need) {
		err = wire.StatusAccessDenied
	}
	return granted, parent, err
}

// mayEnter says whether what is open may get a name in a directory.
func (o *open) mayEnter(in *vfs.Dir) error {
	if err := o.session.srv.files.mayEnter(in.ID()); err != nil {
		return err
	}
	_, _, err := mayAdd(o.session.token.Load(), o.tree, in, o.file.IsDir())
	return err
}

// mayBe is mayEnter for the path of a new name.
func (o *open) mayBe(to vfs.Path) func(in *vfs.Dir) error {
	return func(in *vfs.Dir) error {
		if err := o.session.srv.files.mayName(o, in, to); err != nil {
			return err
		}
		return o.mayEnter(in)
	}
}

// may says whether the user of an open has a right to a file, as it is now.
func (o *open) may(right wire.Access, f *vfs.File) error {
	granted, err := guard{token: o.session.token.Load(), tree: o.tree}.granted(f, right)
	if err == nil && !granted.Has(right) {
		err = wire.StatusAccessDenied
	}
	return err
}

// readSecurity reads the descriptor that a new file is to have, MS-SMB2 2.2.13.2.2. It is copied out of the ring.
func readSecurity(b []byte, token *sd.Token) (*sd.Descriptor, wire.Status) {
	d, status := parseSecurity(append([]byte(nil), b[:min(len(b), sd.MaxSize+1)]...))
	switch {
	case status != wire.StatusOK:
		return nil, status
	case d.Control.Has(sd.SACLPresent) && !token.Security:
		return nil, wire.StatusPrivilegeNotHeld
	case d.Owner != "" && !token.MayOwn(d.Owner):
		return nil, wire.StatusInvalidOwner
	}
	return d, wire.StatusOK
}

func parseSecurity(b []byte) (*sd.Descriptor, wire.Status) {
	d, err := sd.Parse(b)
	if err != nil {
		return nil, wire.StatusInvalidSecurityDescr
	}
	return d, wire.StatusOK
}

// querySecurity: MS-SMB2 3.3.5.20.3. With StatusBufferTooSmall, n is what it takes.
func querySecurity(o *open, out []byte, parts sd.Parts) (n int, status wire.Status) {
	const (
		readable = sd.PartOwner | sd.PartGroup | sd.PartDACL | sd.PartLabel | sd.PartAttribute | sd.PartScope | sd.PartBackup
		guarded  = sd.PartSACL | sd.PartBackup
	)
	if parts.Has(readable) && !o.access.Has(wire.AccessReadControl) || // a descriptor of nothing is anybody's
		parts.Has(guarded) && !o.access.Has(wire.AccessSystemSecurity) {
		return 0, wire.StatusAccessDenied
	}
	if parts.Has(sd.PartBackup) {
		parts = sd.PartOwner | sd.PartGroup | sd.PartDACL | sd.PartSACL
	}
	d := sd.Open(sd.Everyone, sd.Everyone, o.tree.access, false) // of a pipe
	if o.file != nil {
		s, err := o.file.Security()
		if err == nil {
			d, err = describe(s, o.tree)
		}
		if err != nil {
			return 0, wire.StatusOf(err)
		}
	}
	d = d.Only(parts)
	if n = d.Size(); n > len(out) {
		return n, wire.StatusBufferTooSmall
	}
	d.Append(out[:0])
	return n, wire.StatusOK
}

// setSecurity: MS-SMB2 3.3.5.21.3 and MS-FSA 2.1.5.17. Of integrity labels, resource attributes and central policies there
// are none: setting them does nothing.
func setSecurity(o *open, b []byte, parts sd.Parts) wire.Status {
	for _, need := range []struct {
		parts  sd.Parts
		access wire.Access
	}{
		{sd.PartOwner | sd.PartGroup | sd.PartLabel, wire.AccessWriteOwner},
		{sd.PartDACL | sd.PartAttribute, wire.AccessWriteDAC},
		{sd.PartSACL | sd.PartScope, wire.AccessSystemSecurity},
		{sd.PartBackup, wire.AccessWriteOwner},
		{sd.PartBackup, wire.AccessWriteDAC},
		{sd.PartBackup, wire.AccessSystemSecurity},
	} {
		if parts.Has(need.parts) && !o.access.Has(need.access) {
			return wire.StatusAccessDenied
		}
	}
	if parts.Has(sd.PartBackup) {
		parts |= sd.PartOwner | sd.PartGroup | sd.PartDACL | sd.PartSACL
	}
	to, status := parseSecurity(b)
	switch {
	case status != wire.StatusOK:
		return status
	case parts.Has(sd.PartGroup) && to.Group == "":
		return wire.StatusInvalidPrimaryGroup
	}
	return wire.StatusOf(o.file.ChangeSecurity(func(s vfs.Security) ([]byte, error) {
		d, err := describe(s, o.tree)
		if err != nil {
			return nil, err
		}
		if parts.Has(sd.PartOwner) && to.Owner != d.Owner && !o.session.token.Load().MayOwn(to.Owner) {
			return nil, wire.StatusInvalidOwner
		}
		if d, err = d.Change(to, parts); err != nil {
			return nil, errors.Join(err, wire.StatusInvalidSecurityDescr)
		}
		return d.Append(make([]byte, 0, d.Size())), nil
	}))
}
