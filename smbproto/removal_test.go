package smbproto

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

var anyOpen = opening{wire.AccessAll, shareAll, wire.OpenIf, 0}

// openOf finds an open on the server's side.
func (p *peer) openOf(id wire.FileID) *open {
	p.t.Helper()
	o := p.c.sessions[p.session].open(id)
	if o == nil {
		p.t.Fatal("no such open")
	}
	return o
}

// Step by step what release does, with a client that comes in between.
func TestNobodyIsAdmittedWhileAFileIsRemoved(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("file", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDeleteOnClose})
	o := p.openOf(id)
	p.srv.files.doom(o)
	shut, last := p.srv.files.leave(o)
	if shut != nil || last == nil {
		t.Fatal("not the last open")
	}
	o.closed = true
	if _, s := p.tryOpen("file", anyOpen); s != wire.StatusDeletePending {
		t.Errorf("before the removal: %v", s)
	}
	other := p.newFile("other")
	p.want(p.setMsg(other, wire.FileRenameInformation, renameInfo("file", true)), wire.StatusAccessDenied)
	if err := p.srv.files.remove(last, func(doomed, error) {}); err != nil {
		t.Fatal(err)
	}
	p.want(p.closeMsg(p.open("file", anyOpen)), wire.StatusOK) // another of the name
}

// A file is opened before its open is admitted.
func TestNobodyIsAdmittedToAFileThatWasRemoved(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for name, remove := range map[string]func(){
		"deleted": func() {
			p.want(p.closeMsg(p.open("file", opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDeleteOnClose})), wire.StatusOK)
		},
		"replaced": func() {
			id := p.newFile("new")
			p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("file", true)), wire.StatusOK)
			p.want(p.closeMsg(id), wire.StatusOK)
		},
	} {
		p.want(p.closeMsg(p.newFile("file")), wire.StatusOK)
		sess := p.c.sessions[p.session]
		tr := sess.tree(p.tree)
		f, _, err := tr.share.root.Open("file", vfs.How{Read: true, Write: true})
		if err != nil {
			t.Fatal(err)
		}
		remove()
		o := &open{session: sess.session, conn: p.c, tree: tr, access: wire.AccessAll, share: shareAll, file: f}
		if s := p.c.enter(o, &admission{}); s != wire.StatusDeletePending {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestNobodyIsAdmittedWhileAFileIsReplaced(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.closeMsg(p.newFile("file")), wire.StatusOK)
	target, err := p.c.sessions[p.session].tree(p.tree).share.root.Hold("file", false)
	if err != nil {
		t.Fatal(err)
	}
	if !p.srv.files.reserve(target.ID()) {
		t.Fatal("a file that nobody has open can't be reserved")
	}
	if _, s := p.tryOpen("file", anyOpen); s != wire.StatusDeletePending {
		t.Errorf("reserved: %v", s)
	}
	if p.srv.files.reserve(target.ID()) {
		t.Error("reserved twice")
	}
	p.srv.files.drop(target.ID())
	if err := target.Close(); err != nil {
		t.Error(err)
	}
	p.want(p.closeMsg(p.open("file", anyOpen)), wire.StatusOK)
}

// A file that is made while a rename is on its way is not replaced.
func TestARenameReplacesOnlyWhatItReserved(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.newFile("made meanwhile")
	if s := p.c.move(p.openOf(id), "made meanwhile", false); s != wire.StatusObjectNameCollision {
		t.Errorf("%v", s)
	}
}

// Whoever has been told that a file is open finds it by its name until he closes it,
// whatever another client deletes and replaces.
func TestAnOpenFileKeepsItsName(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	path := filepath.Join(dir, "file")
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 2000 {
			name, o := "file", opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose}
			if i%2 == 0 {
				name, o.options = "new", 0
			}
			id, s := a.tryOpen(name, o)
			if s != wire.StatusOK {
				continue
			}
			if name == "new" {
				a.ask(a.setMsg(id, wire.FileRenameInformation, renameInfo("file", true)))
			}
			a.ask(a.closeMsg(id))
		}
	})
	defer wg.Wait()
	opened := 0
	for {
		select {
		case <-done:
			if opened == 0 {
				t.Error("never opened: nothing was tested")
			}
			return
		default:
		}
		id, s := b.tryOpen("file", anyOpen)
		if s == wire.StatusDeletePending {
			continue
		}
		if s != wire.StatusOK {
			t.Errorf("open: %v", s)
			continue
		}
		opened++
		var st unix.Stat_t
		if err := unix.Stat(path, &st); errors.Is(err, os.ErrNotExist) || st.Ino != b.openOf(id).file.ID().Ino {
			t.Errorf("the file is lost: %v", err)
		}
		b.want(b.closeMsg(id), wire.StatusOK)
	}
}

