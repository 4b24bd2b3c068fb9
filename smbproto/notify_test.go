package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

func (p *peer) notifyMsg(id wire.FileID, room int, filter wire.NotifyFilter, tree bool) []byte {
	return p.request(wire.CommandChangeNotify, 32, func(m []byte) {
		if tree {
			le.PutUint16(m[66:], wire.WatchTree)
		}
		le.PutUint32(m[68:], uint32(room))
		id.Put(m[72:])
		le.PutUint32(m[88:], uint32(filter))
	})
}

// changes reads the FILE_NOTIFY_INFORMATIONs of an answer: "+name" is one that was added.
func changes(t testing.TB, r []byte) (list []string) {
	t.Helper()
	n := int(le.Uint32(r[68:]))
	if n == 0 {
		return nil
	}
	off := int(le.Uint16(r[66:]))
	if off+n != len(r) {
		t.Fatalf("output of %d at %d in an answer of %d", n, off, len(r))
	}
	for b := r[off:]; ; {
		name, err := wire.UTF16ToString(b[12 : 12+le.Uint32(b[8:])])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, " +-*<>"[le.Uint32(b[4:]):][:1]+name)
		next := le.Uint32(b)
		if next == 0 {
			return list
		}
		if next%4 != 0 {
			t.Fatalf("next entry at %d", next)
		}
		b = b[next:]
	}
}

// watch is a client that always has one CHANGE_NOTIFY waiting for a directory.
type watch struct {
	p      *peer
	id     wire.FileID
	filter wire.NotifyFilter
	tree   bool
	async  uint64
}

func (w *watch) ask() {
	w.p.t.Helper()
	w.async = w.p.pends(w.p.notifyMsg(w.id, 1000, w.filter, w.tree))
}

// sync returns when what has been changed has been told, also where a tree is being looked through.
func (s *Server) sync() {
	for !s.watching.Sync() {
		runtime.Gosched()
	}
}

// expect takes all that has happened, be it in one answer or in several.
func (w *watch) expect(want ...string) {
	w.p.t.Helper()
	w.p.srv.sync()
	var got []string
	for {
		r := w.p.later()
		if r == nil {
			break
		}
		if status(r) != wire.StatusOK || wire.Header(r).AsyncID() != w.async {
			w.p.t.Fatalf("%v of %d, want that of %d", status(r), wire.Header(r).AsyncID(), w.async)
		}
		got = append(got, changes(w.p.t, r)...)
		w.ask()
	}
	if !slices.Equal(got, want) {
		w.p.t.Fatalf("changes %q, want %q", got, want)
	}
}

// Of a file that was renamed a change of its attributes is told, when it is closed.
func TestRenamedFileIsToldAsModifiedWhenItIsClosed(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir dir", "mkdir dir/sub")
	top := &watch{p: p, id: p.open("", listing), filter: wire.NotifyAttributes, tree: true}
	dir := &watch{p: connect(t, p.srv, p.dir).logOn("pub"), filter: names | wire.NotifyCreation}
	dir.id = dir.p.open("dir", listing)
	id, sub := p.newFile(`dir\file`), p.openAll(`dir\sub`)
	top.ask()
	dir.ask()
	if s := p.rename(id, `dir\new`, false); s != wire.StatusOK {
		t.Fatal(s)
	}
	top.expect()
	dir.expect("<file", ">new")
	p.want(p.closeMsg(id), wire.StatusOK)
	top.expect(`*dir\new`)
	dir.expect("*new")
	if s := p.rename(sub, `dir\sub2`, false); s != wire.StatusOK {
		t.Fatal(s)
	}
	p.want(p.closeMsg(sub), wire.StatusOK)
	top.expect()
	dir.expect("<sub", ">sub2")
}

// That only the time of the last access was set is told too, by whatever open it was, but not of a file whose name another has by now.
func TestTheTimeOfTheLastAccessIsToldWhenItIsSet(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir dir", "mkdir dir/sub", "touch dir/file")
	top := &watch{p: p, id: p.open("", listing), filter: wire.NotifyLastAccess, tree: true}
	dir := &watch{p: connect(t, p.srv, p.dir).logOn("pub"), filter: names | wire.NotifyLastAccess}
	dir.id = dir.p.open("dir", listing)
	change := opening{wire.AccessWriteAttributes, shareAll, wire.Open, 0}
	file, sub, self := p.open(`dir\file`, change), p.openAll(`dir\sub`), p.open("dir", change)
	top.ask()
	dir.ask()
	accessed := func(id wire.FileID) {
		t.Helper()
		p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, 0, wire.FiletimeUnix(1e9, 0))), wire.StatusOK)
	}
	accessed(file)
	top.expect(`*dir\file`)
	dir.expect("*file")
	accessed(sub)
	top.expect(`*dir\sub`)
	dir.expect("*sub")
	accessed(self)
	top.expect("*dir")
	dir.expect()
	p.sh("mv dir/file dir/other", "touch dir/file")
	dir.expect("<file", ">other", "+file")
	accessed(file)
	top.expect()
	dir.expect()
}

