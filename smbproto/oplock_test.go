package smbproto

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// oplockMsg is a CREATE that asks for an oplock.
func (p *peer) oplockMsg(name string, o opening, level wire.OplockLevel) []byte {
	m := p.createMsg(name, o)
	m[67] = byte(level)
	return m
}

// openOplock opens a file that nobody is in the way of.
func (p *peer) openOplock(name string, o opening, asks, want wire.OplockLevel) wire.FileID {
	p.t.Helper()
	r := p.want(p.oplockMsg(name, o, asks), wire.StatusOK)
	if got := wire.OplockLevel(r[66]); got != want {
		p.t.Fatalf("oplock of level %#x, want %#x", got, want)
	}
	return wire.ReadFileID(r[128:])
}

// breaks takes the notification that an oplock breaks.
func (p *peer) breaks(id wire.FileID, to wire.OplockLevel) {
	p.t.Helper()
	r := p.later()
	if r == nil {
		p.t.Fatal("the holder is not told")
	}
	h, m := wire.Header(r), wire.OplockBreak(r)
	if h.Command() != wire.CommandOplockBreak || h.MessageID() != ^uint64(0) || h.SessionID() != 0 || h.TreeID() != 0 || h.Credits() != 0 ||
		m.Valid() != nil || m.FileID() != id || m.Level() != to {
		p.t.Fatalf("notification % x, want %v to come to %#x", r, id, to)
	}
}

func (p *peer) ackMsg(id wire.FileID, level wire.OplockLevel) []byte {
	return p.request(wire.CommandOplockBreak, 24, func(m []byte) {
		m[66] = byte(level)
		id.Put(m[72:])
	})
}

// twoClients of one server. The second has another client's GUID.
func twoClients(t *testing.T) (a, b *peer) {
	t.Helper()
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b = connect(t, srv, dir), connect(t, srv, dir)
	b.guid = [16]byte{2}
	return a.logOn("pub"), b.logOn("pub")
}

// TestAnOpenWaitsForAnOplock: what lets it go on, and what it and the holder have then.
func TestAnOpenWaitsForAnOplock(t *testing.T) {
	ack := func(level wire.OplockLevel) func(h, w *peer, held wire.FileID) {
		return func(h, _ *peer, held wire.FileID) {
			r := h.want(h.ackMsg(held, level), wire.StatusOK)
			if m := wire.OplockBreak(r); m.Level() != level || m.FileID() != held {
				t.Errorf("answer to the acknowledgment: % x", r)
			}
		}
	}
	overwrite := anyOpen
	overwrite.disposition = wire.OverwriteIf
	exclusive := opening{wire.AccessAll, 0, wire.OpenIf, 0}
	for _, c := range []struct {
		name      string
		asks      wire.OplockLevel
		holder, o opening
		tells     wire.OplockLevel
		end       func(h, w *peer, held wire.FileID)
		want      wire.Status
		granted   wire.OplockLevel
	}{
		{"exclusive, acknowledged", wire.OplockExclusive, anyOpen, anyOpen, wire.OplockII, ack(wire.OplockII), wire.StatusOK, wire.OplockII},
		{"batch, acknowledged", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, ack(wire.OplockII), wire.StatusOK, wire.OplockII},
		{"batch, given up", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, ack(wire.OplockNone), wire.StatusOK, wire.OplockII},
		{"batch, overwritten", wire.OplockBatch, anyOpen, overwrite, wire.OplockNone, ack(wire.OplockNone), wire.StatusOK, wire.OplockII},
		{"batch, closed", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(h, _ *peer, held wire.FileID) {
			h.want(h.closeMsg(held), wire.StatusOK)
		}, wire.StatusOK, wire.OplockBatch},
		{"batch, which shares nothing, closed", wire.OplockBatch, exclusive, anyOpen, wire.OplockII, func(h, _ *peer, held wire.FileID) {
			h.want(h.closeMsg(held), wire.StatusOK)
		}, wire.StatusOK, wire.OplockBatch},
		{"batch, which shares nothing, acknowledged", wire.OplockBatch, exclusive, anyOpen, wire.OplockII, ack(wire.OplockII), wire.StatusSharingViolation, 0},
		{"batch, its client is gone", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(h, _ *peer, _ wire.FileID) { h.hangUp() }, wire.StatusOK, wire.OplockBatch},
		{"batch, logged off", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(h, _ *peer, _ wire.FileID) {
			h.want(h.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
		}, wire.StatusOK, wire.OplockBatch},
		{"batch, cancelled", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(_, w *peer, _ wire.FileID) {
			if err := w.feed(frame(w.cancelMsg(1))); err != nil {
				t.Fatal(err)
			}
		}, wire.StatusCancelled, 0},
		{"batch, the opener has logged off", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(h, w *peer, held wire.FileID) {
			w.want(w.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
			ack(wire.OplockII)(h, w, held)
		}, wire.StatusUserSessionDeleted, 0},
		{"batch, acknowledged wrongly", wire.OplockBatch, anyOpen, anyOpen, wire.OplockII, func(h, _ *peer, held wire.FileID) {
			h.want(h.ackMsg(held, wire.OplockLease), wire.StatusInvalidParameter)
			h.want(h.ackMsg(held, wire.OplockExclusive), wire.StatusInvalidOplockProtocol)
			h.want(h.ackMsg(held, wire.OplockNone), wire.StatusInvalidOplockProtocol) // it is over
		}, wire.StatusOK, wire.OplockII},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, w := twoClients(t)
			held := h.openOplock("file", c.holder, c.asks, c.asks)
			async := w.pends(w.oplockMsg("file", c.o, wire.OplockBatch))
			h.breaks(held, c.tells)
			w.still()
			h.still() // it is told once
			w.want(w.request(wire.CommandEcho, 4, nil), wire.StatusOK)
			c.end(h, w, held)
			r := w.wantLater(async, c.want)
			if c.want == wire.StatusOK && wire.OplockLevel(r[66]) != c.granted {
				t.Errorf("granted %#x, want %#x", r[66], c.granted)
			}
			if len(w.c.pending) != 0 || w.c.againSize != 0 {
				t.Errorf("%d requests are still kept, %d bytes", len(w.c.pending), w.c.againSize)
			}
			for _, st := range w.srv.files.files {
				if len(st.openers) > 0 {
					t.Errorf("%d still wait for the file", len(st.openers))
				}
			}
		})
	}
}

