package wire

// entryFixed is the length of a directory entry before its name, and where its
// name's length stands, by class (MS-FSCC 2.4.10, 2.4.17, 2.4.8, 2.4.20, 2.4.19, 2.4.33).
func (c FileInfoClass) entryFixed() (fixed, nameLen int) {
	switch c {
	case FileDirectoryInformation:
		return 64, 60
	case FileFullDirectoryInformation:
		return 68, 60
	case FileBothDirectoryInformation:
		return 94, 60
	case FileIDFullDirectoryInformation:
		return 80, 60
	case FileIDBothDirectoryInformation:
		return 104, 60
	case FileNamesInformation:
		return 12, 8
	}
	return 0, 0
}

// IsDirectoryClass reports whether a directory can be listed at this level.
func (c FileInfoClass) IsDirectoryClass() bool {
	fixed, _ := c.entryFixed()
	return fixed != 0
}

// CarriesEASize reports whether the entries of a level say how long a file's EAs are as a list.
func (c FileInfoClass) CarriesEASize() bool {
	switch c {
	case FileFullDirectoryInformation, FileBothDirectoryInformation, FileIDFullDirectoryInformation, FileIDBothDirectoryInformation:
		return true
	}
	return false
}

// DirEntrySize is the length of an entry without padding behind it.
func DirEntrySize(c FileInfoClass, name string) int {
	return dirEntrySize(c, name, false)
}

func dirEntrySize(c FileInfoClass, name string, oem bool) int {
	fixed, _ := c.entryFixed()
	if oem {
		return fixed + SMB1CharsLen(name, false) + 1
	}
	return fixed + UTF16Len(name)
}

// DirWriter fills an output buffer with directory entries, each 8-byte aligned.
type DirWriter struct {
	buf   []byte
	class FileInfoClass
	last  int // where the last entry begins
	n     int // end of the last entry
	count int
	oem   bool // names are not in Unicode, for a client of SMB1
}

// NewDirWriter starts a list in b, which is as long as the client allows.
func NewDirWriter(b []byte, class FileInfoClass) DirWriter {
	return DirWriter{buf: b, class: class}
}

// Len is the number of bytes written.
func (w *DirWriter) Len() int { return w.n }

// Count is the number of entries written.
func (w *DirWriter) Count() int { return w.count }

// putEntryShortName writes the 8.3 name of an entry, its length first: none for a name that is one itself, and for "."
// and "..".
func putEntryShortName(b []byte, name string) {
	if IsShortName(name) || name == "." || name == ".." {
		return
	}
	var short [maxShortName]byte
	n := putShortName(&short, name)
	b[0] = byte(2 * n)
	for i, c := range short[:n] {
		b[2+2*i] = c
	}
}

// Put adds an entry and reports whether it fitted; if not, nothing is written.
func (w *DirWriter) Put(name string, f *FileInfo) bool {
	at := alignUp(w.n)
	size := dirEntrySize(w.class, name, w.oem)
	if at+size > len(w.buf) {
		return false
	}
	clear(w.buf[w.n:at])
	e := w.buf[at : at+size]
	fixed, nameLen := w.class.entryFixed()
	clear(e[:fixed])
	if w.class != FileNamesInformation {
		f.PutTimes(e[8:])
		le.PutUint64(e[40:], f.EndOfFile)
		le.PutUint64(e[48:], f.AllocationSize)
		le.PutUint32(e[56:], uint32(f.Attributes))
	}
	if w.class.CarriesEASize() {
		le.PutUint32(e[64:], f.EASize)
	}
	switch w.class {
	case FileBothDirectoryInformation, FileIDBothDirectoryInformation:
		putEntryShortName(e[68:94], name)
	}
	switch w.class {
	case FileIDFullDirectoryInformation:
		le.PutUint64(e[72:], f.FileIndex)
	case FileIDBothDirectoryInformation:
		le.PutUint64(e[96:], f.FileIndex)
	}
	n := PutSMB1Chars(e[fixed:], name, !w.oem)
	if w.oem { // a zero, which such clients look for and count
		e[fixed+n] = 0
		n++
	}
	le.PutUint32(e[nameLen:], uint32(n))
	if w.count > 0 {
		le.PutUint32(w.buf[w.last:], uint32(at-w.last))
	}
	w.last, w.n = at, at+size
	w.count++
	return true
}
