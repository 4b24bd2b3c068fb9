package smbproto

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	smb2 "github.com/cloudsoda/go-smb2"
)

func (ts *testServer) dial(t *testing.T, user, password string, negotiate smb2.Negotiator) (*smb2.Session, error) {
	t.Helper()
	d := &smb2.Dialer{Negotiator: negotiate, Initiator: &smb2.NTLMInitiator{User: user, Password: password}}
	return d.Dial(t.Context(), ts.addr)
}

// mount connects alice to a share until the test ends.
func (ts *testServer) mount(t *testing.T, share string, negotiate smb2.Negotiator) *smb2.Share {
	t.Helper()
	s, err := ts.dial(t, "alice", "secret", negotiate)
	if err != nil {
		t.Fatal(err)
	}
	fs, err := s.Mount(share)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(fs.Umount(), s.WithContext(t.Context()).Logoff()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return fs
}

func TestGoClientDoesItsWork(t *testing.T) {
	for _, c := range []struct {
		name string
		n    smb2.Negotiator
	}{
		{"2.1", smb2.Negotiator{SpecifiedDialect: 0x210}},
		{"2.0.2", smb2.Negotiator{SpecifiedDialect: 0x202}},
		{"3.0", smb2.Negotiator{SpecifiedDialect: 0x300}},
		{"3.0.2", smb2.Negotiator{SpecifiedDialect: 0x302}},
		{"3.1.1", smb2.Negotiator{SpecifiedDialect: 0x311}},
		{"2.1, signing", smb2.Negotiator{SpecifiedDialect: 0x210, RequireMessageSigning: true}},
		{"3.0, signing", smb2.Negotiator{SpecifiedDialect: 0x300, RequireMessageSigning: true}},
		{"3.1.1, signing", smb2.Negotiator{SpecifiedDialect: 0x311, RequireMessageSigning: true}},
		{"best", smb2.Negotiator{}},
		{"signing", smb2.Negotiator{RequireMessageSigning: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := startServer(t, nil)
			goClientWorks(t, ts, ts.mount(t, "pub", c.n))
		})
	}
}

func goClientWorks(t *testing.T, ts *testServer, fs *smb2.Share) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	content := make([]byte, 3<<20+17)
	_, err := rand.Read(content)
	must(err)

	must(fs.MkdirAll(`a\b`, 0o755))
	must(fs.WriteFile(`a\b\file.bin`, content, 0o644))
	got, err := fs.ReadFile(`A\b\FILE.bin`)
	must(err)
	if sha256.Sum256(got) != sha256.Sum256(content) {
		t.Error("read back is not what was written")
	}
	st, err := fs.Stat(`a\b\file.bin`)
	must(err)
	if st.Size() != int64(len(content)) || st.IsDir() || time.Since(st.ModTime()).Abs() > time.Minute {
		t.Errorf("stat: %d bytes, dir %v, %v", st.Size(), st.IsDir(), st.ModTime())
	}

	must(fs.Truncate(`a\b\file.bin`, 1000))
	must(fs.Truncate(`a\b\file.bin`, 2000))
	stored, err := os.ReadFile(filepath.Join(ts.dir, "a/b/file.bin"))
	must(err)
	if !bytes.Equal(stored[:1000], content[:1000]) || len(stored) != 2000 || !bytes.Equal(stored[1000:], make([]byte, 1000)) {
		t.Error("truncation left something else")
	}

	when := time.Date(2001, 2, 3, 4, 5, 6, 700, time.UTC)
	must(fs.Chtimes(`a\b\file.bin`, when, when))
	st, err = fs.Stat(`a\b\file.bin`)
	must(err)
	if !st.ModTime().Equal(when) {
		t.Errorf("time is %v, set %v", st.ModTime(), when)
	}
	must(fs.Chmod(`a\b\file.bin`, 0o444))
	if err := fs.Remove(`a\b\file.bin`); err == nil {
		// The client takes the attribute away and tries again; both are right.
		must(fs.WriteFile(`a\b\file.bin`, content, 0o644))
	} else {
		must(fs.Chmod(`a\b\file.bin`, 0o644))
	}

	must(fs.WriteFile(`a\other`, []byte("x"), 0o644))
	must(fs.WriteFile(`a\replaced`, []byte("y"), 0o644))
	must(fs.Rename(`a\other`, `a\replaced`)) // this client always replaces
	must(fs.Rename(`a\replaced`, `a\other`))
	must(fs.Rename(`a\b\file.bin`, `a\new name ü.bin`))
	entries, err := fs.ReadDir("a")
	must(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	if want := []string{"b", "new name ü.bin", "other"}; !slices.Equal(names, want) {
		t.Errorf("directory has %q, want %q", names, want)
	}
	if err := fs.Remove("a"); err == nil {
		t.Error("removed a directory that is not empty")
	}
	if _, err := fs.Statfs("."); err != nil {
		t.Error(err)
	}
	must(fs.RemoveAll("a"))
	if _, err := fs.Stat("a"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after removal: %v", err)
	}
}

func TestManyNamesAreListedOnce(t *testing.T) {
	ts := startServer(t, nil)
	const n = 3000
	for i := range n {
		if err := os.WriteFile(filepath.Join(ts.dir, fmt.Sprintf("file-%06d-%s", i, "long enough to need several replies")), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fs := ts.mount(t, "pub", smb2.Negotiator{SpecifiedDialect: 0x202})
	entries, err := fs.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.Name()] = true
	}
	if len(entries) != n || len(seen) != n {
		t.Errorf("%d entries, %d names, want %d", len(entries), len(seen), n)
	}
}

func TestGoClientListsShares(t *testing.T) {
	ts := startServer(t, nil)
	s, err := ts.dial(t, "alice", "secret", smb2.Negotiator{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Logoff()
	names, err := s.ListSharenames()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if want := []string{"IPC$", "pub", "ro"}; !slices.Equal(names, want) {
		t.Errorf("shares %q, want %q", names, want)
	}
	if err := s.Echo(); err != nil {
		t.Error(err)
	}
}

func TestLogOnIsRefused(t *testing.T) {
	ts := startServer(t, nil)
	if _, err := ts.dial(t, "alice", "wrong", smb2.Negotiator{}); err == nil {
		t.Error("logged on with a wrong password")
	}
	signing := startServer(t, func(c *Config) { c.RequireSigning = true })
	if _, err := signing.dial(t, "nobody", "", smb2.Negotiator{}); err == nil {
		t.Error("a guest logged on where signing is required")
	}
	fs := signing.mount(t, "pub", smb2.Negotiator{})
	if err := fs.WriteFile("signed", []byte("data"), 0o644); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyShareStaysAsItIs(t *testing.T) {
	ts := startServer(t, nil)
	if err := os.WriteFile(filepath.Join(ts.dir, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	fs := ts.mount(t, "ro", smb2.Negotiator{})
	if b, err := fs.ReadFile("file"); err != nil || string(b) != "content" {
		t.Errorf("read: %q, %v", b, err)
	}
	for name, err := range map[string]error{
		"write":    fs.WriteFile("file", []byte("x"), 0o644),
		"create":   fs.WriteFile("new", nil, 0o644),
		"mkdir":    fs.Mkdir("dir", 0o755),
		"remove":   fs.Remove("file"),
		"rename":   fs.Rename("file", "other"),
		"truncate": fs.Truncate("file", 0),
		"chtimes":  fs.Chtimes("file", time.Now(), time.Now()),
		"chmod":    fs.Chmod("file", 0o444),
	} {
		if err == nil {
			t.Errorf("%s went through", name)
		}
	}
	if b, err := os.ReadFile(filepath.Join(ts.dir, "file")); err != nil || string(b) != "content" {
		t.Errorf("file is %q, %v", b, err)
	}
}

func TestConnectionsDoNotMix(t *testing.T) {
	ts := startServer(t, nil)
	var wg sync.WaitGroup
	for i := range 4 {
		fs := ts.mount(t, "pub", smb2.Negotiator{RequireMessageSigning: i%2 == 0})
		wg.Go(func() {
			name := fmt.Sprintf("file%d", i)
			content := bytes.Repeat([]byte(name), 200_000)
			for range 3 {
				if err := fs.WriteFile(name, content, 0o644); err != nil {
					t.Error(err)
					return
				}
				f, err := fs.Open(name)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(f)
				if err := errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
