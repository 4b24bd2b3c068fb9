package vfs

import (
	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Modified tells those who watch the directory that f's name is in of a change of f that inotify does not know. Where another
// has the name by now, nobody is told.
func (w *Watcher) Modified(f *File, kinds wire.NotifyFilter) {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	parent, base := f.loc.parent, f.loc.base
	if parent < 0 {
		var ok bool
		if parent, base, ok = f.entry(); !ok {
			return
		}
		defer func() { _ = unix.Close(parent) }()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.take() // what has happened before is told before
	// inotify knows the directory by a descriptor. That of one that is watched is given again.
	n, err := unix.InotifyAddWatch(w.fd, throughProc(parent), namesMask)
	if err != nil {
		return
	}
	d := w.dirs[int32(n)]
	if d == nil {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(n))
		return
	}
	w.movedAway()
	w.tell(d, base, wire.ChangeModified, kinds)
	w.flush()
}

// entry opens the directory that a file's name is in, if the file has it still; not that of the root of a share.
func (f *File) entry() (parent int, base string, ok bool) {
	if f.loc.path == "" {
		return -1, "", false
	}
	dir, base := f.loc.path.Split()
	parent, err := f.root.beneathAs(dir, f.exact)
	if err != nil {
		return -1, "", false
	}
	var st unix.Statx_t
	if err := statx(parent, base, &st); err != nil || idOf(&st) != f.ID() {
		_ = unix.Close(parent)
		return -1, "", false
	}
	return parent, base, true
}
