package vfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
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

	mu    sync.Mutex
	dirs  map[int32]*watchedDir // by watch descriptor: one for each inode
	dirty map[*Watch]bool       // not flushed yet
	moved *move                 // a rename of which only the first half has been read
	err   error                 // why the goroutine has ended
}

// watchedDir is a directory that inotify watches. Those of a tree know their place in it.
type watchedDir struct {
	wd       int32
	parent   *watchedDir
	name     string
	children map[string]*watchedDir
	watches  []*Watch
	// seen are the names that were told when the directory was found, and whose creation may be in the queue still.
	seen map[string]bool
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
		dirs: map[int32]*watchedDir{}, dirty: map[*Watch]bool{},
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
		if err := w.extend(d, fd, 0, ignored); err != nil {
			w.drop(t)
			return nil, err
		}
	}
	return t, nil
}

// Sync is the watcher's.
func (t *Watch) Sync() { t.w.Sync() }

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

// inTree reports whether a tree is watched that d is in.
func (d *watchedDir) inTree() bool {
	for ; d != nil; d = d.parent {
		if slices.ContainsFunc(d.watches, func(t *Watch) bool { return t.tree }) {
			return true
		}
	}
	return false
}

// prune takes out what nobody watches any more of d and what is below; above says that
// somebody watches the tree that d is in.
func (w *Watcher) prune(d *watchedDir, above bool) {
	tree := above || slices.ContainsFunc(d.watches, func(t *Watch) bool { return t.tree })
	if tree {
		return // so is all below
	}
	for _, child := range d.children {
		child.parent = nil
		w.prune(child, false)
	}
	d.children, d.seen = nil, nil
	if len(d.watches) == 0 {
		w.forget(d)
		if w.err != nil {
			return // it has ended, and its descriptor is another's by now
		}
		// The directory may be gone, and the watch with it.
		_, _ = unix.InotifyRmWatch(w.fd, uint32(d.wd))
	}
}

// forget takes d out of what is known.
func (w *Watcher) forget(d *watchedDir) {
	delete(w.dirs, d.wd)
	d.detach()
	for _, child := range d.children {
		child.parent = nil
	}
}

func (d *watchedDir) detach() {
	if d.parent != nil && d.parent.children[d.name] == d {
		delete(d.parent.children, d.name)
	}
	d.parent = nil
}

// add has the directory behind a handle watched, for the changes of a mask at least.
func (w *Watcher) add(fd int, mask uint32) (*watchedDir, error) {
	n, err := unix.InotifyAddWatch(w.fd, throughProc(fd), mask)
	if err != nil {
		return nil, err
	}
	wd := int32(n)
	d := w.dirs[wd]
	if d == nil {
		if len(w.dirs) >= maxWatched {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
			return nil, ErrTooManyWatched
		}
		d = &watchedDir{wd: wd}
		w.dirs[wd] = d
	}
	return d, nil
}

// A finder is told of what there is in a directory.
type finder func(in *watchedDir, name string, isDir bool)

// extend has the directories below d watched, whose handle is fd. found is told of all that there is, a
// directory before what is in it.
func (w *Watcher) extend(d *watchedDir, fd, depth int, found finder) error {
	if depth > maxDepth {
		return nil // what clients can't name
	}
	list, err := reopen(fd, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(list) }()
	for r := newDirReader(list); ; {
		name, ok, err := r.next()
		if err != nil || !ok {
			return err
		}
		if r.kind != unix.DT_DIR && r.kind != unix.DT_UNKNOWN {
			found(d, name, false)
			continue
		}
		if err := w.descend(d, list, name, depth, found); err != nil {
			return err
		}
	}
}

// descend adds the directory name in d, if it is one.
func (w *Watcher) descend(d *watchedDir, fd int, name string, depth int, found finder) error {
	sub, err := openat(fd, name, unix.O_PATH|unix.O_DIRECTORY, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		found(d, name, false)
		return nil
	case errors.Is(err, unix.ENOENT):
		return nil // gone by now
	case errors.Is(err, unix.EACCES):
		found(d, name, true)
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = unix.Close(sub) }()
	found(d, name, true)
	child, err := w.add(sub, watchMask)
	if err != nil || !child.attach(d, name) {
		return err
	}
	return w.extend(child, sub, depth+1, found)
}

