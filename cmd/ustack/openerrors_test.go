package main

import (
	"os"
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
		out, err := program(t.Context(), kernelServer("smb", append(c.more, "--share", share)...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%v: %v: %s", c.more, err, out)
		}
	}
}

// A device is put up when nothing else is left that could be wrong: here none of its name can be.
func TestNoDeviceIsMadeForAServerThatCanNotServe(t *testing.T) {
	const noDevice = "a-name-that-no-device-can-have"
	dir := t.TempDir()
	missing, file := filepath.Join(dir, "missing"), filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		share string
		more  []string
		want  string
	}{
		{"a=" + dir, nil, noDevice},
		{"a=" + missing, nil, `share "a": vfs: share directory "` + missing + `": no such file`},
		{"a=" + file, nil, `share "a": vfs: share directory "` + file + `": not a directory`},
		{"a=" + dir, []string{"--share", "b=" + missing}, `share "b": `},
		{"a=" + dir, []string{"--share", "A=" + dir}, "two shares"},
		{"a:b=" + dir, nil, "share name"},
		{"a=" + dir, []string{"--share", "b=" + dir + ",encrypt", "--encrypt", "off"}, "encryption is off"},
		{"a=" + dir, []string{"--user-file", missing}, "ustack smb user add"},
		{"a=" + dir, []string{"--user-file", file}, file},
		{"a=" + dir, []string{"--keytab", missing}, "keytab: "},
		{"a=" + dir, []string{"--keytab", file}, "keytab "},
		{"a=" + dir, []string{"--audit", dir}, "audit: open " + dir + ": is a directory"},
		{"a=" + dir, []string{"--audit", filepath.Join(missing, "audit")}, "audit: "},
		{"a=" + dir, []string{"--metrics", "9445"}, "want HOST:PORT"},
		{"a=" + dir, []string{"--metrics", "127.0.0.1:99999"}, `--metrics "127.0.0.1:99999": want HOST:PORT`},
		{"a=" + dir, []string{"--metrics", "127.0.0.1:nosuchservice"}, `--metrics "127.0.0.1:nosuchservice": want HOST:PORT`},
		{"a=" + dir, []string{"--control", file}, "something else is there"},
		{"a=" + dir, []string{"--congestion", "bogus"}, "want cubic or reno"},
		{"a=" + dir, []string{"--shards", "3", "--queues", "2"}, "3 shards: want 1 to 2"},
	} {
		args := []string{"serve", "smb", "--tap", noDevice, "--addr", "10.77.0.2/24", "--share", c.share}
		out, err := program(t.Context(), append(args, c.more...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) || c.want != noDevice && strings.Contains(string(out), noDevice) {
			t.Errorf("%s %v: %v: %s; want %q", c.share, c.more, err, out, c.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: want the file alone, and nothing made", entries, err)
	}
}

func TestWhatAUserMayNotOpenNamesTheUser(t *testing.T) {
	needRoot(t)
	nobody, err := findAccount("--user", "nobody")
	if err != nil {
		t.Skip(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", nobodysDir(t, nobody))
	dir, roots := nobodysDir(t, nobody), t.TempDir()
	users := filepath.Join(dir, "users")
	addUser(t, users, "alice", "secret") // root's
	for _, c := range [][]string{
		{"--share", "pub=" + dir, "--user-file", users},
		{"--share", "pub=" + dir, "--audit", users},
		{"--share", "pub=" + dir, "--audit", filepath.Join(roots, "audit")},
		{"--share", "pub=" + roots},
	} {
		out, err := program(t.Context(), kernelServer("smb", append(c, "--user", "nobody")...)...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "ustack: as nobody, the user of --user: ") {
			t.Errorf("%v: %v: %s; want that alone, before anything is put up", c, err, out)
		}
	}
}
