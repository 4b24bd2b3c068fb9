package vfs

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Which directories are watched, and where they are in the trees that are.

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
	delete(w.adrift, d)
	d.detach()
	for _, child := range d.children {
		child.parent = nil
	}
}

// unplace takes d from its place. If it is told at another before settle, it is still watched with all that is below.
func (w *Watcher) unplace(d *watchedDir) {
	d.detach()
	w.adrift[d] = true
}

// settle takes out the directories that have come to no other place.
func (w *Watcher) settle() {
	for d := range w.adrift {
		w.prune(d, d.parent.inTree())
	}
	clear(w.adrift)
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
			w.settle()
		}
		if len(w.dirs) >= maxWatched {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
			return nil, ErrTooManyWatched
		}
		var st unix.Statx_t
		if err := statx(fd, "", &st); err != nil {
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
			return nil, err
		}
		d = &watchedDir{wd: wd, id: idOf(&st)}
		w.dirs[wd] = d
	}
	return d, nil
}

// walk is extend from a directory on whose handle is fd, which is known to be under way.
func (w *Watcher) walk(d *watchedDir, fd int, found finder) error {
	w.walks.Add(1)
	defer w.walks.Add(-1)
	return w.extend(d, fd, 0, found)
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
	d.stale = false
	for r := newDirReader(list); ; {
		name, ok, err := r.next()
		switch {
		case errors.Is(err, unix.ENOENT):
			return nil // it was removed, getdents(2)
		case err != nil || !ok:
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
	case lacks(err):
		return err
	}
	found(d, name, true)
	if err == nil {
		defer func() { _ = unix.Close(sub) }()
		err = w.enter(d, sub, name, depth, found)
	}
	if !lacks(err) {
		return nil // nobody can be told of what the server may not read, or can't any more
	}
	return err
}

// enter has the directory name in d watched, whose handle is fd, and what is below.
func (w *Watcher) enter(d *watchedDir, fd int, name string, depth int, found finder) error {
	child, err := w.add(fd, watchMask)
	if err != nil || !w.attach(child, d, name) {
		return err
	}
	return w.extend(child, fd, depth+1, found)
}

// lacks reports whether an error says nothing of a directory: there is no descriptor, memory or watch left for it.
func lacks(err error) bool {
	return slices.ContainsFunc([]error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC, ErrTooManyWatched}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// ignored is a finder for who wants to know nothing.
func ignored(*watchedDir, string, bool) {}

// What is found in a directory is what there is now, and may be ahead of the events that are still in the queue: who is told of a name
// looks at what has it, and that counts, not what the events so far make of it. Where that can't be found yet, since the directory is by
// now somewhere else itself, it is looked for when that is told.

// attach says where d was found. It fails for one that is in another place too: a directory mounted a second time.
func (w *Watcher) attach(d, parent *watchedDir, name string) bool {
	for up := parent; up != nil; up = up.parent {
		if up == d {
			return false
		}
	}
	if d.parent != nil && (d.parent != parent || d.name != name) {
		if d.isInPlace() {
			return false
		}
		d.detach()
	}
	if other := parent.children[name]; other != nil && other != d {
		w.unplace(other) // is gone, or found again when it is told where it is
	}
	d.parent, d.name = parent, name
	if parent.children == nil {
		parent.children = map[string]*watchedDir{}
	}
	parent.children[name] = d
	return true
}

// mustHave fails with ENOENT if a directory was not found in d, but in one that has its place by now.
func (d *watchedDir) mustHave(fd int) error {
	var st unix.Statx_t
	err := statx(fd, "..", &st)
	if err == nil && idOf(&st) != d.id {
		err = unix.ENOENT
	}
	return err
}

// isStale reports whether something is to be looked for in d, or below.
func (d *watchedDir) isStale() bool {
	if d.stale {
		return true
	}
	for _, child := range d.children {
		if child.isStale() {
			return true
		}
	}
	return false
}

// isInPlace reports whether d is where it was when the kernel told of it last.
func (d *watchedDir) isInPlace() bool {
	fd, err := d.parent.open(d.name)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Statx_t
	return statx(fd, "", &st) == nil && idOf(&st) == d.id
}

// each calls f for the watches that see a name in d, with its path from there: where clients can name that.
func (d *watchedDir) each(name string, f func(t *Watch, p Path)) {
	path := Path(name)
	for up := d; up != nil && Nameable(name); name, up = up.name, up.parent {
		for _, t := range up.watches {
			if t.tree || up == d {
				f(t, path)
			}
		}
		path = Path(up.name).Join(string(path))
	}
}
