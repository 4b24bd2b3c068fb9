package smbproto

import (
	"errors"
	"strings"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// smb1Search is a directory that is being listed, by FIND_FIRST2 or SEARCH. It holds the directory, but no open of it
// that others would have to share.
type smb1Search struct {
	open    open // its file and search, and nothing else
	session *session
	attrs   uint16
	given   int    // how many entries the client has been given
	last    string // the last of them
}

// How a search takes names and patterns.
type searchRules int

const (
	asNT    searchRules = iota
	asPOSIX             // in the case given
	asDOS               // by 8.3 names too, which are what the client sees, and with DOS's wildcards
)

func rulesOf(exact bool) searchRules {
	if exact {
		return asPOSIX
	}
	return asNT
}

// beginSearchSMB1 opens the directory of a pattern: its last component.
func (c *Conn) beginSearchSMB1(r *smb1Request, name string, attrs uint16, as searchRules) (*smb1Search, wire.Status) {
	name = r.path(name)
	dir, pattern := "", name
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		dir, pattern = name[:i], name[i+1:]
	}
	switch {
	case pattern == "????????.???": // what DOS had for all
		pattern = "*"
	case as == asDOS:
		pattern = dosPattern(pattern)
	}
	if throughDot(dir) {
		return nil, wire.StatusObjectPathNotFound
	}
	s, exact := &smb1Search{session: r.session, attrs: attrs}, as == asPOSIX
	if status := s.open.search.lookFor(pattern, exact); status != wire.StatusOK {
		return nil, status
	}
	s.open.search.short = s.open.search.short || as == asDOS
	path, err := vfs.ParsePath(dir)
	if err != nil {
		return nil, wire.StatusOf(err)
	}
	if !r.session.admits(r.tree.share) {
		return nil, wire.StatusAccessDenied
	}
	cr := creation{desired: wire.AccessReadData, disposition: wire.Open}
	how := vfs.How{Read: true, Directory: true, Exact: exact, Guard: guard{r.session.token.Load(), r.tree, &cr}}
	f, _, err := r.tree.share.root.Open(path, how)
	if err != nil {
		if status := wire.StatusOf(err); status != wire.StatusObjectNameNotFound && status != wire.StatusNotADirectory {
			return nil, status
		}
		return nil, wire.StatusObjectPathNotFound
	}
	s.open.file, s.open.tree, s.open.session, s.open.conn = f, r.tree, r.session, c
	s.open.held = r.tree.share // which the request holds
	s.open.held.holders.Add(1)
	return s, wire.StatusOK
}

// next finds the next entry, or the one that was given back.
func (s *smb1Search) next() (ok bool, err error) {
	f := &s.open.search
	if f.held {
		f.held = false
		return true, nil
	}
	for {
		if ok, err = s.open.advance(); err != nil || !ok {
			return false, err
		}
		if fits(f.info.Attributes, s.attrs) {
			return true, nil
		}
	}
}

// giveBack has the next call of next find the same entry.
func (s *smb1Search) giveBack() { s.open.search.held = true }

// gave notes that the client has been given the entry.
func (s *smb1Search) gave() { s.last, s.given = s.open.search.name, s.given+1 }

// goTo has the search go on behind an entry, if it does not already: that of a name, or, without one, the client's
// given'th. "." and ".." come before all others, also where they are not listed. Where there is no such entry any more
// the search goes on where it was.
func (s *smb1Search) goTo(name string, given int) wire.Status {
	was := s.given
	reached := func() bool {
		if name == "" {
			return s.given == given
		}
		if s.open.file.Exact() {
			return s.last == name
		}
		return wire.EqualFold(s.last, name) || wire.EqualFold(wire.ShortName(s.last), name)
	}
	if was == 0 || reached() {
		return wire.StatusOK
	}
	f := &s.open.search
	f.steps = 0
	rewind := func() error {
		f.held, f.unseen, f.next, s.given = false, false, searchDot, 0
		return s.open.file.Rewind()
	}
	if err := rewind(); err != nil {
		return wire.StatusOf(err)
	}
	if name == "." || name == ".." {
		f.next = searchEntries
		return wire.StatusOK
	}
	for {
		ok, err := s.next()
		if err != nil {
			return wire.StatusOf(err)
		}
		if !ok {
			break
		}
		if s.gave(); reached() {
			return wire.StatusOK
		}
	}
	if name == "" {
		return wire.StatusOK // it was behind the last
	}
	if err := rewind(); err != nil {
		return wire.StatusOf(err)
	}
	for s.given < was {
		ok, err := s.next()
		if err != nil {
			return wire.StatusOf(err)
		}
		if !ok {
			break
		}
		s.gave()
	}
	return wire.StatusOK
}

