package sd

import (
	"testing"

	"pgregory.net/rapid"

	"ustack/smbproto/wire"
)

// mapped is what a mask of an entry stands for, by the table of MS-SMB2 2.2.13.1.1.
func mapped(m wire.Access) wire.Access {
	for generic, specific := range map[wire.Access]wire.Access{
		wire.AccessGenericAll: 0x1F01FF, wire.AccessGenericRead: 0x120089,
		wire.AccessGenericWrite: 0x120116, wire.AccessGenericExecute: 0x1200A0,
	} {
		if m&generic != 0 {
			m |= specific
		}
	}
	return m & 0x1F01FF
}

// accessCheck is the algorithm of MS-DTYP 2.5.3.2, as it stands there: for one access that is asked for.
func accessCheck(owner SID, entries []entry, t *Token, remaining wire.Access) bool {
	is := func(s SID) bool { return t.Has(s) || s == OwnerRights && t.Has(owner) }
	limited := false
	for _, e := range entries {
		limited = limited || e.who == OwnerRights && e.flags&InheritOnly == 0
	}
	if t.Has(owner) && !limited {
		remaining &^= wire.AccessReadControl | wire.AccessWriteDAC
	}
	for _, e := range entries {
		switch {
		case remaining == 0:
			return true
		case e.flags&InheritOnly != 0, !is(e.who):
		case e.kind == Allow:
			remaining &^= mapped(e.mask)
		case remaining&mapped(e.mask) != 0:
			return false
		}
	}
	return remaining == 0
}

var (
	someSIDs    = []SID{alice, bob, staff, Everyone, AuthenticatedUsers, OwnerRights, CreatorOwner, CreatorGroup}
	someEntries = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
		return entry{
			rapid.SampledFrom([]ACEType{Allow, Allow, Deny}).Draw(t, "kind"),
			rapid.SampledFrom([]ACEFlags{0, 0, ObjectInherit, ContainerInherit}).Draw(t, "flags") |
				rapid.SampledFrom([]ACEFlags{0, ObjectInherit, ContainerInherit, NoPropagate, InheritOnly, Inherited}).Draw(t, "flags"),
			wire.Access(rapid.Uint32().Draw(t, "mask") & rapid.Uint32().Draw(t, "and") &^ 0x08000000), // few rights
			rapid.SampledFrom(someSIDs).Draw(t, "who"),
		}
	}), 0, 6)
	someTokens = rapid.SampledFrom([]*Token{
		tokenOf(alice, AuthenticatedUsers), tokenOf(bob), {User: Anonymous, Group: Guests, Groups: []SID{Guests}},
	})
)

func TestAccessIsAsTheSpecificationHasIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries, token := someEntries.Draw(t, "entries"), someTokens.Draw(t, "token")
		owner := rapid.SampledFrom(someSIDs[:4]).Draw(t, "owner")
		granted := (&Descriptor{Control: DACLPresent, Owner: owner, DACL: list(entries...)}).Granted(token)
		asked := []wire.Access{granted, wire.Access(rapid.Uint32().Draw(t, "asked")) & wire.AccessAll}
		for bit := wire.Access(1); bit <= wire.AccessAll; bit <<= 1 {
			asked = append(asked, bit&wire.AccessAll)
		}
		for _, a := range asked {
			if want := accessCheck(owner, entries, token, a); (a&^granted == 0) != want {
				t.Fatalf("%#x asked, %#x granted, want %v", a, granted, want)
			}
		}
	})
}

// heirsOf are the entries that count for what is made so deep below a directory that has these, MS-DTYP 2.5.3.4: those
// meant for files or directories, unless they are not to go on. Whom they stand for is whoever made it. any says that
// it gets entries at all, if only for others below it.
func heirsOf(entries []entry, depth int, dir bool, maker SID) (counts []entry, any bool) {
	for _, e := range entries {
		onward := e.flags&NoPropagate == 0
		meant := e.flags&ObjectInherit != 0 && !dir || e.flags&ContainerInherit != 0 && dir
		switch {
		case depth > 1 && !onward:
			continue
		case !meant:
			any = any || dir && onward && e.flags&ObjectInherit != 0
			continue
		case e.who == CreatorOwner:
			e.who = maker
		case e.who == CreatorGroup:
			e.who = staff
		}
		e.flags = 0
		counts, any = append(counts, e), true
	}
	return counts, any
}

func TestInheritedEntriesReachWhomTheyAreMeantFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := someEntries.Draw(t, "entries")
		d := &Descriptor{Control: DACLPresent, Owner: bob, DACL: list(entries...)}
		if rapid.Bool().Draw(t, "auto") {
			d.Control |= DACLAutoInherited
		}
		depth, dir := rapid.IntRange(1, 3).Draw(t, "depth"), rapid.Bool().Draw(t, "dir")
		var maker SID
		lost := false // a directory on the way got nothing, and leaves nothing
		for n := 1; n <= depth; n++ {
			maker = rapid.SampledFrom(someSIDs[:2]).Draw(t, "maker")
			here := dir || n < depth
			_, any := heirsOf(entries, n, here, maker)
			lost = lost || !any
			var err error
			if d, err = New(d, nil, here, tokenOf(maker)); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := heirsOf(entries, depth, dir, maker)
		if lost {
			want = []entry{{Allow, 0, all, maker}, {Allow, 0, all, System}}
		}
		token := someTokens.Draw(t, "token")
		ref := &Descriptor{Control: DACLPresent, Owner: maker, DACL: list(want...)}
		if got, want := d.Granted(token), ref.Granted(token); got != want {
			t.Fatalf("%#x granted by %v, want %#x by %v", got, d.DACL, want, ref.DACL)
		}
	})
}
