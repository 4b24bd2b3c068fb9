package smbproto

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// createContext is one of a CREATE, or of its answer.
type createContext struct {
	name string
	data []byte
}

// withContexts appends create contexts to a CREATE that has none.
func withContexts(m []byte, list ...createContext) []byte {
	m = append(m, make([]byte, wire.Align8(len(m))-len(m))...)
	le.PutUint32(m[112:], uint32(len(m)))
	var all []byte
	for i, x := range list {
		b := make([]byte, wire.Align8(24+len(x.name)+len(x.data)))
		data := wire.Align8(16 + len(x.name))
		le.PutUint16(b[4:], 16)
		le.PutUint16(b[6:], uint16(len(x.name)))
		le.PutUint16(b[10:], uint16(data))
		le.PutUint32(b[12:], uint32(len(x.data)))
		copy(b[16:], x.name)
		b = append(b[:data:data], x.data...)
		b = append(b, make([]byte, wire.Align8(len(b))-len(b))...)
		if i < len(list)-1 {
			le.PutUint32(b, uint32(len(b)))
		}
		all = append(all, b...)
	}
	le.PutUint32(m[116:], uint32(len(all)))
	return append(m, all...)
}

func leaseContext(key byte, state wire.LeaseState) createContext {
	b := make(wire.LeaseContext, wire.LeaseContextSize)
	b.Put(wire.LeaseKey{key}, state, 0)
	return createContext{wire.ContextLease, b}
}

func durableV1() createContext {
	return createContext{wire.ContextDurableRequest, make([]byte, wire.DurableRequestSize)}
}

func durableV2(guid byte, timeout time.Duration) createContext {
	b := make([]byte, 32)
	le.PutUint32(b, uint32(timeout.Milliseconds()))
	b[16] = guid
	return createContext{wire.ContextDurableRequestV2, b}
}

func reconnectV1(id wire.FileID) createContext {
	b := make([]byte, 16)
	id.Put(b)
	return createContext{wire.ContextDurableReconnect, b}
}

func reconnectV2(id wire.FileID, guid byte) createContext {
	b := make([]byte, 36)
	id.Put(b)
	b[16] = guid
	return createContext{wire.ContextDurableReconnectV2, b}
}

// context finds a create context of an answer; nil if there is none.
func (p *peer) context(r []byte, name string) []byte {
	p.t.Helper()
	off, n := int(le.Uint32(r[144:])), int(le.Uint32(r[148:]))
	for rest := r[off : off+n]; len(rest) > 0; {
		if string(rest[16:20]) == name {
			at, size := int(le.Uint16(rest[10:])), int(le.Uint32(rest[12:]))
			return append([]byte{}, rest[at:at+size]...)
		}
		next := le.Uint32(rest)
		if next == 0 {
			break
		}
		rest = rest[next:]
	}
	return nil
}

// openDurable opens a file with a batch oplock and a durable handle of version 1.
func (p *peer) openDurable(name string, o opening) wire.FileID {
	p.t.Helper()
	r := p.want(withContexts(p.oplockMsg(name, o, wire.OplockBatch), durableV1()), wire.StatusOK)
	if b := p.context(r, wire.ContextDurableRequest); len(b) != wire.DurableResponseSize {
		p.t.Fatalf("not durable: level %#x, % x", r[66], b)
	}
	return wire.ReadFileID(r[128:])
}

// comesBack is another connection of the client, after its first has been lost.
func (p *peer) comesBack(share string) *peer {
	p.t.Helper()
	p.hangUp()
	next := connect(p.t, p.srv, p.dir)
	next.guid, next.dialect = p.guid, p.dialect
	return next.logOn(share)
}

func (p *peer) disconnected() int { return int(p.srv.Stats().Disconnected) }

