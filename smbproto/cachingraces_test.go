package smbproto

import (
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// Who opens a file after one who is to cut it has been admitted, and reads it before it is cut, is told that it was.
func TestWhoReadsAFileAsItIsCutIsTold(t *testing.T) {
	a, b := twoClients(t)
	cut := opening{wire.AccessAll, shareAll, wire.OverwriteIf, wire.OptionDeleteOnClose}
	for i := range 2000 {
		id := a.newFile("file")
		a.want(a.writeMsg(id, 0, []byte("x")), wire.StatusOK)
		a.want(a.closeMsg(id), wire.StatusOK)
		var wg sync.WaitGroup
		wg.Go(func() { id = a.open("file", cut) })
		r := b.want(b.leaseMsg("file", opening{wire.AccessReadData, shareAll, wire.Open, 0}, 1, leaseR), wire.StatusOK)
		theirs := wire.ReadFileID(r[128:])
		stale := status(b.ask(b.readMsg(theirs, 0, 1))) == wire.StatusOK
		wg.Wait()
		told := b.later()
		if stale && told == nil {
			t.Fatalf("after %d: what was read is not the file's, and nobody says so", i)
		}
		b.want(b.closeMsg(theirs), wire.StatusOK)
		a.want(a.closeMsg(id), wire.StatusOK)
	}
}

// Who opens a file by its name as it is being renamed, and keeps it open, is told that it is not called so any more.
func TestWhoOpensAFileAsItIsRenamedIsTold(t *testing.T) {
	a, b := twoClients(t)
	a.open("other", anyOpen) // handles are kept somewhere
	b.openLease("other", anyOpen, 9, leaseRH, leaseRH)
	for i := range 2000 {
		id := a.newFile("file")
		var wg sync.WaitGroup
		var r []byte
		wg.Go(func() { r = a.ask(a.setMsg(id, wire.FileRenameInformation, renameInfo("new", false))) })
		theirs := b.ask(b.leaseMsg("file", opening{wire.AccessReadData, shareAll, wire.Open, 0}, 1, leaseRH))
		wg.Wait()
		told := b.later()
		kept := status(theirs) == wire.StatusOK && wire.LeaseContext(b.context(theirs, wire.ContextLease)).State()&wire.LeaseHandle != 0
		if kept && status(r) == wire.StatusOK && told == nil {
			t.Fatalf("after %d: its client still keeps it open", i)
		}
		if status(theirs) == wire.StatusOK {
			b.want(b.closeMsg(wire.ReadFileID(theirs[128:])), wire.StatusOK)
		}
		if status(r) == wire.StatusPending {
			r = a.later()
		}
		if status(r) != wire.StatusOK {
			t.Fatalf("renamed: %v", status(r))
		}
		a.want(a.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
		a.want(a.closeMsg(id), wire.StatusOK)
	}
}
