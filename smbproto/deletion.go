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
// (MS-FSA 2.1.5.5, phase 3). An open has every name but those that are proven to be others than its own: who can't be told from
// one who has the name is refused, and keeps it.

// doomed is a name that is to be deleted, by the file of an open that was closed.
type doomed struct {
	file  *vfs.File
	entry vfs.Entry
	asked asked // of that open
}

// maxDoomed is how many names of a file may wait, of opens that count no more, before nobody is admitted by its others.
const maxDoomed = 64

// removal is of names that nobody has any more. Until it has been handed to remove and done, nobody is admitted by them. The table's
// lock guards all but the files, which are the remover's: who asks them for a name waits for the file system.
type removal struct {
	state *fileState
	names []doomed
	where []vfs.Name // of them
}

// deletePending reports whether a name is to be deleted, or may be the same as one that is; of a stream, the stream or that name of
// its file.
func (s *fileState) deletePending(e vfs.Entry) bool {
	if s.leaving || s.base != nil && s.base.deletePending(e) {
		return true
	}
	if s.base != nil || s.moving || len(s.doomed) >= maxDoomed { // a stream has no more names than one
		e = vfs.Entry{}
	}
	return s.dooms(e)
}

// dooms reports whether one of the names that are to be deleted may be this one.
func (s *fileState) dooms(e vfs.Entry) bool {
	has := func(d doomed) bool { return !d.entry.Differs(e) }
	return slices.ContainsFunc(s.doomed, has) ||
		slices.ContainsFunc(s.going, func(r *removal) bool { return slices.ContainsFunc(r.names, has) }) ||
		slices.ContainsFunc(s.opens, func(o *open) bool { return o.doomed && !o.entry.Differs(e) })
}

// due takes out the names that are to be deleted and that nobody has any more, by a stream neither; nil if there are none. Streams are
// deleted first: who does that comes back.
func (s *fileState) due() *removal {
	if len(s.doomed) == 0 || s.leaving || s.moving || s.base != nil && len(s.opens) > 0 {
		return nil
	}
	for _, st := range s.streams.open {
		if len(st.going) > 0 {
			return nil
		}
	}
	var held vfs.Entries
	for o := range s.all {
		held.Add(o.entry)
	}
	r := &removal{state: s}
	s.doomed = slices.DeleteFunc(s.doomed, func(d doomed) bool {
		if !held.Differ(d.entry) {
			return false
		}
		r.names, r.where = append(r.names, d), append(r.where, d.file.EntryName())
		return true
	})
	if len(r.names) == 0 {
		return nil
	}
	s.going = append(s.going, r)
	return r
}

// below reports whether something in the directory is open by the file or its streams, or is to be deleted.
func (s *fileState) below(dir *vfs.File) bool {
	return slices.ContainsFunc(s.opens, func(o *open) bool { return o.file.Below(dir) }) ||
		slices.ContainsFunc(s.doomed, func(d doomed) bool { return d.file.Below(dir) }) ||
		slices.ContainsFunc(s.going, func(r *removal) bool {
			return slices.ContainsFunc(r.where, func(n vfs.Name) bool { return n.Below(dir) })
		})
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
	o.state.doomed = slices.DeleteFunc(o.state.doomed, func(d doomed) bool {
		same := d.file.Name().Same(name)
		if same {
			shut = append(shut, d.file)
		}
		return same
	})
	return shut
}

// takenAway is spare, for a name that is there no more: those who have it open neither delete nor rename what gets it next.
func (t *fileTable) takenAway(o *open) (shut []*vfs.File) {
	shut = t.spare(o)
	t.mu.Lock()
	defer t.mu.Unlock()
	name := o.file.Name()
	for _, other := range o.state.opens {
		if other.file.Name().Same(name) {
			other.file.Lose()
		}
	}
	return shut
}

// pending tells whether the name that the open has is to be deleted, whoever asked for it.
func (t *fileTable) pending(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.state.deletePending(o.entry)
}

// mayName says whether the open's file may get a name: not one that is to be deleted, and which another program has taken away. The
// new one would be deleted in its place.
func (t *fileTable) mayName(o *open, in *vfs.Dir, to vfs.Path) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, base := to.Split(); o.state.dooms(vfs.EntryIn(in.ID(), base)) {
		return wire.StatusAccessDenied
	}
	return nil
}

// mayFill says whether a file may be made in a directory: not in one that is to be deleted, MS-FSA 2.1.5.1.1, which
// could not be then.
func (t *fileTable) mayFill(dir vfs.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.files[dir]; st != nil && st.deletePending(vfs.Entry{}) {
		return wire.StatusDeletePending
	}
	return nil
}

// isGone reports whether a name could not be deleted because it was there no more.
func isGone(err error) bool {
	s := wire.StatusOf(err)
	return s == wire.StatusObjectNameNotFound || s == wire.StatusFileDeleted
}

// remove deletes the names that leave has said nobody has any more, tells what came of each, and forgets them.
func (t *fileTable) remove(r *removal, tell func(doomed, error)) error {
	var errs []error
	for r != nil {
		names := r.names
		for _, d := range names {
			err := d.file.Remove()
			tell(d, err)
			if !isGone(err) {
				errs = append(errs, err)
			}
		}
		r = t.forget(r) // a stream's last open may have been its file's
		for _, d := range names {
			errs = append(errs, d.file.Close())
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
