package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// linked is a share with a file by the names "a" and "b", a symbolic link to "a", and
// two more files.
func linked(t *testing.T) *peer {
	p := newPeer(t, nil).logOn("pub")
	in := func(name string) string { return filepath.Join(p.dir, name) }
	for _, err := range []error{
		os.WriteFile(in("a"), []byte("x"), 0o644), os.Link(in("a"), in("b")), os.Symlink("a", in("link")),
		os.WriteFile(in("other"), nil, 0o644), os.WriteFile(in("precious"), []byte("precious"), 0o444),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *peer) openAll(name string) wire.FileID { return p.open(name, anyOpen) }

func (p *peer) dispose(id wire.FileID, on byte) wire.Status {
	return status(p.ask(p.setMsg(id, wire.FileDispositionInformation, []byte{on})))
}

func (p *peer) rename(id wire.FileID, to string, replace bool) wire.Status {
	return status(p.ask(p.setMsg(id, wire.FileRenameInformation, renameInfo(to, replace))))
}

// renamedOnceClosed renames a directory, which is refused as long as one of the names in it is open.
func (p *peer) renamedOnceClosed(dir wire.FileID, to string, names ...string) {
	p.t.Helper()
	for _, name := range names {
		id := p.openAll(name)
		if s := p.rename(dir, to, false); s != wire.StatusAccessDenied {
			p.t.Errorf("while %s is open: %v", name, s)
		}
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	if s := p.rename(dir, to, false); s != wire.StatusOK {
		p.t.Errorf("with nothing open in it: %v", s)
	}
}

func (p *peer) wantNames(want string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != want {
		p.t.Errorf("there are %q, want %q", got, want)
	}
}

// An open deletes the name by which it was opened or last renamed, and no other of the
// same file, in whatever order they are closed.
func TestOnlyTheNameThatWasAskedForIsDeleted(t *testing.T) {
	for _, c := range []struct {
		what       string
		doom, with string // two opens of one file; the first is to be deleted
		renamed    string // what the second becomes meanwhile, if anything
		want       string
	}{
		{"of two hard links the first", "a", "b", "", "b link other precious"},
		{"of two hard links the second", "b", "a", "", "a link other precious"},
		{"the file, not a link to it", "a", "link", "", "b link other precious"},
		{"a link, not the file", "link", "a", "", "a b other precious"},
		{"a hard link while the other is renamed", "b", "a", "c", "c link other precious"},
		{"a name that is renamed", "a", "a", "c", "b link other precious"},
		{"a link while the file is renamed", "link", "a", "c", "b c other precious"},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, firstClosed := range []bool{true, false} {
				p := linked(t)
				doom, with := p.openAll(c.doom), p.openAll(c.with)
				if c.renamed != "" {
					if s := p.rename(with, c.renamed, false); s != wire.StatusOK {
						t.Fatal(s)
					}
				}
				if s := p.dispose(doom, 1); s != wire.StatusOK {
					t.Fatal(s)
				}
				ids := []wire.FileID{doom, with}
				if !firstClosed {
					slices.Reverse(ids)
				}
				for _, id := range ids {
					p.want(p.closeMsg(id), wire.StatusOK)
				}
				p.wantNames(c.want)
			}
		})
	}
}

// Each open of a name that is to be deleted may be the one that takes it back.
func TestADeletionThatIsTakenBackKeepsNoFileOpen(t *testing.T) {
	p := linked(t)
	a, again, b := p.openAll("a"), p.openAll("a"), p.openAll("b")
	if s := p.dispose(a, 1); s != wire.StatusOK {
		t.Fatal(s)
	}
	p.want(p.closeMsg(a), wire.StatusOK)
	if s := p.dispose(b, 0); s != wire.StatusOK {
		t.Fatal(s)
	}
	if _, s := p.tryOpen("a", anyOpen); s != wire.StatusDeletePending {
		t.Errorf("taken back by another name: %v", s)
	}
	if s := p.dispose(again, 0); s != wire.StatusOK {
		t.Fatal(s)
	}
	if n := p.srv.budget.Open(); n != 2 {
		t.Errorf("%d files are open, of 2 opens", n)
	}
	p.want(p.closeMsg(p.openAll("a")), wire.StatusOK)
	p.want(p.closeMsg(again), wire.StatusOK)
	p.want(p.closeMsg(b), wire.StatusOK)
	p.wantNames("a b link other precious")
}

