package tap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The raw system calls of this package. All are on descriptors that never block, so the
// Go scheduler is not told of them: it would hand the processor to another
// thread, which costs more than the call (RawSyscall). The conversions of
// pointers stand in the call itself, as package unsafe asks for (rule 4).

func readv(fd int, iov []unix.Iovec) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

func writev(fd int, iov []unix.Iovec) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iov))), uintptr(len(iov)))
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// pollNow is epoll_wait without waiting. events must not be empty.
func pollNow(epfd int, events []unix.EpollEvent) int {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
		if errno == 0 {
			return int(n)
		}
		if errno != unix.EINTR {
			return 0
		}
	}
}

// fill points iov at bufs, skipping empty ones, and returns how many entries it
// took and their bytes; ok is false if there are more buffers than entries. The
// entries are pointers that the garbage collector sees; release them with clear.
func fill(iov []unix.Iovec, bufs [][]byte) (n, total int, ok bool) {
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		if n == len(iov) {
			return n, total, false
		}
		iov[n].Base = unsafe.SliceData(b)
		iov[n].Len = uint64(len(b))
		n++
		total += len(b)
	}
	return n, total, true
}
