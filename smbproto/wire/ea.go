package wire

import (
	"bytes"
	"iter"
	"strings"
)

// EA is an extended attribute, MS-FSCC 2.4.16. Its name is of bytes in the client's code
// page; only the case of ASCII letters does not matter.
type EA struct {
	Name  string
	Value []byte
}

// Limits of extended attributes: of one name (MS-FSCC 2.4.16), and of all of a file's as a
// list (MS-FSA 2.1.5.15.5).
const (
	MaxEAName = 254
	MaxEAs    = 64<<10 - 5
)

// eaFixed is an entry of either list before its name: of FILE_FULL_EA_INFORMATION, and of
// FILE_GET_EA_INFORMATION.
const (
	eaFixed    = 8
	getEAFixed = 5
)

// eaSize is what an EA takes in a list, without padding: a zero stands behind its name.
func eaSize(name, value int) int { return eaFixed + name + 1 + value }

// EAListSize is what EAs take as a list.
func EAListSize(list []EA) (n int) {
	for _, ea := range list {
		n = EAListWith(n, len(ea.Name), len(ea.Value))
	}
	return n
}

// EAListWith is what a list of size bytes takes with one more EA behind it, of a name and a value of so many bytes.
func EAListWith(size, name, value int) int { return align4(size) + eaSize(name, value) }

func align4(n int) int { return (n + 3) &^ 3 }

// ValidEAName reports whether an EA may have the name: no control character, and none that
// MS-FSCC 2.4.16 excludes.
func ValidEAName(name string) bool {
	if name == "" || len(name) > MaxEAName {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c < 0x20 || strings.IndexByte(`\/:*?"<>|,+=[];`, c) >= 0 {
			return false
		}
	}
	return true
}

// FoldEAName maps names that differ in case alone to one.
func FoldEAName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// FullEAList is a chain of FILE_FULL_EA_INFORMATION, MS-FSCC 2.4.16, as a client sends it.
type FullEAList []byte

// entry gives the sizes of the first entry, and where the next is, or 0.
func (l FullEAList) entry() (name, value, next int) {
	return int(l[5]), int(le.Uint16(l[6:])), int(le.Uint32(l))
}

// Valid checks the layout of all entries, but not their names.
func (l FullEAList) Valid() error {
	for rest := l; ; {
		if len(rest) < eaFixed {
			return malformed("EA of %d bytes", len(rest))
		}
		name, value, _ := rest.entry()
		size := eaSize(name, value)
		if size > len(rest) {
			return malformed("EA of %d bytes, in %d", size, len(rest))
		}
		if raw := rest[eaFixed : eaFixed+name+1]; bytes.IndexByte(raw, 0) != name {
			return malformed("EA name of %d bytes, without a zero behind it", name)
		}
		next, err := nextEntry(rest, size)
		if err != nil || next == 0 {
			return err
		}
		rest = rest[next:]
	}
}

// nextEntry checks a NextEntryOffset: 0, or behind the entry of the given size, 4-byte aligned.
func nextEntry(b []byte, size int) (int, error) {
	next := uint64(le.Uint32(b))
	if next != 0 && (next%4 != 0 || next < uint64(size) || next >= uint64(len(b))) {
		return 0, malformed("next entry at %d, behind one of %d, in %d", next, size, len(b))
	}
	return int(next), nil
}

// All yields each EA. Its value is in place.
func (l FullEAList) All() iter.Seq2[uint8, EA] {
	return func(yield func(flags uint8, ea EA) bool) {
		for rest := l; ; {
			name, value, next := rest.entry()
			at := eaFixed + name + 1
			if !yield(rest[4], EA{string(rest[eaFixed : eaFixed+name]), rest[at : at+value : at+value]}) || next == 0 {
				return
			}
			rest = rest[next:]
		}
	}
}

// EANeeded is FILE_NEED_EA, the one flag of an EA.
const EANeeded uint8 = 0x80

// GetEAList is a chain of FILE_GET_EA_INFORMATION: which EAs are asked for (MS-FSCC 2.4.16.1).
type GetEAList []byte

// Valid checks the layout of all entries, but not their names.
func (l GetEAList) Valid() error {
	for rest := []byte(l); ; {
		if len(rest) < getEAFixed {
			return malformed("EA that is asked for, of %d bytes", len(rest))
		}
		name := int(rest[4])
		size := getEAFixed + name + 1
		if size > len(rest) {
			return malformed("EA that is asked for, of %d bytes, in %d", size, len(rest))
		}
		if bytes.IndexByte(rest[getEAFixed:size], 0) != name {
			return malformed("name of an EA that is asked for, of %d bytes, without a zero behind it", name)
		}
		next, err := nextEntry(rest, size)
		if err != nil || next == 0 {
			return err
		}
		rest = rest[next:]
	}
}

// All yields each name.
func (l GetEAList) All(yield func(name string) bool) {
	for rest := []byte(l); ; {
		next := int(le.Uint32(rest))
		if !yield(string(rest[getEAFixed:getEAFixed+int(rest[4])])) || next == 0 {
			return
		}
		rest = rest[next:]
	}
}

// EAWriter fills an output buffer with FILE_FULL_EA_INFORMATION.
type EAWriter struct {
	buf   []byte
	last  int // where the last entry begins
	n     int // end of the last entry
	count int
}

// NewEAWriter starts a list in b, which is as long as the client allows.
func NewEAWriter(b []byte) EAWriter { return EAWriter{buf: b} }

// Len is the number of bytes written.
func (w *EAWriter) Len() int { return w.n }

// Put adds an entry and reports whether it fitted; if not, nothing is written. The name is
// at most MaxEAName bytes long, the value less than 64 KiB.
func (w *EAWriter) Put(name string, value []byte) bool {
	at := align4(w.n)
	size := eaSize(len(name), len(value))
	if at+size > len(w.buf) {
		return false
	}
	clear(w.buf[w.n:at])
	e := w.buf[at : at+size]
	le.PutUint32(e, 0)
	e[4], e[5] = 0, uint8(len(name))
	le.PutUint16(e[6:], uint16(len(value)))
	copy(e[eaFixed:], name)
	e[eaFixed+len(name)] = 0
	copy(e[eaFixed+len(name)+1:], value)
	if w.count > 0 {
		le.PutUint32(w.buf[w.last:], uint32(at-w.last))
	}
	w.last, w.n = at, at+size
	w.count++
	return true
}
