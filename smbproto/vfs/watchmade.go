package vfs

import (
	"sync"

	"golang.org/x/sys/unix"
)

// A file that is made here is there first, and then gets what is kept of it in extended attributes. To those who watch its
// directory that is one change.

// making is a file that is being made.
type making struct {
	dir  ID
	name string
}

// makings are the files that are being made here. Their lock comes after the watcher's: who makes a file does not wait for a
// tree that is looked through.
type makings struct {
	mu    sync.Mutex
	files map[making]int
}

// quiet keeps from telling of changes of a file's attributes until told, which the caller calls when it is made. A nil
// watcher has nobody to tell.
func (w *Watcher) quiet(dir ID, name string) (told func()) {
	if w == nil {
		return func() {}
	}
	m := making{dir, name}
	k := &w.makings
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil {
		k.files = map[making]int{}
	}
	k.files[m]++
	return func() {
		w.Sync() // what was done to it is in the queue by now
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.files[m]--; k.files[m] == 0 {
			delete(k.files, m)
		}
	}
}

// isQuiet reports whether an event is of a file's attributes while it is made.
func (w *Watcher) isQuiet(d *watchedDir, mask uint32, name string) bool {
	if mask&unix.IN_ATTRIB == 0 {
		return false
	}
	w.makings.mu.Lock()
	defer w.makings.mu.Unlock()
	return w.makings.files[making{d.id, name}] > 0
}
