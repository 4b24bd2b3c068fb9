package auth

import (
	"encoding/binary"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16le encodes s as NTLMSSP has its strings: UTF-16, little-endian, without an end mark.
func utf16le(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// toOEM encodes s for a client without Unicode. What its code page is nobody says: other characters than
// those of ASCII, which all code pages have, become question marks.
func toOEM(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= utf8.RuneSelf {
			r = '?'
		}
		b = append(b, byte(r))
	}
	return b
}

// fromOEM makes a name of a client without Unicode one as others send it.
func fromOEM(name []byte) ([]byte, error) {
	if len(name) > maxName/2 {
		return nil, malformed("name of %d bytes, want at most %d", len(name), maxName/2)
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			return nil, unsupported("a name in the client's code page: % x", name)
		}
	}
	return utf16le(string(name)), nil
}

// fromUTF16 decodes an even number of bytes; a lone surrogate becomes U+FFFD.
func fromUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// upperUTF16 returns b in upper case, unit by unit, as the peers do: the result has the
// same length, and a character outside the basic plane stays as it is.
func upperUTF16(b []byte) []byte {
	out := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		u := binary.LittleEndian.Uint16(b[i:])
		if up := unicode.ToUpper(rune(u)); up <= 0xffff && !utf16.IsSurrogate(rune(u)) {
			u = uint16(up)
		}
		binary.LittleEndian.PutUint16(out[i:], u)
	}
	return out
}
