package sd

import "iter"

// ACL is an access control list, MS-DTYP 2.4.5: its entries in order. The zero value has none, and so gives nobody
// anything.
type ACL struct {
	revision byte // as it was read; 0 is the least that its entries allow
	n        int
	aces     []byte
}

const (
	aclFixed = 8
	// maxACL is what the field for an ACL's length can tell, in whole words.
	maxACL = 1<<16 - 4

	aclRevision    byte = 2
	objectRevision byte = 4 // of an ACL with entries for objects
)

// Len is the number of entries.
func (l *ACL) Len() int { return l.n }

// All yields the entries.
func (l *ACL) All() iter.Seq[ACE] {
	return func(yield func(ACE) bool) {
		for rest := l.aces; len(rest) > 0; {
			size := le.Uint16(rest[2:])
			if !yield(ACE(rest[:size:size])) {
				return
			}
			rest = rest[size:]
		}
	}
}

// parseACL reads the ACL at the beginning of b. What the ACL has behind its entries is left out.
func parseACL(b []byte) (*ACL, error) {
	if len(b) < aclFixed {
		return nil, malformed("ACL of %d bytes", len(b))
	}
	size, n := int(le.Uint16(b[2:])), int(le.Uint16(b[4:]))
	if b[0] < aclRevision || b[0] > objectRevision || size < aclFixed || size > len(b) {
		return nil, malformed("ACL of revision %d of %d bytes, in %d", b[0], size, len(b))
	}
	rest := b[aclFixed:size]
	for i := range n {
		var err error
		if _, rest, err = cutACE(rest); err != nil {
			return nil, malformed("entry %d of %d of an ACL: %w", i+1, n, err)
		}
	}
	used := size - len(rest)
	return &ACL{revision: b[0], n: n, aces: b[aclFixed:used:used]}, nil
}

// size is the length of the ACL in bytes.
func (l *ACL) size() int { return aclFixed + len(l.aces) }

func (l *ACL) append(b []byte) []byte {
	r := max(l.revision, aclRevision)
	for a := range l.All() {
		if a.Type().layout() == object {
			r = objectRevision
		}
	}
	b = append(b, r, 0)
	b = le.AppendUint16(b, uint16(l.size()))
	b = le.AppendUint16(b, uint16(l.n))
	b = append(b, 0, 0)
	return append(b, l.aces...)
}
