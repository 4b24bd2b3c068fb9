package vfs

import (
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// location is where a file's name is: the entry base of the directory parent,
// which had the identity entry when the file was opened (its own, or that of a link to it).
type location struct {
	mu     sync.Mutex // another open of the file may rename it
	parent int        // O_PATH handle, or -1 if the file may not be deleted or renamed
	dir    ID         // of parent; without that, only of a file that has several names
	base   string
	entry  ID
	path   Path
	short  string // the 8.3 name that it was asked for by, if it was by that
	stream string // the name of what is open, if it is a named stream
	of     ID     // its file
}

// Path is where the file was when it was opened or last renamed through us. Any
// goroutine may ask.
func (f *File) Path() Path {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	return f.loc.path
}

// locate finds the entry of the file's path in its directory, and opens that. ErrMoved: the name has
// another file by now.
func (f *File) locate(l *location) error {
	if l.path == "" {
		return nil // the root has no name in the share
	}
	dir, base := l.path.Split()
	parent, err := f.root.beneathAs(dir, f.exact)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			err = ErrMoved
		}
		return err
	}
	l.parent, l.base = parent, base
	var st unix.Statx_t
	if err := statx(parent, "", &st); err != nil {
		return err
	}
	l.dir = idOf(&st)
	if err := statx(parent, base, &st); err != nil {
		if err == unix.ENOENT {
			err = ErrMoved
		}
		return err
	}
	l.entry = idOf(&st)
	if (f.exact || !isType(&st, unix.S_IFLNK)) && l.entry != f.ID() {
		return ErrMoved
	}
	return nil
}

// findEntry is locate for a file that may not be deleted or renamed: it keeps no handle, and where locate can't tell, dir is not known.
func (f *File) findEntry() error {
	err := f.locate(&f.loc)
	err = errors.Join(err, closeAll(f.loc.parent))
	f.loc.parent = -1
	if err != nil {
		f.loc.dir = ID{}
	}
	if errors.Is(err, ErrMoved) {
		return err
	}
	return nil
}

// check says whether the name still leads to the entry that was opened. What
// happens between this look and the next call is the residue that Linux leaves:
// it has no call that unlinks or renames a handle.
func (l *location) check() (st unix.Statx_t, err error) {
	if l.parent < 0 {
		return st, ErrIsRoot
	}
	if err = statx(l.parent, l.base, &st); err == nil && idOf(&st) != l.entry {
		err = ErrMoved
	}
	return st, err
}

// Lose tells the file that its name was taken away: what gets that name later is not deleted or renamed by it. Any goroutine may
// call it.
func (f *File) Lose() {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	f.loc.entry = ID{}
}

// CanRemove says why the file can't be deleted now, if it can't.
func (f *File) CanRemove() error {
	switch {
	case f.root.opts.ReadOnly:
		return ErrReadOnly
	case f.named && f.readOnlyMode(), !f.named && f.IsReadOnly() && !f.exact: // to POSIX a file's name is its directory's
		return wire.StatusCannotDelete
	}
	return f.removable(true)
}

// CanRemoveAtClose is CanRemove for a file that was opened to be deleted when it is closed: it may have become read-only
// since (MS-FSA 2.1.5.5).
func (f *File) CanRemoveAtClose() error { return f.removable(false) }

