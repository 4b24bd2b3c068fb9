package smbproto

import (
	"testing"

	"ustack/smbproto/wire"
)

// A named stream that becomes the file's own brings its oplock along, and who waits for that waits for the file no more.
func TestAStreamThatBecomesTheFileKeepsItsOplock(t *testing.T) {
	p := streamsIn(t, t.TempDir())
	other := connect(t, p.srv, p.dir)
	other.guid = [16]byte{2}
	other.logOn("pub")
	p.want(p.closeMsg(p.newFile("file")), wire.StatusOK)
	id := p.openLease("file:stream", anyOpen, 1, leaseRWH, leaseRWH)
	waits := other.pends(other.createMsg("file:stream", opening{wire.AccessAll, shareAll, wire.Open, 0}))
	p.leaseBreaks(1, leaseRWH, leaseRH, true)
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("::$DATA", true)), wire.StatusOK)
	other.wantLater(waits, wire.StatusObjectNameNotFound)
	p.want(p.leaseAckMsg(1, leaseRH), wire.StatusOK)
	p.openLease("file", anyOpen, 1, leaseRH, leaseRH)
	theirs := other.open("file", anyOpen)
	other.want(other.writeMsg(theirs, 0, []byte("x")), wire.StatusOK)
	p.leaseBreaks(1, leaseRH, 0, true)
}

// Its file is as long as the stream then, which those are told who cache the directory.
func TestAStreamThatBecomesTheFileChangesItsEntry(t *testing.T) {
	p := streamsIn(t, t.TempDir())
	other := connect(t, p.srv, p.dir)
	other.dialect, other.guid = 0x0300, [16]byte{2}
	other.logOn("pub")
	id := p.open("file:stream", anyOpen)
	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	id = p.open("file:stream", anyOpen)
	other.leaseDir("", 1)
	p.want(p.setMsg(id, wire.FileRenameInformation, renameInfo("::$DATA", true)), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	other.leaseV2Breaks(1, leaseRH, 0, 2, true)
}
