package wire

import (
	"bytes"

	"golang.org/x/text/encoding/charmap"
)

// oem is the code page of clients without Unicode: that of DOS in western Europe, which most
// servers take if they are not told another (MS-CIFS 2.2.1.1, OEM_STRING).
var oem = charmap.CodePage850

// SMB1Strings takes the strings of a block one after the other, MS-CIFS 2.2.1.1: in UTF-16 they
// begin at an even distance from where the message begins, each ends with a zero or where the block does.
type SMB1Strings struct {
	rest    []byte
	at      int
	unicode bool
}

// NewSMB1Strings begins at b, which lies at the given place of its message.
func NewSMB1Strings(b []byte, at int, unicode bool) SMB1Strings {
	return SMB1Strings{b, at, unicode}
}

func (s *SMB1Strings) skip(n int) { s.rest, s.at = s.rest[n:], s.at+n }

// Rest is what has not been taken.
func (s *SMB1Strings) Rest() []byte { return s.rest }

// Take takes n bytes; false if they are not there.
func (s *SMB1Strings) Take(n int) ([]byte, bool) {
	if n < 0 || n > len(s.rest) {
		return nil, false
	}
	b := s.rest[:n:n]
	s.skip(n)
	return b, true
}

// Format takes the byte in front of a field, which says what it is (MS-CIFS 2.2.2.5): 4 for a path.
func (s *SMB1Strings) Format(want byte) error {
	if len(s.rest) == 0 || s.rest[0] != want {
		return malformed("SMB1 buffer format other than %d", want)
	}
	s.skip(1)
	return nil
}

// Next takes a string.
func (s *SMB1Strings) Next() (string, error) {
	if !s.unicode {
		return s.OEM()
	}
	if s.at%2 != 0 && len(s.rest) > 0 {
		s.skip(1)
	}
	n, end := len(s.rest)&^1, len(s.rest)
	for i := 0; i < n; i += 2 {
		if s.rest[i] == 0 && s.rest[i+1] == 0 {
			n, end = i, i+2
			break
		}
	}
	raw := s.rest[:n]
	s.skip(end)
	return UTF16ToString(raw)
}

// OEM takes a string that is not in Unicode, whatever the others are.
func (s *SMB1Strings) OEM() (string, error) {
	n, end := len(s.rest), len(s.rest)
	if i := bytes.IndexByte(s.rest, 0); i >= 0 {
		n, end = i, i+1
	}
	text := make([]byte, 0, n)
	for _, c := range s.rest[:n] {
		text = append(text, string(oem.DecodeByte(c))...)
	}
	s.skip(end)
	return string(text), nil
}

// Path takes a path with the format byte of one.
func (s *SMB1Strings) Path() (string, error) {
	if err := s.Format(SMB1FormatPath); err != nil {
		return "", err
	}
	return s.Next()
}

// Buffer formats, MS-CIFS 2.2.2.5.
const (
	SMB1FormatData     = 1
	SMB1FormatPath     = 4
	SMB1FormatVariable = 5
)

// SMB1StringSize is the most that a string takes: with what aligns it, and the zero behind it.
func SMB1StringSize(s string) int { return 3 + UTF16Len(s) }

// PutSMB1Chars writes a string without anything around it, and returns its length in bytes. A character that the
// client's code page does not have becomes an underscore.
func PutSMB1Chars(b []byte, s string, unicode bool) (n int) {
	if unicode {
		return PutUTF16(b, s)
	}
	for _, r := range s {
		c, ok := oem.EncodeRune(r)
		if !ok {
			c = '_'
		}
		b[n] = c
		n++
	}
	return n
}

// SMB1CharsLen is what PutSMB1Chars takes.
func SMB1CharsLen(s string, unicode bool) (n int) {
	if unicode {
		return UTF16Len(s)
	}
	for range s {
		n++
	}
	return n
}

// PutSMB1String writes a string at a place of its message, aligned and with a zero behind it; SMB1StringSize says
// how much room that takes at most.
func PutSMB1String(b []byte, at int, s string, unicode bool) (n int) {
	if unicode && at%2 != 0 {
		b[0] = 0
		n++
	}
	n += PutSMB1Chars(b[n:], s, unicode)
	b[n] = 0
	n++
	if unicode {
		b[n] = 0
		n++
	}
	return n
}
