package vfs

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Bounds of what is remembered of a share's directories: a directory is indexed if a search for a name
// has to look at more entries than leastIndexed, and the one that has not been asked for
// longest goes when there are too many, or too many names in all.
const (
	leastIndexed = 256
	mostIndexes  = 64
	mostIndexed  = 1 << 20 // and half of it of one directory
	fullSearches = 64      // in a directory that had more, before it is tried again
)

// indexes remember which names are in large directories, by their folded form: to find that none is
// equal to a new one but for case, a directory of 100,000 entries need not be read for each file that
// is made in it. A watch keeps each index true, whoever changes the directory; where nothing can be watched,
// there are none.
type indexes struct {
	watcher func() (*Watcher, error)

	mu    sync.Mutex // under the watcher's
	byDir map[ID]*index
	full  map[ID]int // searches to come in directories that are too large, to read which takes as long as to index a part of them
	most  int        // mostIndexed
	names int        // in all
	clock uint64     // of uses
}

// index is of one directory. Until it is complete, changes wait in later.
type index struct {
	all   *indexes
	id    ID
	fd    int
	watch *Watch
	used  uint64

	ready    bool // its maker has left it
	complete bool // the directory has been read
	stale    bool // it is not true any more, and nobody asks it
	later    []Change
	names    map[string][]string // by folded name; no name in a slice is ever replaced
	count    int
}

