package vfs

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// What inotify tells, and what those who watch are told of it.

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

// overflow: the kernel's queue was full. Who came, went and moved meanwhile has not been told: what is watched of the
// trees is found anew.
func (w *Watcher) overflow() {
	w.movedAway()
	w.lost()
	var tops []*Watch
	for _, d := range w.dirs {
		d.parent, d.children, d.seen, d.stale = nil, nil, nil, false
		if i := slices.IndexFunc(d.watches, func(t *Watch) bool { return t.tree }); i >= 0 {
			tops = append(tops, d.watches[i])
		}
	}
	clear(w.adrift)
	for _, t := range tops {
		_ = w.walk(t.dir, t.fd, ignored) // all have been told that something is lost
	}
	for _, d := range w.dirs {
		w.prune(d, d.parent.inTree())
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
	case w.isQuiet(d, mask, name):
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
		d.stale = true // for when it is in one again
		return
	}
	if err := w.include(d, name, isNew); err != nil && !errors.Is(err, unix.EACCES) { // what the server may not read is told to nobody
		d.each(name, func(t *Watch, _ Path) {
			if t.tree {
				t.sink.Lost()
				w.dirty[t] = true
			}
		})
	}
}

// include has the directory name in d watched, and what is below.
func (w *Watcher) include(d *watchedDir, name string, isNew bool) error {
	fd, err := d.open(name)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		err = d.mustHave(fd)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		d.stale = true
		return nil
	case err != nil:
		return err
	}
	child, err := w.add(fd, watchMask)
	known := !isNew && w.adrift[child]
	if err != nil || !w.attach(child, d, name) || known && !child.isStale() {
		return err
	}
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
	return w.walk(child, fd, found)
}

// open opens a directory in d by its place below a watch.
func (d *watchedDir) open(name string) (fd int, err error) {
	path := name
	for up := d; up != nil; up = up.parent {
		for _, t := range up.watches {
			if t.tree {
				how := unix.OpenHow{
					Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
					Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
				}
				fd, err = unix.Openat2(t.fd, path, &how)
				return fd, err
			}
		}
		path = up.name + "/" + path
	}
	return -1, ErrMoved
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
	if from.dir == d && Nameable(from.name) && Nameable(name) {
		d.each(name, func(t *Watch, to Path) {
			in, _ := to.Split()
			w.give(t, Change{wire.ChangeRenamedOld, kind, in.Join(from.name)})
			w.give(t, Change{wire.ChangeRenamedNew, kind, to})
		})
	} else { // into another directory: for who sees both too, as with Windows; or one of the names is none for clients
		w.tell(from.dir, from.name, wire.ChangeRemoved, kind)
		w.tell(d, name, wire.ChangeAdded, kind)
	}
	if !isDir {
		return
	}
	if from.child != nil {
		w.unplace(from.child)
	}
	w.arrived(d, name, false)
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
		w.unplace(m.child)
	}
}

func (w *Watcher) tell(d *watchedDir, name string, action wire.ChangeAction, kinds wire.NotifyFilter) {
	d.each(name, func(t *Watch, p Path) { w.give(t, Change{action, kinds, p}) })
}

func (w *Watcher) give(t *Watch, c Change) {
	t.sink.Changed(c)
	w.dirty[t] = true
}