// TestADurableOpenIsThereAgain: with what was written, its lock, its oplock, its place; and only for who asks rightly.
func TestADurableOpenIsThereAgain(t *testing.T) {
	a, b := twoClients(t)
	id := a.openDurable("file", anyOpen)
	a.want(a.writeMsg(id, 0, []byte("written before")), wire.StatusOK)
	a.want(a.lockMsg(id, 3, 1, exclusive), wire.StatusOK)
	a.want(a.setMsg(id, wire.FilePositionInformation, []byte{7, 0, 0, 0, 0, 0, 0, 0}), wire.StatusOK)
	dead := a.c
	again := a.comesBack("pub")
	if n := a.disconnected(); n != 1 {
		t.Fatalf("%d opens are kept", n)
	}
	if dead.locks != 0 {
		t.Errorf("the connection that is gone still has %d locks", dead.locks)
	}
	for name, x := range map[string]createContext{
		"another id":   reconnectV1(wire.FileID{Persistent: id.Persistent + 1, Volatile: id.Volatile}),
		"of version 2": reconnectV2(id, 9), // ignored in dialect 2.1, in which the file can't be opened anew
	} {
		o := opening{wire.AccessAll, shareAll, wire.Open, 0}
		if s := status(again.ask(withContexts(again.createMsg("none", o), x))); s != wire.StatusObjectNameNotFound {
			t.Errorf("%s: %v", name, s)
		}
	}
	again.want(withContexts(again.createMsg("file", anyOpen), reconnectV1(id), leaseContext(1, leaseRH)), wire.StatusObjectNameNotFound)
	again.want(withContexts(again.createMsg("file", anyOpen), createContext{wire.ContextDurableReconnect, make([]byte, 15)}), wire.StatusInvalidParameter)

	m := withContexts(again.createMsg("whatever", opening{}), reconnectV1(id), createContext{name: wire.ContextMaximalAccess}, createContext{name: wire.ContextQueryOnDiskID})
	le.PutUint32(m[68:], 0x12345678) // nothing else is looked at
	r := again.want(m, wire.StatusOK)
	got := wire.ReadFileID(r[128:])
	if got.Persistent != id.Persistent || got.Volatile == id.Volatile || wire.OplockLevel(r[66]) != wire.OplockBatch || le.Uint64(r[112:]) != 14 {
		t.Fatalf("reconnected as %v of %v, oplock %#x, %d bytes", got, id, r[66], le.Uint64(r[112:]))
	}
	if again.context(r, wire.ContextDurableRequest) != nil || len(again.context(r, wire.ContextMaximalAccess)) != 8 || len(again.context(r, wire.ContextQueryOnDiskID)) != 32 {
		t.Errorf("contexts % x", r[152:])
	}
	again.want(again.readMsg(id, 0, 4), wire.StatusFileClosed) // the name of before
	if r := again.want(again.queryMsg(got, wire.InfoFile, uint8(wire.FilePositionInformation), 8), wire.StatusOK); le.Uint64(r[72:]) != 7 {
		t.Errorf("position %d, want 7", le.Uint64(r[72:]))
	}
	if r := again.want(again.readMsg(got, 0, 14), wire.StatusOK); !bytes.HasSuffix(r, []byte("written before")) {
		t.Errorf("read %q", r)
	}
	again.want(again.createMsg("file", anyOpen), wire.StatusPending) // it waits for the oplock of one's own, too
	again.breaks(got, wire.OplockII)
	again.want(again.ackMsg(got, wire.OplockII), wire.StatusOK)
	if r := again.later(); r == nil || status(r) != wire.StatusOK {
		t.Fatalf("the second open: % x", r)
	}
	other := b.open("file", anyOpen)
	b.want(b.writeMsg(other, 3, []byte("x")), wire.StatusFileLockConflict)
	if again.c.locks != 1 || again.disconnected() != 0 {
		t.Errorf("%d locks, %d opens kept", again.c.locks, again.disconnected())
	}
	again.want(again.lockMsg(got, 3, 1, wire.LockUnlock), wire.StatusOK)
	b.want(b.writeMsg(other, 3, []byte("x")), wire.StatusOK)
}

