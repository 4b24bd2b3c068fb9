package wire

import "testing"

// A name is cut between characters, whatever bytes it has.
func TestANameThatIsTooLongIsCutInWholeCharacters(t *testing.T) {
	for _, c := range []struct {
		name string
		room int
		want string
	}{
		{"abc", 5, "ab"},
		{"a\U0001F600b", 5, "a"},
		{"a\U0001F600b", 6, "a\U0001F600"},
		{"\xe9\xe9\xe9\xe9", 5, "\ufffd\ufffd"},
		{"\xe9", 100, "\ufffd"},
		{"", 0, ""},
	} {
		b := make([]byte, c.room)
		n := putTruncated(b, c.name)
		if got, err := UTF16ToString(b[:n]); err != nil || got != c.want {
			t.Errorf("%q in %d bytes: %q, %v; want %q", c.name, c.room, got, err, c.want)
		}
	}
}
