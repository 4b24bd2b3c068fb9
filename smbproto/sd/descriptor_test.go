package sd

import (
	"bytes"
	"errors"
	"testing"

	"ustack/smbproto/wire"
)

// The bytes were put together by hand from the figures of MS-DTYP 2.4.2.2, 2.4.4.2, 2.4.5 and 2.4.6.
var example = []byte{
	1, 0, 0x04, 0x80, 20, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0,
	1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0, // owner S-1-5-32-544
	1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 33, 2, 0, 0, // group S-1-5-32-545
	2, 0, 28, 0, 1, 0, 0, 0, // ACL of one entry
	0, 3, 20, 0, 0xA9, 0, 0x12, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, // allow, for all that is made, S-1-1-0
}

func TestExampleIsReadAndWritten(t *testing.T) {
	d, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	if d.Owner != Administrators || d.Group != Users || d.Control != DACLPresent || d.SACL != nil ||
		d.DACL.String() != list(entry{Allow, oi | ci, wire.AccessReadOnly, Everyone}).String() {
		t.Errorf("%+v", d)
	}
	if b := d.Append([]byte("before")); !bytes.Equal(b, append([]byte("before"), example...)) {
		t.Errorf("written % x", b)
	}
}

func TestHostileDescriptorsAreRefused(t *testing.T) {
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(example)
		copy(b[at:], to)
		return b
	}
	for what, b := range map[string][]byte{
		"nothing":                         nil,
		"cut in its head":                 example[:19],
		"cut in its DACL":                 example[:len(example)-1],
		"too long":                        append(bytes.Clone(example), make([]byte, MaxSize)...),
		"revision 2":                      change(0, 2),
		"not self-relative":               change(3, 0),
		"owner in its head":               change(4, 16),
		"owner between words":             change(4, 21),
		"owner behind its end":            change(4, 0xFF, 0xFF, 0xFF, 0x7F),
		"owner at 4 GiB":                  change(4, 0xFC, 0xFF, 0xFF, 0xFF),
		"owner at its end":                change(4, byte(len(example))),
		"owner's SID longer than it":      change(21, 15),
		"owner's SID of 16 numbers":       append(change(21, 16), make([]byte, 100)...),
		"owner's SID of another revision": change(20, 2),
		"DACL behind its end":             change(16, 0, 1),
		"DACL of revision 1":              change(52, 1),
		"DACL longer than it":             change(54, 29),
		"DACL shorter than its head":      change(54, 7),
		"more entries than there are":     change(56, 2),
		"65535 entries":                   change(56, 0xFF, 0xFF),
		"entry longer than the DACL":      change(62, 24),
		"entry of no length":              change(62, 0),
		"entry between words":             change(62, 18),
		"entry shorter than its mask":     change(62, 4),
		"entry without its SID":           change(62, 12),
		"object without its SID":          change(60, byte(allowObject)),
		"object with types":               change(60, byte(allowObject), 0, 20, 0, 0, 0, 0, 0, 3),
	} {
		if _, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add(example)
	f.Add((&Descriptor{Control: DACLPresent | SACLPresent, Owner: alice, SACL: list(entry{Audit, 0xC0, all, Everyone}),
		DACL: list(entry{Allow, oi | ci, wire.AccessGenericAll, CreatorOwner}, entry{0x42, 0, 0, bob})}).Append(nil))
	f.Add((&Descriptor{Control: DACLPresent}).Append(nil))
	token := tokenOf(alice)
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		d, err := Parse(b)
		if err != nil {
			return
		}
		out := d.Append(nil)
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if !bytes.Equal(again.Append(nil), out) || again.Granted(token) != d.Granted(token) {
			t.Error("what was written is another descriptor")
		}
		for _, dir := range []bool{false, true} {
			for _, creator := range []*Descriptor{nil, d} {
				child, err := New(d, creator, dir, token)
				if err != nil {
					continue
				}
				if _, err := Parse(child.Append(nil)); err != nil {
					t.Errorf("what is inherited is malformed: %v", err)
				}
			}
		}
		if n, err := again.Change(d, PartOwner|PartGroup|PartDACL|PartSACL); err == nil && n.Granted(token)&^d.Granted(token) != 0 {
			t.Error("a descriptor that is set gives more than it says")
		}
		if string(b) != before {
			t.Error("a decoder changed its message")
		}
	})
}

func TestSIDsAsText(t *testing.T) {
	for _, text := range []string{"S-1-1-0", "S-1-5-32-544", "S-1-5-21-1-2-4294967295-1000", "S-1-0x123456789ABC-7", "S-1-22-1-0"} {
		s, err := ParseSID(text)
		if err != nil || s.String() != text {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "S-1", "S-2-1-0", "X-1-1-0", "S-1-1-", "S-1-1-4294967296", "S-1-1--1", "S-1-0x1234567890ABC-1",
		"S-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1"} {
		if s, err := ParseSID(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	long := NewSID(5, make([]uint32, 20)...)
	if len(long) != maxSID || long.Sub(1) != "" || SID("").Sub(1) != "" || SID("x").String() != "none" {
		t.Errorf("a SID of %d bytes", len(long))
	}
}