// Who breaks nothing does not wait.
func TestOpensThatBreakNoOplock(t *testing.T) {
	h, w := twoClients(t)
	held := h.openOplock("file", opening{wire.AccessAll, 0, wire.OpenIf, 0}, wire.OplockExclusive, wire.OplockExclusive)
	w.want(w.createMsg("file", anyOpen), wire.StatusSharingViolation) // an exclusive oplock does not keep a file open that is closed
	w.openOplock("file", opening{wire.AccessReadAttributes | wire.AccessSynchronize, 0, wire.Open, 0}, wire.OplockBatch, wire.OplockNone)
	h.still()
	h.want(h.writeMsg(held, 0, []byte("x")), wire.StatusOK)
	h.still()
}

// The answers to a compound whose CREATE waits: what comes before it and the interim one at once, the rest later.
func TestACompoundWaitsForAnOplock(t *testing.T) {
	h, w := twoClients(t)
	held := h.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	none := wire.FileIDNone
	other := w.open("other", anyOpen)
	first := w.queryMsg(other, wire.InfoFile, uint8(wire.FileStandardInformation), 64)
	create := w.createMsg("file", anyOpen)
	rest := chainOf(true, create, w.queryMsg(none, wire.InfoFile, uint8(wire.FileStandardInformation), 64), w.closeMsg(none))
	r := w.ask(chainOf(false, first, rest))
	if s := status(r); s != wire.StatusOK {
		t.Fatal(s)
	}
	interim := w.reply()
	if h := wire.Header(interim); h.Status() != wire.StatusPending || h.NextCommand() != 0 || h.MessageID() != wire.Header(create).MessageID() {
		t.Fatalf("%v, next at %d", h.Status(), h.NextCommand())
	}
	h.breaks(held, wire.OplockII)
	w.still()
	h.want(h.ackMsg(held, wire.OplockII), wire.StatusOK)
	r = w.later()
	var commands []wire.Command
	for msg := r; msg != nil; {
		m, rest, err := element(msg)
		if err != nil {
			t.Fatal(err)
		}
		if status(m) != wire.StatusOK || wire.Header(m).Has(wire.FlagAsync) != (len(commands) == 0) {
			t.Errorf("answer %d: %v, flags %#x", len(commands), status(m), wire.Header(m).Flags())
		}
		commands, msg = append(commands, wire.Header(m).Command()), rest
	}
	if want := []wire.Command{wire.CommandCreate, wire.CommandQueryInfo, wire.CommandClose}; len(commands) != 3 || commands[0] != want[0] || commands[1] != want[1] || commands[2] != want[2] {
		t.Errorf("answers to %v, want %v", commands, want)
	}
}

