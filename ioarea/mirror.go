package ioarea

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file holds the package's mappings: the only place of memory-management
// system calls, and with cursor.go, which looks at mapped pages as cursors, of unsafe. What makes it safe: a mapping's address and
// length never change, slices of it are made here alone, and its owner unmaps
// it only when no slice of it is left (see Pool).

// mapMirrored returns 2*size bytes of address space whose second half shows the
// same pages as the first, so that each range of up to size bytes that begins
// in the first half is contiguous. size is a multiple of the page size. The
// pages come when they are first written; until then only address space is
// used. The memfd behind them lives as long as the mappings do.
func mapMirrored(size int) ([]byte, error) {
	fd, err := unix.MemfdCreate("ioarea", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ioarea: memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("ioarea: size a memfd to %d: %w", size, err)
	}
	// One reservation first, so that nothing else can take the second half.
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(2*size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("ioarea: reserve %d bytes of address space: %w", 2*size, err)
	}
	for _, half := range []uintptr{0, uintptr(size)} {
		_, err := unix.MmapPtr(fd, 0, unsafe.Add(base, half), uintptr(size),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_NORESERVE)
		if err != nil {
			_ = unix.MunmapPtr(base, uintptr(2*size))
			return nil, fmt.Errorf("ioarea: map a ring of %d bytes (vm.max_map_count limits mappings): %w", size, err)
		}
	}
	return unsafe.Slice((*byte)(base), 2*size), nil
}

// mapPages returns n pages of shared memory, zeroed, contiguous and not mirrored.
func mapPages(n int) ([]byte, error) {
	size := n * os.Getpagesize()
	fd, err := unix.MemfdCreate("ioarea-cursors", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ioarea: memfd_create: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("ioarea: size a memfd to %d: %w", size, err)
	}
	p, err := unix.MmapPtr(fd, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("ioarea: map %d pages of cursors: %w", n, err)
	}
	return unsafe.Slice((*byte)(p), size), nil
}

// unmap returns a mapping of mapMirrored or mapPages.
func unmap(b []byte) error {
	return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)))
}

// populate brings the pages behind b, which begins and ends at page boundaries. Where
// the system can't (Linux before 5.14), they come by faults.
func populate(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }

// giveBack frees the pages behind b, which read as zero afterwards. b begins
// and ends at page boundaries.
func giveBack(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return unix.Madvise(b, unix.MADV_REMOVE)
}