// keepSearch gives a search an id. Searches count as open files do.
func (c *Conn) keepSearch(s *smb1Search) (uint16, wire.Status) {
	if len(c.smb1.searches)+len(c.smb1.files) >= min(c.cfg.Limits.MaxOpens, maxSMB1Opens) {
		return 0, wire.StatusTooManyOpenedFiles
	}
	sid := nextID(&c.smb1.nextSID, c.smb1.searches)
	c.smb1.searches[sid] = s
	return sid, wire.StatusOK
}

// searchOf finds a search of the session.
func (c *Conn) searchOf(r *smb1Request, sid uint16) *smb1Search {
	if s := c.smb1.searches[sid]; s != nil && s.open.tree == r.tree && s.session == r.session {
		return s
	}
	return nil
}

// endSearch closes a search.
func (s *smb1) endSearch(sid uint16) error {
	search := s.searches[sid]
	delete(s.searches, sid)
	return search.close()
}

// close gives up what a search holds.
func (s *smb1Search) close() error {
	return errors.Join(s.open.file.Close(), s.open.held.drop())
}

func (c *Conn) dropSearch(s *smb1Search) {
	if err := s.close(); err != nil {
		c.log.Warn("closing a search", "cause", err)
	}
}

func (c *Conn) endSearch(sid uint16) {
	if err := c.smb1.endSearch(sid); err != nil {
		c.log.Warn("closing a search", "cause", err)
	}
}

// findClose2: MS-CIFS 2.2.4.48.
func (c *Conn) findClose2(r *smb1Request, _ *smb1Reply) wire.Status {
	sid := r.block.Word(0)
	if c.searchOf(r, sid) == nil {
		return wire.StatusInvalidHandle
	}
	c.endSearch(sid)
	return wire.StatusOK
}

// The entries of SEARCH and FIND, MS-CIFS 2.2.4.58.2: a resume key, and what DOS knows of a file. The key ends with
// four bytes of the client's; of the server's before them, those from keySearch are the search's id, and from keyGiven how many
// entries have been given up to this one.
const (
	resumeKeySize   = 21
	searchEntrySize = 43

	keySearch = 11
	keyGiven  = 13
	keyClient = 17
)

func searchRoom(c *Conn, _ wire.SMB1Header, b *wire.SMB1Block) int {
	return min(int(b.Word(0))*searchEntrySize, c.smb1.maxBuffer)
}

// searchCore: MS-CIFS 2.2.4.58 to 2.2.4.61: SEARCH, FIND, FIND_UNIQUE and FIND_CLOSE.
func (c *Conn) searchCore(r *smb1Request, w *smb1Reply) wire.Status {
	most, attrs := int(r.block.Word(0)), r.block.Word(1)
	str := r.strings()
	name, err := str.Path()
	if err != nil || str.Format(wire.SMB1FormatVariable) != nil {
		return wire.StatusInvalidParameter
	}
	n, ok := str.Take(2)
	if !ok {
		return wire.StatusInvalidParameter
	}
	key, ok := str.Take(int(wire.SMB1U16(n)))
	if !ok || len(key) != 0 && len(key) != resumeKeySize {
		return wire.StatusInvalidParameter
	}
	var sid uint16
	var s *smb1Search
	var status wire.Status
	if len(key) == 0 {
		if r.code == wire.SMB1FindClose {
			return wire.StatusInvalidParameter
		}
		if attrs&0x3F == 0x08 {
			return c.searchLabel(r, w)
		}
		if name, status = r.named(name); status != wire.StatusOK {
			return status
		}
		as := asDOS
		if r.posix() {
			as = asPOSIX
		}
		if s, status = c.beginSearchSMB1(r, name, attrs, as); status != wire.StatusOK {
			return status
		}
		if sid, status = c.keepSearch(s); status != wire.StatusOK {
			c.dropSearch(s)
			return status
		}
	} else {
		sid = wire.SMB1U16(key[keySearch:])
		if s = c.searchOf(r, sid); s == nil {
			if r.code == wire.SMB1FindClose {
				return wire.StatusInvalidHandle
			}
			return wire.StatusNoMoreFiles
		}
		if r.code == wire.SMB1FindClose {
			c.endSearch(sid)
			w.words(1)
			c.putSearchHead(w, 0)
			return wire.StatusOK
		}
		at := int(wire.SMB1U32(key[keyGiven:]))
		if status = s.goTo("", at); status != wire.StatusOK {
			return status
		}
	}
	count, status := c.listCore(s, sid, key, w, most)
	if status == wire.StatusOK && count == 0 || r.code == wire.SMB1FindUnique || status != wire.StatusOK {
		c.endSearch(sid)
	}
	if status == wire.StatusOK && count == 0 && len(key) == 0 {
		status = wire.StatusNoMoreFiles
	}
	if status != wire.StatusOK {
		w.n = w.at // nothing of it
	}
	return status
}

