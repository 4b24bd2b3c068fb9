package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is what a client searches a directory for, MS-FSA 2.1.4.4: * and ?, and
// the DOS forms < (DOS_STAR), > (DOS_QM) and " (DOS_DOT). Letters match in either case.
type Pattern struct {
	text  []rune
	all   bool
	cased bool // letters match in their own case alone
}

// MaxPattern is the longest pattern that a client may send, in characters: no name is longer.
const MaxPattern = 255

// NewPattern prepares a pattern; empty matches everything, as "*" does, and so do several
// stars in a row.
func NewPattern(s string) Pattern { return newPattern(s, false) }

// NewCasedPattern prepares a pattern whose letters match in their own case alone.
func NewCasedPattern(s string) Pattern { return newPattern(s, true) }

func newPattern(s string, cased bool) Pattern {
	p := Pattern{cased: cased}
	for _, r := range s {
		if n := len(p.text); r == '*' && n > 0 && p.text[n-1] == '*' {
			continue
		}
		p.text = append(p.text, p.fold(r))
	}
	p.all = len(p.text) == 0 || len(p.text) == 1 && p.text[0] == '*'
	return p
}

// HasWildcard reports whether the pattern can match more than one name.
func (p Pattern) HasWildcard() bool {
	if p.all {
		return true
	}
	for _, r := range p.text {
		switch r {
		case '*', '?', '<', '>', '"':
			return true
		}
	}
	return false
}

// Match reports whether the name matches.
func (p Pattern) Match(name string) bool {
	matches, _ := p.Try(name)
	return matches
}

// Try is Match, and counts the steps that it took: characters of the name times those of the
// pattern at most.
//
// It follows every way through the pattern at once: states[i] is set when the
// pattern from i on has still to match the rest of the name. So its time is
// bounded by the product of the lengths, whatever stars the client sends.
func (p Pattern) Try(name string) (matches bool, steps int) {
	if p.all {
		return true, 0
	}
	var a, b [MaxPattern + 1]bool
	states, next := a[:0], b[:0]
	if len(p.text)+1 > len(a) {
		states, next = make([]bool, 0, len(p.text)+1), make([]bool, 0, len(p.text)+1)
	}
	states, next = states[:len(p.text)+1], next[:len(p.text)+1]
	clear(states)
	states[0] = true
	dots := 0
	for _, r := range name {
		if r == '.' {
			dots++
		}
	}
	for _, r := range name {
		steps += len(p.text)
		p.skip(states, r)
		clear(next)
		last := r == '.' && dots == 1 // the dot before the extension
		if r == '.' {
			dots--
		}
		alive := false
		for i, c := range p.text {
			if !states[i] {
				continue
			}
			switch {
			case c == '*', c == '<' && !last:
				next[i], alive = true, true
			case c == '<', // DOS_STAR ends with the last dot
				c == '?', c == '>' && r != '.', c == '"' && r == '.', c == p.fold(r):
				next[i+1], alive = true, true
			}
		}
		if !alive {
			return false, steps
		}
		states, next = next, states
	}
	p.skip(states, endOfName)
	return states[len(p.text)], steps
}

const endOfName rune = -1

// skip adds the states that are reached by matching nothing before the character r
// of the name: over stars anywhere, over DOS_QM at a dot and at the end, over
// DOS_DOT at the end.
func (p Pattern) skip(states []bool, r rune) {
	for i, c := range p.text {
		if !states[i] {
			continue
		}
		switch {
		case c == '*', c == '<',
			c == '>' && (r == '.' || r == endOfName),
			c == '"' && r == endOfName:
			states[i+1] = true
		}
	}
}

func (p *Pattern) fold(r rune) rune {
	if p.cased {
		return r
	}
	return fold(r)
}

func fold(r rune) rune {
	if r < 0x80 {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	return unicode.ToUpper(r)
}

// Folded is the same for all names that EqualFold calls the same, and for no others.
func Folded(name string) string { return strings.Map(fold, name) }

// EqualFold reports whether two names are the same but for the case of letters.
func EqualFold(a, b string) bool {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb && fold(ra) != fold(rb) {
			return false
		}
		a, b = a[na:], b[nb:]
	}
	return a == b
}
