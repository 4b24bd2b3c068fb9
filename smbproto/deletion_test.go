package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

var noMore = opening{rd, shareAll, wire.Open, 0}

// wantOpens opens a name, and closes it again.
func (p *peer) wantOpens(name string, want wire.Status) {
	p.t.Helper()
	id, s := p.tryOpen(name, noMore)
	if s != want {
		p.t.Errorf("%s: %v, want %v", name, s, want)
	}
	if s == wire.StatusOK {
		p.want(p.closeMsg(id), wire.StatusOK)
	}
}

func (p *peer) wantPending(id wire.FileID, want bool) {
	p.t.Helper()
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
	if got := r[72+20] != 0; got != want {
		p.t.Errorf("%s: deletion pending: %v", p.openOf(id).name(), got)
	}
}

func (p *peer) wantDisposed(id wire.FileID, on byte) {
	p.t.Helper()
	if s := p.dispose(id, on); s != wire.StatusOK {
		p.t.Errorf("%s: %v", p.openOf(id).name(), s)
	}
}

func (p *peer) close(ids ...wire.FileID) {
	p.t.Helper()
	for _, id := range ids {
		p.want(p.closeMsg(id), wire.StatusOK)
	}
}

// A name that is to be deleted is refused, and goes with its last open; by the file's other names it is opened meanwhile,
// renamed and deleted.
func TestADeletionIsOfOneName(t *testing.T) {
	p := linked(t)
	first, second, other := p.openAll("a"), p.openAll("a"), p.openAll("b")
	p.wantDisposed(first, 1)
	for i := range 2 { // the one who asked for it has it open, and has closed it
		p.wantOpens("a", wire.StatusDeletePending)
		p.wantOpens("A", wire.StatusDeletePending)
		p.wantOpens("b", wire.StatusOK)
		p.wantPending(second, true)
		p.wantPending(other, false)
		if s := p.rename(second, "c", false); s != wire.StatusAccessDenied {
			t.Errorf("%d: its rename: %v", i, s)
		}
		p.want(p.setMsg(second, wire.FileLinkInformation, renameInfo("c", false)), wire.StatusAccessDenied)
		if i == 0 {
			p.close(first)
		}
	}
	if s := p.rename(other, "c", false); s != wire.StatusOK {
		t.Errorf("the other's rename: %v", s)
	}
	p.want(p.writeMsg(other, 0, []byte("content")), wire.StatusOK)
	p.wantOpens("c", wire.StatusOK)
	p.wantOpens("a", wire.StatusDeletePending)
	p.close(second)
	p.wantOpens("a", wire.StatusObjectNameNotFound)
	p.close(p.newFile("a")) // another
	if got := p.content("c"); got != "content" {
		t.Errorf("by the other name: %q", got)
	}
	p.wantDisposed(other, 1)
	p.close(other)
	p.wantOpens("c", wire.StatusObjectNameNotFound)
	p.wantOpens("a", wire.StatusOK)
}

func TestBothNamesOfAFileAreDeleted(t *testing.T) {
	p := linked(t)
	a, other, b := p.openAll("a"), p.openAll("a"), p.openAll("b")
	p.wantDisposed(a, 1)
	p.wantDisposed(b, 1)
	p.wantOpens("a", wire.StatusDeletePending)
	p.wantOpens("b", wire.StatusDeletePending)
	p.wantDisposed(other, 0) // who has the name takes it back for all
	p.wantOpens("a", wire.StatusOK)
	p.wantOpens("b", wire.StatusDeletePending)
	p.wantPending(a, false)
	p.wantDisposed(other, 1)
	p.close(other, a)
	p.wantOpens("a", wire.StatusObjectNameNotFound)
	p.wantPending(b, true)
	p.close(b)
	p.wantOpens("b", wire.StatusObjectNameNotFound)
	if n := len(p.srv.files.files); n != 0 {
		t.Errorf("%d files are still known", n)
	}
}