// What is told of a file of a share, or to a session, that must be encrypted is encrypted.
func TestBreaksAreEncrypted(t *testing.T) {
	for _, name := range []string{"neither", "session", "share"} {
		h, w := twoClients(t)
		holder, waiter := h.sealKeys(crypt.AES128GCM), w.sealKeys(crypt.AES128GCM)
		held := h.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
		sess := h.c.sessions[h.session]
		sess.mustSeal = name == "session"
		sess.tree(h.tree).share.Encrypt = name == "share"
		if r := waiter.ask(w.createMsg("file", anyOpen)); status(r) != wire.StatusPending {
			t.Fatalf("%s: %v", name, status(r))
		}
		m, sealed := h.later(), name != "neither"
		if wire.IsTransform(m) != sealed {
			t.Fatalf("%s: told % x", name, m)
		}
		if sealed {
			m, sealed = holder.opener.Open(m)
		}
		if sealed != (name != "neither") || wire.OplockBreak(m).FileID() != held {
			t.Errorf("%s: told % x", name, m)
		}
	}
}

// A client that does not acknowledge loses the oplock, and keeps nobody waiting for long.
func TestABreakThatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, w := twoClients(t)
		held := h.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
		async := w.pends(w.createMsg("file", anyOpen))
		h.breaks(held, wire.OplockII)
		time.Sleep(oplockTimeout - time.Second)
		synctest.Wait()
		w.still()
		time.Sleep(time.Second)
		synctest.Wait()
		w.wantLater(async, wire.StatusOK)
		h.want(h.ackMsg(held, wire.OplockII), wire.StatusInvalidOplockProtocol)
	})
}

// What is read may be kept until somebody changes it.
func TestOplocksOfLevelII(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *peer, id wire.FileID)
	}{
		{"write", func(p *peer, id wire.FileID) { p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK) }},
		{"size", func(p *peer, id wire.FileID) {
			p.want(p.setMsg(id, wire.FileEndOfFileInformation, make([]byte, 8)), wire.StatusOK)
		}},
		{"lock", func(p *peer, id wire.FileID) { p.want(p.lockMsg(id, p.message, 1, exclusive), wire.StatusOK) }},
		{"overwriting open", func(p *peer, id wire.FileID) {
			o := anyOpen
			o.disposition = wire.Overwrite
			p.open("file", o)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := twoClients(t)
			first := a.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
			second := b.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockII)
			c.change(b, second)
			a.breaks(first, wire.OplockNone)
			b.breaks(second, wire.OplockNone)
			c.change(b, second)
			a.still()
			a.want(a.ackMsg(first, wire.OplockNone), wire.StatusInvalidOplockProtocol) // nobody asked for it
		})
	}
	t.Run("no lock that can't be", func(t *testing.T) {
		a, b := twoClients(t)
		a.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
		id := b.open("file", anyOpen)
		b.want(b.lockMsg(id, 0, 1, 0), wire.StatusInvalidParameter)
		beyond := b.lockMsg(id, 2, 1, exclusive)
		le.PutUint64(beyond[96:], ^uint64(0))
		b.want(beyond, wire.StatusInvalidLockRange)
		a.still()
	})
	t.Run("none beside locks", func(t *testing.T) {
		a, b := twoClients(t)
		a.want(a.lockMsg(a.open("file", anyOpen), 0, 1, exclusive), wire.StatusOK)
		b.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockNone)
		b.openLease("file", anyOpen, 1, leaseRWH, 0)
	})
}

// leaseMsg is a CREATE that asks for a lease of version 1.
func (p *peer) leaseMsg(name string, o opening, key byte, state wire.LeaseState) []byte {
	m := p.oplockMsg(name, o, wire.OplockLease)
	m = append(m, make([]byte, wire.Align8(len(m))-len(m))...)
	le.PutUint32(m[112:], uint32(len(m)))
	b := make([]byte, 24+wire.LeaseContextSize)
	data, n := wire.PutContext(b, wire.ContextLease, wire.LeaseContextSize)
	wire.LeaseContext(data).Put(wire.LeaseKey{key}, state, 0)
	le.PutUint32(m[116:], uint32(n))
	return append(m, b[:n]...)
}

// openLease opens a file with a lease, and tells what is granted.
func (p *peer) openLease(name string, o opening, key byte, asks, want wire.LeaseState) wire.FileID {
	p.t.Helper()
	return p.leased(p.want(p.leaseMsg(name, o, key, asks), wire.StatusOK), key, want, 0)
}

