package sd

import "ustack/smbproto/wire"

// Granted is all rights that a token has by the descriptor, MS-DTYP 2.5.3.2: about each right the first entry of the
// DACL decides that speaks of it, to somebody who the token is. An access is granted if all its rights are among them.
// What privileges give is not.
func (d *Descriptor) Granted(t *Token) wire.Access {
	if d.DACL == nil {
		return wire.AccessAll
	}
	owns := d.Owner != "" && t.Has(d.Owner)
	var granted, denied wire.Access
	if owns && !d.DACL.limitsOwner() {
		granted = wire.AccessReadControl | wire.AccessWriteDAC
	}
	for a := range d.DACL.All() {
		if a.Flags()&InheritOnly != 0 || a.ofProperty() {
			continue
		}
		who := a.sid()
		if !t.has(who) && (!owns || string(who) != string(OwnerRights)) {
			continue
		}
		mask := a.Mask().Specific() & wire.AccessAll
		switch a.Type() {
		case Allow, allowObject:
			granted |= mask &^ denied
		case Deny, denyObject, denyCallback, denyCallbackObject:
			// What makes a callback's entry count is not known here: one that denies always does, one that allows never.
			denied |= mask &^ granted
		}
	}
	return granted
}

// limitsOwner reports whether an entry says what owners may: then they have no rights for being that.
func (l *ACL) limitsOwner() bool {
	for a := range l.All() {
		if a.Flags()&InheritOnly == 0 && string(a.sid()) == string(OwnerRights) {
			return true
		}
	}
	return false
}
