package vfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// overfill has more happen in dir than the kernel's queue holds.
func overfill(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || most > 1<<20 {
		t.Skipf("the queue holds %d events: %v", most, err)
	}
	name := filepath.Join(dir, "again and again")
	for range most/2 + 1 {
		if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Remove(name)); err != nil {
			t.Fatal(err)
		}
	}
}

// What is renamed, made and removed while the kernel's queue is full is where it is, afterwards.
func TestATreeIsFoundAnewWhenChangesWereLost(t *testing.T) {
	dir := t.TempDir()
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.MkdirAll(at("a/sub"), 0o755), os.MkdirAll(at("gone/1/2/3"), 0o755), os.Mkdir(at("late"), 0o755))
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 100)}
	watch, err := w.Watch(f, true, e)
	must(err)
	defer watch.Close()
	told := func() (all []string) {
		w.Sync()
		for {
			select {
			case list := <-e.flushed:
				all = append(all, list...)
			default:
				return all
			}
		}
	}
	w.mu.Lock() // nobody reads the queue
	overfill(t, at("late"))
	must(os.Rename(at("a"), at("b")), os.RemoveAll(at("gone")), os.Mkdir(at("new"), 0o755))
	w.mu.Unlock()
	if all := told(); !slices.Contains(all, "lost") {
		t.Fatalf("told %d changes, and not that some were lost", len(all))
	}
	if n := w.Dirs(); n != 5 { // the root, b, b/sub, late, new
		t.Errorf("%d directories are watched, there are 5", n)
	}
	must(os.WriteFile(at("b/sub/file"), nil, 0o644))
	if got := told(); !slices.Equal(got, []string{"+b/sub/file"}) {
		t.Errorf("told %q", got)
	}
	must(os.WriteFile(at("new/file"), nil, 0o644))
	if got := told(); !slices.Equal(got, []string{"+new/file"}) {
		t.Errorf("told %q", got)
	}
}

// A rename of which one half is seen keeps nobody from being told of what came before, however many of them follow.
func TestHalfARenameKeepsNothingBack(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 100)}
	watch, err := w.Watch(f, false, e)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	w.mu.Lock() // so that all of it is in the queue
	for i := range 3 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Rename(name, filepath.Join(out, fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	w.take()
	w.mu.Unlock()
	select {
	case got := <-e.flushed:
		if want := []string{"+0", "-0", "+1", "-1", "+2"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	default:
		t.Error("nothing was told")
	}
}

// A tree is watched as far as the server may read it.
func TestATreeIsWatchedWhereItCanBeRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user for a while")
	}
	dir := t.TempDir()
	for _, name := range []string{"closed/in", "open"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 100)}
	watch, err := asNobody(func() (*Watch, error) { return w.Watch(f, true, e) })
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if n := w.Dirs(); n != 2 {
		t.Errorf("%d directories are watched, want the root and open", n)
	}
}

// Likewise one that comes to it: nothing else is lost for that.
func TestNothingIsLostForWhatCannotBeRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user for a while")
	}
	dir := t.TempDir()
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 100)}
	watch, err := w.Watch(f, true, e)
	must(t, err)
	defer watch.Close()
	w.mu.Lock()
	must(t, os.Mkdir(filepath.Join(dir, "closed"), 0o700))
	_, _ = asNobody(func() (bool, error) { return w.take(), nil })
	w.mu.Unlock()
	if got := <-e.flushed; !slices.Equal(got, []string{"+closed"}) {
		t.Errorf("told %q", got)
	}
}

// asNobody calls f with the rights that others have.
func asNobody[T any](f func() (T, error)) (T, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	is := func(euid uintptr) { _, _, _ = unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), euid, ^uintptr(0)) } // of the thread alone
	is(65534)
	defer is(0)
	return f()
}