func (p *peer) leased(r []byte, key byte, want wire.LeaseState, flags uint32) wire.FileID {
	p.t.Helper()
	off, n := int(le.Uint32(r[144:])), int(le.Uint32(r[148:]))
	if r[66] != byte(wire.OplockLease) || n < 24+wire.LeaseContextSize || !bytes.Equal(r[off+16:off+20], []byte(wire.ContextLease)) {
		p.t.Fatalf("level %#x, contexts % x", r[66], r[off:])
	}
	l := wire.LeaseContext(r[off+24 : off+24+wire.LeaseContextSize])
	if l.Key() != (wire.LeaseKey{key}) || l.State() != want || l.Flags() != flags {
		p.t.Fatalf("lease %x, %#x, flags %#x; want %d, %#x, %#x", l.Key(), l.State(), l.Flags(), key, want, flags)
	}
	return wire.ReadFileID(r[128:])
}

func (p *peer) leaseBreaks(key byte, from, to wire.LeaseState, ack bool) {
	p.t.Helper()
	p.leaseV2Breaks(key, from, to, 0, ack)
}

func (p *peer) leaseAckMsg(key byte, state wire.LeaseState) []byte {
	m := p.request(wire.CommandOplockBreak, 36, nil)
	wire.LeaseAck(m).Put(wire.LeaseKey{key}, state)
	return m
}

const (
	leaseR   = wire.LeaseRead
	leaseRH  = wire.LeaseRead | wire.LeaseHandle
	leaseRW  = wire.LeaseRead | wire.LeaseWrite
	leaseRWH = wire.LeaseAll
)

