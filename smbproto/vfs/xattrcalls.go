package vfs

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"
)

// xattrs are the extended attributes of one file. Who has it open for input or output asks its handle. One of O_PATH is
// good for no such call: what it is of is asked for by its name below /proc, which can't be made to lead elsewhere, but is
// looked up with each call.
type xattrs struct {
	fd    int    // if path is ""
	path  string // of a handle, or of an entry of a directory's handle
	entry bool   // of the entry itself, also if it is a link
}

func (f *File) xattrs() xattrs {
	if f.pathOnly {
		return xattrsOf(f.fd)
	}
	return xattrs{fd: f.fd}
}

// xattrsOf is for a handle that may be of O_PATH.
func xattrsOf(fd int) xattrs { return xattrs{path: throughProc(fd)} }

// get reads a value, and says how long it is; also if dest is empty.
func (x xattrs) get(attr string, dest []byte) (n int, err error) {
	err = retry(func() error {
		switch {
		case x.path == "":
			n, err = unix.Fgetxattr(x.fd, attr, dest)
		case x.entry:
			n, err = unix.Lgetxattr(x.path, attr, dest)
		default:
			n, err = unix.Getxattr(x.path, attr, dest)
		}
		return err
	})
	return n, err
}

// list is get for the names of all, each with a zero behind it.
func (x xattrs) list(dest []byte) (n int, err error) {
	err = retry(func() error {
		switch {
		case x.path == "":
			n, err = unix.Flistxattr(x.fd, dest)
		case x.entry:
			n, err = unix.Llistxattr(x.path, dest)
		default:
			n, err = unix.Listxattr(x.path, dest)
		}
		return err
	})
	return n, err
}

func (x xattrs) set(attr string, value []byte, flags int) error {
	return retry(func() error {
		if x.path == "" {
			return unix.Fsetxattr(x.fd, attr, value, flags)
		}
		return unix.Setxattr(x.path, attr, value, flags)
	})
}

func (x xattrs) remove(attr string) error {
	return retry(func() error {
		if x.path == "" {
			return unix.Fremovexattr(x.fd, attr)
		}
		return unix.Removexattr(x.path, attr)
	})
}

// whole gives a value, or with "" the list of names: in b if there is room.
func (x xattrs) whole(attr string, b []byte) (_ []byte, err error) {
	for range tries { // what is there may grow between two calls
		var n int
		if attr == "" {
			n, err = x.list(b)
		} else {
			n, err = x.get(attr, b)
		}
		switch {
		case err == unix.ERANGE:
			b = nil // to ask how long it is
		case err != nil:
			return nil, err
		case n <= len(b):
			return b[:n], nil
		default:
			b = make([]byte, n)
		}
	}
	return nil, unix.ERANGE
}

// commonValue and commonNames are more than most values have, and most lists of names, bytes: they are read with one call.
const (
	commonValue = 512
	commonNames = 1 << 10
)

// value gives a value, which is not nil if it is there.
func (x xattrs) value(attr string) ([]byte, error) {
	var common [commonValue]byte
	b, err := x.whole(attr, common[:])
	if err != nil {
		return nil, err
	}
	return append([]byte{}, b...), nil
}

// names gives the names that begin with prefix, without it, sorted.
func (x xattrs) names(prefix string) (names []string, err error) {
	var common [commonNames]byte
	list, err := x.whole("", common[:])
	if err != nil {
		return nil, err
	}
	for len(list) > 0 {
		var raw []byte
		raw, list = cutName(list)
		if name, ok := bytes.CutPrefix(raw, []byte(prefix)); ok {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// cutName takes the first name off a list.
func cutName(list []byte) (name, rest []byte) {
	name, rest, _ = bytes.Cut(list, []byte{0})
	return name, rest
}

// mayAdd fails with E2BIG if there can't be one more of this name.
func (x xattrs) mayAdd(attr string) error {
	n, err := x.list(nil)
	if err == nil && n+len(attr)+1 > maxNames {
		err = unix.E2BIG
	}
	return err
}
