package sd

import (
	"errors"
	"testing"

	"ustack/smbproto/wire"
)

const (
	oi, ci, np, io = ObjectInherit, ContainerInherit, NoPropagate, InheritOnly
	id             = Inherited
)

// Each case was worked out by hand with the text of MS-DTYP 2.5.3.4.2.
func TestInheritedEntries(t *testing.T) {
	none := list(entry{Allow, 0, all, alice}, entry{Allow, 0, all, System}) // what there is if nothing is inherited
	for _, c := range []struct {
		flags     ACEFlags
		file, dir *ACL // for an entry of bob's
	}{
		{0, none, none},
		{oi, list(entry{Allow, 0, read, bob}), list(entry{Allow, oi | io, read, bob})},
		{ci, none, list(entry{Allow, ci, read, bob})},
		{oi | ci, list(entry{Allow, 0, read, bob}), list(entry{Allow, oi | ci, read, bob})},
		{np, none, none},
		{oi | np, list(entry{Allow, 0, read, bob}), none},
		{ci | np, none, list(entry{Allow, 0, read, bob})},
		{oi | ci | np, list(entry{Allow, 0, read, bob}), list(entry{Allow, 0, read, bob})},
		{io, none, none},
		{oi | io, list(entry{Allow, 0, read, bob}), list(entry{Allow, oi | io, read, bob})},
		{ci | io, none, list(entry{Allow, ci, read, bob})},
		{oi | ci | io, list(entry{Allow, 0, read, bob}), list(entry{Allow, oi | ci, read, bob})},
		{oi | ci | np | io, list(entry{Allow, 0, read, bob}), list(entry{Allow, 0, read, bob})},
		{oi | id, list(entry{Allow, 0, read, bob}), list(entry{Allow, oi | io, read, bob})},
	} {
		for _, dir := range []bool{false, true} {
			want := c.file
			if dir {
				want = c.dir
			}
			parent := &Descriptor{Control: DACLPresent, DACL: list(entry{Allow, c.flags, read, bob})}
			got, err := New(parent, nil, dir, tokenOf(alice))
			if err != nil {
				t.Fatal(err)
			}
			if got.DACL.String() != want.String() || got.Control != DACLPresent {
				t.Errorf("of flags %#x, directory %v: %v, control %#x, want %v", c.flags, dir, got.DACL, got.Control, want)
			}
			if want == none {
				continue
			}
			parent.Control |= DACLAutoInherited
			if got, err = New(parent, nil, dir, tokenOf(alice)); err != nil || got.Control != DACLPresent|DACLAutoInherited {
				t.Fatalf("control %#x, %v: not noted to be inherited", got.Control, err)
			}
			for a := range got.DACL.All() {
				if a.Flags()&id == 0 {
					t.Errorf("of flags %#x, directory %v: %v is not noted to be inherited", c.flags, dir, a)
				}
			}
		}
	}
}

// Where an entry stands for whoever makes a file, he takes its place where it counts, and it goes on to what is below.
func TestCreatorsTakeTheirEntries(t *testing.T) {
	for _, c := range []struct {
		parent, file, dir *ACL
	}{
		{
			list(entry{Allow, oi | ci, write, CreatorOwner}, entry{Allow, ci, read, CreatorGroup}),
			list(entry{Allow, 0, write, alice}),
			list(entry{Allow, 0, write, alice}, entry{Allow, oi | ci | io, write, CreatorOwner},
				entry{Allow, 0, read, staff}, entry{Allow, ci | io, read, CreatorGroup}),
		}, {
			list(entry{Allow, oi | ci | io | np, write, CreatorOwner}),
			list(entry{Allow, 0, write, alice}),
			list(entry{Allow, 0, write, alice}),
		}, {
			list(entry{Allow, oi, write, CreatorOwner}),
			list(entry{Allow, 0, write, alice}),
			list(entry{Allow, oi | io, write, CreatorOwner}),
		}, { // generic rights are mapped where the entry counts
			list(entry{Allow, oi, wire.AccessGenericAll, bob}),
			list(entry{Allow, 0, all, bob}),
			list(entry{Allow, oi | io, wire.AccessGenericAll, bob}),
		},
	} {
		parent := &Descriptor{Control: DACLPresent, DACL: c.parent}
		for _, dir := range []bool{false, true} {
			want := c.file
			if dir {
				want = c.dir
			}
			got, err := New(parent, nil, dir, tokenOf(alice))
			if err != nil || got.DACL.String() != want.String() {
				t.Errorf("of %v, directory %v: %v, %v, want %v", c.parent, dir, got.DACL, err, want)
			}
			if got.Owner != alice || got.Group != staff {
				t.Errorf("owner %v, group %v", got.Owner, got.Group)
			}
		}
	}
}

