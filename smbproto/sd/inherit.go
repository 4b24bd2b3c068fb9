package sd

import (
	"errors"

	"ustack/smbproto/wire"
)

// ErrTooLarge: an ACL, with what it inherits, is larger than one can be.
var ErrTooLarge = errors.New("ACL too large")

// heirs is what entries are inherited to: a new file or directory.
type heirs struct {
	dir          bool
	auto         bool // note of each entry that it was inherited
	owner, group SID
}

// New is the descriptor of a new file, or directory if dir is set, in a directory that has parent: CreateSecurityDescriptor
// of MS-DTYP 2.5.3.4.1. creator is what its maker has asked for, or nil. Entries are noted to be inherited in directories
// whose own are, as Windows' file systems do.
func New(parent, creator *Descriptor, dir bool, t *Token) (*Descriptor, error) {
	if creator == nil {
		creator = &Descriptor{}
	}
	d := &Descriptor{Owner: creator.Owner, Group: creator.Group}
	if d.Owner == "" {
		d.Owner = t.User
	}
	if d.Group == "" {
		d.Group = t.Group
	}
	h := heirs{dir: dir, owner: d.Owner, group: d.Group}

	h.auto = parent.Control.Has(DACLAutoInherited)
	given, protected := creator.Control.Has(DACLPresent), creator.Control.Has(DACLProtected)
	d.DACL = h.compute(parent.DACL, creator.DACL, given, protected)
	d.Control |= DACLPresent
	switch {
	case given && protected:
		d.Control |= DACLProtected
	case h.auto && d.DACL != nil:
		d.Control |= DACLAutoInherited
	case d.DACL == nil && !given:
		d.DACL = defaultDACL(d.Owner)
	}

	h.auto = parent.Control.Has(SACLAutoInherited)
	given, protected = creator.Control.Has(SACLPresent), creator.Control.Has(SACLProtected)
	d.SACL = h.compute(parent.SACL, creator.SACL, given, protected)
	if given || d.SACL != nil {
		d.Control |= SACLPresent
	}
	switch {
	case given && protected:
		d.Control |= SACLProtected
	case h.auto && d.SACL != nil:
		d.Control |= SACLAutoInherited
	}
	return d, d.check()
}

// check says whether the descriptor can be written.
func (d *Descriptor) check() error {
	for _, l := range []*ACL{d.DACL, d.SACL} {
		if l != nil && l.size() > maxACL {
			return ErrTooLarge
		}
	}
	if d.Size() > MaxSize {
		return ErrTooLarge
	}
	return nil
}

// compute is ComputeACL of MS-DTYP 2.5.3.4.2: nil if there is nothing to have, or if nothing was given on purpose.
func (h *heirs) compute(parent, creator *ACL, given, protected bool) *ACL {
	var l ACL
	if !given {
		if h.inherit(&l, parent); l.n == 0 {
			return nil
		}
		return &l
	}
	if creator == nil {
		return nil
	}
	merge := h.auto && !protected
	for a := range creator.All() {
		if merge && a.Flags()&Inherited != 0 {
			continue // what the parent gives comes in the place of it
		}
		h.make(&l, a)
	}
	if merge {
		h.inherit(&l, parent)
	}
	return &l
}

// make adds an entry that was asked for.
func (h *heirs) make(l *ACL, a ACE) {
	who, flags := h.who(a), a.Flags()
	switch {
	case flags&InheritOnly != 0:
		l.add(a, flags, "")
	case who != "" && h.dir && flags&inheritance != 0:
		l.add(a, flags&^(inheritance|NoPropagate), who)
		l.add(a, flags|InheritOnly, "")
	default:
		l.add(a, flags, who)
	}
}

// inherit adds what a directory's entries leave to what is made in it.
func (h *heirs) inherit(l *ACL, parent *ACL) {
	if parent == nil {
		return
	}
	for a := range parent.All() {
		flags := a.Flags()
		keep := flags & auditFlags
		if h.auto {
			keep |= Inherited
		}
		who := h.who(a)
		if !h.dir {
			if flags&ObjectInherit != 0 {
				l.add(a, keep, who)
			}
			continue
		}
		onward := flags & inheritance
		if flags&NoPropagate != 0 {
			onward = 0
		}
		switch {
		case flags&ContainerInherit == 0:
			if onward != 0 { // for files, further down
				l.add(a, keep|onward|InheritOnly, "")
			}
		case onward == 0:
			l.add(a, keep, who)
		case who != "":
			l.add(a, keep, who)
			l.add(a, keep|onward|InheritOnly, "")
		default:
			l.add(a, keep|onward, "")
		}
	}
}

// who takes the place of an entry's SID where it stands for whoever makes a file; none if it does not.
func (h *heirs) who(a ACE) SID {
	switch string(a.sid()) {
	case string(CreatorOwner):
		return h.owner
	case string(CreatorGroup):
		return h.group
	}
	return ""
}

// Open is the descriptor of a file that has none: everybody has these rights, to what is made in a directory, too.
func Open(owner, group SID, rights wire.Access, dir bool) *Descriptor {
	d := &Descriptor{Control: DACLPresent, Owner: owner, Group: group, DACL: &ACL{}}
	var flags ACEFlags
	if dir {
		flags = inheritance
	}
	d.DACL.AppendACE(Allow, flags, rights, Everyone)
	return d
}

// defaultDACL is the DACL of a file to which its directory leaves nothing: that of a token in Windows, which gives all to
// its user and to the system.
func defaultDACL(owner SID) *ACL {
	var l ACL
	l.AppendACE(Allow, 0, wire.AccessAll, owner)
	l.AppendACE(Allow, 0, wire.AccessAll, System)
	return &l
}