// putSearchHead writes the words and what stands before the entries.
func (c *Conn) putSearchHead(w *smb1Reply, count int) {
	words := w.words(1)
	wire.PutSMB1U16(words, uint16(count))
	b := w.room()
	b[0] = wire.SMB1FormatVariable
	wire.PutSMB1U16(b[1:], uint16(count*searchEntrySize))
	w.grow(3 + count*searchEntrySize)
}

// listCore writes the entries that come next.
func (c *Conn) listCore(s *smb1Search, sid uint16, key []byte, w *smb1Reply, most int) (count int, status wire.Status) {
	w.words(1)
	out := w.room()[3:]
	out = out[:min(len(out), max(c.smb1.maxBuffer-w.n-3, 0))] // behind others of a chain there may be nothing left of it
	s.open.search.steps = 0
	for count < most && (count+1)*searchEntrySize <= len(out) {
		ok, err := s.next()
		if err != nil {
			return 0, wire.StatusOf(err)
		}
		if !ok {
			break
		}
		s.gave()
		e := out[count*searchEntrySize:][:searchEntrySize]
		clear(e)
		wire.PutSMB1U16(e[keySearch:], sid)
		wire.PutSMB1U32(e[keyGiven:], uint32(s.given))
		if len(key) == resumeKeySize {
			copy(e[keyClient:resumeKeySize], key[keyClient:])
		}
		i := &s.open.search.info
		e[21] = byte(i.Attributes.SMB1())
		d := wire.DOSTimeOf(i.LastWrite)
		wire.PutSMB1U16(e[22:], d.Clock)
		wire.PutSMB1U16(e[24:], d.Date)
		wire.PutSMB1U32(e[26:], uint32(min(i.EndOfFile, 1<<32-1)))
		name := s.open.search.name
		if name != "." && name != ".." {
			name = wire.ShortName(name)
		}
		copy(e[30:42], name)
		count++
	}
	c.putSearchHead(w, count)
	return count, wire.StatusOK
}

// dosPattern says in a pattern what its wildcards are to DOS, for which a name without an extension ends in a
// dot too, and ? also stands for nothing at the end of a part (MS-FSA 2.1.4.4). Clients of FIND_FIRST2 say so themselves.
func dosPattern(pattern string) string {
	out := []byte(pattern)
	for i := range out {
		var next byte
		if i+1 < len(out) {
			next = out[i+1]
		}
		switch {
		case out[i] == '?':
			out[i] = '>'
		case out[i] == '*' && next == '.':
			out[i] = '<'
		case out[i] == '.' && i > 0 && (next == 0 || next == '?' || next == '*'):
			out[i] = '"'
		}
	}
	return string(out)
}

// searchLabel gives the one entry that says what the volume is called.
func (c *Conn) searchLabel(r *smb1Request, w *smb1Reply) wire.Status {
	w.words(1)
	if len(w.room()) < 3+searchEntrySize {
		return wire.StatusNoMoreFiles
	}
	e := w.room()[3 : 3+searchEntrySize]
	clear(e)
	e[21] = 0x08
	copy(e[30:41], r.tree.share.Name)
	c.putSearchHead(w, 1)
	return wire.StatusOK
}
