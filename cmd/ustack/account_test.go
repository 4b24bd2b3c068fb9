package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// needRoot skips a test that changes its user.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "needs root, to become another user")
	}
}

// A server that has become somebody else serves, with his files, and has nothing left to do more with.
func TestAServerThatBecomesAUserHasNoCapability(t *testing.T) {
	needRoot(t)
	nobody, err := findAccount("--user", "nobody")
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", nobodysDir(t, nobody)) // below which the user's directory of sockets is
	dir := nobodysDir(t, nobody)
	users := filepath.Join(dir, "users")
	addUser(t, users, "alice", "secret")
	for _, name := range []string{dir, users} {
		if err := nobody.own(name); err != nil {
			t.Fatal(err)
		}
	}
	log := new(logBuffer)
	c := program(t.Context(), kernelServer("smb", "--share", "pub="+dir, "--user-file", users, "--user", "nobody", "--audit", filepath.Join(dir, "audit"))...)
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "ustack", "nobody", fmt.Sprintf("%d.sock", c.Process.Pid))
	s := dialWhenServed(t, socket, log)
	port := portOf(t, socket)
	fs, err := s.Mount("pub")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile("made", []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"made", "audit"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || int(st.Sys().(*syscall.Stat_t).Uid) != nobody.uid {
			t.Errorf("%s is not nobody's: %v, %+v", name, err, st)
		}
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = nobody.checkThread(string(text))
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	addUser(t, users, "bob", "secret") // by root, who keeps the owner
	if bob, err := dial(t, port, "bob"); err != nil {
		t.Errorf("a user who was added is not let in: %v", err)
	} else {
		_ = bob.Logoff()
	}
	out, err := program(t.Context(), "stats", "--json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"service":"smb"`) {
		t.Errorf("stats: %v: %s", err, out)
	}
	_ = s.Logoff()
	_ = c.Process.Signal(syscall.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, log)
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "ustack", "nobody", "*.sock")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// nobodysDir is a directory that another user gets at: what t.TempDir makes is root's alone further up.
func nobodysDir(t *testing.T, a *account) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ustack-account")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := a.own(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhoCanNotBeBecome(t *testing.T) {
	needRoot(t)
	for name, want := range map[string]string{"root": "that is root", "0": "that is root", "nosuchuser": "unknown user"} {
		out, err := program(t.Context(), kernelServer("echo", "--user", name)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip(err)
	}
	c := program(t.Context(), kernelServer("echo", "--user", "nobody")...)
	c.Args = append([]string{setpriv, "--reuid=65534", "--clear-groups", "--", os.Args[0]}, c.Args[1:]...)
	c.Path = setpriv
	if out, err := c.CombinedOutput(); err == nil {
		t.Errorf("who is not root became another: %s", out)
	}
}

func TestAThreadIsCheckedForCapabilities(t *testing.T) {
	a := &account{name: "x", uid: 5, gid: 6}
	const good = "Uid:\t5\t5\t5\t5\nGid:\t6\t6\t6\t6\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n" +
		"CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n"
	if err := a.checkThread(good); err != nil {
		t.Error(err)
	}
	for old, bad := range map[string]string{
		"Uid:\t5\t5\t5": "Uid:\t5\t5\t0", "Gid:\t6": "Gid:\t0", "CapPrm:\t0000000000000000": "CapPrm:\t0000000000001000",
		"NoNewPrivs:\t1": "NoNewPrivs:\t0", "CapAmb": "Other",
	} {
		if err := a.checkThread(strings.Replace(good, old, bad, 1)); err == nil {
			t.Errorf("%q is taken for harmless", bad)
		}
	}
}