// find says which entries of a directory are equal to name but for case, if there is an index
// that knows. One may be gone: the second half of its rename is waited for.
func (x *indexes) find(id ID, name string) (entries []string, known bool) {
	if x == nil {
		return nil, false
	}
	x.mu.Lock()
	i := x.byDir[id]
	if i == nil || !i.ready || i.stale { // one that could not be made has no watch
		x.mu.Unlock()
		return nil, false
	}
	x.mu.Unlock()
	if !i.watch.Sync() { // what has happened up to now is in the index
		return nil, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byDir[id] != i || i.stale {
		return nil, false
	}
	x.clock++
	i.used = x.clock
	return i.names[wire.Folded(name)], true
}

// build makes an index of a directory, whose handle is dir. What can't be indexed is not.
func (x *indexes) build(dir int, id ID) {
	if x == nil || x.isFull(id) {
		return
	}
	w, err := x.watcher()
	if err != nil {
		return
	}
	fd, err := reopen(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return
	}
	if !toldOfAll(fd) {
		_ = closeAll(fd)
		return
	}
	i := &index{all: x, id: id, fd: fd, names: map[string][]string{}}
	x.evict() // one that is stale stands in the way
	x.mu.Lock()
	if x.byDir[id] != nil {
		x.mu.Unlock()
		_ = closeAll(fd)
		return
	}
	x.byDir[id] = i
	x.mu.Unlock()
	// From here on each change is told; those that come while the directory is read are applied after it.
	watch, err := w.watchHandle(fd, false, i, namesMask)
	if err == nil {
		err = i.read()
	}
	x.mu.Lock()
	i.watch, i.ready = watch, true
	i.stale = i.stale || err != nil
	if errors.Is(err, errTooLarge) {
		if len(x.full) >= mostIndexes {
			clear(x.full)
		}
		x.full[id] = fullSearches
	}
	x.mu.Unlock()
	x.evict()
}

// isFull reports whether a directory is not to be indexed, and counts that it was asked.
func (x *indexes) isFull(id ID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.full[id]
	if n > 1 {
		x.full[id] = n - 1
	} else {
		delete(x.full, id)
	}
	return n > 0
}

// elsewhere are the types of file systems, statfs(2), that change without inotify(7) telling of it: on other machines, in
// another process that keeps them, or in the kernel itself.
var elsewhere = []int64{
	unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.AFS_FS_MAGIC,
	unix.AFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC, unix.OCFS2_SUPER_MAGIC,
	unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC,
	0x01161970, // GFS2
	0x0bd00bd0, // Lustre
	0x47504653, // GPFS
	0x20030528, // OrangeFS
	0x786f4256, // vboxsf
}

// toldOfAll reports whether inotify tells of all that changes in a directory.
func toldOfAll(dir int) bool {
	var st unix.Statfs_t
	return retry(func() error { return unix.Fstatfs(dir, &st) }) == nil && !slices.Contains(elsewhere, int64(uint32(st.Type)))
}

func (i *index) read() error {
	entries := newDirReader(i.fd)
	for {
		name, ok, err := entries.next()
		if err != nil {
			return err
		}
		i.all.mu.Lock()
		if !ok {
			i.complete = true
			for _, c := range i.later {
				i.apply(c)
			}
			i.later = nil
		} else if Nameable(name) {
			i.add(name)
		}
		full := i.count > i.all.most/2
		i.all.mu.Unlock()
		switch {
		case full:
			return errTooLarge
		case !ok:
			return nil
		}
	}
}

var errTooLarge = errors.New("vfs: directory too large to be indexed")

// evict closes what is stale, and what is used least while there is too much.
func (x *indexes) evict() {
	for {
		x.mu.Lock()
		var worst *index
		for _, i := range x.byDir {
			if !i.ready {
				continue // it is being made
			}
			if worst == nil || i.stale || !worst.stale && i.used < worst.used {
				worst = i
			}
		}
		if worst == nil || !worst.stale && len(x.byDir) <= mostIndexes && x.names <= x.most {
			x.mu.Unlock()
			return
		}
		delete(x.byDir, worst.id)
		x.names -= worst.count
		worst.stale = true
		x.mu.Unlock()
		worst.close()
	}
}

// forget closes the index of a directory that has been removed. Nothing tells of that while the index has a handle to it, which would
// keep the inode until as many other directories have been indexed as may be.
func (x *indexes) forget(id ID) {
	if x == nil {
		return
	}
	x.mu.Lock()
	i := x.byDir[id]
	if i != nil {
		i.stale = true
	}
	x.mu.Unlock()
	if i != nil {
		x.evict()
	}
}

func (i *index) close() {
	if i.watch != nil {
		i.watch.Close()
	}
	_ = closeAll(i.fd)
}

// close ends all of them.
func (x *indexes) close() {
	if x == nil {
		return
	}
	x.mu.Lock()
	all := x.byDir
	x.byDir, x.names = map[ID]*index{}, 0
	x.mu.Unlock()
	for _, i := range all {
		i.close()
	}
}

func (i *index) add(name string) {
	key := wire.Folded(name)
	for _, n := range i.names[key] {
		if n == name {
			return
		}
	}
	i.names[key] = append(i.names[key], name)
	i.count++
	i.all.names++
}

func (i *index) remove(name string) {
	key := wire.Folded(name)
	same := i.names[key]
	for k, n := range same {
		if n != name {
			continue
		}
		if len(same) == 1 {
			delete(i.names, key)
		} else {
			i.names[key] = append(same[:k:k], same[k+1:]...)
		}
		i.count--
		i.all.names--
		return
	}
}

func (i *index) apply(c Change) {
	name := string(c.Path)
	switch c.Action {
	case wire.ChangeAdded, wire.ChangeRenamedNew:
		if Nameable(name) {
			i.add(name)
		}
	case wire.ChangeRemoved, wire.ChangeRenamedOld:
		i.remove(name)
	}
}

// Changed implements Sink.
func (i *index) Changed(c Change) {
	if c.Action == wire.ChangeModified || strings.Contains(string(c.Path), "/") {
		return
	}
	i.all.mu.Lock()
	defer i.all.mu.Unlock()
	switch {
	case i.stale:
	case i.complete:
		i.apply(c)
	case len(i.later) < i.all.most:
		i.later = append(i.later, c)
	default:
		i.stale = true
	}
}

// Lost implements Sink.
func (i *index) Lost() {
	i.all.mu.Lock()
	defer i.all.mu.Unlock()
	i.stale = true
}

// Flush implements Sink.
func (i *index) Flush() {}