// ignored is a finder for who wants to know nothing.
func ignored(*watchedDir, string, bool) {}

// attach says where d is. It fails for one that has a place already: a directory mounted a
// second time.
func (d *watchedDir) attach(parent *watchedDir, name string) bool {
	for up := parent; up != nil; up = up.parent {
		if up == d {
			return false
		}
	}
	if d.parent != nil && (d.parent != parent || d.name != name) {
		return false
	}
	d.parent, d.name = parent, name
	if parent.children == nil {
		parent.children = map[string]*watchedDir{}
	}
	parent.children[name] = d
	return true
}

// Sync takes what the kernel's queue holds now: what was changed before it is called has been told when it
// returns. A rename may lack its second half.
func (w *Watcher) Sync() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.take()
	}
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
	if w.moved == nil {
		w.flush()
	} else if some {
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

// events takes what was read, a sequence of struct inotify_event.
func (w *Watcher) events(b []byte) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		cookie := binary.NativeEndian.Uint32(b[8:])
		length := int(binary.NativeEndian.Uint32(b[12:]))
		raw := b[unix.SizeofInotifyEvent:]
		if length > len(raw) {
			return
		}
		name := strings.TrimRight(string(raw[:length]), "\x00")
		b = raw[length:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			w.overflow()
			continue
		}
		if d := w.dirs[wd]; d != nil {
			w.event(d, mask, cookie, name)
		}
	}
}

// overflow: the kernel's queue was full. What is watched of the trees is looked up anew.
func (w *Watcher) overflow() {
	w.movedAway()
	w.lost()
	var trees []*Watch
	for _, d := range w.dirs {
		for _, t := range d.watches {
			if t.tree {
				trees = append(trees, t)
			}
		}
	}
	for _, t := range trees {
		if err := w.extend(t.dir, t.fd, 0, ignored); err != nil {
			t.sink.Lost()
		}
	}
}

func (w *Watcher) event(d *watchedDir, mask, cookie uint32, name string) {
	if mask&unix.IN_MOVED_TO == 0 {
		w.movedAway() // its other half would come next
	}
	isDir := mask&unix.IN_ISDIR != 0
	switch {
	case mask&unix.IN_IGNORED != 0:
		if len(d.watches) == 0 {
			w.forget(d)
		}
	case name == "":
		// of the directory itself, which is its parent's to tell
	case mask&unix.IN_CREATE != 0:
		if d.seen[name] {
			delete(d.seen, name)
			return
		}
		w.tell(d, name, wire.ChangeAdded, nameKind(isDir))
		if isDir {
			w.arrived(d, name, true)
		}
	case mask&unix.IN_DELETE != 0:
		delete(d.seen, name)
		w.tell(d, name, wire.ChangeRemoved, nameKind(isDir))
		if child := d.children[name]; child != nil {
			child.detach()
		}
	case mask&unix.IN_MOVED_FROM != 0:
		delete(d.seen, name)
		w.moved = &move{cookie: cookie, dir: d, name: name, isDir: isDir, child: d.children[name]}
	case mask&unix.IN_MOVED_TO != 0:
		w.movedTo(d, name, cookie, isDir)
	case mask&unix.IN_MODIFY != 0:
		w.tell(d, name, wire.ChangeModified, wire.NotifySize|wire.NotifyLastWrite)
	case mask&unix.IN_ATTRIB != 0:
		w.tell(d, name, wire.ChangeModified, wire.NotifyAttributes|wire.NotifyLastWrite|wire.NotifyLastAccess|
			wire.NotifyCreation|wire.NotifyEA|wire.NotifySecurity)
	}
}

func nameKind(isDir bool) wire.NotifyFilter {
	if isDir {
		return wire.NotifyDirName
	}
	return wire.NotifyFileName
}

