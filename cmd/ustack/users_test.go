package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"
	"golang.org/x/sys/unix"

	"ustack/smbproto/auth"
)

func TestAccountsAreAsTheFileSaysAtEachLogOn(t *testing.T) {
	dir, port := t.TempDir(), ""
	file := filepath.Join(dir, "users")
	user := func(args ...string) {
		t.Helper()
		if out, err := program(t.Context(), append([]string{"smb", "user"}, append(args, "--user-file", file)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	logOn := func(password string) bool {
		d := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: "alice", Password: password}}
		s, err := d.Dial(t.Context(), "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		_ = s.Logoff()
		return true
	}
	user("add", "alice", "--password", "first")
	socket, stop := started(t, kernelServer("smb", "--share", "pub="+t.TempDir(), "--user-file", file)...)
	port = portOf(t, socket)
	for _, c := range []struct {
		change   func()
		password string
		want     bool
	}{
		{func() {}, "first", true},
		{func() { user("add", "alice", "--password", "second") }, "first", false},
		{func() {}, "second", true},
		{func() { user("remove", "alice") }, "second", false},
		{func() { user("add", "alice", "--password", "third") }, "third", true},
		{func() { _ = os.WriteFile(file, []byte("nonsense"), 0o600) }, "third", true},
		{func() {}, "third", true},
	} {
		c.change()
		if got := logOn(c.password); got != c.want {
			t.Errorf("password %q: %v, want %v", c.password, got, c.want)
		}
	}
	if log, err := stop(); err != nil || strings.Count(log, "accounts stay as they were") != 1 {
		t.Errorf("%v; want one line about the broken file:\n%s", err, log)
	}
}

func TestAHangUpEndsNoServer(t *testing.T) {
	socket, _ := started(t, kernelServer("echo")...)
	port := portOf(t, socket)
	s, err := readSnapshot(socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if out, err := program(t.Context(), "load", "ping", "--to", "127.0.0.1:"+port, "--requests", "10").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A terminal is what a user sits at: a test writes what he types, and reads what he sees.
type terminal struct {
	user, program *os.File
}

func openTerminal(t *testing.T) terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		cannot(t, "needs a pseudo-terminal: "+err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return terminal{user, program}
}

func (tt terminal) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tt.program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// waitForPrompt waits until the program does not echo, that is until it reads a password.
func (tt terminal) waitForPrompt(t *testing.T) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(20 * time.Second); tt.echoes(t); <-look.C {
		if time.Now().After(until) {
			t.Fatal("no password was asked for")
		}
	}
}

func TestCtrlCAtThePasswordLeavesThingsAsTheyWere(t *testing.T) {
	tt := openTerminal(t)
	file := filepath.Join(t.TempDir(), "users")
	c := program(t.Context(), "smb", "user", "add", "--user-file", file, "alice")
	var said bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = tt.program, tt.program, &said
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tt.waitForPrompt(t)
	if _, err := tt.user.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("ended with %v: %s", err, said.String())
	}
	if !tt.echoes(t) {
		t.Error("the terminal was left without echo")
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
}

// The password is asked for first: what others do to the file meanwhile stays.
func TestAUserIsAddedToTheFileAsItIsThen(t *testing.T) {
	tt := openTerminal(t)
	file := filepath.Join(t.TempDir(), "users")
	user := func(args ...string) string {
		t.Helper()
		out, err := program(t.Context(), append([]string{"smb", "user"}, append(args, "--user-file", file)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	user("add", "mallory", "--password", "x")
	c := program(t.Context(), "smb", "user", "add", "--user-file", file, "alice")
	var said bytes.Buffer
	c.Stdin, c.Stderr = tt.program, &said
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tt.waitForPrompt(t)
	user("remove", "mallory")
	if _, err := tt.user.Write([]byte("pw\npw\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if got := user("list"); !strings.HasPrefix(got, "alice\t") || strings.Count(got, "\n") != 1 {
		t.Errorf("users: %q", got)
	}
}

func TestAPasswordIsReadFromAPipe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	for _, in := range []string{"secret\n", "secret\r\nmore\n", "secret"} {
		c := program(t.Context(), "smb", "user", "add", "--user-file", file, "--password-stdin", "alice")
		c.Stdin = strings.NewReader(in)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", in, err, out)
		}
		users, err := auth.OpenUserFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if hash, ok := users.Lookup("alice"); !ok || hash != auth.NTHash("secret") {
			t.Errorf("%q: %v, or another password", in, ok)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCtrlCWhileAPipeSaysNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	c := program(t.Context(), "smb", "user", "add", "--user-file", file, "--password-stdin", "alice")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// Whether it comes before the program listens to signals, or while it reads: it ends.
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("ended as if it had done it")
	}
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
}
