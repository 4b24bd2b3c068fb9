package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allThreadsFilter sets no_new_privs in the calling thread, and with a filter that lets all system calls pass in all others
// (SECCOMP_FILTER_FLAG_TSYNC, seccomp(2)). Such a filter the kernel does not even run (from 5.11 on).
func allThreadsFilter() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	prog := unix.SockFprog{Len: 1, Filter: &allow}
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	switch {
	case errno != 0:
		return fmt.Errorf("no_new_privs for all threads: seccomp: %w", errno)
	case thread != 0:
		return fmt.Errorf("no_new_privs for all threads: thread %d has a filter of its own", thread)
	}
	return nil
}
