package smbproto

import (
	"errors"
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
}

// fileState is what the opens of one file share. The table's lock guards it.
type fileState struct {
	id            vfs.ID
	opens         []*open
	deletePending bool
	// remover is the handle by which the last close deletes the file: that of an
	// open that may delete and was closed before others.
	remover *vfs.File
	locks   []byteRange
	locked  atomic.Int32 // len(locks), to be asked without the table's lock
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

// admit enters an open, or says why the file can't be opened so. To others' share
// modes it asks for what it has and for also: to cut a file is to write it.
func (t *fileTable) admit(o *open, also wire.Access) wire.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := t.files[o.file.ID()]
	if st == nil {
		st = &fileState{id: o.file.ID()}
		t.files[st.id] = st
	}
	if st.deletePending {
		return wire.StatusDeletePending
	}
	if asks := o.access | also; asks.Has(dataAccess) {
		for _, other := range st.opens {
			if other.access.Has(dataAccess) && (!allows(other.share, asks) || !allows(o.share, other.access)) {
				return wire.StatusSharingViolation
			}
		}
	}
	st.opens = append(st.opens, o)
	o.state = st
	return wire.StatusOK
}

// leave takes an open out, and gives up its locks. It returns the file to delete by
// name, if this was the last open of a file that is to be deleted: until drop is called,
// nobody is admitted to it. keep says that the open's own handle is still needed and
// must not be closed.
func (t *fileTable) leave(o *open) (remove *vfs.File, keep bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := o.state
	o.state = nil
	st.dropLocks(o)
	for i, other := range st.opens {
		if other == o {
			st.opens = append(st.opens[:i], st.opens[i+1:]...)
			break
		}
	}
	if o.deleteOnClose {
		st.deletePending = true
	}
	if len(st.opens) > 0 {
		if st.deletePending && st.remover == nil && o.canDelete {
			st.remover = o.file
			return nil, true
		}
		return nil, false
	}
	if !st.deletePending {
		delete(t.files, st.id)
		return nil, false
	}
	if st.remover == nil {
		st.remover = o.file
	}
	return st.remover, st.remover == o.file
}

// setDelete sets or takes back that the file is to be deleted on its last close.
func (t *fileTable) setDelete(o *open, on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.state.deletePending = on
}

// pending tells whether the file is to be deleted.
func (t *fileTable) pending(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.state.deletePending
}

// reserve keeps all from a file that is to be replaced, until drop; false if somebody
// has it open, or it is being removed already.
func (t *fileTable) reserve(id vfs.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.files[id] != nil {
		return false
	}
	t.files[id] = &fileState{id: id, deletePending: true}
	return true
}

// drop forgets a file that has no opens and was removed or replaced, or could not be.
// The caller still has a handle on it, for without one the id may be another file's.
func (t *fileTable) drop(id vfs.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.files, id)
}

// renamed tells the other opens of o's file that its name has changed.
func (t *fileTable) renamed(o *open) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, other := range o.state.opens {
		if other != o {
			errs = append(errs, other.file.Relocate(o.file))
		}
	}
	if st := o.state; st.remover != nil {
		errs = append(errs, st.remover.Relocate(o.file))
	}
	return errors.Join(errs...)
}
