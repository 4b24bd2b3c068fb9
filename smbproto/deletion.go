package smbproto

import (
	"errors"
	"slices"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// A file is deleted by name, and may have several. Each open remembers whether its own
// name is to be deleted (MS-FSA 2.1.1.4, Link.IsDeleted); when it is closed, the state of the
// file keeps its handle for that. Until the last open is closed, nobody is admitted by any name.

// deletePending reports whether a name of the file is to be deleted.
func (s *fileState) deletePending() bool {
	return s.leaving || len(s.doomed) > 0 || slices.ContainsFunc(s.opens, func(o *open) bool { return o.doomed }) ||
		s.base != nil && s.base.deletePending()
}

// dooms reports whether an open that was closed has left the name to be deleted.
func (s *fileState) dooms(name vfs.Name) bool {
	return slices.ContainsFunc(s.doomed, func(f *vfs.File) bool { return f.Name().Same(name) })
}

// doom has the open's name deleted when the file is closed.
func (t *fileTable) doom(o *open) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	o.doomed = true
	t.wantHandles(o.state, o)
	for _, other := range o.state.opens {
		if n := other.notify.Load(); n != nil {
			n.end(wire.StatusDeletePending)
		}
	}
}

// spare takes back that the open's name is to be deleted, whoever asked for it. The caller
// closes what is returned.
func (t *fileTable) spare(o *open) (shut []*vfs.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := o.file.Name()
	for _, other := range o.state.opens {
		if other.doomed && other.file.Name().Same(name) {
			other.doomed = false
		}
	}
	o.state.doomed = slices.DeleteFunc(o.state.doomed, func(f *vfs.File) bool {
		same := f.Name().Same(name)
		if same {
			shut = append(shut, f)
		}
		return same
	})
	return shut
}

// dooms tells whether the open's name is to be deleted, whoever asked for it. It keeps that name then (MS-FSA 2.1.5.15.11):
// it would be deleted by another one.
func (t *fileTable) dooms(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := o.file.Name()
	return o.state.dooms(name) || slices.ContainsFunc(o.state.opens, func(other *open) bool {
		return other.doomed && other.file.Name().Same(name)
	})
}

// pending tells whether the file is to be deleted.
func (t *fileTable) pending(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.state.deletePending()
}

// mayFill says whether a file may be made in a directory: not in one that is to be deleted, MS-FSA 2.1.5.1.1, which
// could not be then.
func (t *fileTable) mayFill(dir vfs.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.files[dir]; st != nil && st.deletePending() {
		return wire.StatusDeletePending
	}
	return nil
}

// remove deletes the names of a file that leave has said was the last, tells what came of each, and forgets it.
func (t *fileTable) remove(st *fileState, tell func(*vfs.File, error)) error {
	var errs []error
	for st != nil {
		doomed := st.doomed
		for _, f := range doomed {
			err := f.Remove()
			tell(f, err)
			errs = append(errs, err)
		}
		st = t.forget(st) // a stream's last open may have been its file's
		for _, f := range doomed {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// reserve keeps all from a file that is to be replaced, until drop; false if somebody
// has it open, or it is being removed already.
func (t *fileTable) reserve(id vfs.ID) bool {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.files[id]; st != nil {
		t.evictFrom(st)
	}
	if t.files[id] != nil {
		return false
	}
	t.files[id] = &fileState{id: id, leaving: true}
	return true
}

// drop forgets a file that has no opens and was removed or replaced, or could not be.
// The caller still has a handle on it, for without one the id may be another file's.
func (t *fileTable) drop(id vfs.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.files, id)
}
