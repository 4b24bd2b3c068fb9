package smbproto

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// leasedByOthers has another program have a lease of a file, until it is closed.
func leasedByOthers(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("the file system of the temporary directory has no leases: ", err)
	}
	return f
}

// Who opens a file of which another program has a lease waits until it is given up, and keeps nobody waiting who opens others.
func TestALeaseOfAnotherProgramIsWaitedForAlone(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	q := connect(t, p.srv, p.dir).logOn("pub")
	p.sh("mkdir dir", "touch other")
	dir := q.openAll("dir")
	lease := leasedByOthers(t, filepath.Join(p.dir, "file"))
	async := p.pends(p.createMsg("file", anyOpen))
	if s := q.rename(dir, "renamed", false); s != wire.StatusOK {
		t.Error("a directory is renamed meanwhile:", s)
	}
	p.close(p.openAll("other"))
	p.still()
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		if r := p.later(); r != nil {
			if status(r) != wire.StatusOK || wire.Header(r).AsyncID() != async {
				t.Error(status(r))
			}
			break
		}
	}
}

// It can be cancelled, and goes with its connection.
func TestWhoWaitsForAnothersLeaseCanLeave(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	leasedByOthers(t, filepath.Join(p.dir, "file"))
	async := p.pends(p.createMsg("file", anyOpen))
	if err := p.feed(frame(p.cancelMsg(async))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(async, wire.StatusCancelled)
	p.pends(p.createMsg("file", anyOpen))
	p.hangUp()
}

// Who finds that a request waits no more finds it settled: the end of its channel would else lose it, as one that is being cancelled.
func TestAWaitForAnothersLeaseIsOverWhenItIsSettled(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	leasedByOthers(t, filepath.Join(p.dir, "file"))
	async := p.pends(p.createMsg("file", anyOpen))
	settled := &p.c.settled
	settled.mu.Lock()
	for len(settled.list) > 0 { // it is to be tried again first
		settled.mu.Unlock()
		p.still()
		settled.mu.Lock()
	}
	defer settled.mu.Unlock()
	req := p.c.pending[async]
	l := req.place.(*othersLease)
	for l.mu.TryLock() { // until somebody takes it, who can't settle it now
		waits := l.p == req
		l.mu.Unlock()
		if !waits {
			t.Fatal("it neither waits nor is settled")
		}
	}
}

// A CREATE that waits for it and can be replayed is left to another channel, which tries it again.
func TestACreateThatWaitsForAnothersLeaseOutlivesItsChannel(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	last := m.another().mustBind(m)
	lease := leasedByOthers(t, filepath.Join(m.dir, "file"))
	m.pends(m.sign(m.namedMsg("file", anyOpen, 1)))
	m.hangUp()
	last.still()
	if n := len(last.c.pending); n != 1 {
		t.Fatalf("%d requests wait", n)
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	for len(last.c.pending) > 0 {
		last.still()
	}
	last.want(last.sign(replays(last.namedMsg("file", anyOpen, 1))), wire.StatusOK)
}

// What was written to a stream is on disk when a FLUSH of it is answered, whoever has a lease of its file by then.
func TestAStreamOfWhatOthersHaveLeasedIsFlushed(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("file:stream", opening{rd | wr, shareAll, wire.Create, 0})
	p.want(p.writeMsg(id, 0, []byte("data")), wire.StatusOK)
	leasedByOthers(t, filepath.Join(p.dir, "file"))
	p.want(p.request(wire.CommandFlush, 24, func(m []byte) { id.Put(m[72:]) }), wire.StatusOK)
}