// TestALeaseIsThereAgain: who asks must be the lease's client, by its key and the file's name.
func TestALeaseIsThereAgain(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a := connect(t, srv, dir)
	a.guid, a.dialect = [16]byte{7}, 0x0300
	a.logOn("pub")
	r := a.want(withContexts(a.oplockMsg("file", anyOpen, wire.OplockLease), leaseContext(1, leaseRWH), durableV2(5, time.Hour)), wire.StatusOK)
	id := a.leased(r, 1, leaseRWH, 0)
	if b := a.context(r, wire.ContextDurableRequestV2); len(b) != 8 || le.Uint32(b) != uint32(DefaultMaxDurableTimeout.Milliseconds()) || le.Uint32(b[4:]) != 0 {
		t.Fatalf("durable response % x", b)
	}
	other := connect(t, srv, dir)
	other.guid, other.dialect = [16]byte{8}, 0x0300
	a.hangUp()
	other.logOn("pub")
	b := a.comesBack("pub")
	ask := func(p *peer, name string, list ...createContext) []byte {
		return p.ask(withContexts(p.createMsg(name, anyOpen), list...))
	}
	for _, c := range []struct {
		what, name string
		p          *peer
		list       []createContext
		want       wire.Status
	}{
		{"another client", "file", other, []createContext{reconnectV2(id, 5), leaseContext(1, leaseRWH)}, wire.StatusObjectNameNotFound},
		{"no lease", "file", b, []createContext{reconnectV2(id, 5)}, wire.StatusObjectNameNotFound},
		{"another key", "file", b, []createContext{reconnectV2(id, 5), leaseContext(2, leaseRWH)}, wire.StatusObjectNameNotFound},
		{"another create", "file", b, []createContext{reconnectV2(id, 6), leaseContext(1, leaseRWH)}, wire.StatusObjectNameNotFound},
		{"another name", "other", b, []createContext{reconnectV2(id, 5), leaseContext(1, leaseRWH)}, wire.StatusInvalidParameter},
		{"a stream's name", "file:s", b, []createContext{reconnectV2(id, 5), leaseContext(1, leaseRWH)}, wire.StatusInvalidParameter},
		{"with a request", "file", b, []createContext{reconnectV2(id, 5), leaseContext(1, leaseRWH), durableV2(5, 0)}, wire.StatusInvalidParameter},
	} {
		if s := status(ask(c.p, c.name, c.list...)); s != c.want {
			t.Errorf("%s: %v, want %v", c.what, s, c.want)
		}
	}
	got := b.leased(ask(b, "FILE", reconnectV2(id, 5), leaseContext(1, 0)), 1, leaseRWH, 0)
	b.want(b.writeMsg(got, 0, []byte("x")), wire.StatusOK)
	async := other.pends(other.createMsg("file", anyOpen))
	b.leaseBreaks(1, leaseRWH, leaseRH, true) // over the new connection
	b.want(b.leaseAckMsg(1, leaseRH), wire.StatusOK)
	other.wantLater(async, wire.StatusOK)
}

