package vfs

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// location is where a file's name is: the entry base of the directory parent,
// which had the identity entry when the file was opened (its own, or that of a link to it).
type location struct {
	mu     sync.Mutex // another open of the file may rename it
	parent int        // O_PATH handle, or -1 if the file may not be deleted or renamed
	base   string
	entry  ID
	path   Path
}

// Path is where the file was when it was opened or last renamed through us. Any
// goroutine may ask.
func (f *File) Path() Path {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	return f.loc.path
}

// locate finds the file's entry in its parent directory. ErrMoved: the name has
// another file by now.
func (f *File) locate() error {
	if f.loc.path == "" {
		return nil // the root has no name in the share
	}
	dir, base := f.loc.path.Split()
	parent, err := f.root.beneath(dir)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			err = ErrMoved
		}
		return err
	}
	f.loc.parent, f.loc.base = parent, base
	var st unix.Statx_t
	if err := statx(parent, base, &st); err != nil {
		if err == unix.ENOENT {
			err = ErrMoved
		}
		return err
	}
	f.loc.entry = idOf(&st)
	if !isType(&st, unix.S_IFLNK) && f.loc.entry != f.ID() {
		return ErrMoved
	}
	return nil
}

// check says whether the name still leads to the entry that was opened. What
// happens between this look and the next call is the residue that Linux leaves:
// it has no call that unlinks or renames a handle.
func (l *location) check() error {
	if l.parent < 0 {
		return ErrIsRoot
	}
	var st unix.Statx_t
	if err := statx(l.parent, l.base, &st); err != nil {
		return err
	}
	if idOf(&st) != l.entry {
		return ErrMoved
	}
	return nil
}

// CanRemove says why the file can't be deleted now, if it can't.
func (f *File) CanRemove() error {
	switch {
	case f.root.opts.ReadOnly:
		return ErrReadOnly
	case f.readOnlyMode():
		return wire.StatusCannotDelete
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if err := f.loc.check(); err != nil {
		return err
	}
	if f.IsDir() {
		return f.empty()
	}
	return nil
}

// Remove deletes the file's name. The file stays open.
func (f *File) Remove() error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if err := f.loc.check(); err != nil {
		return pathError("remove", string(f.loc.path), err)
	}
	flags := 0
	if f.IsDir() && f.loc.entry == f.ID() {
		flags = unix.AT_REMOVEDIR
	}
	return pathError("remove", string(f.loc.path), unix.Unlinkat(f.loc.parent, f.loc.base, flags))
}

// Rename gives the file another name in the share. Without replace it fails with
// ErrExists if the name is taken, also by one that differs in case only.
func (f *File) Rename(to Path, replace bool) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	real, target, err := f.root.target(to)
	if err != nil {
		return pathError("rename to", string(to), err)
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if err := f.loc.check(); err != nil {
		return pathError("rename", string(f.loc.path), err)
	}
	if target == f.loc.entry {
		real = to // only the case changes, or nothing
	} else if target != (ID{}) && !replace {
		return pathError("rename to", string(to), ErrExists)
	}
	dir, base := real.Split()
	parent, err := f.root.beneath(dir)
	if err != nil {
		return pathError("rename to", string(to), err)
	}
	flags := uint(unix.RENAME_NOREPLACE)
	if replace || target == f.loc.entry {
		flags = 0
	}
	err = unix.Renameat2(f.loc.parent, f.loc.base, parent, base, flags)
	if errors.Is(err, unix.EINVAL) && flags != 0 {
		// The file system can't do it in one; what target saw must do.
		err = unix.Renameat(f.loc.parent, f.loc.base, parent, base)
	}
	if err != nil {
		return pathError("rename to", string(to), errors.Join(err, closeAll(parent)))
	}
	err = closeAll(f.loc.parent)
	f.loc.parent, f.loc.base, f.loc.path = parent, base, real
	return err
}

// target finds what a new name would replace; the zero ID if nothing.
func (r *Root) target(to Path) (real Path, id ID, err error) {
	if to == "" {
		return "", ID{}, ErrIsRoot
	}
	dir, base := to.Split()
	fd, dir, err := r.lookup(dir)
	if errors.Is(err, ErrNotFound) {
		err = ErrPathNotFound
	}
	if err != nil {
		return to, ID{}, err
	}
	found, err := foldName(fd, base)
	if err == nil && found != "" {
		var st unix.Statx_t
		if err = statx(fd, found, &st); err == nil {
			id, base = idOf(&st), found
		}
	}
	if errors.Is(err, unix.ENOTDIR) {
		err = ErrPathNotFound
	}
	return dir.Join(base), id, errors.Join(err, closeAll(fd))
}

// Relocate tells the file that from, another open of the same file, was renamed.
// Any goroutine may call it.
func (f *File) Relocate(from *File) error {
	from.loc.mu.Lock()
	parent, base, path := from.loc.parent, from.loc.base, from.loc.path
	if parent >= 0 {
		var err error
		if parent, err = unix.FcntlInt(uintptr(parent), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			from.loc.mu.Unlock()
			return err
		}
	}
	from.loc.mu.Unlock()

	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	f.loc.path = path
	if f.loc.parent < 0 {
		return closeAll(parent)
	}
	old := f.loc.parent
	f.loc.parent, f.loc.base = parent, base
	return closeAll(old)
}
