package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t *testing.T, path string) *UserFile {
	t.Helper()
	f, err := OpenUserFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Each change is made to what the file says then, not to what a program has read before.
func TestProgramsThatChangeAFileKeepEachOthersChanges(t *testing.T) {
	path := userFileWith(t, "mallory:"+someHash+"\n", 0o600)
	slow := open(t, path)
	if err := open(t, path).Remove("mallory"); err != nil {
		t.Fatal(err)
	}
	if err := slow.Add("bob", "password"); err != nil {
		t.Fatal(err)
	}
	if names := open(t, path).Names(); !slices.Equal(names, []string{"bob"}) {
		t.Errorf("names %q, want bob alone", names)
	}

	const programs, each = 4, 8
	var running sync.WaitGroup
	for i := range programs {
		f := open(t, path)
		running.Go(func() {
			for j := range each {
				if err := f.Add(fmt.Sprintf("user %d.%d", i, j), "password"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if n := len(open(t, path).Names()); n != 1+programs*each {
		t.Errorf("%d users, want %d", n, 1+programs*each)
	}
}

func TestAccountsFollowTheFile(t *testing.T) {
	path := userFileWith(t, "alice:"+someHash+"\n", 0o600)
	server := open(t, path)
	replace := func(text string) {
		t.Helper()
		next := path + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what   string
		change func()
		broken bool
		want   []string
	}{
		{"nothing", func() {}, false, []string{"alice"}},
		{"added", func() { _ = open(t, path).Add("bob", "password") }, false, []string{"alice", "bob"}},
		{"removed", func() { _ = open(t, path).Remove("alice") }, false, []string{"bob"}},
		{"broken", func() { replace("nonsense") }, true, []string{"bob"}},
		{"mended", func() { replace("carol:" + someHash) }, false, []string{"carol"}},
		{"open to others", func() { _ = os.Chmod(path, 0o644) }, true, []string{"carol"}},
		{"gone", func() { _ = os.Remove(path) }, true, []string{"carol"}},
		{"back", func() { replace("dan:" + someHash) }, false, []string{"dan"}},
	} {
		c.change()
		for i := range 3 {
			err := server.Refresh()
			if told := err != nil; told != (c.broken && i == 0) || told && !errors.Is(err, ErrUserFile) {
				t.Errorf("%s, look %d: %v", c.what, i, err)
			}
			if names := server.Names(); !slices.Equal(names, c.want) {
				t.Errorf("%s: names %q, want %q", c.what, names, c.want)
			}
		}
	}
}

// A file that could not be read for a moment is read when it can be: whoever was removed
// does not stay.
func TestAPassingErrorLosesNoChange(t *testing.T) {
	path := userFileWith(t, "alice:"+someHash+"\nbob:"+someHash+"\n", 0o600)
	server := open(t, path)
	if err := open(t, path).Remove("bob"); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	first, second := server.Refresh(), server.Refresh()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(first, unix.EMFILE) || second != nil {
		t.Errorf("without a descriptor %v, then %v", first, second)
	}
	if err := server.Refresh(); err != nil {
		t.Error(err)
	}
	if names := server.Names(); !slices.Equal(names, []string{"alice"}) {
		t.Errorf("names %q", names)
	}
}

func TestAFileKeepsItsOwner(t *testing.T) {
	needRoot(t)
	path := userFileWith(t, "alice:"+someHash+"\n", 0o600)
	const uid, gid = 1234, 2345
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Add("bob", "password"); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := fi.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid || fi.Mode() != 0o600 {
		t.Errorf("owner %d:%d, mode %v", st.Uid, st.Gid, fi.Mode())
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file to another user")
	}
}
