package vfs

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Memory of mapped files, which may have become shorter, is read by the kernel alone, on our behalf: what it can't
// read is an error of a call there, and a signal here.

// copyMapped copies src, which is mapped, to dst, which is as long. A page that can't be read is zeros if it lies behind the end of the file,
// which behind says of what begins in it, and an error otherwise: its disk does not give it any more.
func copyMapped(dst, src []byte, behind func([]byte) bool) error {
	page := os.Getpagesize()
	again := false // it may have been cut, and have become longer since
	for len(src) > 0 {
		n, err := copyFromItself(dst, src)
		switch {
		case n > 0:
			again = false
		case err == unix.EINTR, err == unix.ENOMEM:
			continue
		case err != unix.EFAULT: // it was tried, and needs no permission
			panic("vfs: process_vm_readv of this process: " + err.Error())
		case behind(src): // and not even the first byte
			at := int(uintptr(unsafe.Pointer(unsafe.SliceData(src))) & uintptr(page-1))
			n = min(page-at, len(src))
			clear(dst[:n])
		case again:
			return unix.EIO
		default:
			again = true
		}
		dst, src = dst[n:], src[n:]
	}
	return nil
}

// copyFromItself is process_vm_readv of this process, which may always do that.
func copyFromItself(dst, src []byte) (int, error) {
	local := [1]unix.Iovec{{Base: unsafe.SliceData(dst), Len: uint64(len(dst))}}
	remote := [1]unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(unsafe.SliceData(src))), Len: len(src)}}
	n, err := unix.ProcessVMReadv(os.Getpid(), local[:], remote[:], 0)
	return max(n, 0), err
}

// copiesFromItself tries it: a filter of system calls may be in the way.
var copiesFromItself = sync.OnceValue(func() bool {
	src, dst := [1]byte{42}, [1]byte{}
	n, err := copyFromItself(dst[:], src[:])
	return err == nil && n == 1 && dst[0] == 42
})

// mostPages is how many pages cachedPages looks at: those of 8 MiB, the largest READ, and one more.
const mostPages = 8<<20/4096 + 1

// cachedPages reports whether all pages of n bytes of a mapping at at are in memory, so that nobody has to wait for a disk who reads
// them. It costs a call that looks at page tables. Who may not write to the file is told of all pages that they are there
// (mincore(2)): see mayAskForPages.
func cachedPages(mem []byte, at, n int) bool {
	page := os.Getpagesize()
	from := at &^ (page - 1)
	to := min((at+n+page-1)&^(page-1), len(mem))
	var vec [mostPages]byte
	pages := vec[:min((to-from)/page, len(vec))]
	if len(pages)*page < to-from {
		return false
	}
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[from])), uintptr(to-from), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return false
	}
	for _, p := range pages {
		if p&1 == 0 {
			return false
		}
	}
	return true
}

// mayAskForPages reports whether cachedPages is told the truth about a file.
func mayAskForPages(fd int, st *unix.Stat_t) bool {
	return int(st.Uid) == os.Geteuid() || unix.Faccessat(fd, "", unix.W_OK, unix.AT_EMPTY_PATH|unix.AT_EACCESS) == nil
}

// takesInput reports whether a handle is not for output alone.
func takesInput(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_ACCMODE != unix.O_WRONLY
}

// pagesAreTheFile reports whether what is mapped of a file is what read(2) gives, for as long as it is open. That is so
// of file systems that are this system's own. Below overlayfs a file that somebody opens for writing becomes another,
// and one of FUSE, or of another machine, changes without the mapping: only read(2) asks.
func pagesAreTheFile(fd int) bool {
	var st unix.Statfs_t
	if retry(func() error { return unix.Fstatfs(fd, &st) }) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}