// Who has a stream of a file open has the file's name, which stays until that is closed, too.
func TestADeletedNameStaysWhileAStreamHasIt(t *testing.T) {
	p := withStreams(t)
	p.put("a", "x")
	p.put("a:s", "data")
	if err := os.Link(filepath.Join(p.dir, "a"), filepath.Join(p.dir, "b")); err != nil {
		t.Fatal(err)
	}
	id, named, other, file := p.openAll("a"), p.openAll("a:s"), p.openAll("b:s"), p.openAll("b")
	p.wantDisposed(id, 1)
	p.close(id)
	p.wantOpens("a", wire.StatusDeletePending)
	p.wantOpens("a:s", wire.StatusDeletePending)
	p.wantOpens("b:s", wire.StatusOK)
	p.wantPending(named, true)
	p.wantPending(other, false)
	p.close(named)
	p.wantOpens("a", wire.StatusObjectNameNotFound)
	// A stream has no more names than one, by whatever name its file was opened.
	p.wantDisposed(other, 1)
	p.wantOpens("b:s", wire.StatusDeletePending)
	p.wantOpens("b", wire.StatusOK)
	p.close(other, file)
	p.wantOpens("b:s", wire.StatusObjectNameNotFound)
	if n := len(p.srv.files.files); n != 0 {
		t.Errorf("%d files are still known", n)
	}
}

// An open that is kept for its client to come back is closed for who asks for its name, not for another.
func TestAnOpenThatIsKeptOutlastsAnothersName(t *testing.T) {
	for name, kept := range map[string]int{"b": 1, "link": 0} { // link leads to a
		p := linked(t)
		q := connect(t, p.srv, p.dir)
		q.guid = [16]byte{2}
		q.logOn("pub")
		doomed := p.openAll("a")
		q.want(withContexts(q.oplockMsg(name, opening{rd, shareAll, wire.Open, 0}, wire.OplockLease), leaseContext(1, leaseRH), durableV1()), wire.StatusOK)
		p.openOf(doomed).doomed = true // and nobody has been asked to close what he keeps
		q.hangUp()
		if n := p.disconnected(); n != 1 {
			t.Fatalf("%d opens are kept", n)
		}
		p.wantOpens("a", wire.StatusDeletePending)
		if n := p.disconnected(); n != kept {
			t.Errorf("%s: %d opens are kept, want %d", name, n, kept)
		}
		p.close(doomed)
	}
}

// What can't be proven to be another name of the file is taken for the one that is to be deleted.
func TestADeletedNameStaysForWhomeverMayHaveIt(t *testing.T) {
	for name, c := range map[string]struct {
		held, again, doomed string
		inner               bool // held is of a share that lies in the other
		before              bool // held is opened while the file has one name
		moves               bool // its directory is renamed by another program
		others              wire.Status
	}{
		"another case":         {held: `D\X`, again: `D\x`, doomed: `d\x`},
		"a linked directory":   {held: `s\x`, again: `s\x`, doomed: `d\x`},
		"the other way":        {held: `d\x`, again: `d\x`, doomed: `s\x`},
		"a link to the file":   {held: "link", again: "link", doomed: `d\x`},
		"a share in the other": {held: "x", again: "x", doomed: `d\x`, inner: true},
		"a renamed directory":  {held: `d\x`, again: `e\x`, doomed: `e\x`, moves: true},
		"one name when opened": {held: "y", again: `d\x`, doomed: `d\x`, before: true},
		"letters alike":        {held: `d\x`, again: `d\é`, doomed: `d\é`, others: wire.StatusDeletePending},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			must := func(errs ...error) {
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
			}
			must(os.Mkdir(in("d"), 0o755), os.WriteFile(in("y"), []byte("content"), 0o644), os.Symlink("d", in("s")), os.Symlink("d/x", in("link")))
			srv := newServerIn(t, dir, func(c *Config) { c.Shares = append(c.Shares, Share{Name: "inner", Path: in("d")}) })
			p := connect(t, srv, dir).logOn("pub")
			q := p
			if c.inner {
				q = connect(t, srv, dir).logOn("inner")
			}
			var held wire.FileID
			if c.before {
				held = q.open(c.held, noMore)
			}
			must(os.Link(in("y"), in("d/x")), os.Link(in("y"), in("d/é")))
			if !c.before {
				held = q.open(c.held, noMore)
			}
			if c.moves {
				must(os.Rename(in("d"), in("e")))
			}
			id := p.openAll(c.doomed)
			p.wantDisposed(id, 1)
			q.wantOpens(c.again, wire.StatusDeletePending)
			p.wantOpens("y", wire.StatusOK) // in another directory
			p.close(id)
			p.wantOpens(c.doomed, wire.StatusDeletePending)
			p.wantOpens("y", wire.StatusOK)
			q.close(held)
			p.wantOpens(c.doomed, wire.StatusObjectNameNotFound)
			p.wantOpens("y", wire.StatusOK)
		})
	}
}

