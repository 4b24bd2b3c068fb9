package smbproto

import (
	"sync"
	"testing"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// pends sends a request that is to wait, and returns the AsyncId of its interim answer.
func (p *peer) pends(msg []byte) uint64 {
	p.t.Helper()
	r := p.want(msg, wire.StatusPending)
	h := wire.Header(r)
	if !h.Has(wire.FlagAsync) || h.AsyncID() == 0 || h.MessageID() != wire.Header(msg).MessageID() || h.Credits() == 0 {
		p.t.Fatalf("interim answer: flags %#x, async %d, message %d, credits %d", h.Flags(), h.AsyncID(), h.MessageID(), h.Credits())
	}
	return h.AsyncID()
}

// later has the handler look again, and returns the next answer, or nil.
func (p *peer) later() []byte {
	p.t.Helper()
	if err := p.feed(nil); err != nil {
		p.t.Fatal(err)
	}
	return p.reply()
}

// wantLater takes the final answer of a request that waited.
func (p *peer) wantLater(async uint64, s wire.Status) []byte {
	p.t.Helper()
	r := p.later()
	if r == nil {
		p.t.Fatalf("no answer, want %v", s)
	}
	h := wire.Header(r)
	if h.Status() != s || !h.Has(wire.FlagAsync) || h.AsyncID() != async || h.Credits() != 0 {
		p.t.Fatalf("%v, flags %#x, async %d, credits %d; want %v, %d and 0", h.Status(), h.Flags(), h.AsyncID(), h.Credits(), s, async)
	}
	if more := p.reply(); more != nil {
		p.t.Fatalf("and another answer, %v", status(more))
	}
	return r
}

func (p *peer) still() {
	p.t.Helper()
	if r := p.later(); r != nil {
		p.t.Fatalf("%v: %v, want it to wait", wire.Header(r).Command(), status(r))
	}
}

func (p *peer) cancelMsg(async uint64) []byte {
	m := p.request(wire.CommandCancel, 4, nil)
	p.message-- // it takes none
	if async != 0 {
		wire.Header(m).PutAsync(async)
	}
	return m
}

// holderAndWaiter are two clients of one server that have a file open: the first has locked its first byte.
func holderAndWaiter(t *testing.T) (h, w *peer, held, wanted wire.FileID) {
	t.Helper()
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	h, w = connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	held, wanted = h.open("file", anyOpen), w.open("file", anyOpen)
	h.want(h.lockMsg(held, 0, 1, exclusive), wire.StatusOK)
	return h, w, held, wanted
}

// TestALockWaits: what sets a waiting lock free, and what ends it.
func TestALockWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(holder, waiter *peer, held, wanted wire.FileID)
		want wire.Status
	}{
		{"unlock", func(h, _ *peer, held, _ wire.FileID) { h.want(h.lockMsg(held, 0, 1, wire.LockUnlock), wire.StatusOK) }, wire.StatusOK},
		{"the holder closes", func(h, _ *peer, held, _ wire.FileID) { h.want(h.closeMsg(held), wire.StatusOK) }, wire.StatusOK},
		{"the holder is gone", func(h, _ *peer, _, _ wire.FileID) { h.hangUp() }, wire.StatusOK},
		{"log-off of the holder", func(h, _ *peer, _, _ wire.FileID) {
			h.want(h.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
		}, wire.StatusOK},
		{"the waiter closes", func(_, w *peer, _, wanted wire.FileID) { w.want(w.closeMsg(wanted), wire.StatusOK) }, wire.StatusRangeNotLocked},
		{"the waiter's tree ends", func(_, w *peer, _, _ wire.FileID) {
			w.want(w.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
		}, wire.StatusRangeNotLocked},
		{"log-off of the waiter", func(_, w *peer, _, _ wire.FileID) {
			w.want(w.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
		}, wire.StatusRangeNotLocked},
		{"cancelled by AsyncId", func(_, w *peer, _, _ wire.FileID) {
			if err := w.feed(frame(w.cancelMsg(1))); err != nil {
				t.Fatal(err)
			}
		}, wire.StatusCancelled},
		{"cancelled by MessageId", func(_, w *peer, _, _ wire.FileID) {
			m := w.cancelMsg(0)
			le.PutUint64(m[24:], w.message-2)
			if err := w.feed(frame(m)); err != nil {
				t.Fatal(err)
			}
		}, wire.StatusCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, w, held, wanted := holderAndWaiter(t)
			w.want(w.lockMsg(wanted, 0, 1, exclusive), wire.StatusLockNotGranted)
			async := w.pends(w.lockMsg(wanted, 0, 1, wire.LockExclusive))
			w.still()
			w.want(w.request(wire.CommandEcho, 4, nil), wire.StatusOK) // nobody else waits for it
			c.end(h, w, held, wanted)
			w.wantLater(async, c.want)
			if len(w.c.pending) != 0 {
				t.Errorf("%d requests are still kept", len(w.c.pending))
			}
			if c.want == wire.StatusOK && w.locksOf(w.srv) != 1 {
				t.Errorf("%d locks, want the one that was granted", w.locksOf(w.srv))
			}
			if c.want == wire.StatusOK {
				w.want(w.lockMsg(wanted, 0, 1, wire.LockUnlock), wire.StatusOK)
			}
		})
	}
}

// Locks are granted to those who wait in their order, several if they don't exclude each
// other, and one that can't be had keeps nobody behind it waiting.
func TestLocksAreGrantedInTheirOrder(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	var id [5]wire.FileID
	for i := range id {
		id[i] = p.open("file", anyOpen)
	}
	p.want(p.lockMsg(id[0], 0, 1, exclusive), wire.StatusOK)
	p.want(p.lockMsg(id[0], 5, 1, exclusive), wire.StatusOK)
	elsewhere := p.pends(p.lockMsg(id[1], 5, 1, wire.LockShared))
	first := p.pends(p.lockMsg(id[2], 0, 1, wire.LockShared))
	second := p.pends(p.lockMsg(id[3], 0, 1, wire.LockShared))
	last := p.pends(p.lockMsg(id[4], 0, 1, wire.LockExclusive))
	if r := p.ask(p.lockMsg(id[0], 0, 1, wire.LockUnlock)); status(r) != wire.StatusOK {
		t.Fatal(status(r))
	}
	for _, async := range []uint64{first, second} {
		if r := p.reply(); r == nil || status(r) != wire.StatusOK || wire.Header(r).AsyncID() != async {
			t.Fatalf("answer to %d: %x", async, r)
		}
	}
	p.want(p.lockMsg(id[2], 0, 1, wire.LockUnlock), wire.StatusOK)
	p.still() // the third shared one is held still
	p.want(p.lockMsg(id[3], 0, 1, wire.LockUnlock), wire.StatusOK)
	p.wantLater(last, wire.StatusOK)
	p.want(p.closeMsg(id[0]), wire.StatusOK)
	p.wantLater(elsewhere, wire.StatusOK)
}

func TestWhatMayNotWait(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Limits.MaxPending = 2 }).logOn("pub")
	held, wanted := p.open("file", anyOpen), p.open("file", anyOpen)
	p.want(p.lockMsg(held, 0, 1, exclusive), wire.StatusOK)
	p.want(p.lockMsg(wanted, 0, 2, wire.LockExclusive), wire.StatusInvalidParameter)
	p.wantAll(chainOf(false, p.lockMsg(wanted, 0, 1, wire.LockExclusive), p.request(wire.CommandEcho, 4, nil)),
		wire.StatusInternalError, wire.StatusOK)
	p.wantAll(chainOf(false, p.request(wire.CommandEcho, 4, nil), p.lockMsg(wanted, 0, 1, wire.LockExclusive)),
		wire.StatusOK, wire.StatusPending)
	p.pends(p.lockMsg(wanted, 0, 1, wire.LockExclusive))
	p.want(p.lockMsg(wanted, 0, 1, wire.LockExclusive), wire.StatusInsufficientResources)
	p.want(p.closeMsg(held), wire.StatusOK)
	p.wantLater(1, wire.StatusOK)
	p.want(p.lockMsg(wanted, 0, 1, wire.LockUnlock), wire.StatusOK)
	p.wantLater(2, wire.StatusOK)
	if n := p.c.credits.unused; n < 1 {
		t.Errorf("%d credits left", n)
	}
}

