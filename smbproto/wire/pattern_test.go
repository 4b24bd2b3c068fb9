package wire

import "testing"

func TestPatternsMatchAsFileSystemsDo(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "anything.txt", true},
		{"", "anything.txt", true},
		{"*.txt", "a.TXT", true},
		{"*.txt", "a.txt.bak", false},
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