// Many closed opens of a name that is to be deleted cost one handle.
func TestANameIsToBeDeletedOnce(t *testing.T) {
	p := linked(t)
	last := p.openAll("a")
	var opens []wire.FileID
	for range 10 {
		opens = append(opens, p.openAll("a"))
	}
	for _, id := range opens {
		if s := p.dispose(id, 1); s != wire.StatusOK {
			t.Fatal(s)
		}
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	if n := p.srv.budget.Open(); n != 2 {
		t.Errorf("%d files are open, want that of the last open and one to delete by", n)
	}
	p.want(p.closeMsg(last), wire.StatusOK)
	p.wantNames("b link other precious")
}

func TestWhatCannotBeDeletedShutsNobodyOut(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	if err := os.MkdirAll(filepath.Join(p.dir, "full", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "ro"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	deletes := opening{wire.AccessDelete, shareAll, wire.Open, wire.OptionDeleteOnClose}
	for _, c := range []struct {
		name string
		want wire.Status
	}{
		{"", wire.StatusAccessDenied},
		{"full", wire.StatusOK}, // but it stays if it still is
		{"ro", wire.StatusCannotDelete},
	} {
		hold := p.open(c.name, opening{rd | att, shareAll, wire.Open, 0})
		id, s := p.tryOpen(c.name, deletes)
		if s != c.want {
			t.Errorf("%q, to be deleted on close: %v, want %v", c.name, s, c.want)
		}
		if s == wire.StatusOK {
			if s := p.dispose(id, 1); s != wire.StatusDirectoryNotEmpty {
				t.Errorf("%q, to be deleted: %v", c.name, s)
			}
			p.want(p.closeMsg(id), wire.StatusOK)
		}
		p.want(p.closeMsg(p.open(c.name, opening{rd | att, shareAll, wire.Open, 0})), wire.StatusOK)
		p.want(p.closeMsg(hold), wire.StatusOK)
	}

	// A directory may get entries after it was opened to be deleted.
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory | wire.OptionDeleteOnClose})
	hold := p.open("dir", opening{rd | att, shareAll, wire.Open, 0})
	p.want(p.closeMsg(p.newFile(`dir\x`)), wire.StatusOK)
	p.want(p.closeMsg(dir), wire.StatusOK)
	p.want(p.closeMsg(p.open("dir", opening{rd | att, shareAll, wire.Open, 0})), wire.StatusOK)
	p.want(p.closeMsg(hold), wire.StatusOK)
}

func TestAFileIsNotMadeReadOnlyAndToBeDeleted(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	try := func(name string, d wire.Disposition) wire.Status {
		m := p.createMsg(name, opening{wire.AccessAll, shareAll, d, wire.OptionDeleteOnClose})
		le.PutUint32(m[92:], uint32(wire.AttributeReadOnly))
		return status(p.ask(m))
	}
	for _, d := range []wire.Disposition{wire.Create, wire.OpenIf, wire.OverwriteIf, wire.Supersede} {
		if s := try("new", d); s != wire.StatusCannotDelete {
			t.Errorf("disposition %d: %v", d, s)
		}
	}
	p.wantNames("")
	p.want(p.closeMsg(p.newFile("there")), wire.StatusOK)
	if s := try("there", wire.Create); s != wire.StatusObjectNameCollision {
		t.Errorf("one that is there: %v", s)
	}
	if s := try("there", wire.OpenIf); s != wire.StatusOK {
		t.Errorf("one that is there, and only opened: %v", s)
	}
}

// A rename gives a file a name, and takes no other file's or name's away unasked.
func TestARenameTakesNothingElseAway(t *testing.T) {
	all := "a b link other precious"
	for _, c := range []struct {
		from, to string
		replace  bool
		want     wire.Status
		left     string
	}{
		{"a", "b", false, wire.StatusObjectNameCollision, all},
		{"a", "b", true, wire.StatusAccessDenied, all},
		{"link", "a", true, wire.StatusAccessDenied, all},
		{"a", "link", true, wire.StatusAccessDenied, all},
		{"a", "A", false, wire.StatusOK, "A b link other precious"},
		{"a", "precious", true, wire.StatusAccessDenied, all},
		{"a", "other", false, wire.StatusObjectNameCollision, all},
		{"a", "other", true, wire.StatusOK, "b link other precious"},
		{"link", "other", true, wire.StatusOK, "a b other precious"},
	} {
		p := linked(t)
		id := p.openAll(c.from)
		if s := p.rename(id, c.to, c.replace); s != c.want {
			t.Errorf("%q to %q, replace %v: %v, want %v", c.from, c.to, c.replace, s, c.want)
		}
		p.wantNames(c.left)
		if got := p.content("precious"); got != "precious" {
			t.Errorf("%q to %q: a read-only file now has %q", c.from, c.to, got)
		}
	}
}

// A directory is not taken away from under what is open in it, MS-FSA 2.1.4.2.
func TestADirectoryWithOpenFilesIsNotRenamed(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	if err := os.MkdirAll(filepath.Join(p.dir, "d", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := p.openAll("d")
	beside := p.newFile("d2")
	p.renamedOnceClosed(d, "e", `d\sub`, `d\sub\file`)
	p.want(p.closeMsg(p.open(`e\sub\file`, opening{rd, shareAll, wire.Open, 0})), wire.StatusOK)
	p.want(p.closeMsg(beside), wire.StatusOK)
}

// Shares may lie in one another: the same directory has a path in each.
func TestOpensOfAnotherShareKeepADirectoryToo(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "d", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	srv := newServerIn(t, dir, func(c *Config) {
		c.Shares = append(c.Shares, Share{Name: "inner", Path: filepath.Join(dir, "d")})
	})
	p, q := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("inner")
	d, sub := p.openAll("d"), q.openAll("sub")
	if s := p.rename(d, "e", false); s != wire.StatusAccessDenied {
		t.Errorf("%v", s)
	}
	q.want(q.closeMsg(sub), wire.StatusOK)
	if s := p.rename(d, "e", false); s != wire.StatusOK {
		t.Errorf("%v", s)
	}
}

// Links of a directory are listed from its handle, wherever it has been moved to.
func TestLinksAreListedWhereverTheirDirectoryIs(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	d := filepath.Join(p.dir, "d")
	if err := os.Mkdir(d, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(d, "link")); err != nil {
		t.Fatal(err)
	}
	id := p.open("d", opening{rd, shareAll, wire.Open, 0})
	if err := os.Rename(d, filepath.Join(p.dir, "e")); err != nil {
		t.Fatal(err)
	}
	if names := p.names(id, "*"); !slices.Contains(names, "link") {
		t.Errorf("listed %q", names)
	}
}

func TestOpenFilesOfAllConnectionsAreBounded(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, func(c *Config) { c.Limits.MaxFiles = 3 })
	p, q := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	p.openAll("1")
	id := p.openAll("2")
	q.openAll("3")
	if _, s := q.tryOpen("4", anyOpen); s != wire.StatusTooManyOpenedFiles {
		t.Errorf("one more: %v", s)
	}
	p.want(p.closeMsg(id), wire.StatusOK)
	q.openAll("2")
	p.hangUp()
	q.openAll("1")
}

// Whoever has a file open finds it by the path that he was told, whatever directory another
// client renames meanwhile.
func TestAnOpenFileKeepsItsPath(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	moved := 0
	go func() {
		defer close(done)
		names := []string{"d", "e"}
		id := a.openAll("d")
		// It fails for as long as the other has the file open, which may be long where there are few processors.
		for i := 0; i < 1000 || moved == 0 && i < 1_000_000; i++ {
			if a.rename(id, names[1], false) == wire.StatusOK {
				slices.Reverse(names)
				moved++
			}
		}
	}()
	opened := 0
	for {
		select {
		case <-done:
			if opened == 0 || moved == 0 {
				t.Errorf("opened %d times, moved %d times: nothing was tested", opened, moved)
			}
			return
		default:
		}
		id, s := b.tryOpen(`d\file`, opening{rd, shareAll, wire.Open, 0})
		if s != wire.StatusOK {
			continue // it is in "e"
		}
		opened++
		if _, err := os.Stat(filepath.Join(dir, string(b.openOf(id).file.Path()))); err != nil {
			t.Error(err)
		}
		b.want(b.closeMsg(id), wire.StatusOK)
	}
}

// Two opens of a file rename it at the same time, again and again: both know its name.
func TestRenamesOfOneFileAreToldToItsOpens(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	peers := []*peer{connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")}
	peers[0].newFile("file")
	opens := make([]wire.FileID, len(peers))
	for i, p := range peers {
		opens[i] = p.open("file", anyOpen)
	}
	for round := range 200 {
		var both sync.WaitGroup
		for i, p := range peers {
			both.Go(func() {
				p.ask(p.setMsg(opens[i], wire.FileRenameInformation, renameInfo(fmt.Sprintf("%d-%d", round, i), false)))
			})
		}
		both.Wait()
		a, b := peers[0].openOf(opens[0]).file.Path(), peers[1].openOf(opens[1]).file.Path()
		if _, err := os.Stat(filepath.Join(dir, string(a))); a != b || err != nil {
			t.Fatalf("round %d: one knows it as %q, the other as %q: %v", round, a, b, err)
		}
	}
	for i, p := range peers {
		p.want(p.closeMsg(opens[i]), wire.StatusOK)
	}
}