// TestLeases: what is granted, what breaks it, and what does not.
func TestLeases(t *testing.T) {
	t.Run("granted", func(t *testing.T) {
		for asks, want := range map[wire.LeaseState]wire.LeaseState{
			0: 0, leaseR: leaseR, wire.LeaseHandle: 0, wire.LeaseWrite: 0, leaseRH: leaseRH, leaseRW: leaseRW, wire.LeaseHandle | wire.LeaseWrite: 0, leaseRWH: leaseRWH,
		} {
			a, _ := twoClients(t)
			a.openLease("file", anyOpen, 1, asks, want)
		}
	})
	t.Run("one's own does not break, and grows", func(t *testing.T) {
		a, b := twoClients(t)
		a.openLease("file", anyOpen, 1, leaseR, leaseR)
		a.openLease("file", anyOpen, 1, leaseRWH, leaseRWH)
		id := a.openLease("file", anyOpen, 1, leaseR, leaseRWH)
		a.want(a.writeMsg(id, 0, []byte("x")), wire.StatusOK)
		a.still()
		a.want(a.leaseMsg("other", anyOpen, 1, leaseR), wire.StatusInvalidParameter)
		if _, s := a.tryOpen("other", opening{wire.AccessAll, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
			t.Errorf("the file that could not be leased: %v, want it gone", s)
		}
		b.openLease("other", anyOpen, 1, leaseR, leaseR) // another client's key is another
	})
	t.Run("another's open", func(t *testing.T) {
		a, b := twoClients(t)
		a.openLease("file", anyOpen, 1, leaseRWH, leaseRWH)
		async := b.pends(b.leaseMsg("file", anyOpen, 1, leaseRWH))
		a.leaseBreaks(1, leaseRWH, leaseRH, true)
		a.leased(a.want(a.leaseMsg("file", anyOpen, 1, leaseRWH), wire.StatusOK), 1, leaseRWH, wire.LeaseBreakInProgress)
		a.want(a.leaseAckMsg(2, leaseRH), wire.StatusObjectNameNotFound)
		a.want(a.leaseAckMsg(1, leaseRWH), wire.StatusRequestNotAccepted)
		r := a.want(a.leaseAckMsg(1, leaseRH), wire.StatusOK)
		if m := wire.LeaseAck(r); m.Key() != (wire.LeaseKey{1}) || m.State() != leaseRH {
			t.Errorf("answer to the acknowledgment: % x", r)
		}
		a.want(a.leaseAckMsg(1, leaseRH), wire.StatusUnsuccessful)
		id := b.leased(b.wantLater(async, wire.StatusOK), 1, leaseRH, 0)
		b.want(b.writeMsg(id, 0, []byte("x")), wire.StatusOK) // does not wait
		a.leaseBreaks(1, leaseRH, 0, true)
		b.still()
	})
	t.Run("what can't be shared waits for handles", func(t *testing.T) {
		a, b := twoClients(t)
		id := a.openLease("file", opening{wire.AccessAll, 0, wire.OpenIf, 0}, 1, leaseRWH, leaseRWH)
		async := b.pends(b.createMsg("file", anyOpen))
		a.leaseBreaks(1, leaseRWH, leaseRW, true)
		a.want(a.closeMsg(id), wire.StatusOK)
		b.wantLater(async, wire.StatusOK)
	})
	t.Run("a break below a break", func(t *testing.T) {
		a, b := twoClients(t)
		a.openLease("file", anyOpen, 1, leaseRWH, leaseRWH)
		reader := b.pends(b.createMsg("file", anyOpen))
		cut := anyOpen
		cut.disposition = wire.Overwrite
		writer := b.pends(b.createMsg("file", cut))
		a.leaseBreaks(1, leaseRWH, leaseRH, true)
		a.want(a.leaseAckMsg(1, leaseRH), wire.StatusOK)
		a.leaseBreaks(1, leaseRH, leaseR, true)
		b.still()
		a.want(a.leaseAckMsg(1, leaseR), wire.StatusOK)
		a.leaseBreaks(1, leaseR, 0, false)
		for _, async := range []uint64{reader, writer} {
			r := b.reply()
			if r == nil {
				r = b.later()
			}
			if r == nil || status(r) != wire.StatusOK || wire.Header(r).AsyncID() != async {
				t.Fatalf("answer to %d: % x", async, r)
			}
		}
	})
	t.Run("a rename and a deletion wait for handles", func(t *testing.T) {
		a, b := twoClients(t)
		a.openLease("file", anyOpen, 1, leaseRH, leaseRH)
		id := b.open("file", anyOpen)
		async := b.pends(b.setMsg(id, wire.FileRenameInformation, renameInfo("new", false)))
		a.leaseBreaks(1, leaseRH, leaseR, true)
		a.want(a.leaseAckMsg(1, leaseR), wire.StatusOK)
		b.wantLater(async, wire.StatusOK)
		a.openLease("new", anyOpen, 2, leaseRH, leaseRH)
		b.want(b.setMsg(id, wire.FileDispositionInformation, []byte{0}), wire.StatusOK) // which is none
		a.still()
		async = b.pends(b.setMsg(id, wire.FileDispositionInformation, []byte{1}))
		a.leaseBreaks(2, leaseRH, leaseR, true)
		a.want(a.leaseAckMsg(2, leaseR), wire.StatusOK)
		b.wantLater(async, wire.StatusOK)
		if _, s := a.tryOpen("new", anyOpen); s != wire.StatusDeletePending {
			t.Errorf("%v, want it to be deleted", s)
		}
	})
	t.Run("none in dialect 2.0.2", func(t *testing.T) {
		p := newPeer(t, func(c *Config) { c.MaxDialect = wire.Dialect202 }).logOn("pub")
		if r := p.want(p.leaseMsg("file", anyOpen, 1, leaseR), wire.StatusOK); r[66] != 0 || le.Uint32(r[148:]) != 0 {
			t.Errorf("level %#x, %d bytes of contexts", r[66], le.Uint32(r[148:]))
		}
	})
}

// leaseV2Msg is a CREATE that asks for a lease of version 2. A parent of 0 is none.
func (p *peer) leaseV2Msg(name string, o opening, key, parent byte, state wire.LeaseState, epoch uint16) []byte {
	m := p.oplockMsg(name, o, wire.OplockLease)
	m = append(m, make([]byte, wire.Align8(len(m))-len(m))...)
	le.PutUint32(m[112:], uint32(len(m)))
	b := make([]byte, 24+56)
	data, n := wire.PutContext(b, wire.ContextLease, wire.LeaseV2ContextSize)
	flags := uint32(0)
	if parent != 0 {
		flags = wire.LeaseParentKeySet
	}
	wire.LeaseContext(data).Put(wire.LeaseKey{key}, state, flags)
	wire.LeaseContext(data).PutV2(wire.LeaseKey{parent}, epoch)
	le.PutUint32(m[116:], uint32(n))
	return append(m, b[:n]...)
}

func (p *peer) leaseV2Breaks(key byte, from, to wire.LeaseState, epoch uint16, ack bool) {
	p.t.Helper()
	r := p.later()
	want := make([]byte, wire.LeaseBreakSize)
	wire.PutUnasked(want, wire.CommandOplockBreak)
	wire.LeaseBreak(want).Put(wire.LeaseKey{key}, from, to, epoch, ack)
	if !bytes.Equal(r, want) {
		p.t.Fatalf("notification\n% x, want\n% x", r, want)
	}
}

// twoClientsOf30 are two clients in dialect 3.0.
func twoClientsOf30(t *testing.T) (a, b *peer) {
	t.Helper()
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	a, b = connect(t, srv, dir), connect(t, srv, dir)
	a.dialect, b.dialect, b.guid = 0x0300, 0x0300, [16]byte{2}
	return a.logOn("pub"), b.logOn("pub")
}

// Version 2 of leases: the parent's key comes back, and the epoch counts changes.
func TestLeasesOfVersion2(t *testing.T) {
	a, b := twoClientsOf30(t)
	r := a.want(a.leaseV2Msg("file", anyOpen, 1, 9, leaseRH, 40), wire.StatusOK)
	off := int(le.Uint32(r[144:]))
	if l := wire.LeaseContext(r[off+24 : off+24+wire.LeaseV2ContextSize]); l.State() != leaseRH || l.Flags() != wire.LeaseParentKeySet || l.Parent() != (wire.LeaseKey{9}) || l.Epoch() != 41 {
		t.Fatalf("lease % x", l)
	}
	b.want(b.writeMsg(b.open("file", anyOpen), 0, []byte("x")), wire.StatusOK)
	a.leaseV2Breaks(1, leaseRH, 0, 42, true)
}

// A directory's lease breaks when one of its entries changes, but not by who knows of it.
func TestLeasesOfDirectories(t *testing.T) {
	directory := opening{wire.AccessReadData | wire.AccessReadAttributes, shareAll, wire.Open, wire.OptionDirectory}
	for _, c := range []struct {
		name   string
		change func(p *peer)
	}{
		{"made", func(p *peer) { p.open(`d\new`, anyOpen) }},
		{"overwritten", func(p *peer) { p.open(`d\old`, opening{wire.AccessAll, shareAll, wire.Overwrite, 0}) }},
		{"written and closed", func(p *peer) {
			id := p.open(`d\old`, anyOpen)
			p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
			p.want(p.closeMsg(id), wire.StatusOK)
		}},
		{"removed", func(p *peer) {
			id := p.open(`d\old`, anyOpen)
			p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
			p.want(p.closeMsg(id), wire.StatusOK)
		}},
		{"renamed away", func(p *peer) {
			p.want(p.setMsg(p.open(`d\old`, anyOpen), wire.FileRenameInformation, renameInfo("elsewhere", false)), wire.StatusOK)
		}},
		{"renamed into", func(p *peer) {
			p.want(p.setMsg(p.open("other", anyOpen), wire.FileRenameInformation, renameInfo(`d\x`, false)), wire.StatusOK)
		}},
		{"linked into", func(p *peer) {
			p.want(p.setMsg(p.open("other", anyOpen), wire.FileLinkInformation, renameInfo(`d\x`, false)), wire.StatusOK)
		}},
		{"attributes", func(p *peer) {
			p.want(p.setMsg(p.open(`d\old`, anyOpen), wire.FileBasicInformation, append(make([]byte, 32), 2, 0, 0, 0, 0, 0, 0, 0)), wire.StatusOK)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := twoClientsOf30(t)
			b.want(b.closeMsg(b.open("d", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})), wire.StatusOK)
			for _, name := range []string{`d\old`, "other"} {
				b.want(b.closeMsg(b.newFile(name)), wire.StatusOK)
			}
			r := a.want(a.leaseV2Msg("d", directory, 1, 0, leaseRWH, 0), wire.StatusOK)
			a.leased(r, 1, leaseRH, 0)
			b.open("elsewhere 2", anyOpen)
			a.want(a.leaseV2Msg(`d\own`, anyOpen, 3, 1, leaseR, 0), wire.StatusOK)
			a.still() // it is not told
			c.change(b)
			a.leaseV2Breaks(1, leaseRH, 0, 2, true)
			a.want(a.leaseAckMsg(1, 0), wire.StatusOK)
			a.leased(a.want(a.leaseV2Msg("d", directory, 1, 0, leaseRWH, 0), wire.StatusOK), 1, leaseRH, 0) // it has it anew
		})
	}
}