func TestWhatACreatorAsksFor(t *testing.T) {
	inheritable := list(entry{Allow, oi | ci, read, bob})
	asked := list(entry{Allow, 0, wire.AccessGenericWrite, CreatorOwner}, entry{Deny, id, exec, bob})
	const writes = wire.Access(0x120116)
	for _, c := range []struct {
		what    string
		parent  Control
		creator *Descriptor
		want    *ACL
		control Control
	}{
		{"nothing, of nothing inheritable", 0, nil, list(entry{Allow, 0, read, bob}), DACLPresent},
		{"a list stands alone", 0, &Descriptor{Control: DACLPresent, DACL: asked},
			list(entry{Allow, 0, writes, alice}, entry{Deny, id, exec, bob}), DACLPresent},
		{"what is inherited comes behind it, and anew", DACLAutoInherited, &Descriptor{Control: DACLPresent, DACL: asked},
			list(entry{Allow, 0, writes, alice}, entry{Allow, id, read, bob}), DACLPresent | DACLAutoInherited},
		{"nothing is inherited by what is protected", DACLAutoInherited, &Descriptor{Control: DACLPresent | DACLProtected, DACL: asked},
			list(entry{Allow, 0, writes, alice}, entry{Deny, id, exec, bob}), DACLPresent | DACLProtected},
		{"an empty list", 0, &Descriptor{Control: DACLPresent, DACL: list()}, list(), DACLPresent},
		{"no list, on purpose", DACLAutoInherited, &Descriptor{Control: DACLPresent}, nil, DACLPresent},
	} {
		parent := &Descriptor{Control: DACLPresent | c.parent, DACL: inheritable}
		got, err := New(parent, c.creator, false, tokenOf(alice))
		if err != nil || got.DACL.String() != c.want.String() || (got.DACL == nil) != (c.want == nil) || got.Control != c.control {
			t.Errorf("%s: %v, control %#x, %v, want %v, %#x", c.what, got.DACL, got.Control, err, c.want, c.control)
		}
	}
	got, err := New(&Descriptor{}, &Descriptor{Owner: bob, Group: Everyone}, true, tokenOf(alice))
	if err != nil || got.Owner != bob || got.Group != Everyone || got.DACL.String() != list(entry{Allow, 0, all, bob}, entry{Allow, 0, all, System}).String() {
		t.Errorf("owner %v, group %v, %v, %v", got.Owner, got.Group, got.DACL, err)
	}
}

func TestAuditsAreInheritedToo(t *testing.T) {
	parent := &Descriptor{Control: DACLPresent | SACLPresent | SACLAutoInherited, DACL: list(), SACL: list(entry{Audit, oi | 0x40, write, Everyone})}
	got, err := New(parent, nil, false, tokenOf(alice))
	if want := list(entry{Audit, id | 0x40, write, Everyone}); err != nil || got.SACL.String() != want.String() ||
		got.Control != DACLPresent|SACLPresent|SACLAutoInherited {
		t.Errorf("%v, control %#x, %v, want %v", got.SACL, got.Control, err, want)
	}
}

// An entry of a creator's becomes two: a list of half the greatest length can be too long for what inherits it.
func TestWhatIsInheritedMayBeTooLong(t *testing.T) {
	var l ACL
	for l.size()+2*(aceFixed+len(alice)) <= maxACL {
		l.AppendACE(Allow, oi|ci, read, CreatorOwner)
	}
	parent := reread(t, &Descriptor{Control: DACLPresent, DACL: &l})
	if _, err := New(parent, nil, true, tokenOf(alice)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, want %v", err, ErrTooLarge)
	}
}
