package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What a server can't open at its start, it says what to do about.
func TestWhatCanNotBeOpenedSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	share, users := "pub="+dir, filepath.Join(dir, "users")
	for _, c := range []struct {
		more []string
		want string
	}{
		{[]string{"--user-file", users}, "ustack smb user add --user-file " + users},
		{[]string{"--metrics", "9445"}, "want HOST:PORT"},
	} {
		out, err := program(t.Context(), kernelServer("smb", freePort(t), append(c.more, "--share", share)...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v: %s", c.more, err, out)
		}
	}
}

func TestWhatAUserMayNotOpenNamesTheUser(t *testing.T) {
	needRoot(t)
	nobody, err := findAccount("nobody")
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", nobodysDir(t, nobody))
	dir := nobodysDir(t, nobody)
	users := filepath.Join(dir, "users")
	addUser(t, users, "alice", "secret") // root's
	out, err := program(t.Context(), kernelServer("smb", freePort(t), "--share", "pub="+dir, "--user-file", users, "--user", "nobody")...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "as nobody, the user of --user: ") {
		t.Errorf("%v: %s", err, out)
	}
}