// TestWhatEndsADisconnectedOpen: others get on at once, and the client finds nothing.
func TestWhatEndsADisconnectedOpen(t *testing.T) {
	exclusively := opening{wire.AccessAll, 0, wire.OpenIf, 0}
	for name, c := range map[string]struct {
		o   opening
		end func(t *testing.T, a, b *peer)
	}{
		"an open": {anyOpen, func(t *testing.T, _, b *peer) {
			b.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
		}},
		"an open, where nothing is shared": {exclusively, func(t *testing.T, _, b *peer) { b.open("file", exclusively) }},
		"an open, where it is deleted": {opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose}, func(t *testing.T, _, b *peer) {
			r := b.want(b.createMsg("file", anyOpen), wire.StatusOK)
			if a := wire.CreateAction(le.Uint32(r[68:])); a != wire.ActionCreated {
				t.Errorf("action %v: the file of before is still there", a)
			}
		}},
		"an open, where it was to be deleted": {anyOpen, func(t *testing.T, a, b *peer) {
			r := a.want(withContexts(a.createMsg("", anyOpen), reconnectV1(wire.FileID{Persistent: 1})), wire.StatusOK)
			a.want(a.setMsg(wire.ReadFileID(r[128:]), wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
			a.hangUp()
			if n := b.disconnected(); n != 1 {
				t.Fatalf("%d opens are kept", n)
			}
			r = b.want(b.createMsg("file", anyOpen), wire.StatusOK)
			if a := wire.CreateAction(le.Uint32(r[68:])); a != wire.ActionCreated {
				t.Errorf("action %v: the file of before is still there", a)
			}
			a.tree = 0
		}},
		"a file that is renamed over it": {anyOpen, func(t *testing.T, _, b *peer) {
			b.want(b.setMsg(b.newFile("other"), wire.FileRenameInformation, renameInfo("file", true)), wire.StatusOK)
		}},
		"its client, which opens anew": {exclusively, func(t *testing.T, a, _ *peer) { a.open("file", exclusively) }},
		"the share, which ends": {anyOpen, func(t *testing.T, a, _ *peer) {
			cfg := testConfig(a.dir)
			cfg.Shares = cfg.Shares[1:]
			if _, err := a.srv.Reconfigure(cfg); err != nil {
				t.Fatal(err)
			}
			a.tree = 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := twoClients(t)
			id := a.openDurable("file", c.o)
			again := a.comesBack("pub")
			if n := a.disconnected(); n != 1 {
				t.Fatalf("%d opens are kept", n)
			}
			c.end(t, again, b)
			if n := a.disconnected(); n != 0 {
				t.Errorf("%d opens are kept", n)
			}
			if again.tree != 0 {
				again.want(withContexts(again.createMsg("file", anyOpen), reconnectV1(id)), wire.StatusObjectNameNotFound)
			}
		})
	}
}

// A directory is renamed, and what is kept in it does not hinder it.
func TestADirectoryIsRenamedAboveADisconnectedOpen(t *testing.T) {
	a, b := twoClients(t)
	dir := b.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	id := a.openDurable(`dir\file`, anyOpen)
	again := a.comesBack("pub")
	b.want(b.setMsg(dir, wire.FileRenameInformation, renameInfo("moved", false)), wire.StatusOK)
	again.want(withContexts(again.createMsg("x", anyOpen), reconnectV1(id)), wire.StatusObjectNameNotFound)
}

// TestWhatIsNotKept: what was not granted, what was given up, and what was closed.
func TestWhatIsNotKept(t *testing.T) {
	batch := func(p *peer, name string) []byte {
		return withContexts(p.oplockMsg(name, anyOpen, wire.OplockBatch), durableV1())
	}
	for name, c := range map[string]struct {
		open func(p *peer) []byte
		then func(p, other *peer, id wire.FileID)
	}{
		"no oplock": {func(p *peer) []byte { return withContexts(p.createMsg("file", anyOpen), durableV1()) }, nil},
		"an oplock of less": {func(p *peer) []byte {
			return withContexts(p.oplockMsg("file", anyOpen, wire.OplockExclusive), durableV1())
		}, nil},
		"a lease without handles": {func(p *peer) []byte {
			return withContexts(p.oplockMsg("file", anyOpen, wire.OplockLease), leaseContext(1, leaseRW), durableV1())
		}, nil},
		"not asked for": {func(p *peer) []byte { return p.oplockMsg("file", anyOpen, wire.OplockBatch) }, nil},
		"version 2 in dialect 2.1": {func(p *peer) []byte {
			return withContexts(p.oplockMsg("file", anyOpen, wire.OplockBatch), durableV2(1, 0))
		}, nil},
		"a directory": {func(p *peer) []byte {
			return withContexts(p.oplockMsg("dir", opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}, wire.OplockBatch), durableV1())
		}, nil},
		"closed": {func(p *peer) []byte { return batch(p, "file") }, func(p, _ *peer, id wire.FileID) {
			p.want(p.closeMsg(id), wire.StatusOK)
		}},
		"its tree disconnected": {func(p *peer) []byte { return batch(p, "file") }, func(p, _ *peer, _ wire.FileID) {
			p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
		}},
		"its oplock given up": {func(p *peer) []byte { return batch(p, "file") }, func(p, other *peer, id wire.FileID) {
			async := other.pends(other.createMsg("file", anyOpen))
			p.breaks(id, wire.OplockII)
			p.want(p.ackMsg(id, wire.OplockII), wire.StatusOK)
			other.wantLater(async, wire.StatusOK)
		}},
		"its oplock asked for": {func(p *peer) []byte { return batch(p, "file") }, func(p, other *peer, id wire.FileID) {
			async := other.pends(other.createMsg("file", anyOpen))
			p.breaks(id, wire.OplockII)
			p.hangUp()
			other.wantLater(async, wire.StatusOK)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := twoClients(t)
			r := a.want(c.open(a), wire.StatusOK)
			if c.then != nil {
				c.then(a, b, wire.ReadFileID(r[128:]))
			} else if a.context(r, wire.ContextDurableRequest) != nil || a.context(r, wire.ContextDurableRequestV2) != nil {
				t.Error("granted")
			}
			a.hangUp()
			if n := a.disconnected(); n != 0 {
				t.Errorf("%d opens are kept", n)
			}
		})
	}
}

