package vfs

import (
	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Modified tells those who watch the directory that f's name is in of a change of f that inotify does not know. Where another
// has the name by now, nobody is told, nor where a link to f has it and f may not be deleted or renamed (How.Locate).
func (w *Watcher) Modified(f *File, kinds wire.NotifyFilter) {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	at := &f.loc
	if at.parent < 0 {
		at = &location{parent: -1, path: f.loc.path}
		err := f.locate(at)
		defer func() { _ = closeAll(at.parent) }()
		if err != nil || at.entry != f.ID() {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.take() // what has happened before is told before
	// inotify knows the directory by a descriptor. That of one that is watched is given again.
	n, err := unix.InotifyAddWatch(w.fd, throughProc(at.parent), namesMask)
	if err != nil {
		return
	}
	d := w.dirs[int32(n)]
	if d == nil {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(n))
		return
	}
	w.movedAway()
	w.settle()
	w.tell(d, at.base, wire.ChangeModified, kinds)
	w.flush()
}
