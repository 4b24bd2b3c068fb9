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

// Asked together, entries differ from one as they do when each is asked.
func TestEntriesDifferTogetherAsOneByOne(t *testing.T) {
	all := []Entry{{}}
	for dir := range uint64(2) {
		for _, base := range []string{"a", "A", "b", "\u00e9", "\u00e8"} {
			all = append(all, EntryIn(ID{Ino: dir + 1}, base))
		}
	}
	for these := range 1 << len(all) {
		var set Entries
		for i, e := range all {
			if these>>i&1 != 0 {
				set.Add(e)
			}
		}
		for _, e := range all {
			want := true
			for i, o := range all {
				want = want && (these>>i&1 == 0 || o.Differs(e))
			}
			if set.Differ(e) != want {
				t.Fatalf("%v and those of %b: want %v", e, these, want)
			}
		}
	}
}
