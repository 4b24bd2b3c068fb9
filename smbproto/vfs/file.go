package vfs

import (
	"errors"
	"io"
	"math"

	"golang.org/x/sys/unix"
)

// File is an open file or directory: its handle, and the stat that belongs to it.
type File struct {
	root     *Root
	fd       int
	pathOnly bool // fd is of O_PATH: good for attributes alone
	writable bool
	named    bool // it is a named stream of the file: see stream.go
	ofDir    bool // and that is a directory
	exact    bool // it was opened by the name as it stands: How.Exact
	st       unix.Statx_t
	kept     kept // as of the last Stat
	room     room
	since    moment // when it was looked for
	loc      location
	dir      *dirReader
	closed   bool
	win      *window // what of it is mapped, to be lent; guarded by the lock of Loans
	mayLoan  bool    // it can be lent
	noLoans  bool    // it can't
	first    [1]byte // see Lend
}

// file makes the File that owns a handle of O_PATH, and closes the handle if it can't.
func (r *Root) file(fd int, p Path) (*File, error) {
	if err := r.opts.Budget.take(); err != nil {
		return nil, errors.Join(err, closeAll(fd))
	}
	return &File{root: r, fd: fd, pathOnly: true, loc: location{parent: -1, path: p}}, nil
}

// Close closes all handles. A File that is closed must not be used.
func (f *File) Close() error {
	f.loc.mu.Lock()
	defer f.loc.mu.Unlock()
	f.closeWindow()
	err := closeAll(f.fd, f.loc.parent)
	f.fd, f.loc.parent = -1, -1
	if !f.closed {
		f.closed = true
		f.root.opts.Budget.give()
	}
	return err
}

// ID of the file.
func (f *File) ID() ID { return idOf(&f.st) }

// IsDir reports whether it is a directory.
func (f *File) IsDir() bool { return isType(&f.st, unix.S_IFDIR) }

// Writable reports whether the handle takes output.
func (f *File) Writable() bool { return f.writable }

// ReadAt reads at an offset into b, and less than b only at the end of the file:
// then with io.EOF if nothing was read. It allocates nothing, but for a named stream.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	if f.named {
		return f.readStream(b, off)
	}
	if f.pathOnly || f.IsDir() {
		return 0, ErrNoHandle
	}
	for n < len(b) {
		m, err := unix.Pread(f.fd, b[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case m == 0 && n == 0:
			return 0, io.EOF
		case m == 0:
			return n, nil
		}
		n += m
	}
	return n, nil
}

// WriteAt writes b at an offset. It allocates nothing, but for a named stream, which it writes
// as a whole.
func (f *File) WriteAt(b []byte, off int64) (n int, err error) {
	if !f.writable {
		return 0, ErrNoHandle
	}
	if f.named {
		return f.writeStream(b, off)
	}
	f.changing(off, off+int64(len(b)))
	defer f.changed()
	for n < len(b) {
		m, err := unix.Pwrite(f.fd, b[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// Sync waits until the file is on disk. On a handle for a file's attributes alone there is nothing of ours to wait for; a directory
// gets entries by whatever handle.
func (f *File) Sync() error {
	switch {
	case f.named, f.pathOnly && f.IsDir():
		return f.syncReopened()
	case f.pathOnly:
		return nil
	}
	return retry(func() error { return unix.Fsync(f.fd) })
}

// Truncate sets the size.
func (f *File) Truncate(size int64) error {
	if f.named {
		return f.truncateStream(size)
	}
	if !f.writable {
		return ErrNoHandle
	}
	f.changing(size, math.MaxInt64)
	defer f.changed()
	return retry(func() error { return unix.Ftruncate(f.fd, size) })
}