// Files that are only kept open are in the way of no directory's rename, and of no file that replaces them.
func TestARenameWaitsForHandles(t *testing.T) {
	a, b := twoClients(t)
	d := b.open("d", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	kept := a.openLease(`d\file`, anyOpen, 1, leaseRWH, leaseRWH)
	async := b.pends(b.setMsg(d, wire.FileRenameInformation, renameInfo("e", false)))
	a.leaseBreaks(1, leaseRWH, leaseRW, true)
	a.want(a.closeMsg(kept), wire.StatusOK)
	b.wantLater(async, wire.StatusOK)

	kept = a.openLease("target", anyOpen, 1, leaseRH, leaseRH)
	id := b.newFile("file")
	async = b.pends(b.setMsg(id, wire.FileRenameInformation, renameInfo("target", true)))
	a.leaseBreaks(1, leaseRH, leaseR, true)
	a.want(a.leaseAckMsg(1, leaseR), wire.StatusOK)
	b.wantLater(async, wire.StatusAccessDenied) // it is open after all
	a.want(a.closeMsg(kept), wire.StatusOK)
	b.want(b.setMsg(id, wire.FileRenameInformation, renameInfo("target", true)), wire.StatusOK)
	if n := a.srv.files.keepers.Load(); n != 0 {
		t.Errorf("%d oplocks keep files open, want none", n)
	}
}

// The CLOSE of an open that deletes its file waits for those who keep the file open, and closes, whatever comes.
func TestADeletionOnCloseWaitsForHandles(t *testing.T) {
	deletes := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose}
	for name, c := range map[string]struct {
		end  func(h, w *peer, kept wire.FileID, async uint64)
		gone bool // at once
	}{
		"acknowledged": {func(h, _ *peer, _ wire.FileID, _ uint64) { h.want(h.leaseAckMsg(1, leaseR), wire.StatusOK) }, false},
		"closed":       {func(h, _ *peer, kept wire.FileID, _ uint64) { h.want(h.closeMsg(kept), wire.StatusOK) }, true},
		"client gone":  {func(h, _ *peer, _ wire.FileID, _ uint64) { h.hangUp() }, true},
		"cancelled": {func(_, w *peer, _ wire.FileID, async uint64) {
			if err := w.feed(frame(w.cancelMsg(async))); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := twoClients(t)
			kept := h.openLease("file", anyOpen, 1, leaseRH, leaseRH)
			id := w.open("file", deletes)
			h.still() // it is not asked before
			async := w.pends(w.closeMsg(id))
			h.leaseBreaks(1, leaseRH, leaseR, true)
			w.still()
			c.end(h, w, kept, async)
			w.wantLater(async, wire.StatusOK)
			w.want(w.readMsg(id, 0, 1), wire.StatusFileClosed)
			want := wire.StatusDeletePending
			if c.gone {
				want = wire.StatusObjectNameNotFound
			}
			if _, s := w.tryOpen("file", opening{wire.AccessAll, shareAll, wire.Open, 0}); s != want {
				t.Errorf("%v, want %v", s, want)
			}
		})
	}
	t.Run("one that may not wait", func(t *testing.T) {
		h := newPeer(t, func(c *Config) { c.Limits.MaxPending = 1 }).logOn("pub")
		w := connect(t, h.srv, h.dir)
		w.guid = [16]byte{2}
		w.logOn("pub")
		h.openLease("file", anyOpen, 1, leaseRH, leaseRH)
		held := h.openOplock("other", anyOpen, wire.OplockBatch, wire.OplockBatch)
		id := w.open("file", deletes)
		w.pends(w.createMsg("other", anyOpen))
		h.breaks(held, wire.OplockII)
		w.want(w.closeMsg(id), wire.StatusOK)
		h.leaseBreaks(1, leaseRH, leaseR, true)
	})
	t.Run("behind its CREATE", func(t *testing.T) {
		h, w := twoClients(t)
		h.openLease("file", anyOpen, 1, leaseRH, leaseRH)
		r := w.wantAll(chainOf(true, w.createMsg("file", deletes), w.closeMsg(wire.FileIDNone)), wire.StatusOK, wire.StatusPending)
		h.leaseBreaks(1, leaseRH, leaseR, true)
		h.want(h.leaseAckMsg(1, leaseR), wire.StatusOK)
		w.wantLater(wire.Header(r[1]).AsyncID(), wire.StatusOK)
		if n := len(w.c.sessions[w.session].opens); n != 0 {
			t.Errorf("%d opens", n)
		}
	})
	t.Run("which is not to be removed", func(t *testing.T) {
		h, w := twoClients(t)
		d := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}
		h.open("d", d)
		h.newFile(`d\file`)
		d.options |= wire.OptionDeleteOnClose
		h.openLease("other", anyOpen, 1, leaseRH, leaseRH)
		w.want(w.closeMsg(w.open("d", d)), wire.StatusOK)
		h.still()
	})
}

