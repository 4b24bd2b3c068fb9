package smbproto

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// A file is found by its 8.3 name, which a listing and a query of it agree on.
func TestShortNames(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for name, want := range map[string]string{
		"A long name.text": "~1.TEX", ".profile": "~1", "a+b.c": "~1.C", "日本": "~1", "two.dots.x": "~1.X", "short.txt": "short.txt", "SHORT": "SHORT",
	} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		id := p.open(name, opening{rd | att, shareAll, wire.Open, 0})
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAlternateNameInformation), 100), wire.StatusOK)
		short, _ := wire.UTF16ToString(r[72+4:])
		if !strings.HasSuffix(short, want) {
			t.Errorf("%q has the short name %q, want …%s", name, short, want)
		}
		p.want(p.closeMsg(id), wire.StatusOK)
		dir := p.open("", opening{rd, shareAll, wire.Open, 0})
		r = p.want(p.listMsg(dir, wire.FileIDBothDirectoryInformation, name, 0, 1000), wire.StatusOK)
		listed, _ := wire.UTF16ToString(r[72+70 : 72+70+int(r[72+68])])
		if wire.IsShortName(name) && listed != "" || !wire.IsShortName(name) && listed != short {
			t.Errorf("%q is listed with the short name %q, asked it has %q", name, listed, short)
		}
		p.want(p.closeMsg(dir), wire.StatusOK)
		id = p.open(strings.ToLower(short), opening{rd, shareAll, wire.Open, 0})
		if r := p.want(p.readMsg(id, 0, 100), wire.StatusOK); string(r[wire.ReadResponseData:]) != name {
			t.Errorf("%q by its short name %q: %q", name, short, r[wire.ReadResponseData:])
		}
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	dir := p.open("", opening{rd, shareAll, wire.Open, 0})
	for pat, want := range map[string]int{"a*~1.tex": 1, wire.ShortName("A long name.text"): 1, "*~1*": 5, "*.tex": 0, "~": 0} {
		if got := p.names(dir, pat); len(got) != want {
			t.Errorf("pattern %q finds %v", pat, got)
		}
	}
	// Whose name it is goes before whose short name it is.
	short := wire.ShortName("A long name.text")
	if err := os.WriteFile(filepath.Join(p.dir, strings.ToLower(short)), []byte("its own"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := p.open(short, opening{rd, shareAll, wire.Open, 0})
	if r := p.want(p.readMsg(id, 0, 100), wire.StatusOK); string(r[wire.ReadResponseData:]) != "its own" {
		t.Errorf("%q is %q", short, r[wire.ReadResponseData:])
	}
	if _, s := p.tryOpen("X00000~1.TXT", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
		t.Errorf("a short name of nothing: %v", s)
	}
}

// Who knows 8.3 names alone and saves a file by deleting it or renaming it away, and making it anew, leaves it its
// long name.
func TestLongNameOutlivesItsFile(t *testing.T) {
	const long = "A long name.text"
	short := wire.ShortName(long)
	for what, away := range map[string]func(p *peer, id wire.FileID) wire.Status{
		"deleted": func(p *peer, id wire.FileID) wire.Status { return p.dispose(id, 1) },
		"renamed": func(p *peer, id wire.FileID) wire.Status { return p.rename(id, "BACKUP", false) },
	} {
		p := newPeer(t, nil).logOn("pub")
		save := func(name string) {
			t.Helper()
			id := p.openAll(name)
			if s := away(p, id); s != wire.StatusOK {
				t.Fatal(what, s)
			}
			p.want(p.closeMsg(id), wire.StatusOK)
			p.want(p.closeMsg(p.open(short, opening{wire.AccessAll, shareAll, wire.Create, 0})), wire.StatusOK)
		}
		p.want(p.closeMsg(p.newFile(long)), wire.StatusOK)
		save(strings.ToLower(short))
		if _, err := os.Stat(filepath.Join(p.dir, long)); err != nil {
			t.Errorf("%s by its 8.3 name and made by it: %v", what, err)
		}
		if err := os.RemoveAll(filepath.Join(p.dir, "BACKUP")); err != nil {
			t.Fatal(err)
		}
	}
	// By its long name it was gone for good.
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile(long)
	p.dispose(id, 1)
	p.want(p.closeMsg(id), wire.StatusOK)
	p.want(p.closeMsg(p.open(short, opening{wire.AccessAll, shareAll, wire.Create, 0})), wire.StatusOK)
	p.wantNames(short)
}
