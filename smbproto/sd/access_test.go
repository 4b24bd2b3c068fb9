package sd

import (
	"testing"

	"ustack/smbproto/wire"
)

// Each case was worked out by hand with the text of MS-DTYP 2.5.3.2.
func TestGranted(t *testing.T) {
	for _, c := range []struct {
		what  string
		owner SID
		dacl  *ACL
		want  wire.Access // of alice
	}{
		{"no DACL is everybody's", bob, nil, all},
		{"an empty DACL is nobody's", bob, list(), 0},
		{"the owner of an empty DACL can still change it", alice, list(), own},
		{"what is allowed adds up", bob, list(entry{Allow, 0, read, alice}, entry{Allow, 0, write, Everyone}), read | write},
		{"others' entries do nothing", bob, list(entry{Allow, 0, read, bob}, entry{Deny, 0, all, bob}), 0},
		{"a denial takes what comes behind it", bob, list(entry{Deny, 0, write, Everyone}, entry{Allow, 0, all, alice}), all &^ write},
		{"and not what came before", bob, list(entry{Allow, 0, read | write, alice}, entry{Deny, 0, write | exec, alice}), read | write},
		{"a denial of all does not take an owner's rights", alice, list(entry{Deny, 0, all, alice}), own},
		{"entries only for heirs do nothing", bob, list(entry{Allow, InheritOnly | ObjectInherit, all, alice}), 0},
		{"creator owner is nobody", alice, list(entry{Allow, 0, read, CreatorOwner}), own},
		{"owner rights stand for the owner's", alice, list(entry{Allow, 0, read, OwnerRights}), read},
		{"and add up with others", alice, list(entry{Allow, 0, read, alice}, entry{Allow, 0, write, OwnerRights}), read | write},
		{"owner rights deny", alice, list(entry{Deny, 0, read, OwnerRights}, entry{Allow, 0, read | write, alice}), write},
		{"owner rights are not others'", bob, list(entry{Allow, 0, read, OwnerRights}), 0},
		{"owner rights only for heirs leave the owner's", alice, list(entry{Allow, InheritOnly | ContainerInherit, read, OwnerRights}), own},
		{"a group owns", staff, list(), own},
		{"generic rights are mapped", bob, list(entry{Allow, 0, wire.AccessGenericRead, alice}), wire.Access(0x120089)},
		{"all rights, and not more", bob, list(entry{Allow, 0, 0xFFFFFFFF, alice}), all},
		{"an audit grants nothing", bob, list(entry{Audit, 0, all, alice}), 0},
		{"a condition is not known to be met", bob, list(entry{allowCallback, 0, all, alice}), 0},
		{"but may be for a denial", bob, list(entry{denyCallback, 0, write, alice}, entry{Allow, 0, all, alice}), all &^ write},
		{"entries of unknown types do nothing", bob, list(entry{0x55, 0, all, alice}, entry{Allow, 0, read, alice}), read},
	} {
		d := &Descriptor{Control: DACLPresent, Owner: c.owner, DACL: c.dacl}
		if got := d.Granted(tokenOf(alice)); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.what, got, c.want)
		}
		if got := reread(t, d).Granted(tokenOf(alice)); got != c.want {
			t.Errorf("%s: read again %#x, want %#x", c.what, got, c.want)
		}
	}
}

// An entry about a property of an object says nothing of a file; one about the whole object does (MS-DTYP 2.4.4.3).
func TestEntriesOfObjects(t *testing.T) {
	whole := append([]byte{byte(allowObject), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, alice...)
	property := append([]byte{byte(allowObject), 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0}, make([]byte, 16)...)
	property = append(property, alice...)
	l := &ACL{}
	for _, b := range [][]byte{whole, property} {
		le.PutUint16(b[2:], uint16(len(b)))
		l.aces, l.n = append(l.aces, b...), l.n+1
	}
	d := reread(t, &Descriptor{Control: DACLPresent, DACL: l})
	if got := d.Granted(tokenOf(alice)); got != read {
		t.Errorf("%#x granted, want the right of the whole object %#x", got, read)
	}
	if b := d.Append(nil); b[descriptorFixed] != objectRevision {
		t.Errorf("revision %d of an ACL with entries of objects", b[descriptorFixed])
	}
}

func TestAccessChecksAllocateNothing(t *testing.T) {
	d := reread(t, &Descriptor{Control: DACLPresent, Owner: alice, DACL: list(
		entry{Deny, 0, write, bob}, entry{Allow, 0, read, staff}, entry{Allow, 0, all, OwnerRights})})
	token := tokenOf(alice)
	if n := testing.AllocsPerRun(100, func() { d.Granted(token) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhoMayOwn(t *testing.T) {
	token := tokenOf(alice)
	for who, want := range map[SID]bool{alice: true, staff: true, Everyone: true, bob: false, System: false, "": false} {
		if got := token.MayOwn(who); got != want {
			t.Errorf("alice makes %v an owner: %v", who, got)
		}
	}
	if token.Restore = true; !token.MayOwn(bob) || token.MayOwn("") {
		t.Error("the privilege to restore makes anybody an owner, and not nobody")
	}
}
