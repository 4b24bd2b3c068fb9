package wire

import "strings"

// maxShortName is the longest 8.3 name, MS-FSCC 2.1.5.2.1: all of them are ASCII.
const maxShortName = 8 + 1 + 3

// ShortName is the 8.3 name by which a file can be found too, for clients that know no others. A name that is one
// is its own. It is worked out of the name alone, so a directory may have two of a kind, though hardly ever: it has
// the first letter, 25 bits of a hash, and "~1".
func ShortName(name string) string {
	if IsShortName(name) {
		return name
	}
	var b [maxShortName]byte
	return string(b[:putShortName(&b, name)])
}

// IsShortName reports whether the name is an 8.3 name.
func IsShortName(name string) bool {
	if len(name) > maxShortName {
		return false
	}
	base, ext, dotted := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || dotted && ext == "" {
		return false
	}
	for i := range len(base) + len(ext) {
		c := name[i]
		if i >= len(base) {
			c = ext[i-len(base)]
		}
		if !shortChar(c) {
			return false
		}
	}
	return true
}

// shortChar reports whether an 8.3 name may have the character, a dot apart.
func shortChar(c byte) bool {
	return c > ' ' && c < 0x7F && c != '.' && strings.IndexByte(`"*+,/:;<=>?[\]|`, c) < 0
}

// What stands in the 8.3 name of a name that is none: a letter, digits, and a tail; then there may be an extension.
const (
	digits      = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
	shortDigits = 5
	shortTail   = "~1"
)

// MayBeMade reports whether the name could be what ShortName makes of another.
func MayBeMade(name string) bool {
	const base = 1 + shortDigits + len(shortTail)
	if len(name) < base || name[1+shortDigits:base] != shortTail || len(name) > base && name[base] != '.' || !IsShortName(name) {
		return false
	}
	for i := range shortDigits {
		if strings.IndexByte(digits, upper(name[1+i])) < 0 {
			return false
		}
	}
	return true
}

// putShortName writes the 8.3 name of a name that is none, and returns its length.
func putShortName(b *[maxShortName]byte, name string) (n int) {
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	b[0] = '_'
	for i := range len(base) {
		if shortChar(base[i]) {
			b[0] = upper(base[i])
			break
		}
	}
	// FNV-1a, of the name as it is compared: without the case of its letters.
	h := uint32(2166136261)
	for _, r := range name {
		h = (h ^ uint32(fold(r))) * 16777619
	}
	h ^= h >> 25
	for n = 1; n < 1+shortDigits; n++ {
		b[n] = digits[h%32]
		h /= 32
	}
	n += copy(b[n:], shortTail)
	at := n
	n++
	for i := 0; i < len(ext) && n < at+4; i++ {
		if shortChar(ext[i]) {
			b[n] = upper(ext[i])
			n++
		}
	}
	if n == at+1 {
		return at // there is no extension
	}
	b[at] = '.'
	return n
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
