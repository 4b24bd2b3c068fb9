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
	all, data := st.Blocks*512, sizeInUnits(st)
	if all <= data || !isType(st, unix.S_IFREG) {
		return all
	}
	fd, err := open()
	if err != nil {
		return all
	}
	behind, err := extentsBehind(fd, data)
	if err := errors.Join(err, closeAll(fd)); err != nil {
		return all
	}
	return min(all, data+behind)
}

func (f *File) allocated(st *unix.Statx_t) uint64 {
	return allocated(st, func() (int, error) { return reopen(f.fd, unix.O_RDONLY|unix.O_NONBLOCK) })
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
	case !f.writable:
		return ErrNoHandle
	case f.named && size > MaxStream:
		return ErrStreamFull
	case f.named:
		return nil
	}
	var err error
	if size == int64(f.st.Size) {
		err = f.Truncate(size) // which gives back what is reserved
	} else {
		err = retry(func() error { return unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, 0, size) })
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: was.Sec, Nsec: int64(was.Nsec)}}
	return retry(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, throughProc(f.fd), times, 0) })
}
