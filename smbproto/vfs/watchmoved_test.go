package vfs

import (
	"io/fs"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mayMove does what the lines of a script say, as far as that can be done: "mkdir DIR", with those that it is in, "mv FROM TO", "rm TREE".
func mayMove(dir string, script ...string) {
	for _, line := range script {
		f := strings.Fields(line)
		at := func(i int) string { return filepath.Join(dir, f[i]) }
		switch f[0] {
		case "mkdir":
			_ = os.MkdirAll(at(1), 0o755)
		case "mv":
			_ = os.Rename(at(1), at(2))
		case "rm":
			_ = os.RemoveAll(at(1))
		}
	}
}

// checkTree compares the directories that are watched with those that there are.
func checkTree(t *testing.T, w *Watcher, dir string) {
	t.Helper()
	there := map[ID]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		var st unix.Statx_t
		must(t, statx(unix.AT_FDCWD, path, &st))
		there[idOf(&st)] = strings.TrimPrefix(path, dir)
		return nil
	}))
	watched := map[ID]string{}
	for !w.Sync() {
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.movedAway() // its other half has not come
	w.settle()
	for _, d := range w.dirs {
		path := ""
		for up := d; up.parent != nil; up = up.parent {
			path = "/" + up.name + path
		}
		watched[d.id] = path
	}
	if !maps.Equal(watched, there) {
		t.Errorf("watched %q, there %q", slices.Sorted(maps.Values(watched)), slices.Sorted(maps.Values(there)))
	}
}

// A tree stays watched where directories are made and moved faster than the events of it are read.
func TestATreeIsFollowedWhereItIsMoved(t *testing.T) {
	for _, c := range []struct{ before, meanwhile []string }{
		{[]string{"mkdir old/sub"}, []string{"mkdir new", "mv old new/old"}},
		{[]string{"mkdir old/sub"}, []string{"mkdir new", "mv old new/old", "mv new newer"}},
		{[]string{"mkdir a"}, []string{"mkdir a/sub", "mv a b"}},
		{[]string{"mkdir a"}, []string{"mkdir a/sub/sub", "mv a b", "mkdir a/sub"}},
		{nil, []string{"mkdir a/1", "mv a b", "mkdir a/2"}},
		{nil, []string{"mkdir a", "mv a b", "mkdir a", "mv a c", "mkdir a"}},
		{[]string{"mkdir a/1", "mkdir b/2"}, []string{"mv a c", "mv b a", "mv c b"}},
		{[]string{"mkdir a/1", "mkdir b"}, []string{"mv a b", "mkdir a/2"}},
		{[]string{"mkdir a/1", "mkdir ../out/2"}, []string{"mv a ../gone", "mv ../out a", "mkdir a/3"}},
		{[]string{"mkdir a/1"}, []string{"mkdir b/c", "mv a b/c/a", "mv b/c d", "rm b"}},
		{[]string{"mkdir a/b/c"}, []string{"mv a/b b", "mv a b/c/a", "mkdir b/c/a/d"}},
	} {
		t.Run(strings.Join(c.meanwhile, ", "), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "share")
			must(t, os.Mkdir(dir, 0o755))
			mayMove(dir, c.before...)
			w, f := watching(t, dir)
			watch, err := w.Watch(f, true, &events{flushed: make(chan []string, 100)})
			must(t, err)
			defer watch.Close()
			w.mu.Lock() // nobody reads the queue
			mayMove(dir, c.meanwhile...)
			w.mu.Unlock()
			checkTree(t, w, dir)
		})
	}
}

// A tree that is moved to and fro faster than the events of it are read is not watched anew each time: that costs who moves it
// nothing, however large it is.
func TestATreeThatIsBackIsStillWatched(t *testing.T) {
	for _, script := range [][]string{
		{"mv a c", "mv c a"},
		{"mv a ../out", "mv ../out a"},
		{"mv a c", "mv b a", "mv c b", "mv a c", "mv b a", "mv c b"},
	} {
		t.Run(strings.Join(script, ", "), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "share")
			mayMove(dir, "mkdir a/1/2", "mkdir b/3")
			w, f := watching(t, dir)
			watch, err := w.Watch(f, true, sinkOfNothing{})
			must(t, err)
			defer watch.Close()
			w.mu.Lock() // nobody reads the queue
			before := slices.Sorted(maps.Keys(w.dirs))
			mayMove(dir, script...)
			w.mu.Unlock()
			checkTree(t, w, dir)
			w.mu.Lock()
			defer w.mu.Unlock()
			if now := slices.Sorted(maps.Keys(w.dirs)); !slices.Equal(now, before) {
				t.Errorf("watches %v, before %v", now, before)
			}
		})
	}
}

// Likewise while somebody does all of that at random, also to and from where nobody watches.
func TestATreeIsFollowedAtRandom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share")
	must(t, os.Mkdir(dir, 0o755))
	w, f := watching(t, dir)
	watch, err := w.Watch(f, true, sinkOfNothing{})
	must(t, err)
	defer watch.Close()
	rnd := rand.New(rand.NewSource(1))
	path := func() string {
		p := "."
		if rnd.Intn(8) == 0 {
			p = "../out"
		}
		for range 1 + rnd.Intn(4) {
			p += "/" + string("abcdef"[rnd.Intn(6)])
		}
		return p
	}
	for range 8 {
		for range 100 {
			mayMove(dir, []string{"mkdir", "mkdir", "mv", "rm"}[rnd.Intn(4)]+" "+path()+" "+path())
		}
		if checkTree(t, w, dir); t.Failed() {
			return
		}
	}
}

type sinkOfNothing struct{}

func (sinkOfNothing) Changed(Change) {}
func (sinkOfNothing) Lost()          {}
func (sinkOfNothing) Flush()         {}