// removable says why the name can't be taken away, by what Linux would refuse too if that is asked for.
func (f *File) removable(asked bool) error {
	switch {
	case f.root.opts.ReadOnly:
		return ErrReadOnly
	case f.named:
		return nil
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	st, err := f.loc.check()
	if err == nil && f.IsDir() {
		err = f.Empty()
	}
	if err != nil || !asked {
		return err
	}
	return f.loc.mayUnlink(&st)
}

// mayUnlink says why Linux would refuse to take the name away: who only learns it when the file is closed has been told that it is
// deleted.
func (l *location) mayUnlink(st *unix.Statx_t) error {
	var dir unix.Statx_t
	if err := statx(l.parent, "", &dir); err != nil {
		return err
	}
	const fixed = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND
	switch {
	case (dir.Attributes|st.Attributes)&fixed != 0, dir.Mode&unix.S_ISVTX != 0 && !owns(dir.Uid, st.Uid):
		return unix.EPERM
	case st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return unix.EBUSY
	}
	err := unix.Faccessat2(l.parent, "", unix.W_OK|unix.X_OK, unix.AT_EMPTY_PATH|unix.AT_EACCESS)
	switch {
	case err == unix.ENOSYS, err == unix.EPERM: // Linux before 5.8, or a filter of system calls: nothing is known
		return nil
	case err == unix.EACCES && !toldOfAll(l.parent): // another machine or process may let go what it says no to: NFS wants all rights
		return nil
	}
	return err
}

// owns reports whether Linux takes the server for one of these users, or for every file's owner.
func owns(uids ...uint32) bool {
	if slices.Contains(uids, uint32(os.Geteuid())) {
		return true
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	return unix.Capget(&head, &caps[0]) == nil && caps[0].Effective&(1<<unix.CAP_FOWNER) != 0
}

// Remove deletes the file's name, or the stream. The file stays open.
func (f *File) Remove() error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if f.named {
		return f.removeStream()
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if _, err := f.loc.check(); err != nil {
		return pathError("remove", string(f.loc.path), err)
	}
	flags := 0
	if f.IsDir() && f.loc.entry == f.ID() {
		flags = unix.AT_REMOVEDIR
	}
	err := unix.Unlinkat(f.loc.parent, f.loc.base, flags)
	if err == nil {
		f.lost()
		f.root.opts.Loans.forget(f.ID())
		if flags != 0 {
			f.root.indexes.forget(f.ID())
		}
	}
	return pathError("remove", string(f.loc.path), err)
}

// Rename gives the file another name in the share. Without replace it fails with
// ErrExists if the name is taken, also by one that differs in case only, or by another
// link to the same file. mayEnter is asked whether the directory that the name will be in may get it.
func (f *File) Rename(to Path, replace bool, mayEnter func(in *Dir) error) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	t, err := f.root.target(to, f.exact)
	if err != nil {
		return pathError("rename to", string(to), err)
	}
	if err := mayEnter(t.in); err != nil {
		return pathError("rename to", string(to), errors.Join(err, closeAll(t.parent)))
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if _, err := f.loc.check(); err != nil {
		return pathError("rename", string(f.loc.path), errors.Join(err, closeAll(t.parent)))
	}
	own := t.in.ID() == f.loc.dir && t.found == f.loc.base
	if t.found != "" && !own {
		if !replace {
			return pathError("rename to", string(to), errors.Join(ErrExists, closeAll(t.parent)))
		}
		t.base = t.found
	}
	flags := uint(unix.RENAME_NOREPLACE)
	if replace || own { // of its own name only the case changes, or nothing
		flags = 0
	}
	replaced := t.replaced()
	err = unix.Renameat2(f.loc.parent, f.loc.base, t.parent, t.base, flags)
	if errors.Is(err, unix.EINVAL) && flags != 0 {
		// The file system can't do it in one; what target saw must do.
		err = unix.Renameat(f.loc.parent, f.loc.base, t.parent, t.base)
	}
	if err != nil {
		return pathError("rename to", string(to), errors.Join(err, closeAll(t.parent)))
	}
	f.lost()
	f.root.opts.Loans.forget(replaced)
	err = closeAll(f.loc.parent)
	f.loc.short = ""
	f.loc.parent, f.loc.dir, f.loc.base, f.loc.path = t.parent, t.in.ID(), t.base, t.path.Join(t.base)
	return err
}

// Link gives the file one more name in the share. It fails with ErrExists if the name is taken, also by one that
// differs in case only. mayEnter is asked as by Rename.
func (f *File) Link(to Path, mayEnter func(in *Dir) error) error {
	switch {
	case f.root.opts.ReadOnly:
		return ErrReadOnly
	case f.IsDir():
		return ErrIsDirectory
	}
	t, err := f.root.target(to, f.exact)
	if err != nil {
		return pathError("link to", string(to), err)
	}
	if err = mayEnter(t.in); err == nil && t.found != "" {
		err = ErrExists
	}
	if err == nil {
		err = unix.Linkat(unix.AT_FDCWD, throughProc(f.fd), t.parent, t.base, unix.AT_SYMLINK_FOLLOW)
	}
	return pathError("link to", string(to), errors.Join(err, closeAll(t.parent)))
}

// target is the place of a new name.
type target struct {
	parent int  // O_PATH handle of the directory
	in     *Dir // parent
	path   Path // of parent
	base   string
	found  string // the name of what is there, which may differ in case; or ""
}

// replaced is the ID of what a rename to the place replaces, or none. A name that gets another file meanwhile costs that one no more
// than a window that nobody uses.
func (t *target) replaced() ID {
	var st unix.Statx_t
	if t.found == "" || statx(t.parent, t.found, &st) != nil {
		return ID{}
	}
	return idOf(&st)
}

func (r *Root) target(to Path, exact bool) (t target, err error) {
	if to == "" {
		return t, ErrIsRoot
	}
	dir, base := to.Split()
	t.base = base
	since := births.now()
	t.parent, t.path, err = r.lookupAs(dir, exact)
	if errors.Is(err, ErrNotFound) || errors.Is(err, unix.ENOTDIR) {
		err = ErrPathNotFound
	}
	if err != nil {
		return t, err
	}
	if t.in, err = dirOf(t.parent, since); err == nil {
		t.found, err = r.nameAs(t.parent, base, exact)
	}
	if errors.Is(err, unix.ENOTDIR) {
		err = ErrPathNotFound
	}
	if err != nil {
		return t, errors.Join(err, closeAll(t.parent))
	}
	return t, nil
}

// Relocate tells the file that from, another open of the same name, was renamed.
// Any goroutine may call it.
func (f *File) Relocate(from *File) error {
	from.loc.mu.Lock()
	parent, dir, base, full := from.loc.parent, from.loc.dir, from.loc.base, from.root.full(from.loc.path)
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
	if path, ok := f.root.inside(full); ok {
		f.loc.path = path
	}
	if f.loc.parent < 0 {
		if f.loc.dir != (ID{}) {
			f.loc.dir, f.loc.base = dir, base
		}
		return closeAll(parent)
	}
	old := f.loc.parent
	f.loc.short = ""
	f.loc.parent, f.loc.dir, f.loc.base = parent, dir, base
	return closeAll(old)
}
