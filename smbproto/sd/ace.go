package sd

import "ustack/smbproto/wire"

// ACEType says what an access control entry does, MS-DTYP 2.4.4.1.
type ACEType uint8

// Types whose layout is known. Entries of other types are kept, and do nothing.
const (
	Allow               ACEType = 0x00
	Deny                ACEType = 0x01
	Audit               ACEType = 0x02
	allowObject         ACEType = 0x05
	denyObject          ACEType = 0x06
	auditObject         ACEType = 0x07
	allowCallback       ACEType = 0x09
	denyCallback        ACEType = 0x0A
	allowCallbackObject ACEType = 0x0B
	denyCallbackObject  ACEType = 0x0C
	auditCallback       ACEType = 0x0D
	auditCallbackObject ACEType = 0x0F
	mandatoryLabel      ACEType = 0x11
	resourceAttribute   ACEType = 0x12
	scopedPolicy        ACEType = 0x13
)

// ACEFlags say who inherits an entry, MS-DTYP 2.4.4.1.
type ACEFlags uint8

// Flags.
const (
	ObjectInherit    ACEFlags = 0x01 // by files
	ContainerInherit ACEFlags = 0x02 // by directories
	NoPropagate      ACEFlags = 0x04 // not by what is below them
	InheritOnly      ACEFlags = 0x08 // it does nothing where it stands
	Inherited        ACEFlags = 0x10
	auditFlags       ACEFlags = 0xC0

	inheritance = ObjectInherit | ContainerInherit
)

// ACE is a view of an access control entry that Parse, or this package, has found to be well-formed.
type ACE []byte

// layout is where the SID of an entry of a known type is.
type layout uint8

const (
	opaque layout = iota
	plain
	object // with up to two GUIDs before the SID, MS-DTYP 2.4.4.3
)

func (t ACEType) layout() layout {
	switch t {
	case Allow, Deny, Audit, allowCallback, denyCallback, auditCallback, mandatoryLabel, resourceAttribute, scopedPolicy:
		return plain
	case allowObject, denyObject, auditObject, allowCallbackObject, denyCallbackObject, auditCallbackObject:
		return object
	}
	return opaque
}

const (
	aceFixed   = 8 // header and mask
	hasType    = 1 // of an object's flags: there is an ObjectType
	hasInherit = 2 // and an InheritedObjectType
)

// Type of the entry.
func (a ACE) Type() ACEType { return ACEType(a[0]) }

// Flags of the entry.
func (a ACE) Flags() ACEFlags { return ACEFlags(a[1]) }

// Mask is the rights that the entry is about; none for one of a type that is not known.
func (a ACE) Mask() wire.Access {
	if a.Type().layout() == opaque {
		return 0
	}
	return wire.Access(le.Uint32(a[4:]))
}

// sidAt is where the SID is, or 0 if the entry has none that is known.
func (a ACE) sidAt() int {
	switch a.Type().layout() {
	case plain:
		return aceFixed
	case object:
		at := aceFixed + 4
		for _, flag := range []uint32{hasType, hasInherit} {
			if le.Uint32(a[aceFixed:])&flag != 0 {
				at += 16
			}
		}
		return at
	}
	return 0
}

// sid is the SID's bytes.
func (a ACE) sid() []byte {
	at := a.sidAt()
	if at == 0 {
		return nil
	}
	n, err := cutSID(a[at:])
	if err != nil {
		return nil
	}
	return a[at : at+n]
}

// SID of whom the entry is about, or none.
func (a ACE) SID() SID { return SID(a.sid()) }

// ofProperty reports whether the entry is about a property of an object, and not about all of it. Files have none.
func (a ACE) ofProperty() bool {
	return a.Type().layout() == object && le.Uint32(a[aceFixed:])&hasType != 0
}

// cutACE takes the first entry off b, MS-DTYP 2.4.4.
func cutACE(b []byte) (a ACE, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, malformed("ACE in %d bytes", len(b))
	}
	size := int(le.Uint16(b[2:]))
	if size < 4 || size%4 != 0 || size > len(b) {
		return nil, nil, malformed("ACE of %d bytes, in %d", size, len(b))
	}
	a, rest = ACE(b[:size:size]), b[size:]
	least := 4
	switch a.Type().layout() {
	case plain:
		least = aceFixed
	case object:
		least = aceFixed + 4
	}
	if size < least {
		return nil, nil, malformed("ACE of type %d of %d bytes, want at least %d", a.Type(), size, least)
	}
	if at := a.sidAt(); at != 0 {
		if at > size {
			return nil, nil, malformed("ACE of %d bytes, whose SID would be at %d", size, at)
		}
		if _, err := cutSID(a[at:]); err != nil {
			return nil, nil, err
		}
	}
	return a, rest, nil
}

// AppendACE adds an entry of a plain type to an ACL's.
func (l *ACL) AppendACE(t ACEType, flags ACEFlags, mask wire.Access, who SID) {
	l.aces = append(l.aces, byte(t), byte(flags))
	l.aces = le.AppendUint16(l.aces, uint16(aceFixed+len(who)))
	l.aces = le.AppendUint32(l.aces, uint32(mask))
	l.aces = append(l.aces, who...)
	l.n++
}

// add copies an entry with other flags. If who is given it stands in the place of the entry's SID. Unless the entry does
// nothing here, its generic rights become what they stand for with files.
func (l *ACL) add(a ACE, flags ACEFlags, who SID) {
	from := len(l.aces)
	if at := a.sidAt(); who != "" && at != 0 {
		l.aces = append(append(append(l.aces, a[:at]...), who...), a[at+len(a.sid()):]...)
	} else {
		l.aces = append(l.aces, a...)
	}
	l.n++
	b := ACE(l.aces[from:])
	le.PutUint16(b[2:], uint16(len(b)))
	b[1] = byte(flags)
	if flags&InheritOnly == 0 && b.Type().layout() != opaque {
		le.PutUint32(b[4:], uint32(b.Mask().Specific()))
	}
}