// Likewise beside a file system whose process or machine has gone.
func TestATreeIsWatchedBesideWhatIsGone(t *testing.T) {
	dir := ownMounts(t, "")
	if dir == "" {
		return
	}
	for _, name := range []string{"a/in", "gone", "z/in"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("needs FUSE: ", err)
	}
	err = unix.Mount("gone", filepath.Join(dir, "gone"), "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd))
	must(t, unix.Close(fd))
	if err != nil {
		t.Skip("needs FUSE: ", err)
	}
	w, f := watching(t, dir)
	watch, err := w.Watch(f, true, &events{flushed: make(chan []string, 100)})
	must(t, err)
	defer watch.Close()
	if n := w.Dirs(); n != 5 {
		t.Errorf("%d directories are watched, want the root, a, z, and one in each", n)
	}
}

// While a tree is looked through, which may take long, nobody else waits for it: neither who has changed something nor who
// looks for a name.
func TestNobodyWaitsForAWalk(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2*leastIndexed)
	r := indexedRoot(t, dir)
	if _, _, err := r.lookup("missing"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	w, err := r.opts.Watcher()
	if err != nil {
		t.Fatal(err)
	}
	if !w.Sync() {
		t.Error("it is not known what has changed")
	}
	w.mu.Lock()
	w.walks.Add(1)
	if w.Sync() {
		t.Error("what has changed is known from a watcher that is busy")
	}
	fd, real, err := r.lookup("NAME7")
	if err != nil || real != "Name7" {
		t.Errorf("%q, %v", real, err)
	}
	if err := closeAll(fd); err != nil {
		t.Error(err)
	}
	w.quiet(r.id, "new")() // as who makes a file
	w.walks.Add(-1)
	w.mu.Unlock()
	if !w.Sync() {
		t.Error("the watcher is busy still")
	}
}

// All who watch a tree are told that a directory in it could not be watched.
func TestAllAreToldWhatIsNotWatched(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	w, f := watching(t, dir)
	sub, _, err := f.root.Open("sub", How{Read: true, Directory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	sinks := [2]*events{{flushed: make(chan []string, 100)}, {flushed: make(chan []string, 100)}}
	for i, f := range []*File{f, sub} {
		watch, err := w.Watch(f, true, sinks[i])
		if err != nil {
			t.Fatal(err)
		}
		defer watch.Close()
	}
	w.mu.Lock()
	for i := range int32(maxWatched) {
		w.dirs[-2-i] = &watchedDir{wd: -2 - i}
	}
	w.mu.Unlock()
	if err := os.Mkdir(filepath.Join(dir, "sub", "new"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.Sync()
	for i, e := range sinks {
		if list := <-e.flushed; !slices.Contains(list, "lost") {
			t.Errorf("watch %d is told %q", i, list)
		}
	}
	w.mu.Lock()
	for i := range int32(maxWatched) {
		delete(w.dirs, -2-i)
	}
	w.mu.Unlock()
}

// A directory that is removed while its tree is looked through is none that can't be watched: all others are.
func TestATreeIsWatchedWhileDirectoriesGo(t *testing.T) {
	dir := t.TempDir()
	w, f := watching(t, dir)
	const n = 4
	for i := range n {
		must(t, os.MkdirAll(filepath.Join(dir, fmt.Sprint(i), "sub"), 0o755))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	top, err := w.add(f.fd, watchMask)
	must(t, err)
	gone := ""
	err = w.walk(top, f.fd, func(in *watchedDir, name string, _ bool) {
		if gone == "" && in == top { // it has been opened
			gone = name
			must(t, os.RemoveAll(filepath.Join(dir, name)))
		}
	})
	if err != nil {
		t.Error(err)
	}
	for i := range n {
		d := top.children[fmt.Sprint(i)]
		if fmt.Sprint(i) != gone && (d == nil || d.children["sub"] == nil) {
			t.Errorf("%d is not watched, or what is in it is not; %s was removed", i, gone)
		}
	}
	w.prune(top, false)
}

// A directory that has come to a tree, and that there is no descriptor to watch with, is told as what was lost.
func TestADirectoryThatCanNotBeOpenedIsToldAsLost(t *testing.T) {
	dir := t.TempDir()
	w, f := watching(t, dir)
	e := &events{flushed: make(chan []string, 100)}
	watch, err := w.Watch(f, true, e)
	must(t, err)
	defer watch.Close()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	w.mu.Lock()
	must(t, os.Mkdir(filepath.Join(dir, "new"), 0o755))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}))
	w.take()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	w.mu.Unlock()
	if got := <-e.flushed; !slices.Equal(got, []string{"+new", "lost"}) {
		t.Errorf("told %q", got)
	}
}

// Whatever the kernel told, nothing panics, and the trees that are known stay trees.
func FuzzWatchEvents(f *testing.F) {
	event := func(wd int32, mask, cookie uint32, name string) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
		for _, n := range []uint32{mask, cookie, uint32(len(name))} {
			b = binary.NativeEndian.AppendUint32(b, n)
		}
		return append(b, name...)
	}
	f.Add(slices.Concat(event(1, unix.IN_CREATE|unix.IN_ISDIR, 0, "a"), event(2, unix.IN_DELETE, 0, "b")))
	f.Add(slices.Concat(event(1, unix.IN_MOVED_FROM|unix.IN_ISDIR, 7, "a"), event(3, unix.IN_MOVED_TO|unix.IN_ISDIR, 7, "a")))
	f.Add(slices.Concat(event(1, unix.IN_MOVED_FROM|unix.IN_ISDIR, 7, "a"), event(-1, unix.IN_Q_OVERFLOW, 0, ""), event(2, unix.IN_IGNORED, 0, "")))
	f.Add(slices.Concat(event(2, unix.IN_MOVED_FROM|unix.IN_ISDIR, 7, "b"), event(4, unix.IN_MOVED_TO|unix.IN_ISDIR, 7, "c"), event(1, unix.IN_ATTRIB, 0, "x")))
	dir := f.TempDir()
	for _, name := range []string{"a/b/c", "d"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	r, err := OpenRoot(dir, Options{})
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := NewWatcher()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, name := range []Path{"", "a/b"} {
			file, _, err := r.Open(name, How{Read: true, Directory: true})
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			watch, err := w.Watch(file, true, &events{flushed: make(chan []string, 1000)})
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Close()
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events(b)
		for wd, d := range w.dirs {
			if d.wd != wd {
				t.Errorf("%d is known as %d", d.wd, wd)
			}
			for name, child := range d.children {
				if child.parent != d || child.name != name {
					t.Errorf("%q is in %q, and knows of %q", name, d.name, child.name)
				}
			}
			n := 0
			for up := d; up != nil; up = up.parent {
				if n++; n > 1000 {
					t.Fatal("a directory is below itself")
				}
			}
		}
	})
}