// An interim answer is not signed, the final one is as the request was.
func TestFinalAnswersAreSigned(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	held, wanted := p.open("file", anyOpen), p.open("file", anyOpen)
	p.key()
	p.c.sessions[p.session].mustSign = true
	p.want(p.signMsg(p.lockMsg(held, 0, 1, exclusive)), wire.StatusOK)
	r := p.want(p.signMsg(p.lockMsg(wanted, 0, 1, wire.LockExclusive)), wire.StatusPending)
	if wire.Header(r).Has(wire.FlagSigned) {
		t.Error("the interim answer is signed")
	}
	p.want(p.signMsg(p.closeMsg(wanted)), wire.StatusOK)
	r = p.wantLater(1, wire.StatusRangeNotLocked)
	if !wire.Header(r).Has(wire.FlagSigned) || !testSigner(t).Verify(r) {
		t.Error("the final answer is not signed")
	}
}

func TestFinalAnswersAreEncrypted(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	held, wanted := p.open("file", anyOpen), p.open("file", anyOpen)
	ch := p.sealKeys(crypt.AES128GCM)
	if r := ch.ask(p.lockMsg(held, 0, 1, exclusive)); status(r) != wire.StatusOK {
		t.Fatal(status(r))
	}
	if r := ch.ask(p.lockMsg(wanted, 0, 1, wire.LockExclusive)); status(r) != wire.StatusPending {
		t.Fatal(status(r))
	}
	p.want(p.lockMsg(held, 0, 1, wire.LockUnlock), wire.StatusOK) // this answer is plain
	r, ok := ch.opener.Open(p.later())
	if !ok || status(r) != wire.StatusOK {
		t.Fatalf("opened %v: %v", ok, status(r))
	}
}

