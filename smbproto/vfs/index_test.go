package vfs

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

func indexedRoot(t testing.TB, dir string) *Root {
	t.Helper()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRoot(dir, Options{Watcher: func() (*Watcher, error) { return w, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := w.Dirs(); n != 0 {
			t.Errorf("%d directories are watched still", n)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func fill(t testing.TB, dir string, n int) {
	t.Helper()
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("Name%d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A directory that is indexed answers as one that is read, whatever happens to it, and by whom.
func TestAnIndexIsTrue(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2*leastIndexed)
	r := indexedRoot(t, dir)
	plain, err := OpenRoot(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	find := func(r *Root, name string) string {
		fd, real, err := r.lookup(Path(name))
		if err == nil {
			return string(real) + errorText(closeAll(fd))
		}
		return string(real) + errorText(err)
	}
	rnd := rand.New(rand.NewSource(1))
	names := func() string { return fmt.Sprintf("Name%d", rnd.Intn(3*leastIndexed)) }
	used := 0
	for step := range 3000 {
		a, b := filepath.Join(dir, names()), filepath.Join(dir, strings.ToLower(names()))
		switch rnd.Intn(4) {
		case 0:
			_ = os.Remove(a)
		case 1:
			err = os.WriteFile(b, nil, 0o644)
		case 2:
			_ = os.Rename(a, b) // may be missing
		case 3:
			_ = os.Rename(b, a)
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ToUpper(names())
		got, want := find(r, name), find(plain, name)
		if !strings.EqualFold(got, want) || strings.HasSuffix(got, "found") != strings.HasSuffix(want, "found") {
			t.Fatalf("step %d: %q is %q, by reading %q", step, name, got, want)
		}
		r.indexes.mu.Lock()
		for _, i := range r.indexes.byDir {
			if i.ready && !i.stale {
				used++
			}
		}
		r.indexes.mu.Unlock()
	}
	if used < 2900 {
		t.Errorf("the index was there in %d of 3000 steps", used)
	}
}

func errorText(err error) string {
	if errors.Is(err, ErrNotFound) {
		return " not found"
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// There are not more indexes than may be, and those that go give their watch and handle back.
func TestIndexesAreBounded(t *testing.T) {
	dir := t.TempDir()
	r := indexedRoot(t, dir)
	for i := range mostIndexes + 5 {
		sub := fmt.Sprint("d", i)
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		fill(t, filepath.Join(dir, sub), leastIndexed+1)
		for range 2 {
			if fd, _, err := r.lookup(Path(sub + "/none")); !errors.Is(err, ErrNotFound) {
				t.Fatal(fd, err)
			}
		}
	}
	if n := len(r.indexes.byDir); n != mostIndexes {
		t.Errorf("%d indexes, want %d", n, mostIndexes)
	}
	if n, want := r.indexes.names, mostIndexes*(leastIndexed+1); n != want {
		t.Errorf("%d names, want %d", n, want)
	}
}

// A directory that is removed is not kept by its index.
func TestARemovedDirectoryIsIndexedNoMore(t *testing.T) {
	dir := t.TempDir()
	r := indexedRoot(t, dir)
	sub := filepath.Join(dir, "dir")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	fill(t, sub, leastIndexed+1)
	if fd, _, err := r.lookup("dir/none"); !errors.Is(err, ErrNotFound) {
		t.Fatal(fd, err)
	}
	if n := len(r.indexes.byDir); n != 1 {
		t.Fatalf("%d indexes, want 1", n)
	}
	for i := range leastIndexed + 1 {
		if err := os.Remove(filepath.Join(sub, fmt.Sprintf("Name%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	f, _, err := r.Open("dir", How{Locate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Remove(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if n := len(r.indexes.byDir); n != 0 {
		t.Errorf("%d indexes, want none", n)
	}
}

// A directory whose changes were lost is read anew.
func TestAStaleIndexIsReplaced(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, leastIndexed+10)
	r := indexedRoot(t, dir)
	look := func() {
		if fd, real, err := r.lookup("NAME3"); err != nil || real != "Name3" {
			t.Fatal(real, err)
		} else if err := closeAll(fd); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.lookup("none"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	look()
	var first *index
	for _, i := range r.indexes.byDir {
		first = i
	}
	first.Lost()
	look()
	for _, i := range r.indexes.byDir {
		if i == first || i.stale {
			t.Error("the index that is stale is still there")
		}
	}
	if len(r.indexes.byDir) != 1 {
		t.Errorf("%d indexes", len(r.indexes.byDir))
	}
}

// BenchmarkMissingName looks for a name that is not in a directory of 10,000, as each CREATE of a
// new file does.
func BenchmarkMissingName(b *testing.B) {
	for _, indexed := range []bool{false, true} {
		b.Run(map[bool]string{false: "read", true: "indexed"}[indexed], func(b *testing.B) {
			dir := b.TempDir()
			fill(b, dir, 10_000)
			r := indexedRoot(b, dir)
			if !indexed {
				r.indexes.close()
				r.indexes = nil
			}
			for b.Loop() {
				if _, _, err := r.lookup("none"); !errors.Is(err, ErrNotFound) {
					b.Fatal(err)
				}
			}
		})
	}
}

// While an index that could not be made is taken away, it knows nothing.
func TestAnIndexWithoutAWatchIsNotAsked(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2*leastIndexed)
	r := indexedRoot(t, dir)
	x := r.indexes
	x.byDir[r.id] = &index{all: x, id: r.id, fd: -1, ready: true, stale: true}
	if _, known := x.find(r.id, "name1"); known {
		t.Error("it is asked")
	}
}

// Of two names that differ in case, one that is just being renamed does not hide the other.
func TestANameIsFoundBesideOneThatGoes(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	fill(t, dir, 2*leastIndexed)
	for _, name := range []string{"twin", "TWIN"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := indexedRoot(t, dir)
	if _, _, err := r.lookup("missing"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	both, known := r.indexes.find(r.id, "Twin")
	if !known || len(both) != 2 {
		t.Fatalf("%q, %v", both, known)
	}
	if err := os.Rename(filepath.Join(dir, both[0]), filepath.Join(out, "x")); err != nil {
		t.Fatal(err)
	}
	fd, real, err := r.lookup("Twin")
	if err != nil || string(real) != both[1] {
		t.Errorf("%q, %v, want %q", real, err, both[1])
	}
	if err := closeAll(fd); err != nil {
		t.Error(err)
	}
}

// Of what changes without inotify's telling there is no index.
func TestWhatChangesElsewhereIsNotIndexed(t *testing.T) {
	for dir, want := range map[string]int{t.TempDir(): 1, "/proc/sys": 0, "/sys": 0} {
		r := indexedRoot(t, dir)
		r.indexes.build(r.fd, r.id)
		if n := len(r.indexes.byDir); n != want {
			t.Errorf("%s: %d indexes, want %d", dir, n, want)
		}
	}
}

// A name of eight letters and an extension that no file has for its 8.3 name is an index's to answer.
func TestAnIndexKnowsShortNamesThatNobodyMade(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2*leastIndexed)
	r := indexedRoot(t, dir)
	look := func(name Path, want error) {
		t.Helper()
		fd, _, err := r.lookup(name)
		if err == nil {
			err = closeAll(fd)
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	look("none", ErrNotFound) // makes the index
	uses := func() uint64 {
		r.indexes.mu.Lock()
		defer r.indexes.mu.Unlock()
		return r.indexes.clock
	}
	for _, name := range []Path{"~WRD0000.TMP", "~$REPORT", "A~1.TXT", "ABCDEW~1.TXT"} {
		before := uses()
		look(name, ErrNotFound)
		if uses() == before {
			t.Errorf("%q: the directory was read", name)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "a long name.text"), nil, 0o644))
	look(Path(wire.ShortName("a long name.text")), nil)
	look("ABCDEF~1.TXT", ErrNotFound)
}

// A directory that is too large for an index is not indexed in vain by each search, but is once it has become smaller.
func TestADirectoryThatIsTooLargeIsNotIndexedInVain(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2*leastIndexed)
	r := indexedRoot(t, dir)
	begun := 0
	watcher := r.indexes.watcher
	r.indexes.watcher = func() (*Watcher, error) { begun++; return watcher() }
	search := func(n int) {
		for range n {
			if _, _, err := r.lookup("missing"); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	r.indexes.most = 2 * leastIndexed
	search(3)
	if begun != 1 {
		t.Errorf("an index was begun %d times", begun)
	}
	r.indexes.most = mostIndexed
	search(fullSearches)
	if begun != 2 || len(r.indexes.byDir) != 1 {
		t.Errorf("an index was begun %d times, and there are %d", begun, len(r.indexes.byDir))
	}
}
