package vfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// events is a sink whose reader sees each flush.
type events struct {
	list    []string
	flushed chan []string
}

func (e *events) Changed(c Change) {
	e.list = append(e.list, fmt.Sprintf("%c%s", " +-*<>"[c.Action], c.Path))
}
func (e *events) Lost() { e.list = append(e.list, "lost") }
func (e *events) Flush() {
	e.flushed <- e.list
	e.list = nil
}

func watching(t *testing.T, dir string) (*Watcher, *File) {
	t.Helper()
	r, err := OpenRoot(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := r.Open("", How{Read: true, Directory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), w.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	return w, f
}

// A rename whose second half nobody watches is told as a removal, though nothing else happens: the
// watcher does not wait for it for ever.
func TestHalfARenameIsToldInTime(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 10)}
	watch, err := w.Watch(f, true, e)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	for range 3 {
		if err := os.Rename(filepath.Join(dir, "a"), filepath.Join(out, "a")); err != nil {
			t.Fatal(err)
		}
		if got := <-e.flushed; !slices.Equal(got, []string{"-a"}) {
			t.Fatal(got)
		}
		if err := os.Rename(filepath.Join(out, "a"), filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		if got := <-e.flushed; !slices.Equal(got, []string{"+a"}) {
			t.Fatal(got)
		}
	}
}

// Two watches of one directory, one of them of the tree, share what the kernel watches, and end
// one by one.
func TestWatchesShareTheirDirectories(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "x", "y"), 0o755); err != nil {
		t.Fatal(err)
	}
	w, f := watching(t, dir)
	one, tree := &events{flushed: make(chan []string, 10)}, &events{flushed: make(chan []string, 10)}
	a, err := w.Watch(f, false, one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Watch(f, true, tree)
	if err != nil {
		t.Fatal(err)
	}
	if w.Dirs() != 3 {
		t.Errorf("%d directories, want 3", w.Dirs())
	}
	if err := os.WriteFile(filepath.Join(dir, "x", "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := <-tree.flushed; !slices.Equal(got, []string{"+x/f"}) {
		t.Error(got)
	}
	b.Close()
	if w.Dirs() != 1 {
		t.Errorf("%d directories, want the one that is watched still", w.Dirs())
	}
	if err := os.Remove(filepath.Join(dir, "x", "f")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "z"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := <-one.flushed; !slices.Equal(got, []string{"+z"}) {
		t.Error(got)
	}
	a.Close()
	if w.Dirs() != 0 || len(tree.flushed) != 0 {
		t.Errorf("%d directories, %d flushes of a watch that has ended", w.Dirs(), len(tree.flushed))
	}
}

// What the kernel dropped is told as lost, and what has come to the tree meanwhile is watched.
func TestAnOverflowIsTold(t *testing.T) {
	dir := t.TempDir()
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 10)}
	watch, err := w.Watch(f, true, e)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	w.mu.Lock()
	if err := os.Mkdir(filepath.Join(dir, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.overflow() // as if the event of the directory had been dropped
	n := len(w.dirs)
	w.flush()
	w.mu.Unlock()
	if got := <-e.flushed; !slices.Contains(got, "lost") || n != 2 {
		t.Errorf("%q, %d directories", got, n)
	}
}

func TestWhatCannotBeWatched(t *testing.T) {
	dir := t.TempDir()
	w, _ := watching(t, dir)
	r, err := OpenRoot(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, _, err := r.Open("file", How{Read: true, Write: true, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := w.Watch(f, false, nil); !errors.Is(err, ErrNoHandle) {
		t.Errorf("a file: %v", err)
	}
}
