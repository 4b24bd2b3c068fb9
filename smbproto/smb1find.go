package smbproto

import (
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// Flags of FIND_FIRST2 and FIND_NEXT2, MS-CIFS 2.2.6.2.1.
const (
	findClose    = 0x01
	findCloseEnd = 0x02
	findKeys     = 0x04
	findContinue = 0x08
)

// findFirst2: MS-CIFS 2.2.6.2.
func (c *Conn) findFirst2(r *smb1Request, t *transaction, out *transOut) wire.Status {
	p := t.params
	attrs, most, flags := wire.SMB1U16(p), int(wire.SMB1U16(p[2:])), wire.SMB1U16(p[4:])
	level := wire.SMB1FindLevel(wire.SMB1U16(p[6:]))
	name, status := r.nameIn(p, 12)
	switch {
	case status != wire.StatusOK:
		return status
	case !level.Valid():
		return wire.StatusInvalidLevel
	}
	s, status := c.beginSearchSMB1(r, name, attrs, rulesOf(r.posix() || level == wire.SMB1FindUnix))
	if status != wire.StatusOK {
		return status
	}
	sid, status := c.keepSearch(s)
	if status != wire.StatusOK {
		c.dropSearch(s)
		return status
	}
	found, status := c.find(r, s, level, t, out, most, flags)
	if status == wire.StatusOK && found.count == 0 {
		status = wire.StatusNoSuchFile
	}
	if status != wire.StatusOK {
		c.endSearch(sid)
		return status
	}
	if found.ends(flags) {
		c.endSearch(sid)
	}
	wire.PutSMB1U16(out.params, sid)
	found.put(out.params[2:])
	out.np = 10
	return wire.StatusOK
}

// findNext2: MS-CIFS 2.2.6.3.
func (c *Conn) findNext2(r *smb1Request, t *transaction, out *transOut) wire.Status {
	p := t.params
	sid, most, flags := wire.SMB1U16(p), int(wire.SMB1U16(p[2:])), wire.SMB1U16(p[10:])
	level := wire.SMB1FindLevel(wire.SMB1U16(p[4:]))
	name, status := r.nameIn(p, 12)
	s := c.searchOf(r, sid)
	switch {
	case status != wire.StatusOK:
		return status
	case !level.Valid():
		return wire.StatusInvalidLevel
	case s == nil:
		return wire.StatusInvalidHandle
	}
	if key := wire.SMB1U32(p[6:]); flags&findContinue == 0 {
		if name != "" || key != 0 {
			if status := s.goTo(name, int(min(key, 1<<30))); status != wire.StatusOK {
				return status
			}
		}
	}
	found, status := c.find(r, s, level, t, out, most, flags)
	if status != wire.StatusOK {
		return status
	}
	if found.ends(flags) {
		c.endSearch(sid)
	}
	found.put(out.params)
	out.np = 8
	return wire.StatusOK
}

// found is what a FIND_FIRST2 or FIND_NEXT2 has found.
type found struct {
	count, last int
	end         bool
}

// ends reports whether the search is to be closed.
func (f *found) ends(flags uint16) bool {
	return flags&findClose != 0 || f.end && flags&findCloseEnd != 0
}

// put writes the parameters: how many there are, whether that was all, no error in EAs, where the last begins.
func (f *found) put(b []byte) {
	clear(b[:8])
	wire.PutSMB1U16(b, uint16(f.count))
	if f.end {
		b[2] = 1
	}
	wire.PutSMB1U16(b[6:], uint16(f.last))
}

// find fills the data of the answer with what comes next, and looks whether there is more.
func (c *Conn) find(r *smb1Request, s *smb1Search, level wire.SMB1FindLevel, t *transaction, out *transOut, most int, flags uint16) (found, wire.Status) {
	var names []string
	if level == wire.SMB1FindEAs {
		var err error
		if names, err = wire.SMB1EANames(t.data); err != nil {
			return found{}, wire.StatusInvalidParameter
		}
	}
	list := wire.NewSMB1DirWriter(out.data, level, r.unicode(), flags&findKeys != 0)
	s.open.search.steps = 0
	end := false
	for {
		ok, err := s.next()
		if err != nil && list.Count() == 0 {
			return found{}, wire.StatusOf(err)
		}
		if end = !ok && err == nil; !ok || err != nil {
			break
		}
		if list.Count() >= max(most, 1) {
			s.giveBack()
			break
		}
		eas := s.entryEAs(level, names)
		if !list.Put(s.open.search.name, &s.open.search.info, uint32(s.given+1), eas) {
			s.giveBack()
			if list.Count() == 0 {
				return found{}, wire.StatusInfoLengthMismatch
			}
			break
		}
		s.gave()
	}
	out.nd = list.Len()
	return found{list.Count(), list.Last(), end}, wire.StatusOK
}

// entryEAs finds what a level says of the entry's EAs: what they take, or those that are named. What can't be read is none.
func (s *smb1Search) entryEAs(level wire.SMB1FindLevel, names []string) []wire.EA {
	if !level.HasEASize() {
		return nil
	}
	f := &s.open.search
	eas, err := s.open.file.EntryEAs(f.name)
	if err != nil {
		return nil
	}
	f.info.EASize = sizeOfEAs(eas)
	if len(names) == 0 {
		return nil
	}
	if len(eas) > 0 && !s.mayReadEAs() {
		eas = nil
	}
	return namedEAs(eas, names)
}

// mayReadEAs says whether the user may read those of the entry, as who opens it must.
func (s *smb1Search) mayReadEAs() bool {
	o := &s.open
	cr := creation{desired: wire.AccessReadEA, disposition: wire.Open}
	f, _, err := o.tree.share.root.Open(o.file.Path().Join(o.search.name), vfs.How{Exact: o.file.Exact(), Guard: guard{s.session.token.Load(), o.tree, &cr}})
	if err != nil {
		return false
	}
	o.conn.shut(f)
	return true
}
