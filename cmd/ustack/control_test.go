package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ustack/netstack"
)

func TestAControlDirectoryIsTheUsersOwn(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	in := func(name string) string { return filepath.Join(tmp, name) }
	for _, c := range []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"missing", func(string) error { return nil }, ""},
		{"own", func(dir string) error { return os.Mkdir(dir, 0o700) }, ""},
		{"open to others", func(dir string) error { return os.Mkdir(dir, 0o755) }, "closed to others"},
		{"link", func(dir string) error { return os.Symlink(in("own"), dir) }, "closed to others"},
		{"another's", func(dir string) error {
			if os.Geteuid() != 0 {
				return os.Mkdir(dir, 0o755) // only root can give it away
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, 1234, 1234)
		}, "closed to others"},
	} {
		if err := c.make(in(c.name)); err != nil {
			t.Fatal(err)
		}
		if err := makeControlDir(in(c.name)); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Scripts iterate over .conns, also where there are none.
func TestASnapshotAlwaysHasAListOfConnections(t *testing.T) {
	socket, _ := started(t, kernelServer("echo")...)
	out, err := program(t.Context(), "stats", "--json", socket).Output()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]json.RawMessage
	if err := json.Unmarshal(out, &s); err != nil || string(s["conns"]) != "[]" {
		t.Errorf("conns is %s, %v", s["conns"], err)
	}
}

// A server that was killed leaves its socket, which the next one takes away: it answers nobody, and nobody lives whose it is.
func TestTheSocketOfAKilledServerIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	left := func(name string) string {
		path := filepath.Join(dir, name+".sock")
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gone := program(t.Context(), "--help")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	killed := left(strconv.Itoa(gone.Process.Pid))
	kept := []string{left(strconv.Itoa(os.Getpid())), left("named"), left("-1")}
	removeKilled(dir)
	if _, err := os.Lstat(killed); err == nil {
		t.Error("the socket is still there")
	}
	for _, path := range kept {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestStatsTellWhereAServerIs(t *testing.T) {
	var b strings.Builder
	printSnapshot(&b, snapshot{Service: "smb", Stack: "kernel", Addrs: []string{"127.0.0.1:445"}, Metrics: "127.0.0.1:9445", Conns: make([]netstack.Conn, 1)})
	if !strings.HasPrefix(b.String(), "smb on kernel at 127.0.0.1:445, metrics at 127.0.0.1:9445, pid ") || strings.Contains(b.String(), " \n") {
		t.Errorf("%q", b.String())
	}
}

func TestWhatIsPrintedToAFullDiskIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	users := filepath.Join(t.TempDir(), "users")
	addUser(t, users, "alice", "secret")
	socket, _ := started(t, kernelServer("echo")...)
	for _, args := range [][]string{{"smb", "user", "list", "--user-file", users}, {"stats", socket}, {"stats", "--json", socket}} {
		c := program(t.Context(), args...)
		c.Stdout = full
		if err := c.Run(); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
