package smbproto

import (
	"testing"
	"testing/synctest"
	"time"

	"ustack/smbproto/wire"
)

func (p *peer) resilientMsg(id wire.FileID, timeout time.Duration) []byte {
	in := le.AppendUint32(nil, uint32(timeout.Milliseconds()))
	return p.ioctlMsg(wire.FsctlRequestResiliency, id, append(in, 0, 0, 0, 0), 0)
}

// TestAResilientOpen: it needs no oplock, stays in others' way, and ends in its time.
func TestAResilientOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoClients(t)
		alone := opening{wire.AccessAll, wire.ShareRead, wire.OpenIf, 0}
		id := a.open("file", alone)
		a.want(a.resilientMsg(id, DefaultMaxDurableTimeout+time.Millisecond), wire.StatusInvalidParameter)
		a.want(a.ioctlMsg(wire.FsctlRequestResiliency, id, make([]byte, 7), 0), wire.StatusInvalidParameter)
		a.want(a.resilientMsg(a.open("", opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDirectory}), 0), wire.StatusNotSupported)
		a.want(a.resilientMsg(id, time.Minute), wire.StatusOK)
		again := a.comesBack("pub")
		b.want(b.createMsg("file", alone), wire.StatusSharingViolation)
		r := again.want(withContexts(again.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
		id = wire.ReadFileID(r[128:])
		again.want(again.resilientMsg(id, 0), wire.StatusOK)
		third := again.comesBack("pub")
		time.Sleep(DefaultDurableTimeout - time.Second)
		synctest.Wait()
		b.want(b.createMsg("file", alone), wire.StatusSharingViolation)
		time.Sleep(time.Second)
		synctest.Wait()
		b.open("file", alone)
		third.want(withContexts(third.createMsg("", anyOpen), reconnectV1(id)), wire.StatusObjectNameNotFound)
	})
}

// A resilient open loses its oplock to others at once, and is there all the same.
func TestAResilientOpensOplock(t *testing.T) {
	a, b := twoClients(t)
	id := a.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	a.want(a.resilientMsg(id, time.Minute), wire.StatusOK)
	async := b.pends(b.createMsg("file", anyOpen))
	a.breaks(id, wire.OplockII)
	again := a.comesBack("pub") // without an acknowledgment
	second := wire.ReadFileID(b.wantLater(async, wire.StatusOK)[128:])
	b.want(b.writeMsg(second, 0, []byte("x")), wire.StatusOK)
	r := again.want(withContexts(again.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
	if l := wire.OplockLevel(r[66]); l != wire.OplockNone {
		t.Errorf("oplock of level %#x", l)
	}
}

// TestALockIsSentAgain: by its number, where a connection may have been lost.
func TestALockIsSentAgain(t *testing.T) {
	numbered := func(m []byte, index, number uint32) []byte {
		le.PutUint32(m[68:], index<<4|number)
		return m
	}
	a, b := twoClients(t)
	plain := a.open("plain", anyOpen)
	a.want(numbered(a.lockMsg(plain, 0, 1, exclusive), 1, 1), wire.StatusOK)
	a.want(numbered(a.lockMsg(plain, 0, 1, exclusive), 1, 1), wire.StatusLockNotGranted) // nothing can have been lost
	id := a.open("file", anyOpen)
	a.want(a.resilientMsg(id, time.Minute), wire.StatusOK)
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 64, 1), wire.StatusOK)
	a = a.comesBack("pub")
	id = wire.ReadFileID(a.want(withContexts(a.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)[128:])
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 64, 1), wire.StatusOK) // that of before
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 65, 1), wire.StatusLockNotGranted)
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 0, 1), wire.StatusLockNotGranted)
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 64, 2), wire.StatusLockNotGranted)
	a.want(numbered(a.lockMsg(id, 0, 1, wire.LockUnlock), 64, 1), wire.StatusOK) // its number was forgotten
	a.want(numbered(a.lockMsg(id, 0, 1, wire.LockUnlock), 64, 1), wire.StatusOK)
	if a.c.locks != 0 {
		t.Fatalf("%d locks", a.c.locks)
	}
	// One that has waited counts from when it is granted.
	other := b.open("file", anyOpen)
	b.want(b.lockMsg(other, 0, 1, exclusive), wire.StatusOK)
	waits := numbered(a.lockMsg(id, 0, 1, wire.LockExclusive), 3, 5)
	async := a.pends(waits)
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 3, 5), wire.StatusLockNotGranted)
	b.want(b.lockMsg(other, 0, 1, wire.LockUnlock), wire.StatusOK)
	a.wantLater(async, wire.StatusOK)
	a.want(numbered(a.lockMsg(id, 0, 1, exclusive), 3, 5), wire.StatusOK)
	if a.c.locks != 1 {
		t.Errorf("%d locks", a.c.locks)
	}
}
