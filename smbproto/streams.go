package smbproto

import (
	"errors"
	"slices"
	"strings"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// A named stream of a file (MS-FSA 2.1.1.5) is opened as a file is, has share modes and locks of
// its own, and is deleted alone. It has the file's attributes and times. Where it is kept, vfs says.

// setName takes the name of a CREATE apart, MS-FSA 2.1.5.1. One that asks for data can't be a
// directory's.
func (cr *creation) setName(name string) wire.Status {
	var data bool
	var err error
	if cr.path, cr.stream, data, err = vfs.ParseName(name); err != nil {
		return wire.StatusOf(err)
	}
	switch {
	case (data || cr.stream != "") && cr.options&wire.OptionDirectory != 0:
		return wire.StatusNotADirectory
	case data:
		cr.options |= wire.OptionNonDirectory
	}
	return wire.StatusOK
}

// name is what an open is called, from the share's root.
func (o *open) name() string {
	name := o.file.Path().Backslashed()
	if o.file.Named() {
		name += ":" + o.file.Stream()
	}
	return name
}

// toStream reports whether a WRITE is for a named stream. Such a write is one change of an xattr,
// so it waits for all of its data. What is too long for any stream is refused anyway, and need not wait.
func toStream(s *channel, req wire.WriteRequest) bool {
	if req.Length() > vfs.MaxStream {
		return false
	}
	o := s.open(req.FileID())
	return o != nil && o.named
}

// streams is what a fileState knows of the named streams of its file, or as one of them. The
// table's lock guards it.
type streams struct {
	base *fileState            // of a named stream: its file's
	name string                // of a named stream
	open map[string]*fileState // of a file: its named streams that are open, by name
}

// stream finds the state of a named stream, or makes it.
func (s *fileState) stream(name string) *fileState {
	st := s.streams.open[name]
	if st == nil {
		st = &fileState{id: s.id, streams: streams{base: s, name: name}}
		if s.streams.open == nil {
			s.streams.open = map[string]*fileState{}
		}
		s.streams.open[name] = st
	}
	return st
}

// all yields the opens of a file and of its named streams.
func (s *fileState) all(yield func(o *open) bool) {
	for _, o := range s.opens {
		if !yield(o) {
			return
		}
	}
	for _, st := range s.streams.open {
		for _, o := range st.opens {
			if !yield(o) {
				return
			}
		}
	}
}

// streamsMayGo reports whether all who have a named stream of the file open let it be deleted, as
// it is with the file.
func (s *fileState) streamsMayGo() bool {
	for _, st := range s.streams.open {
		for _, o := range st.opens {
			if o.access.Has(dataAccess) && o.share&wire.ShareDelete == 0 {
				return false
			}
		}
	}
	return true
}

// streamsOpen reports whether a named stream of o's file is open.
func (t *fileTable) streamsOpen(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(o.state.streams.open) > 0
}

// last says what the caller of leave has to hand to remove, if anything: of the state that has lost
// an open, or of its file's, of which a stream may have been open by a name that nobody else has. What is empty is forgotten.
func (t *fileTable) last(st *fileState) *removal {
	for ; st != nil; st = st.base {
		if r := st.due(); r != nil {
			return r
		}
		t.unlinkEmpty(st)
	}
	return nil
}

// unneeded forgets a state that may have been made for nothing.
func (t *fileTable) unneeded(st *fileState) {
	for ; st != nil; st = st.base {
		t.unlinkEmpty(st)
	}
}

func (t *fileTable) unlinkEmpty(st *fileState) {
	if len(st.opens)+len(st.streams.open)+len(st.doomed)+len(st.going) == 0 && !st.leaving {
		t.unlink(st)
	}
}

// unlink takes a state out of the table, or out of its file's.
func (t *fileTable) unlink(st *fileState) {
	if st.base != nil {
		delete(st.base.streams.open, st.name)
	} else {
		delete(t.files, st.id)
	}
}

// forget forgets what was removed, and says what is to be removed next: names of the file of a stream that
// was the last that kept them.
func (t *fileTable) forget(r *removal) *removal {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.state.going = slices.DeleteFunc(r.state.going, func(other *removal) bool { return other == r })
	return t.last(r.state)
}

// queryStreams: FileStreamInformation, MS-FSA 2.1.5.12.29, of the whole file by whatever open.
func (o *open) queryStreams(out []byte) (int, wire.Status) {
	list, err := o.file.Streams()
	if err != nil {
		return 0, wire.StatusOf(err)
	}
	return wire.PutStreams(out, list)
}

// doomStreams has the named streams of o's file that are open deleted when they are closed, and
// tells which those are.
func (t *fileTable) doomStreams(o *open) (open func(name string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := map[string]bool{}
	for name, st := range o.state.streams.open {
		names[name] = true
		for _, other := range st.opens {
			other.doomed = true
		}
	}
	return func(name string) bool { return names[name] }
}

// renameStream: MS-FSA 2.1.5.15.11.1. name begins with a colon, or is that of another file.
func (c *Conn) renameStream(o *open, name string, replace bool) wire.Status {
	if !strings.HasPrefix(name, ":") {
		// The file can't be renamed for its stream is open, nor can a stream leave it.
		return wire.StatusSharingViolation
	}
	to, err := vfs.ParseStream(name)
	switch {
	case errors.Is(err, vfs.ErrStreamType):
		return wire.StatusObjectTypeMismatch
	case err != nil:
		return wire.StatusInvalidParameter
	}
	files := &c.srv.files
	files.renaming.Lock()
	defer files.renaming.Unlock()
	if files.pending(o) {
		return wire.StatusAccessDenied // it would be deleted by the new name, as a file would
	}
	if to == "" {
		return c.renameToDefault(o, replace)
	}
	to, there, err := o.file.StreamTarget(to)
	switch {
	case err != nil:
		return wire.StatusOf(err)
	case to == o.file.Stream():
		return wire.StatusOK
	case there && !replace:
		return wire.StatusObjectNameCollision
	}
	held := files.holdStream(o, to)
	if held == nil {
		return wire.StatusInvalidParameter // somebody has it open
	}
	if err := o.file.RenameStream(to, replace); err != nil {
		files.unhold(held)
		return wire.StatusOf(err)
	}
	files.streamRenamed(o, held)
	return wire.StatusOK
}

// holdStream keeps all from the name of a stream of o's file until unhold or streamRenamed; nil if
// somebody has it open.
func (t *fileTable) holdStream(o *open, name string) *fileState {
	t.mu.Lock()
	defer t.mu.Unlock()
	base := o.state.base
	if base.streams.open[name] != nil {
		return nil
	}
	st := base.stream(name)
	st.leaving = true
	return st
}

func (t *fileTable) unhold(st *fileState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unlink(st)
}

// streamRenamed puts o's stream where held kept its new name, and tells its other opens.
func (t *fileTable) streamRenamed(o *open, held *fileState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := o.state
	t.unlink(st)
	st.name = held.name
	st.base.streams.open[st.name] = st
	for _, other := range st.opens {
		other.file.StreamRenamed(st.name)
	}
	for _, d := range st.doomed {
		d.file.StreamRenamed(st.name)
	}
}

// renameToDefault makes a named stream the one that has no name, in the place of one that is empty
// and that nobody has open. Then the open is one of the file.
func (c *Conn) renameToDefault(o *open, replace bool) wire.Status {
	if !replace {
		return wire.StatusObjectNameCollision
	}
	files := &c.srv.files
	if !files.holdDefault(o) {
		return wire.StatusInvalidParameter
	}
	err := o.file.BecomeDefault()
	files.becameDefault(o, !o.file.Named())
	o.wrote = o.wrote || !o.file.Named()
	return wire.StatusOf(err)
}

// holdDefault keeps all from o's file until becameDefault. It fails if there are opens or locks
// that would have to move with o, or if one of both streams is to be deleted.
func (t *fileTable) holdDefault(o *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, base := o.state, o.state.base
	if len(st.opens) > 1 || len(st.locks) > 0 || o.deleteOnClose || len(base.opens) > 0 || st.deletePending(vfs.Entry{}) {
		return false
	}
	base.leaving = true
	return true
}

func (t *fileTable) becameDefault(o *open, done bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st, base := o.state, o.state.base
	base.leaving = false
	if done {
		t.unlink(st)
		o.state, base.opens = base, append(base.opens, o)
		if h := o.oplock; h != nil {
			h.st, base.oplocks = base, append(base.oplocks, h)
			base.caching.Store(st.caching.Load())
		}
		st.retry() // the name is nobody's now
	}
}
