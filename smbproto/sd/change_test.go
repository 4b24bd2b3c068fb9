package sd

import "testing"

func TestChangeKeepsOtherParts(t *testing.T) {
	was := &Descriptor{
		Control: DACLPresent | SACLPresent | SACLProtected, Owner: alice, Group: staff,
		DACL: list(entry{Allow, 0, read, alice}), SACL: list(entry{Audit, 0x80, write, bob}),
	}
	to := &Descriptor{Control: DACLPresent | DACLProtected, Owner: bob, Group: Everyone, DACL: list(entry{Deny, 0, exec, bob})}
	for _, c := range []struct {
		parts        Parts
		owner, group SID
		dacl, sacl   *ACL
		control      Control
	}{
		{0, alice, staff, was.DACL, was.SACL, was.Control},
		{PartOwner, bob, staff, was.DACL, was.SACL, was.Control},
		{PartGroup, alice, Everyone, was.DACL, was.SACL, was.Control},
		{PartDACL, alice, staff, to.DACL, was.SACL, was.Control | DACLProtected},
		{PartSACL, alice, staff, was.DACL, nil, DACLPresent},
		{PartOwner | PartGroup | PartDACL | PartSACL, bob, Everyone, to.DACL, nil, to.Control},
	} {
		got, err := was.Change(to, c.parts)
		if err != nil {
			t.Fatal(err)
		}
		got = reread(t, got)
		if got.Owner != c.owner || got.Group != c.group || got.DACL.String() != c.dacl.String() || got.SACL.String() != c.sacl.String() || got.Control != c.control {
			t.Errorf("parts %#x: %v %v %v %v %#x", c.parts, got.Owner, got.Group, got.DACL, got.SACL, got.Control)
		}
		only := was.Only(c.parts)
		if (only.Owner != "") != c.parts.Has(PartOwner) || (only.Group != "") != c.parts.Has(PartGroup) ||
			(only.DACL != nil) != c.parts.Has(PartDACL) || (only.SACL != nil) != c.parts.Has(PartSACL) {
			t.Errorf("parts %#x of it: %+v", c.parts, only)
		}
	}
}

func TestWhatIsNotedOfInheritance(t *testing.T) {
	for _, c := range []struct{ set, want Control }{
		{DACLPresent, DACLPresent},
		{DACLPresent | DACLAutoInherited, DACLPresent},
		{DACLPresent | DACLInheritReq, DACLPresent},
		{DACLPresent | DACLInheritReq | DACLAutoInherited, DACLPresent | DACLAutoInherited},
		{DACLPresent | DACLInheritReq | DACLAutoInherited | DACLProtected, DACLPresent | DACLAutoInherited | DACLProtected},
	} {
		was := &Descriptor{Control: DACLPresent | DACLAutoInherited | DACLProtected, DACL: list()}
		got, err := was.Change(&Descriptor{Control: c.set, DACL: list()}, PartDACL)
		if err != nil || got.Control != c.want {
			t.Errorf("set %#x: %#x, %v, want %#x", c.set, got.Control, err, c.want)
		}
	}
}
