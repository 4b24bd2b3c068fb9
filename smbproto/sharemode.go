package smbproto

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// fileTable knows the files that are open, over all connections: who has them with
// which share mode, which are to be deleted, and the byte-range locks.
type fileTable struct {
	mu    sync.Mutex
	files map[vfs.ID]*fileState
	// leases are all that are held.
	leases map[leaseID]*oplock
	// keepers and dirLeases count the oplocks that keep files open, and those of directories, to be asked without mu.
	keepers, dirLeases atomic.Int32
	// creates are those that may be replayed.
	creates map[createID]*made
	// instances are the opens of applications' instances.
	instances map[wire.GUID]*open

	// absent are the opens that are kept for their clients to come back, the oldest first.
	absent      []*open
	absentLocks int
	evictions   int        // how many of them have been evicted
	left        []leftover // of those, until it is swept
	littered    atomic.Bool
	log         *slog.Logger

	// paths keeps a path and what it leads to together. It is held for reading from
	// a path's lookup until its open is admitted, and while a file is renamed; for writing while a
	// directory is, which changes all paths through it. It comes before renaming.
	paths sync.RWMutex
	// renaming is held while a file is renamed, until the others that have it open by the
	// same name have been told. It comes before mu.
	renaming sync.Mutex
	// renames counts them: what was looked up before may have another name. recent are the files of the last ones.
	renames atomic.Uint64
	recent  [recentRenames]vfs.ID // guarded by mu
	// sweeping is held while what evicted opens have left is closed. It comes before mu.
	sweeping sync.Mutex
}

// recentRenames is how many renames are remembered by their file: who renames one all the time is not to make those unknown by which
// others open theirs.
const recentRenames = 64

// fileState is what the opens of one file share. The table's lock guards it.
//
// A named stream has a state of its own, which its file's knows; that is there as long as one of
// its streams is open.
type fileState struct {
	id vfs.ID
	streams
	opens []*open
	// doomed are the names that are deleted when their last open is
	// closed: of opens that asked for it and were closed before. The state owns their files, and has one
	// for each name. going are those that are being deleted.
	doomed []doomed
	going  []*removal
	// leaving: the file is being replaced, or a stream's name is kept, and nobody is admitted.
	leaving bool
	// moving: the file is being renamed, and until all have been told, no name is proven to be another.
	moving  bool
	locks   []byteRange
	locked  atomic.Int32 // len(locks), to be asked without the table's lock
	archive atomic.Bool  // the file has the archive attribute; if not, the next change sets it
	waiting []waitingLock

	oplocks []*oplock
	caching atomic.Int32 // how many of them let clients keep what they have read, to be asked without the table's lock
	openers []*pending   // requests that wait for an oplock to be broken
}

// dataAccess is what share modes are about: an open for attributes alone neither
// asks nor is asked (MS-FSA 2.1.5.1.2).
const (
	shareReads   = wire.AccessReadData | wire.AccessExecute
	shareWrites  = wire.AccessWriteData | wire.AccessAppendData
	shareDeletes = wire.AccessDelete
	dataAccess   = shareReads | shareWrites | shareDeletes
)

// allows reports whether a share mode admits an access.
func allows(share wire.ShareAccess, access wire.Access) bool {
	return !(access.Has(shareReads) && share&wire.ShareRead == 0 ||
		access.Has(shareWrites) && share&wire.ShareWrite == 0 ||
		access.Has(shareDeletes) && share&wire.ShareDelete == 0)
}

// shares reports whether the opens of the file let another have the access, and it them with its share mode.
func (s *fileState) shares(access wire.Access, share wire.ShareAccess) bool {
	for _, other := range s.opens {
		if other.access.Has(dataAccess) && (!allows(other.share, access) || !allows(share, other.access)) {
			return false
		}
	}
	return true
}

