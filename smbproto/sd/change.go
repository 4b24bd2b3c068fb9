package sd

// Change is the descriptor with the named parts of another in the place of its own, as a client sets them (MS-FSA
// 2.1.5.17). Generic rights become what they stand for. That a list was inherited stays noted only if the client asks for
// that (MS-DTYP 2.4.6, SI and SC): then it has worked out itself what is inherited.
func (d *Descriptor) Change(to *Descriptor, parts Parts) (*Descriptor, error) {
	n := *d
	if parts.Has(PartOwner) {
		n.Owner = to.Owner
		n.Control = n.Control&^OwnerDefaulted | to.Control&OwnerDefaulted
	}
	if parts.Has(PartGroup) {
		n.Group = to.Group
		n.Control = n.Control&^GroupDefaulted | to.Control&GroupDefaulted
	}
	if parts.Has(PartDACL) {
		n.DACL = to.DACL.specific()
		n.Control = n.Control&^daclControl | DACLPresent | to.Control&(DACLDefaulted|DACLProtected)
		if to.Control&(DACLInheritReq|DACLAutoInherited) == DACLInheritReq|DACLAutoInherited {
			n.Control |= DACLAutoInherited
		}
	}
	if parts.Has(PartSACL) {
		n.SACL = to.SACL.specific()
		n.Control = n.Control&^saclControl | to.Control&(SACLPresent|SACLDefaulted|SACLProtected)
		if to.Control&(SACLInheritReq|SACLAutoInherited) == SACLInheritReq|SACLAutoInherited {
			n.Control |= SACLAutoInherited
		}
	}
	return &n, n.check()
}

// specific is a copy without generic rights, but for entries that do nothing here.
func (l *ACL) specific() *ACL {
	if l == nil {
		return nil
	}
	n := &ACL{revision: l.revision}
	for a := range l.All() {
		n.add(a, a.Flags(), "")
	}
	return n
}
