package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Of what changes in directories no more is kept than a bound, however many of them a client watches and however long
// it does not look.
func TestChangesThatAreKeptAreBounded(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.sh("mkdir d")
	const handles, room = 64, 1 << 18
	var ids []wire.FileID
	for range handles {
		id := p.open("d", listing)
		msg := p.charged(p.notifyMsg(id, room, names, false))
		charge(msg, room)
		p.message += uint64(chargeFor(room)) - 1
		async := p.pends(msg)
		if err := p.feed(frame(p.cancelMsg(async))); err != nil {
			t.Fatal(err)
		}
		p.wantLater(async, wire.StatusCancelled)
		ids = append(ids, id)
	}
	for i := range room / 600 { // to each 12 bytes and twice 250
		if err := os.WriteFile(filepath.Join(p.dir, "d", fmt.Sprintf("%0250d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		p.srv.tellChanges()
		if n := p.c.changes.Load(); n > maxConnChanges {
			t.Fatalf("%d bytes are kept", n)
		}
	}
	if n := p.c.changes.Load(); n < maxConnChanges/2 {
		t.Errorf("only %d bytes are kept", n)
	}
	// Those for whom it was too much are told so, the others what has happened; neither counts any more.
	for i, id := range ids {
		msg := p.notifyMsg(id, room, names, false)
		charge(msg, room)
		p.charged(msg)
		async := p.pends(msg)
		r := p.later()
		if s := status(r); s != wire.StatusOK && s != wire.StatusNotifyEnumDir || wire.Header(r).AsyncID() != async {
			t.Fatalf("handle %d: %v", i, s)
		}
	}
	if n := p.c.changes.Load(); n != 0 {
		t.Errorf("%d bytes are kept of what was told", n)
	}
	for i := range 100 {
		p.sh(fmt.Sprintf("touch d/more%d", i))
	}
	p.srv.tellChanges()
	for _, id := range ids {
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	if n := p.c.changes.Load(); n != 0 {
		t.Errorf("%d bytes are kept for nobody", n)
	}
}

// What there is no room for is refused before all that there is has been taken: nobody else could write anything as long as
// the file is there.
func TestNobodyTakesAllRoom(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	var st unix.Statfs_t
	if err := unix.Statfs(p.dir, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Frsize
	if free > 1<<43 {
		t.Skip("more room than a file may have")
	}
	id := p.newFile("file")
	more := le.AppendUint64(nil, uint64(free+free/4+1<<30))
	takesNothing := func() {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(p.dir, "file"), &st); err != nil || st.Blocks*512 > 1<<20 {
			t.Errorf("the file takes %d bytes: %v", st.Blocks*512, err)
		}
	}
	p.want(p.setMsg(id, wire.FileAllocationInformation, more), wire.StatusDiskFull)
	takesNothing()
	p.want(p.setMsg(id, wire.FileEndOfFileInformation, more), wire.StatusOK) // of holes
	p.want(p.ioctlMsg(wire.FsctlSetSparse, id, nil, 0), wire.StatusOK)
	p.want(p.ioctlMsg(wire.FsctlSetSparse, id, []byte{0}, 0), wire.StatusDiskFull)
	p.want(p.ioctlMsg(wire.FsctlSetZeroData, id, twoOffsets(0, 1<<62), 0), wire.StatusOK)
	if err := p.openOf(id).file.SetSparse(false); err != nil {
		t.Fatal(err)
	}
	p.want(p.ioctlMsg(wire.FsctlSetZeroData, id, twoOffsets(0, 1<<62), 0), wire.StatusOK)
	takesNothing()
	p.want(p.closeMsg(id), wire.StatusOK)
}

// RLIMIT_FSIZE bounds what is reserved, too.
func TestReservingKeepsToTheLimitOfFiles(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	limitFileSize(t)
	id := p.newFile("file")
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 1<<30+1)), wire.StatusDiskFull)
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 1<<20)), wire.StatusOK)
}

