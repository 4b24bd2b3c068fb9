package smbproto

import (
	"errors"
	"slices"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// A file is deleted by name, and may have several. Each open remembers whether its own
// name is to be deleted (MS-FSA 2.1.1.4, Link.IsDeleted); when it is closed, the state of the
// file keeps its handle for that. Nobody is admitted by such a name any more, and it goes with the last open that has it
// (MS-FSA 2.1.5.5, phase 3). By the file's other names it is opened, and stays open, as if nothing were.

// deletePending reports whether the name by which f, the file or a stream of it, was opened is to be deleted.
func (s *fileState) deletePending(f *vfs.File) bool {
	if s.base != nil {
		return s.losesName() || s.base.deletePending(f)
	}
	if !s.losesName() {
		return false
	}
	name := f.EntryName()
	same := func(f *vfs.File) bool { return f.Name().Same(name) }
	return s.leaving || slices.ContainsFunc(s.doomed, same) || slices.ContainsFunc(s.going, same) ||
		slices.ContainsFunc(s.opens, func(o *open) bool { return o.doomed && same(o.file) })
}

// losesName reports whether any name is to be deleted. A directory and a stream have but one.
func (s *fileState) losesName() bool {
	return s.leaving || len(s.doomed) > 0 || len(s.going) > 0 || slices.ContainsFunc(s.opens, func(o *open) bool { return o.doomed })
}

// dooms reports whether an open that was closed has left the name to be deleted.
func (s *fileState) dooms(name vfs.Name) bool {
	return slices.ContainsFunc(s.doomed, func(f *vfs.File) bool { return f.Name().Same(name) })
}

// free takes out the files by whose names nobody has this one open any more, by a stream of it neither.
func (s *fileState) free() (due []*vfs.File) {
	if len(s.doomed) == 0 {
		return nil
	}
	for _, st := range s.streams.open {
		if len(st.opens) == 0 {
			return nil // it is being removed itself, or renamed, and whoever does that comes back
		}
	}
	s.doomed = slices.DeleteFunc(s.doomed, func(f *vfs.File) bool {
		for o := range s.all {
			if s.base != nil || o.file.EntryName().Same(f.Name()) {
				return false
			}
		}
		due = append(due, f)
		return true
	})
	s.going = append(s.going, due...)
	return due
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

// pending tells whether the name that the open has is to be deleted, whoever asked for it. The file is not given another one then.
func (t *fileTable) pending(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.state.deletePending(o.file)
}

// mayFill says whether a file may be made in a directory: not in one that is to be deleted, MS-FSA 2.1.5.1.1, which
// could not be then.
func (t *fileTable) mayFill(dir vfs.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.files[dir]; st != nil && st.losesName() {
		return wire.StatusDeletePending
	}
	return nil
}

// removal is of names of a file, by which nobody is admitted until the caller of leave has handed it to remove.
type removal struct {
	state *fileState
	files []*vfs.File // one for each name
}

// remove deletes the names that leave has said nobody has any more, tells what came of each, and forgets them.
func (t *fileTable) remove(r *removal, tell func(*vfs.File, error)) error {
	var errs []error
	for r != nil {
		files := r.files
		for _, f := range files {
			err := f.Remove()
			tell(f, err)
			errs = append(errs, err)
		}
		r = t.forget(r) // a stream's last open may have been its file's
		for _, f := range files {
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