// What requests that are to be tried again take is bounded.
func TestRequestsThatAreTriedAgainAreBounded(t *testing.T) {
	h, w := twoClients(t)
	h.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	large := func() []byte {
		m := w.createMsg("file", anyOpen)
		return append(m, make([]byte, maxAgain/4)...)
	}
	for range 3 {
		w.pends(large())
	}
	w.want(append(large(), make([]byte, maxAgain/4)...), wire.StatusInsufficientResources)
	w.hangUp()
	for _, st := range h.srv.files.files {
		if len(st.openers) != 0 {
			t.Errorf("%d still wait", len(st.openers))
		}
	}
}

// How many may be is as the settings were when the connection began, as with those that wait for a lock.
func TestRequestsThatAreTriedAgainCountAsTheConnectionBegan(t *testing.T) {
	h := newPeer(t, nil).logOn("pub")
	h.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	h.reconfigure(func(c *Config) { c.Limits.MaxPending = 1 })
	w := connect(t, h.srv, h.dir)
	w.guid = [16]byte{2}
	w.logOn("pub").pends(w.createMsg("file", anyOpen))
	w.want(w.createMsg("file", anyOpen), wire.StatusInsufficientResources)
}

// What has been read is taken back from others when the first of a WRITE is in the file: the rest may never come.
func TestAWriteThatIsBrokenOffBreaksOplocks(t *testing.T) {
	r, w := twoClients(t)
	held := r.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
	id := w.open("file", anyOpen)
	b := frame(w.charged(w.writeMsg(id, 0, pattern(10_000))))
	if err := w.feed(b[:len(b)-5000]); err != nil {
		t.Fatal(err)
	}
	w.hangUp()
	r.breaks(held, wire.OplockNone)
	r.still()
}

