package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ustack/smbproto/wire"
)

// What a client makes a link of is text: by whatever protocol, nobody is led anywhere by it, be it within the share.
func TestLinksThatClientsMakeAreNeverFollowed(t *testing.T) {
	base := t.TempDir()
	share, out := filepath.Join(base, "share"), filepath.Join(base, "out")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(share, "dir"), 0o755), os.Mkdir(out, 0o755), os.WriteFile(filepath.Join(out, "file"), []byte("secret"), 0o644),
		os.WriteFile(filepath.Join(share, "file"), []byte("inside"), 0o644), os.WriteFile(filepath.Join(share, "dir", "file"), []byte("inside"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	srv := newServerIn(t, share, allowSMB1)
	p, plain := connect1(t, srv, share).logOn1("pub").posix(), connect1(t, srv, share).logOn1("pub")
	two := connect(t, srv, share).logOn("pub")
	mover := two.newFile("mover")
	for _, text := range []string{
		"/etc", "/etc/passwd", "/", "..", "../out", "../out/file", out, out + "/file", share, share + "/file",
		"file", "dir", "dir/file", ".", "./dir", "link", "dir/../file",
		"/proc/self/root/etc", "/.ustack-link", "/.ustack-link/etc", "../share/file", "none",
	} {
		p.want1(p.linkMsg("/link", text), wire.StatusOK)
		before, inside := treeOf(t, out), treeOf(t, filepath.Join(share, "dir"))+p.content("file")
		refused := func(how string, s wire.Status) {
			t.Helper()
			if !s.IsError() {
				t.Errorf("a link to %q: %s: %v", text, how, s)
			}
		}
		for _, path := range []string{"link", "link/file", "link/passwd", "link/dir/file", "link/new", "LINK/file", "link/../link/file"} {
			windows := strings.ReplaceAll(path, "/", `\`)
			for _, o := range []opening{
				{wire.AccessReadData, shareAll, wire.Open, 0}, {wire.AccessReadAttributes, shareAll, wire.Open, 0}, {wire.AccessAll, shareAll, wire.OpenIf, 0},
				{wire.AccessAll, shareAll, wire.OverwriteIf, 0}, {wire.AccessAll, shareAll, wire.Create, 0},
				{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory},
				{wire.AccessDelete, shareAll, wire.Open, wire.OptionDeleteOnClose},
			} {
				refused("CREATE of POSIX's "+path, p.ask1(p.createMsg1("/"+path, o, 0)).Status())
				refused("SMB1's CREATE of "+path, plain.ask1(plain.createMsg1(`\`+windows, o, 0)).Status())
				_, s := two.tryOpen(windows, o)
				refused("SMB2's CREATE of "+path, s)
			}
			for _, flags := range []uint32{wire.SMB1PosixReadOnly, wire.SMB1PosixReadWrite | wire.SMB1PosixCreate,
				wire.SMB1PosixWriteOnly | wire.SMB1PosixTruncate,
				wire.SMB1PosixCreate | wire.SMB1PosixDirectory, wire.SMB1PosixDirectory} {
				refused(fmt.Sprintf("POSIX open of %s with %x", path, flags), p.ask1(p.posixOpenMsg("/"+path, flags, 0o600)).Status())
			}
			refused("mode of "+path, p.ask1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/"+path, modeOf(0o777))).Status())
			refused("hard link of "+path, p.ask1(p.pathMsg(6, wire.SMB1InfoUnixHardLink, "/hard", append(utf16le("/"+path), 0, 0))).Status())
			refused("listing of "+path, p.ask1(p.trans2(1, 0, findParams("/"+path+"/*", 6), nil)).Status())
			refused("listing of "+path+" by another client", plain.ask1(plain.trans2(1, 0, findParams(`\`+windows+`\*`, 6), nil)).Status())
			if path != "link" {
				refused("link in "+path, p.ask1(p.linkMsg("/"+path, "x")).Status())
				refused("hard link to "+path, p.ask1(p.pathMsg(6, wire.SMB1InfoUnixHardLink, "/"+path, append(utf16le("/file"), 0, 0))).Status())
				refused("unlink of "+path, p.ask1(p.unlinkMsg("/"+path, 0)).Status())
				refused("rename to "+path, status(two.ask(two.setMsg(mover, wire.FileRenameInformation, renameInfo(windows, true)))))
				refused("rename to POSIX's "+path, p.ask1(p.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/file", "/"+path))).Status())
			}
		}
		if after := treeOf(t, out); after != before {
			t.Fatalf("outside there is now\n%s, there was\n%s", after, before)
		}
		if after := treeOf(t, filepath.Join(share, "dir")) + p.content("file"); after != inside {
			t.Fatalf("a link to %q: inside there is now\n%s, there was\n%s", text, after, inside)
		}
		p.want1(p.unlinkMsg("/link", 0), wire.StatusOK)
	}
	two.want(two.closeMsg(mover), wire.StatusOK)
}

// A directory that another process exchanges with a link out of the share leads no request of the UNIX extensions outside.
func TestNoRaceLeadsUnixRequestsOutside(t *testing.T) {
	base := t.TempDir()
	share, out := filepath.Join(base, "share"), filepath.Join(base, "out")
	if err := errors.Join(os.MkdirAll(filepath.Join(share, "d"), 0o755), os.Mkdir(out, 0o755), os.Symlink(out, filepath.Join(share, "l")),
		os.WriteFile(filepath.Join(out, "file"), []byte("secret"), 0o644), os.WriteFile(filepath.Join(out, "gone"), nil, 0o644),
		os.WriteFile(filepath.Join(share, "own"), nil, 0o644), os.WriteFile(filepath.Join(share, "d", "file"), []byte("inside"), 0o644)); err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, out)
	p := connect1(t, newServerIn(t, share, allowSMB1), share).logOn1("pub").posix()
	stop := exchanging(t, filepath.Join(share, "d"), filepath.Join(share, "l"))
	done := map[string]int{}
	for range 1500 {
		ask := func(what string, msg []byte) wire.SMB1Header {
			r := p.ask1(msg)
			if !r.Status().IsError() {
				done[what]++
			}
			return r
		}
		msg := p.posixOpenMsg("/d/file", wire.SMB1PosixReadOnly, 0)
		if r := ask("read", msg); !r.Status().IsError() {
			b := p.isAnswer(r, msg, wire.StatusOK)
			fid := le.Uint16(r[b.Word(7)+2:])
			if r := p.ask1(p.readMsg1(fid, 0, 100)); strings.Contains(string(r), "secret") {
				t.Fatal("the secret is read")
			}
			p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
		}
		if r := ask("make", p.posixOpenMsg("/d/new", wire.SMB1PosixReadWrite|wire.SMB1PosixCreate, 0o600)); !r.Status().IsError() {
			p.want1(p.msg(wire.SMB1Close, words(p.c.smb1.nextFID, uint32(0)), nil), wire.StatusOK)
		}
		ask("mkdir", p.posixOpenMsg("/d/newdir", wire.SMB1PosixCreate|wire.SMB1PosixDirectory, 0o700))
		ask("link", p.linkMsg("/d/link", "/etc"))
		ask("hard link", p.pathMsg(6, wire.SMB1InfoUnixHardLink, "/d/hard", append(utf16le("/own"), 0, 0)))
		ask("mode", p.pathMsg(6, wire.SMB1InfoUnixBasic, "/d/file", modeOf(0o600)))
		ask("read a link", p.pathMsg(5, wire.SMB1InfoUnixLink, "/d/link", nil))
		ask("list", p.trans2(1, 0, findParams("/d/*", 7), nil))
		ask("unlink", p.unlinkMsg("/d/gone", 0))
		for _, name := range []string{"new", "link", "hard"} {
			ask("unlink", p.unlinkMsg("/d/"+name, 0))
		}
		ask("rmdir", p.unlinkMsg("/d/newdir", 1))
	}
	stop()
	if after := treeOf(t, out); after != before {
		t.Errorf("outside there is now\n%s, there was\n%s", after, before)
	}
	for _, what := range []string{"read", "make", "mkdir", "link", "hard link", "mode", "read a link", "list", "unlink", "rmdir"} {
		if done[what] == 0 {
			t.Errorf("%s: never done", what)
		}
	}
}

// Nor is anybody led there by a client that puts a link where its directory was, again and again.
func TestNoRaceOfAClientsLinksLeadsOutside(t *testing.T) {
	base := t.TempDir()
	share, out := filepath.Join(base, "share"), filepath.Join(base, "out")
	if err := errors.Join(os.MkdirAll(filepath.Join(share, "d"), 0o755), os.Mkdir(out, 0o755),
		os.WriteFile(filepath.Join(out, "file"), []byte("secret"), 0o644),
		os.WriteFile(filepath.Join(share, "d", "file"), []byte("inside"), 0o644)); err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, out)
	srv := newServerIn(t, share, allowSMB1)
	evil, p, plain := connect1(t, srv, share).logOn1("pub").posix(), connect1(t, srv, share).logOn1("pub").posix(), connect1(t, srv, share).logOn1("pub")
	two := connect(t, srv, share).logOn("pub")
	stop, over := make(chan struct{}), make(chan struct{})
	var links atomic.Int64
	go func() {
		defer close(over)
		for running(stop) {
			evil.ask1(evil.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/d", "/e")))
			if evil.ask1(evil.linkMsg("/d", out)).Status() == wire.StatusOK {
				links.Add(1)
			}
			evil.ask1(evil.unlinkMsg("/d", 0))
			evil.ask1(evil.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/e", "/d")))
		}
	}()
	read := 0
	check := func(r []byte) {
		read++
		if strings.Contains(string(r), "secret") {
			t.Error("the secret is read")
		}
	}
	for i := 0; i < 1000 || (links.Load() < 100 || read < 100) && i < 50_000; i++ {
		msg := p.posixOpenMsg("/d/file", wire.SMB1PosixReadWrite, 0)
		if r := p.ask1(msg); !r.Status().IsError() {
			b := p.isAnswer(r, msg, wire.StatusOK)
			fid := le.Uint16(r[b.Word(7)+2:])
			check(p.ask1(p.readMsg1(fid, 0, 100)))
			p.ask1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil))
		}
		msg = plain.createMsg1(`\d\file`, opening{wire.AccessAll, shareAll, wire.OpenIf, 0}, 0)
		if r := plain.ask1(msg); r != nil && !r.Status().IsError() {
			b := plain.isAnswer(r, msg, wire.StatusOK)
			fid := le.Uint16(b.Words[5:])
			check(plain.ask1(plain.readMsg1(fid, 0, 100)))
			plain.ask1(plain.msg(wire.SMB1Close, words(fid, uint32(0)), nil))
		}
		if id, s := two.tryOpen(`d\file`, opening{wire.AccessAll, shareAll, wire.OpenIf, 0}); s == wire.StatusOK {
			check(two.ask(two.readMsg(id, 0, 100)))
			two.ask(two.closeMsg(id))
		}
		if id, s := two.tryOpen(`d\new`, opening{wire.AccessAll, shareAll, wire.Create, 0}); s == wire.StatusOK {
			p.ask1(p.unlinkMsg("/d/new", 0))
			two.ask(two.closeMsg(id))
		}
	}
	close(stop)
	<-over
	if links.Load() == 0 || read == 0 {
		t.Errorf("%d links were made, %d files read", links.Load(), read)
	}
	if after := treeOf(t, out); after != before {
		t.Errorf("outside there is now\n%s, there was\n%s", after, before)
	}
}