// A directory is not renamed under a name that is to be deleted, nor deleted while that is there.
func TestADirectoryStaysWhileANameInItIsToBeDeleted(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.put("y", "content")
	held := p.open("y", noMore) // for all that is known, by the name to come
	if err := errors.Join(os.Mkdir(filepath.Join(p.dir, "d"), 0o755), os.Link(filepath.Join(p.dir, "y"), filepath.Join(p.dir, "d", "x"))); err != nil {
		t.Fatal(err)
	}
	d, id := p.openAll("d"), p.openAll(`d\x`)
	p.wantDisposed(id, 1)
	if s := p.dispose(d, 1); s != wire.StatusDirectoryNotEmpty {
		t.Error("while it is open: ", s)
	}
	p.close(id)
	if s := p.dispose(d, 1); s != wire.StatusDirectoryNotEmpty {
		t.Error("while it is to be deleted: ", s)
	}
	if s := p.rename(d, "e", false); s != wire.StatusAccessDenied {
		t.Error("while it is to be deleted: ", s)
	}
	o := p.openOf(held)
	shut, last := p.srv.files.leave(o)
	o.closed = true
	if last == nil {
		t.Fatal("not the last open")
	}
	if s := p.rename(d, "e", false); s != wire.StatusAccessDenied {
		t.Error("while it is being deleted: ", s)
	}
	if err := errors.Join(p.srv.files.remove(last, func(doomed, error) {}), shut.Close(), o.held.drop()); err != nil {
		t.Fatal(err)
	}
	if s := p.rename(d, "e", false); s != wire.StatusOK {
		t.Error(s)
	}
	p.wantDisposed(d, 1)
}

func TestSMB1DeletesOneName(t *testing.T) {
	one := newPeer1(t, nil).logOn1("pub")
	p := connect(t, one.srv, one.dir).logOn("pub")
	p.put("a", "x")
	if err := os.Link(filepath.Join(p.dir, "a"), filepath.Join(p.dir, "b")); err != nil {
		t.Fatal(err)
	}
	path := func(name string) []byte { return append(append([]byte{4}, utf16le(name)...), 0, 0) }
	stat := opening{wire.AccessReadAttributes, shareAll, wire.Open, 0} // DELETE shares nothing
	a, b := p.open("a", stat), p.open("b", stat)
	one.want1(one.msg(wire.SMB1Delete, words(uint16(0x16)), path(`\a`)), wire.StatusOK)
	one.want1(one.createMsg1(`\a`, all1, 0), wire.StatusDeletePending)
	one.want1(one.msg(wire.SMB1Close, words(one.open1(`\b`, all1), uint32(0)), nil), wire.StatusOK)
	p.wantPending(a, true)
	p.wantPending(b, false)
	p.close(a)
	p.wantOpens("a", wire.StatusObjectNameNotFound)
	one.want1(one.msg(wire.SMB1Delete, words(uint16(0x16)), path(`\b`)), wire.StatusOK)
	p.wantOpens("b", wire.StatusDeletePending)
	p.close(b)
	p.wantOpens("b", wire.StatusObjectNameNotFound)
}

// What POSIX has taken away at once is not there to be deleted at a close: a link that gets the name later stays.
func TestANameThatPOSIXTookAwayIsNotDeletedAgain(t *testing.T) {
	p := linked(t)
	doomed, posix, other := p.openAll("a"), p.openAll("a"), p.openAll("b")
	p.wantDisposed(doomed, 1)
	if s := p.c.unlinkNow(p.openOf(posix)); s != wire.StatusOK { // it was opened before
		t.Fatal(s)
	}
	p.want(p.setMsg(other, wire.FileLinkInformation, renameInfo("a", false)), wire.StatusOK)
	p.close(doomed, posix, other)
	p.wantOpens("a", wire.StatusOK)
}

