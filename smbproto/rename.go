package smbproto

import (
	"errors"
	"slices"
	"strings"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// newName reads the name to rename or to link to.
func newName(b wire.RenameInfo) (string, wire.Status) {
	if len(b) < 20 {
		return "", wire.StatusInfoLengthMismatch
	}
	if b.Valid() != nil || b.RootDirectory() != 0 {
		return "", wire.StatusInvalidParameter
	}
	name, err := wire.UTF16ToString(b.Name())
	if err != nil {
		return "", wire.StatusObjectNameInvalid
	}
	return name, wire.StatusOK
}

// newPath is the path that a file is renamed or linked to: from the share's root.
func newPath(name string) (vfs.Path, wire.Status) {
	to, err := vfs.ParsePath(strings.TrimPrefix(name, `\`))
	return to, wire.StatusOf(err)
}

// link: MS-FSA 2.1.5.15, FileLinkInformation. Nothing is replaced: who asks for that has to remove it first. No right to the file
// is asked for there. But a directory gives rights to what has a name in it, so that who could make one in his own for whatever
// he only sees could delete its streams, and keep all others from it: here it takes the right to set attributes.
func (c *Conn) link(o *open, b wire.RenameInfo) wire.Status {
	name, status := newName(b)
	if status != wire.StatusOK {
		return status
	}
	if o.file.Named() {
		return wire.StatusInvalidParameter // a file has links, a stream of it has none
	}
	to, status := newPath(name)
	if status != wire.StatusOK {
		return status
	}
	files := &c.srv.files
	files.paths.RLock()
	defer files.paths.RUnlock()
	if !o.access.Has(wire.AccessWriteAttributes) {
		if err := o.may(wire.AccessWriteAttributes, o.file); err != nil {
			return wire.StatusOf(err)
		}
	}
	if files.pending(o) {
		return wire.StatusAccessDenied // MS-FSCC 2.4.27: the file may go with it, and who comes by the new one is not told
	}
	if err := o.file.Link(to, o.mayBe(to)); err != nil {
		return wire.StatusOf(err)
	}
	files.entryChanged(o, to)
	return wire.StatusOK
}

// rename: MS-FSA 2.1.5.15.11.
func (c *Conn) rename(o *open, b wire.RenameInfo) wire.Status {
	name, status := newName(b)
	if status != wire.StatusOK {
		return status
	}
	if o.file.Named() {
		return c.renameStream(o, name, b.Replace())
	}
	to, status := newPath(name)
	if status != wire.StatusOK {
		return status
	}
	files := &c.srv.files
	if !o.file.IsDir() {
		files.paths.RLock()
		defer files.paths.RUnlock()
		files.renaming.Lock()
		defer files.renaming.Unlock()
		if files.streamsOpen(o) {
			return wire.StatusAccessDenied
		}
		return c.renameTo(o, to, b.Replace())
	}
	files.paths.Lock()
	defer files.paths.Unlock()
	if files.openBelow(o.file) {
		return wire.StatusAccessDenied // their paths would lead nowhere
	}
	return c.renameTo(o, to, b.Replace())
}

func (c *Conn) renameTo(o *open, to vfs.Path, replace bool) wire.Status {
	if c.srv.files.pending(o) {
		return wire.StatusAccessDenied // MS-FSA 2.1.5.15.11: it would be deleted by the new name
	}
	root := o.tree.share.root
	target, err := root.Hold(to, o.file.Exact())
	switch {
	case errors.Is(err, vfs.ErrNotFound):
		return c.move(o, to, false)
	case err != nil:
		return wire.StatusOf(err)
	}
	defer c.shut(target)
	switch {
	case target.ID() == o.file.ID():
		// Its own name, perhaps in another case. Another name of the file is that of a file
		// that is open.
		if status := c.move(o, to, false); status != wire.StatusObjectNameCollision || !replace {
			return status
		}
		return wire.StatusAccessDenied
	case !replace:
		return wire.StatusObjectNameCollision
	}
	if err := o.may(wire.AccessDelete, target); err != nil { // what is replaced is deleted
		return wire.StatusOf(err)
	}
	if o.file.IsDir() && target.IsDir() {
		// Nothing replaces a directory (MS-FSA 2.1.5.15.11). That it is full is said, as smbd does: programs of Linux's ask.
		if status := wire.StatusOf(target.Empty()); status == wire.StatusDirectoryNotEmpty {
			return status
		}
	}
	if o.file.IsDir() || target.IsDir() || target.IsReadOnly() || !c.srv.files.reserve(target.ID()) {
		return wire.StatusAccessDenied
	}
	defer c.srv.files.drop(target.ID())
	// What is reserved keeps its name; but it may have lost it before.
	switch id, err := root.Identify(to, o.file.Exact()); {
	case err != nil:
		return wire.StatusOf(err)
	case id != target.ID():
		return wire.StatusAccessDenied
	}
	return c.move(o, to, true)
}

// move renames the file. It replaces only what is reserved: nobody must lose a file
// that came to be there meanwhile.
func (c *Conn) move(o *open, to vfs.Path, replace bool) wire.Status {
	was, from := o.file.Name(), o.file.Path()
	c.srv.files.moving(o)
	if err := o.file.Rename(to, replace, o.mayBe(to)); err != nil {
		c.removeDue(o, c.srv.files.stayed(o))
		return wire.StatusOf(err)
	}
	o.renamed = true
	if !o.file.IsDir() && o.file.Path() != from {
		o.toArchive() // as Windows and smbd do: no archive has it by this name
	}
	due, err := c.srv.files.renamed(o, was)
	if err != nil {
		c.log.Warn("telling other opens of a rename", "cause", err)
	}
	c.removeDue(o, due)
	c.srv.files.entryChanged(o, from)
	c.srv.files.entryChanged(o, o.file.Path())
	return wire.StatusOK
}

// removeDue deletes other names of o's file that nobody has any more since it was being renamed.
func (c *Conn) removeDue(o *open, due *removal) {
	if due == nil {
		return
	}
	if err := c.srv.files.remove(due, o.removed); err != nil {
		c.log.Warn("deleting a name of a file that was being renamed", "cause", err)
	}
}

// mayEnter says whether a directory's opens let a file be renamed into it: Windows opens it to add a file, and shares
// reading and writing.
func (t *fileTable) mayEnter(dir vfs.ID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.files[dir]; st != nil && !st.shares(wire.AccessWriteData, wire.ShareRead|wire.ShareWrite) {
		return wire.StatusSharingViolation
	}
	return nil
}

// openBelow reports whether something in a directory is open, MS-FSA 2.1.4.2, or is to be deleted.
func (t *fileTable) openBelow(dir *vfs.File) bool {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range slices.Clone(t.absent) {
		if !o.durable.resilient && o.file.Below(dir) {
			t.evict(o)
		}
	}
	for _, st := range t.files {
		if st.below(dir) {
			return true
		}
		for _, stream := range st.streams.open {
			if stream.below(dir) {
				return true
			}
		}
	}
	return false
}

// moving says that o's file is about to be renamed.
func (t *fileTable) moving(o *open) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.state.moving = true
}

// stayed says that it was not. It returns what was not removed meanwhile.
func (t *fileTable) stayed(o *open) *removal {
	t.mu.Lock()
	defer t.mu.Unlock()
	o.state.moving = false
	return o.state.due()
}

// renamedSince reports whether a file may have been renamed since there had been so many renames.
func (t *fileTable) renamedSince(id vfs.ID, since uint64) bool {
	now := t.renames.Load()
	if now-since > recentRenames {
		return true
	}
	for ; since < now; since++ {
		if t.recent[since%recentRenames] == id {
			return true
		}
	}
	return false
}

// renamed tells the others that have o's file, or a stream of it, by the name that it had. Which of the file's names they have is not
// proven any more. Who has come to keep the file open since the rename did not wait for others is asked to close it. It returns what
// stayed does.
func (t *fileTable) renamed(o *open, was vfs.Name) (*removal, error) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent[t.renames.Load()%recentRenames] = o.file.ID()
	t.renames.Add(1)
	o.state.moving = false
	var errs []error
	old := o.entry
	tell := func(f *vfs.File, entry *vfs.Entry) {
		if !entry.Differs(old) {
			*entry = vfs.Entry{}
		}
		if f != o.file && f.EntryName().Same(was) {
			errs = append(errs, f.Relocate(o.file))
		}
	}
	for other := range o.state.all {
		tell(other.file, &other.entry)
	}
	o.entry = o.file.Entry()
	tellAll := func(st *fileState) {
		for i := range st.doomed {
			tell(st.doomed[i].file, &st.doomed[i].entry)
		}
	}
	tellAll(o.state)
	for _, st := range o.state.streams.open {
		tellAll(st)
	}
	t.wantHandles(o.state, o)
	return o.state.due(), errors.Join(errs...)
}
