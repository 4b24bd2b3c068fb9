package smbproto

import (
	"bytes"
	"testing"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// namedMsg is a CREATE that can be replayed.
func (p *peer) namedMsg(name string, o opening, guid byte) []byte {
	return withContexts(p.oplockMsg(name, o, wire.OplockBatch), durableV2(guid, 0))
}

// replays marks a request as sent before.
func replays(m []byte) []byte {
	wire.Header(m).PutFlags(wire.Header(m).Flags() | wire.FlagReplay)
	return m
}

func smb3Client(t *testing.T, srv *Server, dir string, guid byte) *peer {
	t.Helper()
	p := connect(t, srv, dir)
	p.guid, p.dialect = [16]byte{guid}, 0x0302
	return p.logOn("pub")
}

// TestACreateIsReplayed: the same open is answered, until it has been used.
func TestACreateIsReplayed(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	p, other := smb3Client(t, srv, dir, 1), smb3Client(t, srv, dir, 2)
	first := p.want(replays(p.namedMsg("file", anyOpen, 1)), wire.StatusOK) // it had not come
	id := wire.ReadFileID(first[128:])
	again := p.want(replays(p.namedMsg("file", anyOpen, 1)), wire.StatusOK)
	if !bytes.Equal(first[64:], again[64:]) || wire.CreateAction(le.Uint32(again[68:])) != wire.ActionCreated {
		t.Errorf("answered first\n% x, then\n% x", first[64:], again[64:])
	}
	if n := srv.Stats().Opens; n != 1 {
		t.Errorf("%d opens", n)
	}
	p.want(p.namedMsg("file", anyOpen, 1), wire.StatusDuplicateObjectID)
	lease := withContexts(p.oplockMsg("file", anyOpen, wire.OplockLease), durableV2(1, 0), leaseContext(1, leaseRH))
	p.want(replays(lease), wire.StatusAccessDenied)
	other.want(replays(other.namedMsg("theirs", anyOpen, 1)), wire.StatusOK) // another client's GUID is another

	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	async := p.pends(p.namedMsg("file", anyOpen, 1)) // the answer has come: it is a new one
	p.breaks(id, wire.OplockII)
	p.want(replays(p.namedMsg("file", anyOpen, 1)), wire.StatusFileNotAvailable)
	p.want(p.namedMsg("file", anyOpen, 1), wire.StatusDuplicateObjectID)
	p.want(p.ackMsg(id, wire.OplockII), wire.StatusOK)
	r := p.wantLater(async, wire.StatusOK)
	second := wire.ReadFileID(r[128:])
	if r := p.want(replays(p.namedMsg("file", anyOpen, 1)), wire.StatusOK); wire.ReadFileID(r[128:]) != second {
		t.Errorf("replayed as %v, want %v", wire.ReadFileID(r[128:]), second)
	}
	p.want(p.closeMsg(second), wire.StatusOK)
	p.want(p.namedMsg("nowhere\\file", anyOpen, 1), wire.StatusObjectPathNotFound)
	p.want(p.namedMsg("file", anyOpen, 1), wire.StatusOK) // neither is in its way
}

// A CREATE that is given up while it waits is none that has been made.
func TestACreateThatIsCancelledIsForgotten(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	p, holder := smb3Client(t, srv, dir, 1), smb3Client(t, srv, dir, 2)
	held := holder.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	async := p.pends(p.namedMsg("file", anyOpen, 1))
	if err := p.feed(frame(p.cancelMsg(async))); err != nil {
		t.Fatal(err)
	}
	p.wantLater(async, wire.StatusCancelled)
	p.pends(p.namedMsg("file", anyOpen, 1))
	p.hangUp()
	if n := len(srv.files.creates); n != 0 {
		t.Errorf("%d creates are remembered", n)
	}
	holder.want(holder.closeMsg(held), wire.StatusOK)
}

func instance(id byte) createContext {
	b := make([]byte, 20)
	b[0], b[4] = 20, id
	return createContext{wire.ContextAppInstanceID, b}
}

// TestAnApplicationMoves: what it has open at another client is closed there.
func TestAnApplicationMoves(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b := smb3Client(t, srv, dir, 1), smb3Client(t, srv, dir, 2)
	alone := opening{wire.AccessAll, 0, wire.OpenIf, 0}
	open := func(p *peer, name string, id, guid byte) []byte {
		return withContexts(p.oplockMsg(name, alone, wire.OplockBatch), durableV2(guid, 0), instance(id))
	}
	first := wire.ReadFileID(a.want(open(a, "file", 1, 1), wire.StatusOK)[128:])
	b.want(open(b, "other", 1, 3), wire.StatusOK) // another file is another's
	a.want(a.readMsg(first, 0, 1), wire.StatusEndOfFile)
	first = wire.ReadFileID(a.want(open(a, "third", 2, 1), wire.StatusOK)[128:])
	second := wire.ReadFileID(b.want(open(b, "third", 2, 2), wire.StatusOK)[128:])
	a.still() // it is not asked
	a.want(a.closeMsg(first), wire.StatusFileClosed)
	b = b.comesBack("pub")
	a.want(open(a, "third", 2, 4), wire.StatusOK)
	b.want(withContexts(b.createMsg("", anyOpen), reconnectV2(second, 2)), wire.StatusObjectNameNotFound)
}

// Step by step what a reconnect does, with another client's instance in between: as soon as the session has the open, and no sooner,
// that closes it.
func TestAnInstanceClosesNothingThatIsComingBack(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b := smb3Client(t, srv, dir, 1), smb3Client(t, srv, dir, 2)
	moves := func(p *peer, name string, guid byte) []byte {
		return withContexts(p.oplockMsg(name, anyOpen, wire.OplockBatch), durableV2(guid, 0), instance(1))
	}
	id := wire.ReadFileID(a.want(moves(a, "other", 3), wire.StatusOK)[128:])
	a = a.comesBack("pub")
	id = wire.ReadFileID(a.want(withContexts(a.createMsg("", anyOpen), reconnectV2(id, 3)), wire.StatusOK)[128:])
	b.want(moves(b, "other", 4), wire.StatusOK)
	a.want(a.closeMsg(id), wire.StatusFileClosed)

	id = wire.ReadFileID(a.want(moves(a, "file", 1), wire.StatusOK)[128:])
	a = a.comesBack("pub")
	sess := a.c.sessions[a.session].session
	msg := withContexts(a.createMsg("", anyOpen), reconnectV2(id, 1))
	r := &request{msg: msg, session: sess, tree: sess.tree(a.tree)}
	d, _ := a.c.readDurable(r, msg)
	o, s := srv.files.reclaim(r, a.c, "", &d)
	if s != wire.StatusOK {
		t.Fatal(s)
	}
	b.ask(moves(b, "file", 2))
	if o.closed {
		t.Error("it was closed")
	}
	a.c.abandon(o, wire.StatusOK)
}

// Who may not read a file closes nothing of it by naming the instance that has it open: neither what is in use nor what is kept.
func TestAnInstanceIsNotMovedByWhoMayNotReadItsFile(t *testing.T) {
	needXattrs(t)
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	alice, bob := smb3Client(t, srv, dir, 1).as("alice"), smb3Client(t, srv, dir, 2).as("bob")
	alice.make("file", 0)
	alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessAll, alice.sid("alice")) }))
	moves := func(p *peer, guid byte) []byte {
		return withContexts(p.oplockMsg("file", anyOpen, wire.OplockBatch), durableV2(guid, 0), instance(1))
	}
	id := wire.ReadFileID(alice.want(moves(alice, 1), wire.StatusOK)[128:])
	bob.want(moves(bob, 2), wire.StatusAccessDenied)
	alice.want(alice.writeMsg(id, 0, []byte("mine")), wire.StatusOK)
	alice.hangUp()
	bob.want(moves(bob, 3), wire.StatusAccessDenied)
	if n := bob.disconnected(); n != 1 {
		t.Errorf("%d opens are kept, want 1", n)
	}
}