// A log-off is no reason to close what is durable, MS-SMB2 3.3.5.6.
func TestALogOffKeepsDurableOpens(t *testing.T) {
	a, _ := twoClients(t)
	id := a.openDurable("file", anyOpen)
	a.want(a.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
	again := a.comesBack("pub")
	again.want(withContexts(again.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
}

// The client's time is up when it is.
func TestADisconnectedOpenEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := twoClients(t)
		id := a.openDurable("file", anyOpen)
		again := a.comesBack("pub")
		time.Sleep(DefaultDurableTimeout - time.Second)
		synctest.Wait()
		r := again.want(withContexts(again.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
		time.Sleep(time.Minute) // the time of before does not count
		synctest.Wait()
		again.want(again.readMsg(wire.ReadFileID(r[128:]), 0, 1), wire.StatusEndOfFile)
		third := again.comesBack("pub")
		time.Sleep(DefaultDurableTimeout)
		synctest.Wait()
		if n := third.disconnected(); n != 0 {
			t.Errorf("%d opens are kept", n)
		}
		if n := third.srv.budget.Open(); n != 0 {
			t.Errorf("%d files are open", n)
		}
		third.want(withContexts(third.createMsg("", anyOpen), reconnectV1(id)), wire.StatusObjectNameNotFound)
	})
}

// TestDisconnectedOpensAreBounded: of a client, of all, by their locks, and by the files that may be open.
func TestDisconnectedOpensAreBounded(t *testing.T) {
	limited := func(t *testing.T, l Limits) (*Server, string) {
		dir := t.TempDir()
		return newServerIn(t, dir, func(c *Config) { c.Limits = l }), dir
	}
	client := func(t *testing.T, srv *Server, dir string, guid byte) *peer {
		p := connect(t, srv, dir)
		p.guid = [16]byte{guid}
		return p.logOn("pub")
	}
	t.Run("of a client", func(t *testing.T) {
		srv, dir := limited(t, Limits{MaxClientDisconnected: 2})
		a, b := client(t, srv, dir, 1), client(t, srv, dir, 2)
		b.openDurable("b", anyOpen)
		b.hangUp()
		var ids []wire.FileID
		for i := range 3 {
			ids = append(ids, a.openDurable(fmt.Sprint(i), anyOpen))
			a = a.comesBack("pub")
		}
		if n := a.disconnected(); n != 3 {
			t.Errorf("%d opens are kept, want 2 and the other client's", n)
		}
		a.want(withContexts(a.createMsg("", anyOpen), reconnectV1(ids[0])), wire.StatusObjectNameNotFound)
		a.want(withContexts(a.createMsg("", anyOpen), reconnectV1(ids[1])), wire.StatusOK)
	})
	t.Run("of all", func(t *testing.T) {
		srv, dir := limited(t, Limits{MaxDisconnected: 2})
		for i := range 4 {
			p := client(t, srv, dir, byte(i))
			p.openDurable(fmt.Sprint(i), anyOpen)
			p.hangUp()
		}
		if n := srv.Stats().Disconnected; n != 2 {
			t.Errorf("%d opens are kept, want 2", n)
		}
	})
	t.Run("by locks", func(t *testing.T) {
		srv, dir := limited(t, Limits{})
		p := client(t, srv, dir, 1)
		for i := range maxAbsentLocks/maxLocks + 1 {
			id := p.openDurable(fmt.Sprint(i), anyOpen)
			st := p.openOf(id).state
			srv.files.mu.Lock()
			for range maxLocks {
				st.locks = append(st.locks, byteRange{owner: p.openOf(id), length: 1})
			}
			p.c.locks += maxLocks
			srv.files.mu.Unlock()
			p = p.comesBack("pub")
		}
		if n := srv.Stats().Disconnected; n != maxAbsentLocks/maxLocks || srv.files.absentLocks != maxAbsentLocks {
			t.Errorf("%d opens are kept, with %d locks", n, srv.files.absentLocks)
		}
	})
	t.Run("they make room", func(t *testing.T) {
		srv, dir := limited(t, Limits{MaxFiles: 2, MaxOpens: 10})
		p := client(t, srv, dir, 1)
		p.openDurable("1", anyOpen)
		p.openDurable("2", anyOpen)
		p = p.comesBack("pub")
		p.open("3", anyOpen)
		p.open("4", anyOpen)
		p.want(p.createMsg("5", anyOpen), wire.StatusTooManyOpenedFiles)
	})
}

// Another user's open is nobody else's, and a lock of a client that has too many already does not come back.
func TestADurableOpenIsItsUsers(t *testing.T) {
	m := newMember(t, nil, wire.Dialect300).logOn("alice", "secret").toShare()
	r := m.want(m.sign(withContexts(m.oplockMsg("file", anyOpen, wire.OplockBatch), durableV2(3, 0))), wire.StatusOK)
	id := wire.ReadFileID(r[128:])
	m.hangUp()
	bob := m.another().logOn("bob", "hidden").toShare()
	bob.want(bob.sign(withContexts(bob.createMsg("file", anyOpen), reconnectV2(id, 3))), wire.StatusAccessDenied)
	nobody := connect(t, m.srv, m.dir)
	nobody.dialect = 0x0300
	nobody.logOn("pub")
	nobody.want(withContexts(nobody.createMsg("file", anyOpen), reconnectV2(id, 3)), wire.StatusAccessDenied)
	theirs := nobody.openDurable("theirs", anyOpen)
	nobody.hangUp()
	guest := connect(t, m.srv, m.dir)
	guest.dialect, guest.guid = 0x0300, [16]byte{9}
	guest.logOn("pub")
	guest.want(withContexts(guest.createMsg("", anyOpen), reconnectV1(theirs)), wire.StatusAccessDenied)
	alice := m.another().logOn("alice", "secret").toShare()
	alice.c.locks = maxConnLocks + 1
	alice.want(alice.sign(withContexts(alice.createMsg("", anyOpen), reconnectV2(id, 3))), wire.StatusInsufficientResources)
	alice.c.locks = 0
	alice.want(alice.sign(withContexts(alice.createMsg("", anyOpen), reconnectV2(id, 3))), wire.StatusOK)
}

// A session's keys are not kept longer than it is.
func TestADurableOpenKeepsNoKey(t *testing.T) {
	p := newPeer(t, nil)
	p.dialect = 0x0300
	p.logOn("pub")
	id := &p.c.sessions[p.session].identity
	id.SessionKey, id.FullSessionKey = [16]byte{1}, make([]byte, 32)
	o := p.c.sessions[p.session].open(p.openDurable("file", anyOpen))
	if own := &o.durable.owner; own.SessionKey != [16]byte{} || own.FullSessionKey != nil {
		t.Errorf("%+v", own)
	}
}

// toShare connects to the share, as tests without keys do in logOn.
func (m *member) toShare() *member {
	m.t.Helper()
	r := m.want(m.sign(m.treeMsg(`\\server\pub`)), wire.StatusOK)
	m.tree = wire.Header(r).TreeID()
	return m
}

// TestHostileDurableContexts: sizes, and what excludes another.
func TestHostileDurableContexts(t *testing.T) {
	p := newPeer(t, nil)
	p.dialect = 0x0300
	p.logOn("pub")
	id := wire.FileID{Persistent: 1, Volatile: 1}
	short := func(c createContext) createContext { return createContext{c.name, c.data[:len(c.data)-1]} }
	long := func(c createContext) createContext {
		return createContext{c.name, append(c.data[:len(c.data):len(c.data)], 0)}
	}
	for _, c := range []createContext{durableV1(), durableV2(1, 0), reconnectV1(id), reconnectV2(id, 1),
		{wire.ContextAppInstanceID, append([]byte{20, 0, 0, 0}, make([]byte, 16)...)}} {
		p.want(withContexts(p.createMsg("file", anyOpen), short(c)), wire.StatusInvalidParameter)
		p.want(withContexts(p.createMsg("file", anyOpen), long(c)), wire.StatusInvalidParameter)
		p.want(withContexts(p.createMsg("file", anyOpen), createContext{name: c.name}), wire.StatusInvalidParameter)
	}
	for i, list := range [][]createContext{
		{durableV1(), durableV2(1, 0)}, {reconnectV1(id), durableV2(1, 0)}, {reconnectV1(id), reconnectV2(id, 1)},
		{reconnectV2(id, 1), durableV1()}, {reconnectV2(id, 1), durableV2(1, 0)},
	} {
		if s := status(p.ask(withContexts(p.createMsg("file", anyOpen), list...))); s != wire.StatusInvalidParameter {
			t.Errorf("pair %d: %v", i, s)
		}
	}
	p.want(withContexts(p.createMsg("file", anyOpen), reconnectV1(id), durableV1()), wire.StatusObjectNameNotFound)
	live := p.openDurable("file", anyOpen)
	p.want(withContexts(p.createMsg("file", anyOpen), reconnectV1(live)), wire.StatusObjectNameNotFound) // it is not lost
}

// Connections that are lost, clients that come back, others' opens and the times that end, all at once.
func TestDisconnectedOpensInTheMidstOfOthers(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, func(c *Config) {
		c.Limits = Limits{DurableTimeout: time.Millisecond, MaxClientDisconnected: 2, MaxDisconnected: 3}
	})
	// What comes of a CREATE, among what the client is told of its oplocks.
	open := func(p *peer, m []byte) (id wire.FileID, ok bool) {
		if err := p.feed(frame(m)); err != nil {
			t.Error(err)
			return id, false
		}
		for r := p.reply(); r != nil; r = p.reply() {
			if h := wire.Header(r); h.Command() == wire.CommandCreate && h.Status() == wire.StatusOK {
				return wire.ReadFileID(r[128:]), true
			}
		}
		return id, false
	}
	var wg sync.WaitGroup
	var back atomic.Int32
	for i := range 4 {
		areas := []*ioarea.Area{newArea(t, srv), newArea(t, srv)}
		wg.Go(func() {
			ids := []wire.FileID{{}, {}}
			for round := range 200 {
				a := areas[round%2]
				a.In.Consume(a.In.Len())
				a.Out.Consume(a.Out.Len())
				p := &peer{t: t, dir: dir, srv: srv, a: a, c: srv.NewConn(a), guid: [16]byte{byte(i)}}
				p.logOn("pub")
				for k := range ids {
					if id, ok := open(p, withContexts(p.createMsg("", anyOpen), reconnectV1(ids[k]))); ok {
						back.Add(1)
						ids[k] = id
						if err := p.feed(frame(p.lockMsg(id, uint64(i), 1, exclusive))); err != nil {
							t.Error(err)
						}
						continue
					}
					o := opening{wire.AccessAll, shareAll, wire.OpenIf, 0}
					if round%3 == 0 {
						o = opening{wire.AccessAll, 0, wire.OverwriteIf, wire.OptionDeleteOnClose}
					}
					ids[k], _ = open(p, withContexts(p.oplockMsg(fmt.Sprint((i+k+round/8)%5), o, wire.OplockBatch), durableV1()))
				}
				if err := p.c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if back.Load() == 0 {
		t.Error("nobody has come back")
	}
}

// Who caches a directory is told of what a durable open has written, or deletes, when it ends: also if its client has been away, or still is.
func TestADirectoryIsToldOfADurableOpensEnd(t *testing.T) {
	directory := opening{wire.AccessReadData | wire.AccessReadAttributes, shareAll, wire.Open, wire.OptionDirectory}
	existing := opening{wire.AccessAll, shareAll, wire.Open, 0}
	for name, c := range map[string]struct {
		o   opening
		end func(b, other *peer, id wire.FileID)
	}{
		"its client comes back and closes it": {anyOpen, func(b, _ *peer, id wire.FileID) {
			b = b.comesBack("pub")
			r := b.want(withContexts(b.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
			b.want(b.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
		}},
		"it is evicted": {anyOpen, func(b, other *peer, _ wire.FileID) {
			b.hangUp()
			other.want(other.createMsg(`d\file`, existing), wire.StatusOK)
		}},
		"it is evicted and deleted": {opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose}, func(b, other *peer, _ wire.FileID) {
			b.hangUp()
			other.want(other.createMsg(`d\file`, existing), wire.StatusObjectNameNotFound)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := twoClientsOf30(t)
			other := connect(t, a.srv, a.dir).logOn("pub")
			b.make("d", wire.OptionDirectory)
			id := b.openDurable(`d\file`, c.o)
			b.want(b.writeMsg(id, 0, []byte("x")), wire.StatusOK)
			a.leased(a.want(a.leaseV2Msg("d", directory, 1, 0, leaseRWH, 0), wire.StatusOK), 1, leaseRH, 0)
			a.still()
			c.end(b, other, id)
			a.leaseV2Breaks(1, leaseRH, 0, 2, true)
		})
	}
}
