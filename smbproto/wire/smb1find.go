package wire

// SMB1FindLevel is how much FIND_FIRST2 says of each entry, MS-CIFS 2.2.8.1.
type SMB1FindLevel uint16

// The levels.
const (
	SMB1FindStandard SMB1FindLevel = 0x0001
	SMB1FindEASize   SMB1FindLevel = 0x0002
	SMB1FindEAs      SMB1FindLevel = 0x0003
	SMB1FindUnix     SMB1FindLevel = 0x0202 // of the UNIX extensions
)

// class is the class of FSCC that a level of NT's has the entries of, MS-CIFS 2.2.8.1.4 and MS-SMB 2.2.8.1.
func (l SMB1FindLevel) class() (FileInfoClass, bool) {
	switch l {
	case 0x0101:
		return FileDirectoryInformation, true
	case 0x0102:
		return FileFullDirectoryInformation, true
	case 0x0103:
		return FileNamesInformation, true
	case 0x0104:
		return FileBothDirectoryInformation, true
	case 0x0105:
		return FileIDFullDirectoryInformation, true
	case 0x0106:
		return FileIDBothDirectoryInformation, true
	}
	return 0, false
}

// HasEASize reports whether the level says what EAs take.
func (l SMB1FindLevel) HasEASize() bool {
	class, _ := l.class()
	return l == SMB1FindEASize || l == SMB1FindEAs || class.CarriesEASize()
}

// Valid reports whether the level is known.
func (l SMB1FindLevel) Valid() bool {
	_, nt := l.class()
	return nt || l == SMB1FindStandard || l == SMB1FindEASize || l == SMB1FindEAs || l == SMB1FindUnix
}

// SMB1DirWriter fills the data of FIND_FIRST2 and FIND_NEXT2 with entries.
type SMB1DirWriter struct {
	nt      DirWriter
	isNT    bool
	level   SMB1FindLevel
	unicode bool
	keys    bool // each entry of the older levels has a resume key
	buf     []byte
	n       int
	last    int
	count   int
}

// NewSMB1DirWriter starts a list in b.
func NewSMB1DirWriter(b []byte, level SMB1FindLevel, unicode, keys bool) SMB1DirWriter {
	w := SMB1DirWriter{level: level, unicode: unicode, keys: keys, buf: b}
	var class FileInfoClass
	if class, w.isNT = level.class(); w.isNT {
		w.nt = NewDirWriter(b, class)
		w.nt.oem = !unicode
	}
	return w
}

// Len is the number of bytes written.
func (w *SMB1DirWriter) Len() int {
	if w.isNT {
		return w.nt.Len()
	}
	return w.n
}

// Count is the number of entries written.
func (w *SMB1DirWriter) Count() int {
	if w.isNT {
		return w.nt.Count()
	}
	return w.count
}

// Last is where the last entry begins.
func (w *SMB1DirWriter) Last() int {
	if w.isNT {
		return w.nt.last
	}
	return w.last
}

// Put adds an entry, of which eas are the EAs that the client has named, and reports whether it fitted.
func (w *SMB1DirWriter) Put(name string, f *FileInfo, key uint32, eas []EA) bool {
	if w.isNT {
		return w.nt.Put(name, f)
	}
	if w.level == SMB1FindUnix {
		return w.putUnix(name, f, key)
	}
	size := 32 + SMB1StringSize(name)
	if w.level == SMB1FindEAs {
		size += SMB1EAListSize(eas)
	}
	if w.n+size > len(w.buf) {
		return false
	}
	b := w.buf[w.n : w.n+size]
	n := 0
	if w.keys {
		le.PutUint32(b, key)
		n = 4
	}
	f.PutSMB1Standard(b[n:])
	n += 22
	switch w.level {
	case SMB1FindEASize:
		le.PutUint32(b[n:], f.EASize)
		n += 4
	case SMB1FindEAs:
		n += PutSMB1EAs(b[n:], eas)
	}
	lengthAt := n
	n++
	b[lengthAt] = byte(SMB1CharsLen(name, w.unicode))
	if w.level == SMB1FindStandard {
		n += PutSMB1String(b[n:], w.n+n, name, w.unicode)
	} else { // not aligned, and with one zero behind it
		n += PutSMB1Chars(b[n:], name, w.unicode)
		b[n] = 0
		n++
	}
	w.last, w.n = w.n, w.n+n
	w.count++
	return true
}

// putUnix adds an entry of the UNIX extensions: where the next one begins, a resume key, what there is to say, the name.
func (w *SMB1DirWriter) putUnix(name string, f *FileInfo, key uint32) bool {
	const fixed = 8 + SMB1UnixBasicSize
	at := alignUp(w.n)
	if at+fixed+SMB1StringSize(name) > len(w.buf) {
		return false
	}
	clear(w.buf[w.n:at])
	if w.count > 0 {
		le.PutUint32(w.buf[w.last:], uint32(at-w.last))
	}
	b := w.buf[at:]
	le.PutUint32(b, 0)
	le.PutUint32(b[4:], key)
	_, _ = f.PutSMB1Unix(b[8:], SMB1InfoUnixBasic)
	w.last, w.n = at, at+fixed+PutSMB1String(b[fixed:], 0, name, w.unicode)
	w.count++
	return true
}
