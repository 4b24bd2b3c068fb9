package sd

import (
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// Who there is in the tests.
var (
	domain = NewSID(5, 21, 1, 2, 3)
	alice  = domain.Sub(1001)
	bob    = domain.Sub(1002)
	staff  = domain.Sub(513)
)

func tokenOf(user SID, groups ...SID) *Token {
	return &Token{User: user, Group: staff, Groups: append([]SID{staff, Everyone}, groups...)}
}

const (
	read  = wire.AccessReadData
	write = wire.AccessWriteData
	exec  = wire.AccessExecute
	own   = wire.AccessReadControl | wire.AccessWriteDAC // what an owner has for being it
	all   = wire.AccessAll
)

// entry is an ACE as the tests write it.
type entry struct {
	kind  ACEType
	flags ACEFlags
	mask  wire.Access
	who   SID
}

func list(entries ...entry) *ACL {
	var l ACL
	for _, e := range entries {
		l.AppendACE(e.kind, e.flags, e.mask, e.who)
	}
	return &l
}

// String shows a list so that a difference can be read.
func (l *ACL) String() string {
	if l == nil {
		return "none"
	}
	var b strings.Builder
	for a := range l.All() {
		b.WriteString(a.String() + " ")
	}
	return strings.TrimSpace(b.String())
}

func (a ACE) String() string {
	kind, ok := map[ACEType]string{Allow: "allow", Deny: "deny", Audit: "audit"}[a.Type()]
	if !ok {
		kind = "other"
	}
	name, ok := map[SID]string{
		alice: "alice", bob: "bob", staff: "staff", Everyone: "everyone", CreatorOwner: "creator-owner", CreatorGroup: "creator-group",
		OwnerRights: "owner-rights", System: "system",
	}[a.SID()]
	if !ok {
		name = a.SID().String()
	}
	var flags strings.Builder
	for i, f := range []string{"oi", "ci", "np", "io", "id", "", "sa", "fa"} {
		if a.Flags()&(1<<i) != 0 {
			flags.WriteString("," + f)
		}
	}
	return strings.Join([]string{kind, name, flags.String(), hex(a.Mask())}, ":")
}

func hex(m wire.Access) string {
	const digits = "0123456789abcdef"
	out := ""
	for ; m > 0; m >>= 4 {
		out = string(digits[m&15]) + out
	}
	return out
}

// reread writes a descriptor and reads it again.
func reread(t *testing.T, d *Descriptor) *Descriptor {
	t.Helper()
	b := d.Append(nil)
	if len(b) != d.Size() {
		t.Fatalf("%d bytes, of a size of %d", len(b), d.Size())
	}
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
