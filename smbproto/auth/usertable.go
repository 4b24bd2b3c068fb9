package auth

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// userTable is the text of a user file, and an index to it.
type userTable struct {
	lines []userLine
	index map[string]int // folded name to line
}

// userLine is an account, or any other line as it stands.
type userLine struct {
	name  string // empty: not an account
	hash  [16]byte
	other string
}

// fold maps names that differ in case alone to one, with the upper case by
// which NTLMv2 too compares them (MS-NLMP 3.3.2). A letter beyond ASCII is the other case of none of ASCII's: as in Windows,
// the dotless i and the long s are letters of their own, or who may choose the name of a principal would be somebody else.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if up := unicode.ToUpper(r); up >= utf8.RuneSelf || r < utf8.RuneSelf {
			return up
		}
		return r
	}, name)
}

// SameName reports whether two names are one user's: by the rule by which an account is found, and no wider one. strings.EqualFold has
// the Kelvin sign for a k.
func SameName(a, b string) bool { return fold(a) == fold(b) }

// parseUsers reads a user file's text. Errors begin with the line's number.
func parseUsers(text string) (userTable, error) {
	t := userTable{index: map[string]int{}}
	rids := map[uint32]string{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			t.lines = append(t.lines, userLine{other: line})
			continue
		}
		u, err := parseUserLine(line)
		if err != nil {
			return userTable{}, fmt.Errorf("line %d: %w", number, err)
		}
		key := fold(u.name)
		if first, ok := t.index[key]; ok {
			return userTable{}, fmt.Errorf("line %d: user %q is already on line %d", number, u.name, first+1)
		}
		if other, ok := rids[RID(u.name)]; ok {
			return userTable{}, fmt.Errorf("line %d: users %q and %q would have the same SID, give one another name", number, u.name, other)
		}
		rids[RID(u.name)] = u.name
		t.index[key] = len(t.lines)
		t.lines = append(t.lines, u)
	}
	return t, nil
}

// parseUserLine never quotes what follows the colon: it may be a secret.
func parseUserLine(line string) (u userLine, err error) {
	name, digits, ok := strings.Cut(line, ":")
	if !ok {
		return u, fmt.Errorf("no colon, want name:hash")
	}
	if err := checkName(name); err != nil {
		return u, err
	}
	if len(digits) != hex.EncodedLen(len(u.hash)) {
		return u, fmt.Errorf("user %q: hash of %d characters, want %d hexadecimal digits",
			name, len(digits), hex.EncodedLen(len(u.hash)))
	}
	if _, err := hex.Decode(u.hash[:], []byte(digits)); err != nil {
		return u, fmt.Errorf("user %q: hash is not hexadecimal", name)
	}
	u.name = name
	return u, nil
}

func (t *userTable) text() string {
	var b strings.Builder
	for _, l := range t.lines {
		if l.name == "" {
			b.WriteString(l.other)
		} else {
			fmt.Fprintf(&b, "%s:%x", l.name, l.hash)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (t *userTable) lookup(name string) (hash [16]byte, ok bool) {
	i, ok := t.index[fold(name)]
	if !ok {
		return hash, false
	}
	return t.lines[i].hash, true
}

func (t *userTable) names() []string {
	var names []string
	for _, l := range t.lines {
		if l.name != "" {
			names = append(names, l.name)
		}
	}
	return names
}

// set adds the user at the end, or replaces the hash and keeps the name as written.
func (t *userTable) set(name string, hash [16]byte) {
	if i, ok := t.index[fold(name)]; ok {
		t.lines[i].hash = hash
		return
	}
	t.index[fold(name)] = len(t.lines)
	t.lines = append(t.lines, userLine{name: name, hash: hash})
}

// sharesRID gives the user, if there is one, who would have the same SID as a new one of this name.
func (t *userTable) sharesRID(name string) (other string, ok bool) {
	for _, l := range t.lines {
		if l.name != "" && fold(l.name) != fold(name) && RID(l.name) == RID(name) {
			return l.name, true
		}
	}
	return "", false
}

func (t *userTable) remove(name string) bool {
	i, ok := t.index[fold(name)]
	if !ok {
		return false
	}
	t.lines = slices.Delete(t.lines, i, i+1)
	delete(t.index, fold(name))
	for key, j := range t.index {
		if j > i {
			t.index[key] = j - 1
		}
	}
	return true
}
