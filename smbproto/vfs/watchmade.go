package vfs

import "golang.org/x/sys/unix"

// A file that is made here is there first, and then gets what is kept of it in extended attributes. To those who watch its
// directory that is one change.

// making is a file that is being made.
type making struct {
	dir  ID
	name string
}

// quiet keeps from telling of changes of a file's attributes until told, which the caller calls when it is made. A nil
// watcher has nobody to tell.
func (w *Watcher) quiet(dir ID, name string) (told func()) {
	if w == nil {
		return func() {}
	}
	m := making{dir, name}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.making == nil {
		w.making = map[making]int{}
	}
	w.making[m]++
	return func() {
		w.Sync() // what was done to it is in the queue by now
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.making[m]--; w.making[m] == 0 {
			delete(w.making, m)
		}
	}
}

// isQuiet reports whether an event is of a file's attributes while it is made.
func (w *Watcher) isQuiet(d *watchedDir, mask uint32, name string) bool {
	return mask&unix.IN_ATTRIB != 0 && w.making[making{d.id, name}] > 0
}
