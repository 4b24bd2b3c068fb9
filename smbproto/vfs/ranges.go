package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Copy copies n bytes of src at from to dst at to, and says how many it has written. It leaves it to the
// file system, which may share what it copies, and where that can't it copies through memory. The range that is read
// is read as it was before, also where both are of one file and overlap.
func Copy(dst, src *File, to, from, n int64) (written int64, err error) {
	switch {
	case src.pathOnly && !src.named, src.IsDir(), !dst.writable:
		return 0, ErrNoHandle
	case src.named, dst.named:
		return copyThrough(dst, src, to, from, n)
	}
	dst.changing(to, to+n)
	defer dst.changed()
	for written < n {
		off, at := from+written, to+written
		m, err := unix.CopyFileRange(src.fd, &off, dst.fd, &at, int(n-written), 0)
		switch {
		case err == unix.EINTR:
			continue
		case written == 0 && (err == unix.EINVAL || err == unix.EXDEV || err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EBADF):
			return copyThrough(dst, src, to, from, n)
		case err != nil:
			return written, err
		case m == 0:
			return written, nil // it was cut meanwhile
		}
		written += int64(m)
	}
	return written, nil
}

// copyThrough is Copy through memory: it takes n bytes, which the caller bounds.
func copyThrough(dst, src *File, to, from, n int64) (int64, error) {
	b := make([]byte, n)
	m, err := src.ReadAt(b, from)
	if err != nil {
		return 0, err
	}
	m, err = dst.WriteAt(b[:m], to)
	return int64(m), err
}

// Zero makes a range of the file zero, up to its end at most. With punch its room is given back where the file system
// can do that.
func (f *File) Zero(off, end int64, punch bool) error {
	if !f.writable {
		return ErrNoHandle
	}
	if err := f.statOnly(); err != nil {
		return err
	}
	end = min(end, f.Size())
	if off >= end {
		return nil
	}
	if f.named {
		return f.zeroStream(off, end)
	}
	f.changing(off, end)
	defer f.changed()
	// What is zero is zero: where one way is missing the other will do, or where there is no room for what the range lacks.
	modes := [2]uint32{unix.FALLOC_FL_ZERO_RANGE, unix.FALLOC_FL_PUNCH_HOLE}
	if punch || f.mayReserve(end, min(f.lacks(f.Size()), uint64(end-off))) != nil {
		modes[0], modes[1] = modes[1], modes[0]
	}
	var err error
	for _, mode := range modes {
		err = retry(func() error { return unix.Fallocate(f.fd, mode|unix.FALLOC_FL_KEEP_SIZE, off, end-off) })
		if !errors.Is(err, unix.EOPNOTSUPP) {
			break
		}
	}
	return err
}

// Fill gives the file the room that it lacks up to its end.
func (f *File) Fill() error {
	if err := f.statOnly(); err != nil || f.Size() == 0 || !f.writable || f.named {
		return err
	}
	if err := f.mayReserve(f.Size(), f.lacks(f.Size())); err != nil {
		return err
	}
	err := retry(func() error { return unix.Fallocate(f.fd, 0, 0, f.Size()) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// Sparse reports whether the file was made sparse, as of the last Stat.
func (f *File) Sparse() bool { return f.kept.sparse() }

// NextData finds the first range at off or behind it, up to end, that the file system keeps data for; ok is false if there
// is none.
func (f *File) NextData(off, end int64) (from, to int64, ok bool, err error) {
	switch {
	case f.named:
		return off, end, off < end, nil // an xattr has no holes
	case f.pathOnly || f.IsDir():
		return 0, 0, false, ErrNoHandle
	}
	if from, err = unix.Seek(f.fd, off, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
		return 0, 0, false, nil
	} else if err != nil {
		return 0, 0, false, err
	}
	if from >= end {
		return 0, 0, false, nil
	}
	if to, err = unix.Seek(f.fd, from, unix.SEEK_HOLE); err != nil {
		return 0, 0, false, err
	}
	return from, min(to, end), true, nil
}
