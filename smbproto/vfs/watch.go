package vfs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Change is something that happened below a watched directory.
type Change struct {
	Action wire.ChangeAction
	Kinds  wire.NotifyFilter // what it is a change of
	Path   Path              // from the watched directory
}

// A Sink takes what a watch sees. It is called by the watcher's goroutine, under the watcher's
// lock, and must not block or call back.
type Sink interface {
	Changed(c Change)
	// Lost says that changes were not told.
	Lost()
	// Flush says that those told so far happened together.
	Flush()
}

// maxWatched bounds the directories that are watched for all, those below a watched one among
// them: each takes memory here and in the kernel.
const maxWatched = 8192

// ErrTooManyWatched says that no further directory can be watched.
var ErrTooManyWatched = errors.New("vfs: too many directories are watched")

// renameGap is how long after the first half of a rename the second is waited for.
const renameGap = 10 * time.Millisecond

// What the kernel is asked for: changes of names, and all. A directory that is watched for both is watched for all.
const (
	namesMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR | unix.IN_MASK_ADD
	watchMask = namesMask | unix.IN_MODIFY | unix.IN_ATTRIB
)

// Watcher tells what changes in directories, whoever changes it: by inotify(7), which watches single
// directories. For a tree, each directory in it is watched, and those that come to it
// later too. One goroutine reads the kernel's queue, until Close.
type Watcher struct {
	fd   int // of inotify
	file *os.File
	buf  []byte
	done chan struct{}

	walks   atomic.Int32 // of trees, under mu, that are under way
	makings makings

	mu    sync.Mutex
	dirs  map[int32]*watchedDir // by watch descriptor: one for each inode
	dirty map[*Watch]bool       // not flushed yet
	moved *move                 // a rename of which only the first half has been read
	// adrift are directories, with all that is below, that have lost their place. They are watched until the queue is empty: it may tell
	// their next one.
	adrift map[*watchedDir]bool
	err    error // why the goroutine has ended
}

// watchedDir is a directory that inotify watches. Those of a tree know their place in it.
type watchedDir struct {
	wd       int32
	id       ID
	parent   *watchedDir
	name     string
	children map[string]*watchedDir
	watches  []*Watch
	// seen are the names that were told when the directory was found, and whose creation may be in the queue still.
	seen map[string]bool
	// stale says that a directory was told to be in it that was not found: it is somewhere else by now, or that is.
	stale bool
}

// Watch is one sink's on one directory.
type Watch struct {
	w    *Watcher
	dir  *watchedDir
	fd   int // the directory's handle, which is open as long as the watch
	tree bool
	sink Sink
}

// move is the first half of a rename.
type move struct {
	cookie uint32
	dir    *watchedDir
	name   string
	isDir  bool
	child  *watchedDir // the renamed directory, if it is watched
}

// NewWatcher starts a watcher.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("vfs: inotify: %w", err)
	}
	w := &Watcher{
		fd: fd, file: os.NewFile(uintptr(fd), "inotify"), buf: make([]byte, 64<<10), done: make(chan struct{}),
		dirs: map[int32]*watchedDir{}, dirty: map[*Watch]bool{}, adrift: map[*watchedDir]bool{},
	}
	raw, err := w.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("vfs: inotify: %w", err), w.file.Close())
	}
	go w.run(raw)
	return w, nil
}

// Close ends the goroutine. All watches must have been closed.
func (w *Watcher) Close() error {
	w.mu.Lock()
	if w.err == nil {
		w.err = os.ErrClosed
	}
	w.mu.Unlock()
	err := w.file.Close() // waits for the goroutine to leave the queue
	<-w.done
	return err
}

// Dirs is the number of directories that are watched, those of trees counted one by one.
func (w *Watcher) Dirs() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dirs)
}

// Watch begins to tell sink of the changes in f, a directory that is open for input and stays so until
// the watch is closed; with tree, also of those in the directories below.
func (w *Watcher) Watch(f *File, tree bool, sink Sink) (*Watch, error) {
	if f.pathOnly || !f.IsDir() {
		return nil, ErrNoHandle
	}
	return w.watchHandle(f.fd, tree, sink, watchMask)
}

// watchHandle is Watch of a handle, for the changes of a mask.
func (w *Watcher) watchHandle(fd int, tree bool, sink Sink, mask uint32) (*Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	d, err := w.add(fd, mask)
	if err != nil {
		return nil, err
	}
	t := &Watch{w: w, dir: d, fd: fd, tree: tree, sink: sink}
	d.watches = append(d.watches, t)
	if tree {
		if err := w.walk(d, fd, ignored); err != nil {
			w.drop(t)
			return nil, err
		}
	}
	return t, nil
}

// Sync is the watcher's.
func (t *Watch) Sync() bool { return t.w.Sync() }

// Close ends the watch: its sink is not called any more.
func (t *Watch) Close() {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.drop(t)
}

func (w *Watcher) drop(t *Watch) {
	d := t.dir
	d.watches = slices.DeleteFunc(d.watches, func(other *Watch) bool { return other == t })
	delete(w.dirty, t)
	w.prune(d, d.parent.inTree())
}

// Sync takes what the kernel's queue holds now: what was changed before it is called has been told when it
// returns true. A rename may lack its second half. It does not wait for others who look through a tree, which may take long.
func (w *Watcher) Sync() bool {
	if !w.mu.TryLock() {
		if w.walks.Load() > 0 {
			return false
		}
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	if w.err == nil {
		w.take()
	}
	return true
}

// run waits for the queue to fill, and takes what is there.
func (w *Watcher) run(raw syscall.RawConn) {
	defer close(w.done)
	for {
		err := raw.Read(func(uintptr) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.take()
		})
		w.mu.Lock()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.movedAway()
			w.settle()
			w.flush()
			err = w.file.SetReadDeadline(time.Time{})
		}
		if err != nil {
			w.err = fmt.Errorf("vfs: inotify: %w", err)
			w.lost()
			w.flush()
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

// take reads the queue until it is empty, and tells what was there; false if there was nothing.
func (w *Watcher) take() (some bool) {
	for w.err == nil {
		n, err := unix.Read(w.fd, w.buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			break // it is empty
		}
		some = true
		w.events(w.buf[:n])
	}
	w.settle()
	// What has been told does not wait for the other half of a rename: another follows, and another.
	w.flush()
	if some && w.moved != nil {
		// The other half comes at once, or not at all.
		_ = w.file.SetReadDeadline(time.Now().Add(renameGap))
	}
	return some
}

func (w *Watcher) flush() {
	for t := range w.dirty {
		t.sink.Flush()
	}
	clear(w.dirty)
}

// lost tells all that something has not been told.
func (w *Watcher) lost() {
	for _, d := range w.dirs {
		for _, t := range d.watches {
			t.sink.Lost()
			w.dirty[t] = true
		}
	}
}
