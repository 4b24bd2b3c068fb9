package wire

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Strings of SMB2 are UTF-16LE without a terminator. These work on the bytes as
// they lie in the ring, at any alignment.

// UTF16ToString decodes b. It fails on an odd length and on a lone surrogate,
// which no name in UTF-8 can hold.
func UTF16ToString(b []byte) (string, error) {
	if len(b)%2 != 0 {
		return "", malformed("UTF-16 string of odd length %d", len(b))
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i += 2 {
		r := rune(le.Uint16(b[i:]))
		if utf16.IsSurrogate(r) {
			if i+4 > len(b) {
				return "", malformed("lone surrogate %#x", r)
			}
			low := rune(le.Uint16(b[i+2:]))
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				return "", malformed("broken surrogate pair")
			}
			i += 2
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), nil
}

// UTF16Len is the number of bytes that PutUTF16 writes for s.
func UTF16Len(s string) int {
	n := 0
	for _, r := range s {
		n += 2 * utf16.RuneLen(r)
	}
	return n
}

// PutUTF16 encodes s into b, which is at least UTF16Len(s) long, and returns the
// number of bytes written. A byte that is not UTF-8 becomes U+FFFD.
func PutUTF16(b []byte, s string) int {
	n := 0
	for _, r := range s {
		if r >= 0x10000 {
			high, low := utf16.EncodeRune(r)
			le.PutUint16(b[n:], uint16(high))
			le.PutUint16(b[n+2:], uint16(low))
			n += 4
			continue
		}
		le.PutUint16(b[n:], uint16(r))
		n += 2
	}
	return n
}