// admission is how an open is entered in the table of files.
type admission struct {
	also       wire.Access // what others' share modes are asked for beside what the open has: to cut a file is to write it
	overwrites bool
	since      uint64 // how many renames there had been when the file was looked up
	renames    bool   // who keeps the file open as it was called keeps nothing of it
	removes    bool   // who keeps the file open is to close it
	again      bool   // the request has waited before
	evicted    bool   // of the answer: an open that was in the way was closed, as nobody could be asked
	// park makes the request wait for an oplock of the file's; nil says that it does not wait.
	park func(*fileState) wire.Status
}

// admit enters an open, or says why the file can't be opened so: STATUS_PENDING if the request waits for an oplock to be broken.
func (t *fileTable) admit(o *open, e *admission) wire.Status {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		n := t.evictions
		status := t.tryAdmit(o, e)
		e.evicted = e.evicted || n != t.evictions
		if n == t.evictions || status != wire.StatusSharingViolation {
			return status // and not for what was in the way of the open and is no more
		}
	}
}

func (t *fileTable) tryAdmit(o *open, e *admission) wire.Status {
	st := t.files[o.file.ID()]
	if st == nil {
		st = &fileState{id: o.file.ID()}
		t.files[st.id] = st
	}
	defer func() {
		if o.state == nil {
			t.unneeded(st)
		}
	}()
	o.entry = vfs.Entry{}
	if !t.renamedSince(st.id, e.since) {
		o.entry = o.file.Entry()
	} else {
		o.asked.state &^= wire.LeaseHandle // by this name it is not to be kept open
	}
	if st.deletePending(o.entry) {
		// For their clients it is to be deleted anyway.
		t.evictUnheard(slices.DeleteFunc(slices.Clone(st.opens), func(other *open) bool { return other.entry.Differs(o.entry) }))
		return wire.StatusDeletePending
	}
	if !o.named && (e.also != 0 || o.access.Has(wire.AccessDelete)) && !st.streamsMayGo() {
		for _, s := range st.streams.open {
			t.evictFrom(s)
		}
		return wire.StatusSharingViolation
	}
	if o.named {
		if st = st.stream(o.file.Stream()); st.deletePending(o.entry) {
			return wire.StatusDeletePending
		}
	}
	if h := t.leases[o.asked.lease.id]; h != nil && o.asked.leases && h.st != st {
		return wire.StatusInvalidParameter // a key is one file's, MS-SMB2 3.3.5.9.8
	}
	asks := o.access | e.also
	violates := asks.Has(dataAccess) && !st.shares(asks, o.share)
	n := t.evictions
	wait := t.clear(st, o, e, violates)
	if violates {
		t.evictFrom(st)
	}
	if n != t.evictions {
		return wire.StatusSharingViolation // or not: the caller asks again
	}
	if wait && e.park != nil {
		return e.park(st)
	}
	if violates {
		return wire.StatusSharingViolation
	}
	st.opens = append(st.opens, o)
	o.state = st
	t.grant(st, o)
	return wire.StatusOK
}

// leave takes an open out, gives up its locks, and takes over its file. shut is a
// file that the caller closes. If this was the last open of a name that is to be deleted,
// last has it: nobody is admitted by it until the caller has handed that to remove.
func (t *fileTable) leave(o *open) (shut *vfs.File, last *removal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaveLocked(o)
}

func (t *fileTable) leaveLocked(o *open) (shut *vfs.File, last *removal) {
	st := o.state
	o.state = nil
	t.endCreate(o)
	t.endInstance(o)
	st.dropLocks(o)
	t.giveUp(o)
	st.retry()
	st.opens = slices.DeleteFunc(st.opens, func(other *open) bool { return other == o })
	shut = o.file
	if o.doomed {
		name := o.file.Name()
		if !slices.ContainsFunc(st.doomed, func(d doomed) bool { return d.file.Name().Same(name) }) {
			st.doomed, shut = append(st.doomed, doomed{o.file, o.entry, o.asked}), nil
		}
	}
	return shut, t.last(st)
}