// A lock of SMB1 that waits for weeks keeps nothing of a connection that has ended.
func TestALockThatWaitsKeepsNoConnection(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	holder := connect1(t, p.srv, p.dir).logOn1("pub")
	holder.want1(holder.lockMsg1(holder.open1("file", all1), 0, 1, 0), wire.StatusOK)
	if r := p.ask1(p.lockMsg1(p.open1("file", all1), 0, 1, 1<<32-2)); r != nil {
		t.Fatal(r.Status())
	}
	var waits *pending
	for _, waits = range p.c.pending {
	}
	p.hangUp()
	if waits == nil || waits.smb1.timer == nil || waits.smb1.timer.Stop() {
		t.Error("its time goes on")
	}
}

// Locks that a request of SMB1 asks for together count one by one among those that wait for a file: all of them are tried
// when one is given back.
func TestLocksThatWaitTogetherAreBounded(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	holder := connect1(t, p.srv, p.dir).logOn1("pub")
	holder.want1(holder.lockMsg1(holder.open1("file", all1), 0, 1, 0), wire.StatusOK)
	fid := p.open1("file", all1)
	many := func() []byte {
		m := p.lockMsg1(fid, 1000, 1, 1<<32-1)
		last := m[len(m)-20:]
		const locks = maxWaiting / 2
		data := make([]byte, 0, 20*locks)
		for i := range locks - 1 {
			last = append([]byte(nil), last...)
			le.PutUint32(last[8:], uint32(1000+i))
			data = append(data, last...)
		}
		last = append([]byte(nil), last...)
		le.PutUint32(last[8:], 0) // is in the holder's way
		data = append(data, last...)
		m = m[:len(m)-22]
		le.PutUint16(m[len(m)-2:], locks)
		return append(le.AppendUint16(m, uint16(len(data))), data...)
	}
	for range 2 {
		if r := p.ask1(many()); r != nil {
			t.Fatal(r.Status())
		}
	}
	if r := p.ask1(many()); r == nil || r.Status() != wire.StatusInsufficientResources {
		t.Error("more wait than a file's locks may")
	}
}

// A file that has been given as many streams and EAs as it takes can still be asked about, written over and used: Linux
// lists no names at all that take more than 64 KiB together.
func TestNamesOfStreamsAndEAsAreBounded(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "storms")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := streamsIn(t, dir)
	id := p.newFile("file")
	full := false
	for i := 0; i < 500 && !full; i++ {
		stream, s := p.tryOpen(fmt.Sprintf("file:%0200d", i), anyOpen)
		if full = s == wire.StatusDiskFull; full {
			break
		}
		if s != wire.StatusOK {
			t.Fatalf("stream %d: %v", i, s)
		}
		p.want(p.closeMsg(stream), wire.StatusOK)
	}
	if !full {
		t.Skip("more than 500 streams were made: here they are no xattrs of Linux's")
	}
	long := p.open("file:"+fmt.Sprintf("%0200d", 0), anyOpen)
	if s := status(p.ask(p.setMsg(long, wire.FileRenameInformation, renameInfo(":"+strings.Repeat("y", 230), false)))); s != wire.StatusDiskFull {
		t.Errorf("renamed to a longer name: %v", s)
	}
	p.want(p.closeMsg(long), wire.StatusOK)
	for i := range 100 {
		if s := p.setEAs(id, fmt.Sprintf("%0230d", i), "x"); s == wire.StatusEATooLarge {
			break
		} else if s != wire.StatusOK {
			t.Fatalf("EA %d: %v", i, s)
		}
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, wire.Filetime(1<<57))), wire.StatusOK)
	p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000), wire.StatusOK)
	r := p.want(p.charged(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStreamInformation), maxInfo)), wire.StatusBufferOverflow)
	if len(r) < maxInfo/2 {
		t.Errorf("streams are listed in %d bytes", len(r))
	}
	p.want(p.closeMsg(id), wire.StatusOK)
	id = p.open("file", opening{wire.AccessAll, shareAll, wire.Supersede, 0})
	p.wantStreams(id, "::$DATA 0")
	p.want(p.closeMsg(id), wire.StatusOK)
}
