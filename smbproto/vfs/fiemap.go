package vfs

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fsIocFiemap is FS_IOC_FIEMAP, _IOWR('f', 11, struct fiemap).
const fsIocFiemap = 0xC020660B

// fiemap is struct fiemap of linux/fiemap.h, with room for some extents.
type fiemap struct {
	start, length                          uint64
	flags, mapped, extentCount, reserved32 uint32
	extents                                [16]fiemapExtent
}

type fiemapExtent struct {
	logical, physical, length uint64
	reserved64                [2]uint64
	flags                     uint32
	reserved32                [3]uint32
}

// The sizes that the kernel expects; a layout that differs does not compile.
var (
	_ [32]byte = [unsafe.Offsetof(fiemap{}.extents)]byte{}
	_ [56]byte = [unsafe.Sizeof(fiemapExtent{})]byte{}
)

// extentsBehind says how many bytes of room a file has at off and behind, in the extents that the file system tells at once:
// the first 16. The handle must not be of O_PATH. A file system that can't tell answers EOPNOTSUPP.
func extentsBehind(fd int, off uint64) (n uint64, err error) {
	m := fiemap{start: off, length: math.MaxUint64 - off}
	m.extentCount = uint32(len(m.extents))
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsIocFiemap, uintptr(unsafe.Pointer(&m)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		break
	}
	for _, e := range m.extents[:min(int(m.mapped), len(m.extents))] {
		if end := e.logical + e.length; end > off {
			n += end - max(e.logical, off)
		}
	}
	return n, nil
}