// What others settle when a connection has ended reaches nobody, and breaks nothing.
func TestAConnectionThatEndsLeavesNothingWaiting(t *testing.T) {
	h, w, held, wanted := holderAndWaiter(t)
	w.pends(w.lockMsg(wanted, 0, 1, wire.LockExclusive))
	w.pends(w.notifyMsg(w.open("", opening{wire.AccessReadData, shareAll, wire.Open, wire.OptionDirectory}), 1000, wire.NotifyFileName, true))
	w.hangUp()
	h.want(h.lockMsg(held, 0, 1, wire.LockUnlock), wire.StatusOK)
	if n := h.locksOf(h.srv); n != 0 {
		t.Errorf("%d locks", n)
	}
	if n := h.srv.watching.Dirs(); n != 0 {
		t.Errorf("%d directories are watched still", n)
	}
}

// Those who wait for one file are bounded, over all connections: each unlock asks them all.
func TestLocksThatWaitForAFileAreBounded(t *testing.T) {
	h, w, held, wanted := holderAndWaiter(t)
	for range maxWaiting / 2 {
		w.pends(w.lockMsg(wanted, 0, 1, wire.LockShared))
		h.pends(h.lockMsg(held, 0, 1, wire.LockExclusive))
	}
	w.want(w.lockMsg(wanted, 0, 1, wire.LockShared), wire.StatusInsufficientResources)
	h.want(h.closeMsg(held), wire.StatusOK)
	for r, n := w.later(), 0; ; r = w.reply() {
		if r == nil {
			if n != maxWaiting/2 {
				t.Errorf("%d were granted, want %d", n, maxWaiting/2)
			}
			break
		}
		if status(r) == wire.StatusOK {
			n++
		}
	}
	x := connect(t, h.srv, h.dir).logOn("pub")
	x.want(x.lockMsg(x.open("file", anyOpen), 10, 1, exclusive), wire.StatusOK)
	w.pends(w.lockMsg(wanted, 10, 1, wire.LockShared)) // there is room again
}

// A request that is tried again, and waits again, is cancelled over another channel meanwhile: it is answered once, and nothing is left.
func TestWhatIsTriedAgainIsCancelledOverAnotherChannel(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	other := m.another().mustBind(m)
	holder, looker := connect(t, m.srv, m.dir).logOn("pub"), connect(t, m.srv, m.dir).logOn("pub")
	holder.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	for range 100 {
		async := m.pends(m.createMsg("file", anyOpen))
		var wg sync.WaitGroup
		wg.Go(func() { // each of whose closes has those who wait try again
			for range 30 {
				looker.want(looker.closeMsg(looker.open("file", opening{att, shareAll, wire.Open, 0})), wire.StatusOK)
			}
		})
		wg.Go(func() {
			for range 60 {
				if err := other.feed(frame(other.cancelMsg(async))); err != nil {
					t.Error(err)
				}
			}
		})
		answers := 0
		take := func() {
			if r := m.later(); r != nil {
				if answers++; status(r) != wire.StatusCancelled {
					t.Errorf("%v", status(r))
				}
			}
		}
		for range 60 {
			take()
		}
		wg.Wait()
		take() // it may have been tried again at the last moment, and then waits
		if answers == 0 {
			if err := other.feed(frame(other.cancelMsg(async))); err != nil {
				t.Fatal(err)
			}
			take()
		}
		if answers != 1 || len(m.c.pending) != 0 || len(m.c.sessions[m.session].waiting) != 0 {
			t.Fatalf("%d answers, %d requests wait", answers, len(m.c.pending))
		}
	}
}