var listing = opening{wire.AccessReadData, shareAll, wire.OpenIf, wire.OptionDirectory}

const names = wire.NotifyFileName | wire.NotifyDirName

func (p *peer) sh(script ...string) {
	p.t.Helper()
	for _, line := range script {
		f := strings.Fields(line)
		at := func(i int) string { return filepath.Join(p.dir, f[i]) }
		var err error
		switch f[0] {
		case "mkdir":
			err = os.Mkdir(at(1), 0o755)
		case "touch":
			err = os.WriteFile(at(1), nil, 0o644)
		case "write":
			err = os.WriteFile(at(1), []byte(line), 0o644)
		case "chmod":
			err = os.Chmod(at(1), 0o700)
		case "rm":
			err = os.RemoveAll(at(1))
		case "mv":
			err = os.Rename(at(1), at(2))
		default:
			err = errors.ErrUnsupported
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func TestChangesAreTold(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir d", "mkdir d/sub", "mkdir other")
	w := &watch{p: p, id: p.open("d", listing), filter: names | wire.NotifyAttributes}
	w.ask()
	p.still()
	p.sh("touch d/a")
	w.expect("+a")
	p.sh("mv d/a d/b", "touch d/sub/unseen", "mkdir d/c", "rm d/b")
	w.expect("<a", ">b", "+c", "-b")
	p.sh("write d/f0", "rm d/f0", "chmod d/sub")
	w.expect("+f0", "-f0", "*sub") // that it was written is not asked for
	// Moved away and in: the other end is not watched.
	p.sh("mv d/c other/c", "mv other/c d/e", "mv d/e other/e", "touch d/f")
	w.expect("-c", "+e", "-e", "+f")
	// A client's own changes are told, too.
	other := connect(t, p.srv, p.dir).logOn("pub")
	other.want(other.closeMsg(other.newFile(`d\theirs`)), wire.StatusOK)
	w.expect("+theirs")
	p.want(p.closeMsg(w.id), wire.StatusOK)
	p.wantLater(w.async, wire.StatusNotifyCleanup)
}

// Of what no client could name nobody is told, nor of what is below: to clients a file that gets such a name is removed.
func TestWhatNobodyCanNameIsNotTold(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir d", "touch d/a")
	tree := &watch{p: p, id: p.open("", listing), filter: names, tree: true}
	dir := &watch{p: connect(t, p.srv, p.dir).logOn("pub"), filter: names}
	dir.id = dir.p.open("d", listing)
	tree.ask()
	dir.ask()
	p.sh(`touch d/x\y`, "touch d/x:y", "touch d/\xff", `mkdir d\e`, `touch d\e/f`, `mv d/x\y d/x*y`, "rm d/x:y")
	tree.expect()
	dir.expect()
	p.sh("mv d/a d/a|b", "mv d/\xff d/b", `mv d\e e`, "touch e/g")
	tree.expect(`-d\a`, `+d\b`, "+e", `+e\g`)
	dir.expect("-a", "+b")
}

// What happens between two requests is kept for the next.
func TestChangesAreKept(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("d", listing)
	if err := p.feed(frame(p.cancelMsg(p.pends(p.notifyMsg(id, 1000, names, false))))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(1, wire.StatusCancelled)
	p.sh("touch d/a", "mv d/a d/b", "rm d/b")
	r := p.wantLater(p.pends(p.notifyMsg(id, 1000, names, false)), wire.StatusOK)
	if got, want := changes(t, r), []string{"+a", "<a", ">b", "-b"}; !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	p.pends(p.notifyMsg(id, 1000, names, false))
	p.still()
}

func TestChangesOfATreeAreTold(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir d", "mkdir d/x", "mkdir d/x/y", "mkdir out", "mkdir out/z", "touch out/z/old")
	w := &watch{p: p, id: p.open("d", listing), filter: names, tree: true}
	w.ask()
	p.sh("touch d/x/y/f")
	w.expect(`+x\y\f`)
	p.sh("mv d/x d/w", "touch d/w/y/g") // what is below a renamed directory has another path
	w.expect("<x", ">w", `+w\y\g`)
	p.sh("mv d/w/y d/w/v", "mv d/w/v d/u")
	w.expect(`<w\y`, `>w\v`, `-w\v`, "+u")                                 // between directories no name is another's
	p.sh("touch d/u/h", "mkdir d/new", "mkdir d/new/n", "touch d/new/n/o") // some of it before the new directory is watched
	w.expect(`+u\h`, "+new", `+new\n`, `+new\n\o`)
	p.sh("touch d/new/n/p", "mv out/z d/z") // what came with a directory is not told
	w.expect(`+new\n\p`, "+z")
	p.sh("touch d/z/q", "mv d/z out/z", "touch out/z/r", "touch d/s") // what left with it neither
	w.expect(`+z\q`, "-z", "+s")
	p.sh("rm d/new/n/p", "rm d/new/n", "rm d/new")
	w.expect(`-new\n\p`, `-new\n\o`, `-new\n`, "-new")
	if n := p.srv.watching.Dirs(); n != 3 { // d, w, u
		t.Errorf("%d directories are watched, want 3", n)
	}
	p.want(p.closeMsg(w.id), wire.StatusOK)
	if n := p.srv.watching.Dirs(); n != 0 {
		t.Errorf("%d directories are watched still", n)
	}
}

func TestMoreChangesThanFit(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("d", listing)
	if err := p.feed(frame(p.cancelMsg(p.pends(p.notifyMsg(id, 100, names, false))))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(1, wire.StatusCancelled)
	for i := range 20 {
		p.sh(fmt.Sprint("touch d/", i))
	}
	p.wantLater(p.pends(p.notifyMsg(id, 1000, names, false)), wire.StatusNotifyEnumDir) // the first said 100
	p.sh("touch d/a")
	p.wantLater(p.pends(p.notifyMsg(id, 100, names, false)), wire.StatusOK)
	p.sh("touch d/c")
	p.wantLater(p.pends(p.notifyMsg(id, 10, names, false)), wire.StatusNotifyEnumDir) // kept, but more than this request takes
	async := p.pends(p.notifyMsg(id, 0, names, false))
	p.sh("rm d/a")
	p.srv.sync()
	p.wantLater(async, wire.StatusNotifyEnumDir)
	p.want(p.notifyMsg(id, p.c.maxTransact+1, names, false), wire.StatusInvalidParameter)
}

func TestWhatEndsAWatch(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("d", listing)
	first := p.pends(p.notifyMsg(id, 1000, names, false))
	w := &watch{p: p, id: id, filter: names | wire.NotifyAttributes, tree: true} // but the first says what is watched
	w.ask()
	if err := p.feed(frame(p.cancelMsg(first))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(first, wire.StatusCancelled)
	p.sh("mkdir d/x", "touch d/x/unseen", "chmod d/x", "rm d/x")
	w.expect("+x", "-x")
	if err := p.feed(frame(p.cancelMsg(w.async))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(w.async, wire.StatusCancelled)
	// The directory is deleted: at once for who watches it, though it is still open.
	async := p.pends(p.notifyMsg(id, 1000, names, false))
	gone := p.open("d", opening{wire.AccessDelete, shareAll, wire.Open, wire.OptionDirectory})
	p.want(p.setMsg(gone, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.wantLater(async, wire.StatusDeletePending)
	p.want(p.notifyMsg(id, 1000, names, false), wire.StatusDeletePending)
	p.want(p.closeMsg(gone), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)

	id = p.open("e", listing)
	async = p.pends(p.notifyMsg(id, 1000, names, false))
	p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
	p.wantLater(async, wire.StatusNotifyCleanup)
}

func TestWhoMayWatch(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.notifyMsg(p.newFile("file"), 1000, names, false), wire.StatusInvalidParameter)
	blind := p.open("d", opening{wire.AccessReadAttributes, shareAll, wire.OpenIf, wire.OptionDirectory})
	p.want(p.notifyMsg(blind, 1000, names, false), wire.StatusAccessDenied)
	p.want(p.notifyMsg(wire.FileID{Persistent: 99, Volatile: 99}, 1000, names, false), wire.StatusFileClosed)
}
