package vfs

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// dirReader reads the entries of a directory handle, in the order of the file system.
type dirReader struct {
	fd   int
	buf  []byte
	rest []byte
	kind byte // DT_* of the entry that next gave last
	ino  uint64
}

// dirBuffer holds some 200 entries, and is what an open directory costs once it is listed.
const dirBuffer = 8 << 10

func newDirReader(fd int) *dirReader {
	return &dirReader{fd: fd, buf: make([]byte, dirBuffer)}
}

// next gives the next name, without "." and "..".
func (d *dirReader) next() (name string, ok bool, err error) {
	for {
		if len(d.rest) == 0 {
			n, err := unix.Getdents(d.fd, d.buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n <= 0 {
				return "", false, err
			}
			d.rest = d.buf[:n]
		}
		// struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name.
		length := int(binary.NativeEndian.Uint16(d.rest[16:]))
		raw := d.rest[19:length]
		d.kind, d.ino = d.rest[18], binary.NativeEndian.Uint64(d.rest)
		d.rest = d.rest[length:]
		if i := bytes.IndexByte(raw, 0); i >= 0 {
			raw = raw[:i]
		}
		if name := string(raw); name != "." && name != ".." {
			return name, true, nil
		}
	}
}

// Rewind makes ReadDir begin again.
func (f *File) Rewind() error {
	if f.pathOnly || !f.IsDir() {
		return ErrNoHandle
	}
	if f.dir == nil {
		f.dir = newDirReader(f.fd)
	}
	f.dir.rest = nil
	_, err := unix.Seek(f.fd, 0, 0)
	return err
}

// ReadName gives the name of the next entry that a client can write; ok is false at the
// end.
func (f *File) ReadName() (name string, ok bool, err error) {
	if f.dir == nil {
		if err := f.Rewind(); err != nil {
			return "", false, err
		}
	}
	for {
		name, ok, err = f.dir.next()
		if err != nil || !ok || Nameable(name) {
			return name, ok, err
		}
	}
}

// EntryInfo fills info with the attributes of an entry, and with eas the size of its EAs. It fails for what a client could not
// open: devices, fifos, sockets, links that leave the share, and what is gone. Of a directory that was opened by its exact name links
// are entries themselves. The name is looked at twice: if it
// changes hands meanwhile, what is shown of it is of both.
func (f *File) EntryInfo(name string, info *wire.FileInfo, eas bool) error {
	var st unix.Statx_t
	switch err := statx(f.fd, name, &st); {
	case err != nil && f.dir != nil && wire.StatusOf(err) == wire.StatusUnexpectedIOError:
		f.damaged(info, name)
		return nil
	case err != nil:
		return err
	case isType(&st, unix.S_IFLNK) && f.exact:
		fillInfo(info, &st, kept{}, name)
		fillLink(info, f.fd, name)
		return nil
	case isType(&st, unix.S_IFLNK):
		fd, err := f.followEntry(name)
		if err != nil {
			return err
		}
		err = statx(fd, "", &st)
		var k kept
		k, info.EASize = f.root.shownXattrs(&st, xattrsOf(fd), eas)
		if err == nil {
			err = entryInfo(info, &st, k, name, func() (int, error) { return reopen(fd, unix.O_RDONLY) })
		}
		return errors.Join(err, closeAll(fd))
	}
	var k kept
	k, info.EASize = f.root.shownXattrs(&st, xattrs{path: throughProc(f.fd) + "/" + name, entry: true}, eas)
	return entryInfo(info, &st, k, name, func() (int, error) { return openat(f.fd, name, unix.O_RDONLY|unix.O_NONBLOCK, 0) })
}

// damaged fills info for the entry that ReadName gave last, of which the disk gives no more than that it is there: left out of a list
// it would be gone to who mirrors the directory.
func (f *File) damaged(info *wire.FileInfo, name string) {
	st := unix.Statx_t{Mode: unix.S_IFREG | 0o600, Ino: f.dir.ino, Nlink: 1}
	if f.dir.kind == unix.DT_DIR {
		st.Mode = unix.S_IFDIR | 0o700
	}
	fillInfo(info, &st, keptOf(&st), name)
}

// SelfInfo fills info for ".": the directory itself, as of now.
func (f *File) SelfInfo(info *wire.FileInfo, eas bool) (err error) {
	if info.EASize, err = f.stat(eas); err != nil {
		return err
	}
	f.Info(info)
	return nil
}

func entryInfo(info *wire.FileInfo, st *unix.Statx_t, k kept, name string, open func() (int, error)) error {
	switch {
	case isType(st, unix.S_IFREG):
		fillInfo(info, st, k, name)
		info.AllocationSize = allocated(st, open)
	case isType(st, unix.S_IFDIR):
		fillInfo(info, st, k, name)
	default:
		return ErrSpecial
	}
	return nil
}

// followEntry opens what a link in the directory leads to: from the directory's own
// handle where the link does not lead upwards.
func (f *File) followEntry(name string) (fd int, err error) {
	if f.root.fallback == nil {
		if fd, err = resolve(f.fd, name, unix.OpenHow{Resolve: unix.RESOLVE_NO_MAGICLINKS}); !errors.Is(err, ErrEscape) {
			return fd, err
		}
	}
	return f.root.beneath(f.Path().Join(name))
}

// ParentInfo fills info for "..": the parent, or for the root the root itself.
func (f *File) ParentInfo(info *wire.FileInfo, eas bool) error {
	dir, _ := f.Path().Split()
	fd, err := f.root.beneathAs(dir, f.exact)
	if err != nil {
		return err
	}
	var st unix.Statx_t
	err = statx(fd, "", &st)
	var k kept
	k, info.EASize = f.root.shownXattrs(&st, xattrsOf(fd), eas)
	err = errors.Join(err, closeAll(fd))
	fillInfo(info, &st, k, "")
	return err
}

// Empty fails with ENOTEMPTY if the directory has an entry, listed or not.
func (f *File) Empty() error {
	fd, err := reopen(f.fd, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	_, ok, err := newDirReader(fd).next()
	if ok {
		err = unix.ENOTEMPTY
	}
	return errors.Join(err, closeAll(fd))
}
