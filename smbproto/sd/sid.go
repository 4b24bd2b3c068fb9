package sd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var le = binary.LittleEndian

// SID names a user or a group, in the form of MS-DTYP 2.4.2.2: its bytes, so that SIDs can be compared. The zero value is none.
type SID string

const (
	sidFixed          = 8
	maxSubAuthorities = 15
	// maxSID is the length of the longest SID in bytes.
	maxSID = sidFixed + 4*maxSubAuthorities
)

// ErrMalformed is below every error about a descriptor, or a SID, that breaks the rules of its layout.
var ErrMalformed = errors.New("malformed security descriptor")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// NewSID makes a SID of an authority, of which 48 bits count, and at most 15 subauthorities.
func NewSID(authority uint64, sub ...uint32) SID {
	sub = sub[:min(len(sub), maxSubAuthorities)]
	b := make([]byte, 0, maxSID)
	b = append(b, 1, byte(len(sub)))
	b = append(b, binary.BigEndian.AppendUint64(nil, authority)[2:]...)
	for _, s := range sub {
		b = le.AppendUint32(b, s)
	}
	return SID(b)
}

// Sub is the SID of something in the domain or authority that s is of. It is none if s has no room for it.
func (s SID) Sub(rid uint32) SID {
	if len(s) < sidFixed || s[1] >= maxSubAuthorities {
		return ""
	}
	b := le.AppendUint32([]byte(s), rid)
	b[1]++
	return SID(b)
}

// cutSID says how many of b's bytes the SID at its beginning has.
func cutSID(b []byte) (n int, err error) {
	if len(b) < sidFixed {
		return 0, malformed("SID of %d bytes", len(b))
	}
	n = sidFixed + 4*int(b[1])
	if b[0] != 1 || b[1] > maxSubAuthorities || n > len(b) {
		return 0, malformed("SID of revision %d with %d subauthorities, in %d bytes", b[0], b[1], len(b))
	}
	return n, nil
}

// String is the SID in the form of MS-DTYP 2.4.2.1, such as S-1-5-32-544.
func (s SID) String() string {
	if n, err := cutSID([]byte(s)); err != nil || n != len(s) {
		return "none"
	}
	var authority [8]byte
	copy(authority[2:], s[2:8])
	out := []byte("S-1-")
	if v := binary.BigEndian.Uint64(authority[:]); v < 1<<32 {
		out = strconv.AppendUint(out, v, 10)
	} else {
		out = fmt.Appendf(out, "0x%012X", v)
	}
	for rest := []byte(s[sidFixed:]); len(rest) > 0; rest = rest[4:] {
		out = strconv.AppendUint(append(out, '-'), uint64(le.Uint32(rest)), 10)
	}
	return string(out)
}

// ParseSID reads what String writes.
func ParseSID(text string) (SID, error) {
	parts := strings.Split(text, "-")
	if len(parts) < 3 || len(parts) > 3+maxSubAuthorities || parts[0] != "S" || parts[1] != "1" {
		return "", malformed("SID %q, want S-1-AUTHORITY and up to %d numbers", text, maxSubAuthorities)
	}
	authority, err := strconv.ParseUint(parts[2], 0, 48)
	if err != nil {
		return "", malformed("SID %q: authority %q", text, parts[2])
	}
	sub := make([]uint32, 0, maxSubAuthorities)
	for _, p := range parts[3:] {
		v, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return "", malformed("SID %q: %q is not a number of 32 bits", text, p)
		}
		sub = append(sub, uint32(v))
	}
	return NewSID(authority, sub...), nil
}