// A client that has opens of its lease in two sessions is told in the second what it was told in the first, if that has ended: the
// notification may have been lost with it.
func TestALeaseOfTwoSessionsBreaksInTheOneThatIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		state, to wire.LeaseState
		heard     bool
	}{
		"what it must acknowledge": {leaseRWH, leaseRH, false},
		"which was heard":          {leaseRWH, leaseRH, true},
		"what it must not":         {leaseR, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			first, other := twoClients(t)
			second := connect(t, first.srv, first.dir).logOn("pub")
			id := first.openLease("file", anyOpen, 1, c.state, c.state)
			first.openLease("file", anyOpen, 1, c.state, c.state)
			second.openLease("file", anyOpen, 1, c.state, c.state)
			ack := c.to != 0
			var async uint64
			if ack {
				async = other.pends(other.createMsg("file", anyOpen))
			} else {
				theirs := other.open("file", anyOpen)
				other.want(other.writeMsg(theirs, 0, []byte("new")), wire.StatusOK)
			}
			if c.heard {
				first.leaseBreaks(1, c.state, c.to, ack)
			}
			first.want(first.closeMsg(id), wire.StatusOK)
			second.still() // of an open that is closed: the session has another
			first.hangUp()
			second.leaseBreaks(1, c.state, c.to, ack)
			second.still()
			if ack {
				second.want(second.leaseAckMsg(1, c.to), wire.StatusOK)
				other.wantLater(async, wire.StatusOK)
			}
		})
	}
}

// A WRITE without data is none to others, MS-FSA 2.1.5.4: it neither takes away what they have read nor is there anything to archive.
func TestAWriteOfNothingChangesNothing(t *testing.T) {
	needXattrs(t)
	for name, write := range map[string]func(p *peer, id wire.FileID) []byte{
		"as it arrives": func(p *peer, id wire.FileID) []byte { return p.writeMsg(id, 10, nil) },
		"as a whole": func(p *peer, id wire.FileID) []byte {
			return chainOf(false, p.writeMsg(id, 10, nil), p.request(wire.CommandEcho, 4, nil))
		},
	} {
		r, w := twoClients(t)
		id := w.open("file", anyOpen)
		w.want(w.setMsg(id, wire.FileBasicInformation, basicInfo(nor)), wire.StatusOK)
		r.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
		if got := status(w.askAll(write(w, id))[0]); got != wire.StatusOK {
			t.Fatalf("%s: %v", name, got)
		}
		r.still()
		if _, a := w.basic(id); a != nor {
			t.Errorf("%s: the file's attributes are %#x", name, a)
		}
	}
}

// Of a WRITE that fails, what is in the file has changed it.
func TestAWriteThatFailsMidwayBreaksOplocks(t *testing.T) {
	limitFileSize(t)
	const limit = 1 << 30 // of a file
	for name, write := range map[string]func(p *peer, id wire.FileID) []byte{
		"as it arrives": func(p *peer, id wire.FileID) []byte { return p.writeMsg(id, limit-1, []byte("xx")) },
		"as a whole": func(p *peer, id wire.FileID) []byte {
			return chainOf(false, p.writeMsg(id, limit-1, []byte("xx")), p.request(wire.CommandEcho, 4, nil))
		},
	} {
		r, w := twoClients(t)
		held := r.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
		id := w.open("file", anyOpen)
		if got := status(w.askAll(write(w, id))[0]); got != wire.StatusDiskFull {
			t.Fatalf("%s: %v", name, got)
		}
		if st, err := os.Stat(filepath.Join(r.dir, "file")); err != nil || st.Size() != limit {
			t.Fatalf("%s: %v, %v", name, st, err)
		}
		r.breaks(held, wire.OplockNone)
	}
}
