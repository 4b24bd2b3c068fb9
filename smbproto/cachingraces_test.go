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