// arrived watches a directory that has come to d, if a tree is watched. isNew says that it was made there: what is in it
// has come after it, and is told.
func (w *Watcher) arrived(d *watchedDir, name string, isNew bool) {
	if !d.inTree() {
		return
	}
	fd, top, err := d.open(name)
	if err != nil {
		return // gone again
	}
	defer func() { _ = unix.Close(fd) }()
	child, err := w.add(fd, watchMask)
	if err == nil && child.attach(d, name) {
		found := finder(ignored)
		if isNew {
			found = func(in *watchedDir, name string, isDir bool) {
				if in.seen == nil {
					in.seen = map[string]bool{}
				}
				in.seen[name] = true
				w.tell(in, name, wire.ChangeAdded, nameKind(isDir))
			}
		}
		err = w.extend(child, fd, 0, found)
	}
	if err != nil {
		top.sink.Lost()
		w.dirty[top] = true
	}
}

// open opens a directory in d by its place below a watch, which is returned.
func (d *watchedDir) open(name string) (fd int, top *Watch, err error) {
	path := name
	for up := d; up != nil; up = up.parent {
		for _, t := range up.watches {
			if t.tree {
				how := unix.OpenHow{
					Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
					Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
				}
				fd, err = unix.Openat2(t.fd, path, &how)
				return fd, t, err
			}
		}
		path = up.name + "/" + path
	}
	return -1, nil, ErrMoved
}

// movedTo: the second half of a rename, or all of one from where nobody watches.
func (w *Watcher) movedTo(d *watchedDir, name string, cookie uint32, isDir bool) {
	from := w.moved
	if from == nil || from.cookie != cookie {
		w.movedAway()
		w.tell(d, name, wire.ChangeAdded, nameKind(isDir))
		if isDir {
			w.arrived(d, name, false)
		}
		return
	}
	w.moved = nil
	kind := nameKind(isDir)
	// Who sees one end only, sees it come or go.
	d.each(name, func(t *Watch, to Path) {
		if old, ok := from.dir.below(t, from.name); ok {
			w.give(t, Change{wire.ChangeRenamedOld, kind, old})
			w.give(t, Change{wire.ChangeRenamedNew, kind, to})
		} else {
			w.give(t, Change{wire.ChangeAdded, kind, to})
		}
	})
	from.dir.each(from.name, func(t *Watch, old Path) {
		if _, ok := d.below(t, name); !ok {
			w.give(t, Change{wire.ChangeRemoved, kind, old})
		}
	})
	if !isDir {
		return
	}
	if from.child == nil {
		w.arrived(d, name, false)
		return
	}
	from.child.detach()
	if d.inTree() {
		from.child.attach(d, name)
	}
	w.prune(from.child, from.child.parent.inTree())
}

// movedAway: a rename whose second half does not come: to where nobody watches.
func (w *Watcher) movedAway() {
	m := w.moved
	if m == nil {
		return
	}
	w.moved = nil
	w.tell(m.dir, m.name, wire.ChangeRemoved, nameKind(m.isDir))
	if m.child != nil {
		m.child.detach()
		w.prune(m.child, false)
	}
}

// each calls f for the watches that see a name in d, with its path from there.
func (d *watchedDir) each(name string, f func(t *Watch, p Path)) {
	path := Path(name)
	for up := d; up != nil; up = up.parent {
		for _, t := range up.watches {
			if t.tree || up == d {
				f(t, path)
			}
		}
		path = Path(up.name).Join(string(path))
	}
}

// below is the path of a name in d as t sees it.
func (d *watchedDir) below(t *Watch, name string) (path Path, ok bool) {
	d.each(name, func(other *Watch, p Path) {
		if other == t {
			path, ok = p, true
		}
	})
	return path, ok
}

func (w *Watcher) tell(d *watchedDir, name string, action wire.ChangeAction, kinds wire.NotifyFilter) {
	d.each(name, func(t *Watch, p Path) { w.give(t, Change{action, kinds, p}) })
}

func (w *Watcher) give(t *Watch, c Change) {
	t.sink.Changed(c)
	w.dirty[t] = true
}
