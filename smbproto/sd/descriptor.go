package sd

import "cmp"

// Control says what of a descriptor is there and where it came from, MS-DTYP 2.4.6.
type Control uint16

// Control bits.
const (
	OwnerDefaulted    Control = 0x0001
	GroupDefaulted    Control = 0x0002
	DACLPresent       Control = 0x0004
	DACLDefaulted     Control = 0x0008
	SACLPresent       Control = 0x0010
	SACLDefaulted     Control = 0x0020
	DACLInheritReq    Control = 0x0100
	SACLInheritReq    Control = 0x0200
	DACLAutoInherited Control = 0x0400
	SACLAutoInherited Control = 0x0800
	DACLProtected     Control = 0x1000
	SACLProtected     Control = 0x2000
	selfRelative      Control = 0x8000
)

// Has reports whether any of the bits is set.
func (c Control) Has(bits Control) bool { return c&bits != 0 }

// Parts of a descriptor, SECURITY_INFORMATION of MS-DTYP 2.4.7.
type Parts uint32

// Parts that there are, and what a client may name beside them.
const (
	PartOwner     Parts = 0x01
	PartGroup     Parts = 0x02
	PartDACL      Parts = 0x04
	PartSACL      Parts = 0x08
	PartLabel     Parts = 0x10
	PartAttribute Parts = 0x20
	PartScope     Parts = 0x40
	PartBackup    Parts = 0x10000
)

// Has reports whether any of the parts is named.
func (p Parts) Has(parts Parts) bool { return p&parts != 0 }

// Descriptor is a security descriptor, MS-DTYP 2.4.6. Where Control says that a DACL is present and there is none, it is a
// NULL DACL: everybody may do everything. The same is meant where it says that none is present.
type Descriptor struct {
	Control      Control
	Owner, Group SID
	DACL, SACL   *ACL
}

const (
	descriptorFixed = 20
	// MaxSize bounds a descriptor in bytes: what an extended attribute of Linux can hold.
	MaxSize = 64 << 10
)

// Parse reads a self-relative descriptor. The lists refer to b.
func Parse(b []byte) (*Descriptor, error) {
	switch {
	case len(b) < descriptorFixed:
		return nil, malformed("%d bytes, want at least %d", len(b), descriptorFixed)
	case len(b) > MaxSize:
		return nil, malformed("%d bytes, want at most %d", len(b), MaxSize)
	case b[0] != 1:
		return nil, malformed("revision %d", b[0])
	}
	d := &Descriptor{Control: Control(le.Uint16(b[2:]))}
	if !d.Control.Has(selfRelative) {
		return nil, malformed("control %#x: not self-relative", d.Control)
	}
	d.Control &^= selfRelative
	if err := cmp.Or(
		parsePart(b, 4, "owner", &d.Owner, parseSID),
		parsePart(b, 8, "group", &d.Group, parseSID),
		parsePart(b, 12, "SACL", &d.SACL, parseACL),
		parsePart(b, 16, "DACL", &d.DACL, parseACL),
	); err != nil {
		return nil, err
	}
	if !d.Control.Has(SACLPresent) {
		d.SACL = nil
	}
	if !d.Control.Has(DACLPresent) {
		d.DACL = nil
	}
	return d, nil
}

// parsePart reads what the offset in a field of a descriptor leads to, if it is not 0.
func parsePart[T any](b []byte, field int, what string, into *T, parse func(b []byte) (T, error)) (err error) {
	at := le.Uint32(b[field:])
	switch {
	case at == 0:
		return nil
	case at < descriptorFixed || at%4 != 0 || int64(at) > int64(len(b)):
		return malformed("%s at %d of %d bytes", what, at, len(b))
	}
	if *into, err = parse(b[at:]); err != nil {
		return malformed("%s at %d: %w", what, at, err)
	}
	return nil
}

func parseSID(b []byte) (SID, error) {
	n, err := cutSID(b)
	return SID(b[:n]), err
}

// Size is what Append adds.
func (d *Descriptor) Size() int {
	n := descriptorFixed + len(d.Owner) + len(d.Group)
	if d.SACL != nil {
		n += d.SACL.size()
	}
	if d.DACL != nil {
		n += d.DACL.size()
	}
	return n
}

// Append writes the descriptor in self-relative form behind b.
func (d *Descriptor) Append(b []byte) []byte {
	start := len(b)
	b = append(b, 1, 0)
	b = le.AppendUint16(b, uint16(d.Control|selfRelative))
	b = append(b, make([]byte, descriptorFixed-4)...)
	here := func(field int) { le.PutUint32(b[start+field:], uint32(len(b)-start)) }
	if d.Owner != "" {
		here(4)
		b = append(b, d.Owner...)
	}
	if d.Group != "" {
		here(8)
		b = append(b, d.Group...)
	}
	if d.SACL != nil {
		here(12)
		b = d.SACL.append(b)
	}
	if d.DACL != nil {
		here(16)
		b = d.DACL.append(b)
	}
	return b
}

const (
	daclControl = DACLPresent | DACLDefaulted | DACLAutoInherited | DACLProtected
	saclControl = SACLPresent | SACLDefaulted | SACLAutoInherited | SACLProtected
)

// Only is the descriptor with these parts of it alone, as a client asks for them.
func (d *Descriptor) Only(parts Parts) *Descriptor {
	var o Descriptor
	if parts.Has(PartOwner) {
		o.Owner = d.Owner
		o.Control |= d.Control & OwnerDefaulted
	}
	if parts.Has(PartGroup) {
		o.Group = d.Group
		o.Control |= d.Control & GroupDefaulted
	}
	if parts.Has(PartDACL) {
		o.DACL = d.DACL
		o.Control |= d.Control & daclControl
	}
	if parts.Has(PartSACL) {
		o.SACL = d.SACL
		o.Control |= d.Control & saclControl
	}
	return &o
}
