package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// sizeInUnits is the size of a file in whole units of allocation.
func sizeInUnits(st *unix.Statx_t) uint64 {
	unit := max(uint64(st.Blksize), 512)
	return (st.Size + unit - 1) / unit * unit
}

// allocated is the room that the data of a regular file takes, of which st is known, in bytes. Linux counts what a file
// takes in all: with ext4 also the block of its extended attributes. So where that is more than the data up to
// the file's end could take, it is asked what lies behind. open opens the file for that.
func allocated(st *unix.Statx_t, open func() (fd int, err error)) uint64 {
	if !mayTakeLess(st) {
		return st.Blocks * 512
	}
	fd, err := open()
	if err != nil {
		return st.Blocks * 512
	}
	n := allocatedBy(fd, st)
	if err := closeAll(fd); err != nil {
		return st.Blocks * 512
	}
	return n
}

func mayTakeLess(st *unix.Statx_t) bool {
	return st.Blocks*512 > sizeInUnits(st) && isType(st, unix.S_IFREG)
}

// allocatedBy is allocated for a handle that is not of O_PATH.
func allocatedBy(fd int, st *unix.Statx_t) uint64 {
	all, data := st.Blocks*512, sizeInUnits(st)
	if !mayTakeLess(st) {
		return all
	}
	behind, err := extentsBehind(fd, data)
	if err != nil {
		return all
	}
	return min(all, data+behind)
}

// room is what was found out about a file's allocation, and of which file: one that has changed has another ctime, or takes more
// or less.
type room struct {
	of struct {
		blocks, size uint64
		ctime        unix.StatxTimestamp
	}
	n uint64
}

// allocated is asked with each answer about the file, so it asks Linux only if the file has changed.
func (f *File) allocated(st *unix.Statx_t) uint64 {
	if !mayTakeLess(st) {
		return st.Blocks * 512
	}
	now := f.room
	now.of.blocks, now.of.size, now.of.ctime = st.Blocks, st.Size, st.Ctime
	if now == f.room {
		return f.room.n
	}
	if f.pathOnly {
		now.n = allocated(st, func() (int, error) { return reopen(f.fd, unix.O_RDONLY) })
	} else {
		now.n = allocatedBy(f.fd, st)
	}
	f.room = now
	return now.n
}

// lacks is how much of a size the file has no room for yet, as of the last Stat.
func (f *File) lacks(size int64) uint64 {
	return uint64(max(size-int64(f.st.Blocks*512), 0))
}

// mayReserve says why the file can't be given room up to an end, of which it lacks some: fallocate(2) takes all that is free
// before it fails, and keeps it, so that nobody else could write anything. Nor does it look at RLIMIT_FSIZE behind a file's end.
func (f *File) mayReserve(end int64, lacks uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if uint64(end) > limit.Cur {
		return unix.EFBIG
	}
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(f.fd, &st) }); err != nil {
		return err
	}
	if unit := uint64(max(st.Frsize, 1)); lacks/unit > st.Bavail {
		return unix.ENOSPC
	}
	return nil
}

// MayAllocate says why there is no room for a size, what the file takes now included.
func (f *File) MayAllocate(size int64) error {
	switch {
	case f.named && size > MaxStream:
		return ErrStreamFull
	case f.named:
		return nil
	}
	if err := f.statOnly(); err != nil {
		return err
	}
	return f.mayReserve(size, f.lacks(size))
}

// Allocate reserves or cuts to size bytes (MS-FSCC 2.4.4): a smaller size cuts the
// file, a larger one reserves room behind its end, where the file system can. If the file keeps its size, it keeps
// the time of its last write, as with Windows.
func (f *File) Allocate(size int64) error {
	if err := f.statOnly(); err != nil {
		return err
	}
	was := f.st.Mtime
	switch {
	case size < int64(f.st.Size):
		return f.Truncate(size)
	case f.named && size > MaxStream:
		return ErrStreamFull
	case f.named: // has no room of its own, so whoever may make it may ask for some
		return nil
	case !f.writable:
		return ErrNoHandle
	}
	var err error
	if size == int64(f.st.Size) {
		err = f.Truncate(size) // which gives back what is reserved
	} else {
		if err := f.mayReserve(size, f.lacks(size)); err != nil {
			return err
		}
		err = retry(func() error { return unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, 0, size) })
		if errors.Is(err, unix.ENOSPC) { // others were faster; what it has got is in their way
			err = errors.Join(err, f.Truncate(int64(f.st.Size)))
		}
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return f.touch(unix.Timespec{Sec: was.Sec, Nsec: int64(was.Nsec)})
}