// Nor is it by who would have deleted or renamed it when POSIX took it away.
func TestANameThatPOSIXTookAwayIsNobodysAnyMore(t *testing.T) {
	p := linked(t)
	onClose := p.open("a", opening{rd | del, shareAll, wire.Open, wire.OptionDeleteOnClose})
	held, posix, other := p.openAll("a"), p.openAll("a"), p.openAll("b")
	if s := p.c.unlinkNow(p.openOf(posix)); s != wire.StatusOK {
		t.Fatal(s)
	}
	if s := p.rename(other, "a", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	if s := p.rename(held, "c", false); s == wire.StatusOK {
		t.Error("another's name was renamed")
	}
	if s := p.dispose(held, 1); s == wire.StatusOK {
		t.Error("another's name is to be deleted")
	}
	if s := p.rename(other, "d", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	p.close(onClose, held, posix, other)
	if got := p.content("d"); got != "x" { // the file's only name
		t.Errorf("%q", got)
	}
}

// A name that is to be deleted, and that another program takes away meanwhile, is not given to the file again: the close would
// delete what another client has just renamed or linked, if need be the last name of the file.
func TestANameThatIsToBeDeletedIsNotGivenAgain(t *testing.T) {
	for _, class := range []wire.FileInfoClass{wire.FileRenameInformation, wire.FileLinkInformation} {
		for _, asked := range []string{"open", "closed"} {
			p := linked(t)
			doomed, held, other := p.openAll("a"), p.openAll("a"), p.openAll("b")
			p.wantDisposed(doomed, 1)
			if asked == "closed" {
				p.close(doomed)
			}
			if err := os.Remove(filepath.Join(p.dir, "a")); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a", "A"} {
				if s := status(p.ask(p.setMsg(other, class, renameInfo(name, false)))); s != wire.StatusAccessDenied {
					t.Errorf("%v, %s, %q: %v", class, asked, name, s)
				}
			}
			p.want(p.setMsg(other, class, renameInfo("c", false)), wire.StatusOK)
			if asked == "open" {
				p.close(doomed)
			}
			p.close(held)
			p.want(p.setMsg(other, class, renameInfo("a", false)), wire.StatusOK)
			p.close(other)
			if got := p.content("a"); got != "x" {
				t.Errorf("%q", got)
			}
			if n := len(p.srv.files.files); n != 0 {
				t.Errorf("%d files are still known", n)
			}
		}
	}
}

// Names of which a file that is open may be any wait for its close, and each keeps a file open: a client's are bounded.
func TestNamesThatWaitToBeDeletedAreBounded(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	held := p.newFile("first")
	before := p.srv.budget.Open()
	names := 0
	for ; names <= maxDoomed; names++ {
		name := fmt.Sprintf("name %d", names)
		if err := os.Link(filepath.Join(p.dir, "first"), filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
		id, s := p.tryOpen(name, opening{rd | del, shareAll, wire.Open, wire.OptionDeleteOnClose})
		if s == wire.StatusDeletePending {
			break
		}
		p.close(id)
	}
	if n := p.srv.budget.Open() - before; names != maxDoomed || n != maxDoomed {
		t.Errorf("%d names wait, by %d files, want %d", names, n, maxDoomed)
	}
	p.close(held)
	if list, err := os.ReadDir(p.dir); err != nil || len(list) != 2 {
		t.Errorf("%v are left, %v", list, err)
	}
	p.wantOpens(fmt.Sprintf("name %d", names), wire.StatusOK)
}

// Nothing is made for what has no name to be deleted.
func TestAnOpenThatDeletesNothingEndsWithoutAllocation(t *testing.T) {
	p := linked(t)
	st := p.openOf(p.openAll("a")).state
	if n := testing.AllocsPerRun(50, func() { st.due() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Step by step what a rename does, with clients that come in between: what a name was is proven to nobody.
func TestANameThatMovesIsNotProvenToBeAnother(t *testing.T) {
	p := linked(t)
	doomed, other := p.openAll("a"), p.openAll("b")
	p.want(p.setMsg(other, wire.FileLinkInformation, renameInfo("c", false)), wire.StatusOK)
	third := p.openAll("c")
	p.wantDisposed(doomed, 1)
	p.srv.files.moving(p.openOf(other))
	p.wantOpens("b", wire.StatusDeletePending)
	p.wantDisposed(third, 1)
	p.close(third)
	p.wantOpens("c", wire.StatusDeletePending) // it would have gone, were it proven that nobody has it
	p.c.removeDue(p.openOf(other), p.srv.files.stayed(p.openOf(other)))
	p.wantOpens("c", wire.StatusObjectNameNotFound)
	p.wantOpens("b", wire.StatusOK)

	sess := p.c.sessions[p.session]
	tr := sess.tree(p.tree)
	late := func() *open { // has looked the name up, and is not admitted yet
		f, _, err := tr.share.root.Open("b", vfs.How{Read: true})
		if err != nil {
			t.Fatal(err)
		}
		return &open{session: sess.session, conn: p.c, tree: tr, access: rd, share: shareAll, file: f}
	}
	o, since := late(), p.srv.files.renames.Load()
	another := p.openAll("other")
	if s := p.rename(another, "whatever", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	if s := p.c.enter(o, &admission{since: since}); s != wire.StatusOK {
		t.Fatal("while another file was renamed: ", s)
	}
	if s := p.c.abandon(o, wire.StatusOK); s != wire.StatusOK {
		t.Error(s)
	}
	o, since = late(), p.srv.files.renames.Load()
	for range recentRenames + 1 {
		if s := p.rename(another, "other", false); s != wire.StatusOK {
			t.Fatal(s)
		}
	}
	if s := p.c.enter(o, &admission{since: since}); s != wire.StatusDeletePending {
		t.Error("after more renames than are remembered: ", s)
	}
	o, since = late(), p.srv.files.renames.Load()
	if s := p.rename(other, "c", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	if s := p.c.enter(o, &admission{since: since}); s != wire.StatusDeletePending {
		t.Error("by the name before the rename: ", s)
	}
	p.wantOpens("c", wire.StatusOK)
	if s := p.rename(other, "b", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	o, since = late(), p.srv.files.renames.Load()
	p.wantDisposed(other, 1)
	p.close(other)
	if s := p.c.enter(o, &admission{since: since}); s != wire.StatusDeletePending {
		t.Error("by a name that is gone: ", s)
	}
	p.close(doomed)
	p.wantOpens("a", wire.StatusObjectNameNotFound)
}

// Whoever has been told that a name is open finds it until he closes it, and whoever opens another one loses nothing, whatever
// other clients delete, spare, link and rename.
func TestAnOpenNameStaysWhileOthersAreDeleted(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(in("keep"), []byte("content"), 0o644), os.Link(in("keep"), in("more"))); err != nil {
		t.Fatal(err)
	}
	srv := newServerIn(t, dir, nil)
	client := func() *peer { return connect(t, srv, dir).logOn("pub") }
	deleter, renamer, holder, keeper := client(), client(), client(), client()
	done := make(chan struct{})
	var wg, busy sync.WaitGroup
	forever := func(do func()) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					do()
				}
			}
		})
	}
	// Where a rename came in between, the name is not proven to be another's, and waits for this one.
	keep := deleter.openAll("keep")
	var opened atomic.Int64
	busy.Go(func() {
		for i := 0; i < 1000 || opened.Load() == 0; i++ { // whoever shares one processor may come late
			deleter.ask(deleter.setMsg(keep, wire.FileLinkInformation, renameInfo("name", false)))
			id, s := deleter.tryOpen("name", opening{rd | wire.AccessDelete, shareAll, wire.Open, 0})
			if s == wire.StatusDeletePending {
				deleter.close(keep)
				for s != wire.StatusOK {
					keep, s = deleter.tryOpen("keep", anyOpen)
				}
				continue
			}
			if s != wire.StatusOK {
				continue
			}
			deleter.dispose(id, 1)
			if i%3 == 0 {
				deleter.dispose(id, 0)
			}
			deleter.close(id)
		}
	})
	busy.Go(func() {
		for range 1000 {
			id, s := renamer.tryOpen("more", anyOpen)
			if s != wire.StatusOK {
				continue
			}
			renamer.rename(id, "less", false)
			renamer.rename(id, "more", false)
			renamer.close(id)
		}
	})
	forever(func() {
		id, s := holder.tryOpen("name", noMore)
		if s != wire.StatusOK {
			return
		}
		opened.Add(1)
		var st unix.Stat_t
		if err := unix.Stat(in("name"), &st); err != nil || st.Ino != holder.openOf(id).file.ID().Ino {
			t.Errorf("the name is lost: %v", err)
		}
		holder.close(id)
	})
	forever(func() {
		switch id, s := keeper.tryOpen("keep", noMore); s {
		case wire.StatusOK:
			keeper.close(id)
		case wire.StatusDeletePending: // a rename came in between
		default:
			t.Errorf("another name: %v", s)
		}
	})
	busy.Wait()
	close(done)
	wg.Wait()
	deleter.close(keep)
	keeper.hangUp()
	deleter.hangUp()
	if got := holder.content("keep"); got != "content" {
		t.Errorf("%q", got)
	}
}

// Who closes a file last is told if it could not be deleted; that another has done it already is as good.
func TestACloseSaysWhatCouldNotBeDeleted(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	at := func(name string) string { return filepath.Join(p.dir, name) }
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.wantDisposed(dir, 1)
	if err := os.WriteFile(at(`dir/new`), nil, 0o644); err != nil { // by a program on the server
		t.Fatal(err)
	}
	p.want(p.closeMsg(dir), wire.StatusDirectoryNotEmpty)
	p.want(p.closeMsg(dir), wire.StatusFileClosed)
	p.wantOpens("dir", wire.StatusOK)
	disposed, onClose := p.newFile("disposed"), p.open("on close", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDeleteOnClose})
	p.wantDisposed(disposed, 1)
	for _, name := range []string{"disposed", "on close"} {
		if err := os.Remove(at(name)); err != nil {
			t.Fatal(err)
		}
	}
	p.close(disposed, onClose)
}
