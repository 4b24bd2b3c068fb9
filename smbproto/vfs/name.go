package vfs

import "strings"

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
func (f *File) Below(dir *File) bool {
	return strings.HasPrefix(f.root.full(f.Path()), dir.root.full(dir.Path())+"/")
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
