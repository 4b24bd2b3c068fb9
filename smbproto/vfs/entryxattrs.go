package vfs

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// xattrCalls read the extended attributes of what a path leads to: of a file, or of the entry itself.
type xattrCalls struct {
	get  func(path, attr string, dest []byte) (int, error)
	list func(path string, dest []byte) (int, error)
}

var (
	ofFile  = xattrCalls{unix.Getxattr, unix.Listxattr}
	ofEntry = xattrCalls{unix.Lgetxattr, unix.Llistxattr}
)

// names gives a path's extended attributes, each with a zero behind it, in b if there is room.
func (c xattrCalls) names(path string, b []byte) ([]byte, error) {
	return sizedFrom(b, func(b []byte) (int, error) { return c.list(path, b) })
}

// entryXattrs are what a listing of f shows of the extended attributes of an entry, of which st is known: what is
// kept, and with eas also how long its EAs are as a list, as EAs gives them. The names are asked for first
// then: most files have none, and cost one call either way.
func (f *File) entryXattrs(st *unix.Statx_t, path string, calls xattrCalls, eas bool) (k kept, eaSize uint32) {
	if !eas || !f.root.xattrs {
		return readKept(st, path, calls.get), 0
	}
	list, err := calls.names(path, f.dir.names[:])
	if err != nil {
		return readKept(st, path, calls.get), 0
	}
	k = keptOf(st)
	var names []string
	for raw := range bytes.SplitSeq(list, []byte{0}) {
		name, users := strings.CutPrefix(string(raw), eaPrefix)
		switch {
		case string(raw) == attributesName:
			k = readKept(st, path, calls.get)
		case users && listableEA(name):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	size := 0
	for _, name := range names {
		n, err := calls.get(path, eaPrefix+name, nil)
		if err != nil || n == 0 || n > wire.MaxEAs {
			continue
		}
		with := wire.EAListWith(size, len(name), n)
		if with > wire.MaxEAs {
			break
		}
		size = with
	}
	return k, uint32(size)
}
