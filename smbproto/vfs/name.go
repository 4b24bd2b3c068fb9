package vfs

import (
	"strings"
	"unicode/utf8"
)

// A Name tells directory entries apart: one file may have several, by hard links
// and by symbolic links that lead to it.
type Name struct {
	dir  ID // zero where the file has no handle on its directory
	base string
	full string
}

// Same reports whether both are the same entry.
func (n Name) Same(o Name) bool {
	if n.dir == (ID{}) || o.dir == (ID{}) {
		return n.full == o.full
	}
	return n.dir == o.dir && n.base == o.base
}

// Name is the file's at present. Any goroutine may ask.
func (f *File) Name() Name {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if f.loc.stream != "" {
		return Name{f.loc.of, f.loc.stream, ""} // by whatever name of the file
	}
	return f.loc.name(f.root)
}

// EntryName is Name, and of a named stream that of its file.
func (f *File) EntryName() Name {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	return f.loc.name(f.root)
}

func (l *location) name(r *Root) Name { return Name{l.dir, l.base, r.full(l.path)} }

// Below reports whether the file was opened by a path through the directory. Any
// goroutine may ask.
func (f *File) Below(dir *File) bool { return f.EntryName().Below(dir) }

// Below reports whether the entry was found by a path through the directory.
func (n Name) Below(dir *File) bool { return strings.HasPrefix(n.full, dir.root.full(dir.Path())+"/") }

// An Entry is the one of a file's names by which it was opened, where that is proven: the file had several then, and the name led to
// the file, not to a symbolic link to it. The zero Entry is any.
type Entry struct {
	dir  ID
	base string // in lower case; "" is any: there are file systems that compose letters that are not ASCII's of others
}

// EntryIn is the entry of a directory.
func EntryIn(dir ID, base string) Entry {
	switch {
	case dir == (ID{}):
		return Entry{}
	case strings.ContainsFunc(base, func(r rune) bool { return r >= utf8.RuneSelf }):
		return Entry{dir, ""}
	}
	return Entry{dir, strings.ToLower(base)}
}

// Entry is that by which the file was opened, or renamed to by itself.
func (f *File) Entry() Entry {
	if !f.several() {
		return Entry{}
	}
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	if f.loc.entry != f.ID() {
		return Entry{}
	}
	return EntryIn(f.loc.dir, f.loc.base)
}

// several reports whether the file had more names than one at the last Stat.
func (f *File) several() bool { return !f.IsDir() && !f.ofDir && f.st.Nlink > 1 }

// Differs reports whether both are known, and are two names of a file in whatever file system: in some, letters of another case are
// the same.
func (e Entry) Differs(o Entry) bool {
	switch {
	case e.dir == (ID{}), o.dir == (ID{}):
		return false
	case e.dir != o.dir:
		return true
	}
	return e.base != "" && o.base != "" && e.base != o.base
}

// Entries are some that others are compared with, all at once.
type Entries struct {
	has map[Entry]bool
	in  map[ID]bool // directories of theirs
}

// Add adds one.
func (s *Entries) Add(e Entry) {
	if s.has == nil {
		s.has, s.in = map[Entry]bool{}, map[ID]bool{}
	}
	s.has[e], s.in[e.dir] = true, true
}

// Differ reports whether each of them Differs from e.
func (s *Entries) Differ(e Entry) bool {
	switch {
	case len(s.has) == 0:
		return true
	case s.has[Entry{}], e.dir == (ID{}):
		return false
	case e.base == "":
		return !s.in[e.dir]
	}
	return !s.has[e] && !s.has[Entry{e.dir, ""}]
}

// full is a path from the root of the file system, so that paths of shares that lie in
// one another can be compared.
func (r *Root) full(p Path) string {
	if p == "" {
		return r.where
	}
	return r.where + "/" + string(p)
}

// inside is full's inverse, for what lies below the root.
func (r *Root) inside(full string) (Path, bool) {
	p, ok := strings.CutPrefix(full, r.where+"/")
	return Path(p), ok
}
