package smbproto

import (
	"math"
	"strings"
	"unicode/utf8"

	"ustack/smbproto/wire"
)

// search is how far an open directory has been listed.
type search struct {
	begun   bool
	any     bool // something was found since the beginning
	pattern wire.Pattern
	short   bool // 8.3 names that were made up may match too: the pattern has what they have
	next    searchStage
	held    bool // name and info are an entry that did not fit into the last reply
	unseen  bool // name is one that matches, and could not be looked at yet
	name    string
	info    wire.FileInfo
	eas     bool // info says what EAs take: the request in hand asks for it
	steps   int  // of comparing names with the pattern, in the request in hand
}

// maxSteps bounds the comparing for one reply: some tenths of a second. A pattern that is no
// worse than clients send passes over half a million names with it.
const maxSteps = 1 << 26

type searchStage int

const (
	searchDot searchStage = iota
	searchDotDot
	searchEntries
)

func queryDirectoryRoom(msg []byte) int {
	return int(min(wire.QueryDirectoryRequest(msg).OutputLength(), math.MaxInt32))
}

// queryDirectory: MS-SMB2 3.3.5.18. Entries are written straight into the out ring.
func (c *Conn) queryDirectory(r *request, w *reply) wire.Status {
	req := wire.QueryDirectoryRequest(r.msg)
	o := r.open
	n := queryDirectoryRoom(r.msg)
	switch {
	case req.Valid() != nil, n > c.maxTransact, !c.paid(r, n), o.file == nil, !o.file.IsDir():
		return wire.StatusInvalidParameter
	case !req.InfoClass().IsDirectoryClass():
		return wire.StatusInvalidInfoClass
	case !o.access.Has(wire.AccessReadData):
		return wire.StatusAccessDenied
	}
	if status := o.beginSearch(req); status != wire.StatusOK {
		return status
	}
	out := w.msg[wire.OutputFixed:]
	list := wire.NewDirWriter(out[:min(n, len(out))], req.InfoClass())
	o.showEAs(req.InfoClass().CarriesEASize())
	if status := o.list(&list, req.Flags()&wire.ReturnSingleEntry != 0); status != wire.StatusOK {
		return status
	}
	wire.PutOutput(w.msg, list.Len())
	w.n = wire.OutputFixed + list.Len()
	return wire.StatusOK
}

// beginSearch starts a search, or starts it again. The pattern is kept until then.
func (o *open) beginSearch(req wire.QueryDirectoryRequest) wire.Status {
	s := &o.search
	if s.begun && req.Flags()&(wire.RestartScans|wire.ReopenDirectory) == 0 {
		return wire.StatusOK
	}
	if !s.begun || len(req.Pattern()) > 0 {
		text, err := wire.UTF16ToString(req.Pattern())
		if err != nil {
			return wire.StatusObjectNameInvalid
		}
		if status := s.lookFor(text, false); status != wire.StatusOK {
			return status
		}
	}
	if err := o.file.Rewind(); err != nil {
		return wire.StatusOf(err)
	}
	s.begun, s.any, s.held, s.unseen, s.next = true, false, false, false, searchDot
	return wire.StatusOK
}

// lookFor sets the pattern. With exact it is held against names as they stand.
func (s *search) lookFor(pattern string, exact bool) wire.Status {
	if utf8.RuneCountInString(pattern) > wire.MaxPattern {
		return wire.StatusObjectNameInvalid
	}
	if exact {
		s.pattern, s.short = wire.NewCasedPattern(pattern), false
		return wire.StatusOK
	}
	s.pattern, s.short = wire.NewPattern(pattern), strings.Contains(pattern, "~")
	return wire.StatusOK
}

// showEAs says whether entries are to tell what their EAs take. One that is held back from a reply at another level
// is looked at again.
func (o *open) showEAs(on bool) {
	s := &o.search
	if on && !s.eas && s.held && s.next == searchEntries && s.name != ".." {
		s.held = o.file.EntryInfo(s.name, &s.info, true) == nil
	}
	s.eas = on
}

// list fills w with what comes next.
func (o *open) list(w *wire.DirWriter, single bool) wire.Status {
	s := &o.search
	s.steps = 0
	for {
		if !s.held {
			ok, err := o.advance()
			if err != nil && w.Count() == 0 {
				return wire.StatusOf(err)
			}
			if !ok || err != nil {
				break
			}
		}
		s.held = !w.Put(s.name, &s.info)
		if s.held {
			if w.Count() == 0 {
				return wire.StatusInfoLengthMismatch
			}
			break
		}
		s.any = true
		if single {
			break
		}
	}
	switch {
	case w.Count() > 0:
		return wire.StatusOK
	case s.any:
		return wire.StatusNoMoreFiles
	}
	s.any = true // asked again, it is the end of the list
	return wire.StatusNoSuchFile
}

// matches compares a name, and its 8.3 name (MS-FSA 2.1.5.6.3), with the pattern.
func (s *search) matches(name string) bool {
	matches, steps := s.pattern.Try(name)
	s.steps += steps
	if matches || !s.short || wire.IsShortName(name) {
		return matches
	}
	matches, steps = s.pattern.Try(wire.ShortName(name))
	s.steps += steps
	return matches
}

// advance finds the next entry: ".", "..", then what the directory has.
func (o *open) advance() (ok bool, err error) {
	s := &o.search
	for s.next != searchEntries {
		s.info = wire.FileInfo{}
		if s.next == searchDot {
			s.name = "."
			err = o.file.SelfInfo(&s.info, s.eas)
		} else {
			s.name = ".."
			err = o.file.ParentInfo(&s.info, s.eas)
		}
		if lacking(err) {
			return false, err
		}
		s.next++
		if err == nil && s.pattern.Match(s.name) {
			return true, nil
		}
	}
	for s.steps < maxSteps {
		if !s.unseen {
			if s.name, ok, err = o.file.ReadName(); err != nil || !ok {
				return false, err
			}
			if !s.matches(s.name) {
				continue
			}
		}
		s.info = wire.FileInfo{}
		err = o.file.EntryInfo(s.name, &s.info, s.eas)
		if s.unseen = lacking(err); s.unseen {
			return false, err
		}
		if err == nil {
			return true, nil
		}
	}
	return false, wire.StatusInsufficientResources
}

// lacking reports whether an error says nothing of an entry: there was no descriptor or memory left to look at it. Left out of the list,
// it would be gone to who mirrors the directory.
func lacking(err error) bool {
	s := wire.StatusOf(err)
	return s == wire.StatusTooManyOpenedFiles || s == wire.StatusInsufficientResources
}
