package vfs

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// ID tells files apart for as long as one of them is open.
type ID struct{ Dev, Ino uint64 }

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// throughProc is the name of what fd refers to, for calls that take no handle of
// O_PATH. It can't be made to lead elsewhere.
func throughProc(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// reopen opens the file of an O_PATH handle for input or output. It does not wait for who has a lease of it, but tells him (O_NONBLOCK,
// open(2)).
func reopen(fd, flags int) (n int, err error) {
	name := throughProc(fd)
	err = retry(func() error {
		n, err = unix.Open(name, flags|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_LARGEFILE|unix.O_NONBLOCK, 0)
		return err
	})
	if err == unix.EWOULDBLOCK {
		err = ErrLeased
	}
	return n, err
}

// openat opens one component below a directory handle; a link is not followed.
func openat(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NOCTTY|unix.O_LARGEFILE, mode)
		return err
	})
	return fd, err
}

const statMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// statx of one component below dir, or of dir itself if name is empty. A link is not followed.
func statx(dir int, name string, st *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	return retry(func() error { return unix.Statx(dir, name, flags, statMask, st) })
}

func idOf(st *unix.Statx_t) ID {
	return ID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}
}

func isType(st *unix.Statx_t, kind uint16) bool { return st.Mode&unix.S_IFMT == kind }

// closeAll closes the handles that are not negative.
func closeAll(fds ...int) error {
	var errs []error
	for _, fd := range fds {
		if fd >= 0 {
			if err := unix.Close(fd); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
