package vfs

import (
	"os"
	"path/filepath"
	"testing"
)

// Two opens are by other names only where that is proven: not of a file with one name, nor by names that a file system
// may take for one.
func TestNamesDifferWhereThatIsProven(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		in := func(name string) string { return filepath.Join(dir, name) }
		must(t, os.Mkdir(in("d"), 0o755))
		must(t, os.WriteFile(in("a"), nil, 0o644))
		must(t, os.WriteFile(in("single"), nil, 0o644))
		for _, name := range []string{"A", "b", "é", "d/a", "d/é"} {
			must(t, os.Link(in("a"), in(name)))
		}
		must(t, os.Symlink("d", in("s")))
		for _, c := range []struct {
			one, other string
			want       bool
		}{
			{"a", "b", true}, {"a", "a", false}, {"a", "A", false}, {"a", "é", false},
			{"a", "d/a", true}, {"é", "d/é", true}, {"d/a", "s/a", false}, {"D/A", "s/a", false},
			{"a", "single", false}, {"a", "d", false}, {"a", "", false},
		} {
			for _, locate := range []bool{false, true} {
				f, _, err := r.Open(Path(c.one), How{Locate: locate})
				must(t, err)
				g, _, err := r.Open(Path(c.other), How{})
				must(t, err)
				if f.Entry().Differs(g.Entry()) != c.want || g.Entry().Differs(f.Entry()) != c.want {
					t.Errorf("%q and %q, located %v: want %v", c.one, c.other, locate, c.want)
				}
				must(t, f.Close())
				must(t, g.Close())
			}
		}
	})
}
