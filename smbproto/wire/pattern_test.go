package wire

import (
	"strings"
	"testing"
)

func TestCasedPatternMatchesTheCaseAlone(t *testing.T) {
	for pattern, want := range map[string]bool{"a*.Txt": true, "A*.Txt": false, "ab?.Txt": true, "*.TXT": false, "*": true, "abc.Txt": true, "Abc.Txt": false} {
		if got := NewCasedPattern(pattern).Match("abc.Txt"); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}

func TestPatternsMatchAsFileSystemsDo(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "anything.txt", true},
		{"", "anything.txt", true},
		{"*.txt", "a.TXT", true},
		{"*.txt", "a.txt.bak", false},
		{"***", "anything.txt", true},
		{"a***b", "aXb", true},
		{"a***b", "aX", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "aXbY", false},
		{"?", "a", true},
		{"?", "ab", false},
		{"?", "", false},
		{"ÄB", "äb", true},
		{"<", "noext", true},
		{"<", "a.b", false},
		{"<.txt", "a.b.txt", true},
		{"<txt", "a.txt", true},
		{">>>", "ab", true},
		{">>>.txt", "ab.txt", true},
		{">>", "abc", false},
		{"a\"b", "a.b", true},
		{"ab\"", "ab", true},
		{"ab\"c", "ab", false},
		{"*.", "a", false},
		{"file", "FILE", true},
		{"file", "files", false},
	} {
		if got := NewPattern(c.pattern).Match(c.name); got != c.want {
			t.Errorf("pattern %q, name %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

// A run of stars is one, and a name that can't match is given up at once.
func TestAMatchTakesFewSteps(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		most          int
	}{
		{strings.Repeat("*", 1000), "name", 0},
		{strings.Repeat("*", 1000) + "x", "name", 2 * 4},
		{"name*", "another name", 5},
		{strings.Repeat("?*", 120), strings.Repeat("x", 200), 240 * 200},
	} {
		if _, steps := NewPattern(c.pattern).Try(c.name); steps > c.most {
			t.Errorf("pattern %.10q, name %.10q: %d steps, want at most %d", c.pattern, c.name, steps, c.most)
		}
	}
}