// Nothing is made in a directory that is to be deleted: it could not be any more.
func TestADirectoryThatIsToBeDeletedIsNotFilled(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	all := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}
	d := p.open("d", all)
	p.want(p.setMsg(d, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	if _, s := p.tryOpen(`d\x`, opening{wire.AccessAll, shareAll, wire.OpenIf, 0}); s != wire.StatusDeletePending {
		t.Error(s)
	}
	p.want(p.closeMsg(d), wire.StatusOK)
	if _, err := os.Stat(filepath.Join(p.dir, "d")); err == nil {
		t.Error("the directory is still there")
	}
}

// MS-FSA 2.1.5.5: what was opened to be deleted when it is closed is, though it has become read-only.
func TestAFileThatBecomesReadOnlyIsDeletedAtItsClose(t *testing.T) {
	p := withStreams(t)
	p.put("base", "data")
	for name, options := range map[string]wire.CreateOptions{"file": 0, "dir": wire.OptionDirectory, "base:s": 0} {
		id := p.open(name, opening{wire.AccessAll, shareAll, wire.Create, options | wire.OptionDeleteOnClose})
		p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(wire.AttributeReadOnly)), wire.StatusOK)
		p.want(p.closeMsg(id), wire.StatusOK)
		if _, s := p.tryOpen(name, opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
			t.Errorf("%s after its close: %v", name, s)
		}
	}
}

// Who renames a file that is to be deleted would lose it by its new name.
func TestAFileThatIsToBeDeletedKeepsItsName(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for name, options := range map[string]wire.CreateOptions{"file": 0, "dir": wire.OptionDirectory} {
		o := opening{wire.AccessAll, shareAll, wire.Create, options}
		id := p.open(name, o)
		o.disposition = wire.Open
		other := p.open(name, o)
		p.want(p.setMsg(other, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
		for range 2 { // while it is open that asked for the deletion, and after it is closed
			p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("new", true)), wire.StatusAccessDenied)
			p.ask(p.closeMsg(other))
		}
		p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{0}), wire.StatusOK)
		p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("new-"+name, true)), wire.StatusOK)
		p.want(p.closeMsg(id), wire.StatusOK)
		p.want(p.closeMsg(p.open("new-"+name, o)), wire.StatusOK)
	}
	// What is opened to be deleted when it is closed is not yet: it can be renamed, and is deleted by its new name.
	id := p.open("last", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDeleteOnClose})
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("moved", false)), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	if _, s := p.tryOpen("moved", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
		t.Errorf("after its close: %v", s)
	}
}

// As a file: who renames a stream that is to be deleted would lose it by its new name.
func TestAStreamThatIsToBeDeletedKeepsItsName(t *testing.T) {
	p := withStreams(t)
	p.put("file", "x")
	p.put("file:s", "data")
	id, other := p.openAll("file:s"), p.openAll("file:s")
	p.dispose(other, 1)
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo(":t", false)), wire.StatusAccessDenied)
	p.dispose(other, 0)
	p.want(p.closeMsg(other), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo(":t", false)), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	if got := p.get("file:t"); got != "data" {
		t.Errorf("%q", got)
	}
}
