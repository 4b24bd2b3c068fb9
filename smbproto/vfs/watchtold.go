package vfs

import (
	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Modified tells those who watch the directory that f's name is in of a change of f that inotify does not know. f may be
// deleted or renamed (How.Locate), or nobody is told.
func (w *Watcher) Modified(f *File, kinds wire.NotifyFilter) {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if f.loc.parent < 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.take() // what has happened before is told before
	// inotify knows the directory by a descriptor. That of one that is watched is given again.
	n, err := unix.InotifyAddWatch(w.fd, throughProc(f.loc.parent), namesMask)
	if err != nil {
		return
	}
	d := w.dirs[int32(n)]
	if d == nil {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(n))
		return
	}
	w.movedAway()
	w.tell(d, f.loc.base, wire.ChangeModified, kinds)
	w.flush()
}
