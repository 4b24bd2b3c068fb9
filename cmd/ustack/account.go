package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An account is a user that a server becomes. All methods may be called on nil: then it stays who it is.
type account struct {
	flag     string // that names it
	name     string
	uid, gid int
	groups   []int
}

// findAccount finds a user by name or number; "" is nil.
func findAccount(flag, name string) (*account, error) {
	if name == "" {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%s %s: only root can become another", flag, name)
	}
	u, err := user.Lookup(name)
	if err != nil {
		if byID, e := user.LookupId(name); e == nil {
			u, err = byID, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("%s %s: groups: %w", flag, name, err)
	}
	a := &account{flag: flag, name: u.Username}
	for _, v := range []struct {
		to   *int
		text string
	}{{&a.uid, u.Uid}, {&a.gid, u.Gid}} {
		if *v.to, err = strconv.Atoi(v.text); err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, name, err)
		}
	}
	for _, id := range ids {
		g, err := strconv.Atoi(id)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, name, err)
		}
		a.groups = append(a.groups, g)
	}
	if a.uid == 0 {
		return nil, fmt.Errorf("%s %s: that is root, who keeps all capabilities: want another", flag, name)
	}
	return a, nil
}

// id is the user's number, or 0.
func (a *account) id() int {
	if a == nil {
		return 0
	}
	return a.uid
}

// own gives a file to the user.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// controlDir makes the directory of the control sockets: one of his own for another user, who could not remove them
// from root's.
func (a *account) controlDir() (string, error) {
	dir := controlDir()
	if err := makeControlDir(dir); err != nil || a == nil {
		return dir, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // to be passed through; sockets have modes of their own
		return "", err
	}
	dir = filepath.Join(dir, a.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, a.own(dir)
}

// as calls f with the user's rights to files, which the calling thread alone has meanwhile.
func (a *account) as(f func() error) error {
	if a == nil {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	groups, err := unix.Getgroups()
	if err == nil {
		err = unix.Setgroups(a.groups) // of one thread, other than package syscall's
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w (needs CAP_SETUID and CAP_SETGID)", a.flag, a.name, err)
	}
	defer unix.Setgroups(groups)
	gid, _ := unix.SetfsgidRetGid(a.gid)
	defer unix.Setfsgid(gid)
	uid, _ := unix.SetfsuidRetUid(a.uid)
	defer unix.Setfsuid(uid)
	if err = f(); errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("as %s, the user of %s: %w", a.name, a.flag, err)
	}
	return err
}

// become has all threads of the process become the user, without any capability or a way to get one, and proves it.
func (a *account) become() error {
	if a == nil {
		return nil
	}
	// package syscall does these for all threads.
	err := errors.Join(syscall.Setgroups(a.groups), syscall.Setresgid(a.gid, a.gid, a.gid), syscall.Setresuid(a.uid, a.uid, a.uid))
	if err == nil {
		err = noNewPrivileges()
	}
	if err == nil {
		// Who changes his user may not look at himself in /proc any more, where files are opened and written anew.
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	if err == nil {
		err = a.check()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", a.flag, a.name, err)
	}
	return nil
}

// noNewPrivileges sets no_new_privs in all threads: no file that is executed gives capabilities or another user. In a
// program with C in it, package syscall can't reach all threads; there the kernel does, when it gives all of
// them a filter of system calls, which is one that lets all pass.
func noNewPrivileges() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno == 0 {
		return nil
	}
	if errno != syscall.ENOTSUP {
		return fmt.Errorf("no_new_privs: %w", errno)
	}
	return allThreadsFilter()
}

// check reads what the kernel says of each thread.
func (a *account) check() error {
	tasks, _ := filepath.Glob("/proc/self/task/*/status") // the pattern is a right one
	if len(tasks) == 0 {
		return errors.New("can't see the threads in /proc")
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return err
		}
		if err := a.checkThread(string(text)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func (a *account) checkThread(status string) error {
	uid, gid := strconv.Itoa(a.uid), strconv.Itoa(a.gid)
	want := map[string][]string{
		"Uid": {uid, uid, uid, uid}, "Gid": {gid, gid, gid, gid}, "NoNewPrivs": {"1"},
		"CapInh": {noCaps}, "CapPrm": {noCaps}, "CapEff": {noCaps}, "CapAmb": {noCaps},
	}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		if w, ok := want[key]; ok {
			if got := strings.Fields(value); !slices.Equal(got, w) {
				return fmt.Errorf("%s is %v, want %v", key, got, w)
			}
			delete(want, key)
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("the kernel does not tell all of Uid, Gid, NoNewPrivs and Cap*")
	}
	return nil
}

// noCaps is an empty set of capabilities as /proc has it.
const noCaps = "0000000000000000"
