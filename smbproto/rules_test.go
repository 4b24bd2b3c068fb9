package smbproto

import (
	"testing"

	"pgregory.net/rapid"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

func TestRangesOverlapWhereTheyShareAByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Uint64Range(0, 8)
		a, n := small.Draw(t, "a"), small.Draw(t, "n")
		b, m := small.Draw(t, "b"), small.Draw(t, "m")
		want := a < b+m && b < a+n
		if n == 0 || m == 0 {
			// An empty range lies between two bytes, of which another must have both.
			want = n == 0 && m > 0 && b < a && a < b+m || m == 0 && n > 0 && a < b && b < a+n
		}
		// The same at the end of all offsets.
		high := ^uint64(0) - 16
		for _, base := range []uint64{0, high} {
			r := byteRange{off: base + a, length: n}
			if got := r.overlaps(base+b, m); got != want {
				t.Errorf("[%d, +%d) and [%d, +%d): %v", base+a, n, base+b, m, got)
			}
		}
	})
}

// Of several locks all are granted, or none.
func TestLocksAreGrantedTogether(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	a, b := p.newFile("file"), p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	lock := func(id wire.FileID, flags uint32, offs ...uint64) wire.Status {
		var more []byte
		for _, off := range offs[1:] {
			more = le.AppendUint64(le.AppendUint64(more, off), 1)
			more = le.AppendUint64(more, uint64(flags))
		}
		return status(p.ask(p.request(wire.CommandLock, 48, func(m []byte) {
			le.PutUint16(m[66:], uint16(len(offs)))
			id.Put(m[72:])
			le.PutUint64(m[88:], offs[0])
			le.PutUint64(m[96:], 1)
			le.PutUint32(m[104:], flags)
		}, more...)))
	}
	const excl = wire.LockExclusive | wire.LockFailImmediately
	for i, s := range []struct {
		got, want wire.Status
	}{
		{lock(a, excl, 3), wire.StatusOK},
		{lock(b, excl, 1, 2, 3), wire.StatusLockNotGranted},
		{lock(a, excl, 1, 2), wire.StatusOK},
		{lock(a, wire.LockUnlock, 1, 2, 3), wire.StatusOK},
		{lock(b, excl, 1, 2, 3), wire.StatusOK},
		{lock(b, wire.LockUnlock, 1, 2, 9), wire.StatusRangeNotLocked},
		{lock(a, excl, 1, 2), wire.StatusOK},
	} {
		if s.got != s.want {
			t.Errorf("step %d: %v, want %v", i, s.got, s.want)
		}
	}
}

// A request that fails takes back what it has locked, and not a lock that was there before and has the same range.
// Who can neither read nor write a file keeps nobody from it by a lock.
func TestWhoMayLock(t *testing.T) {
	p := newPeer(t, allowSMB1).logOn("pub")
	p.newFile("file")
	p1 := connect1(t, p.srv, p.dir).logOn1("pub")
	const data = wire.AccessReadData | wire.AccessWriteData | wire.AccessAppendData | wire.AccessExecute
	for right := wire.AccessReadData; right <= wire.AccessWriteOwner; right <<= 1 {
		if right&wire.AccessAll == 0 {
			continue
		}
		want := wire.StatusAccessDenied
		if right&data != 0 {
			want = wire.StatusOK
		}
		o := opening{right, shareAll, wire.Open, 0}
		id, fid := p.open("file", o), p1.open1("file", o)
		for _, kind := range []uint32{wire.LockShared, wire.LockExclusive} {
			if s := status(p.ask(p.lockMsg(id, 0, 1, kind|wire.LockFailImmediately))); s != want {
				t.Errorf("right %#x, kind %d: %v, want %v", right, kind, s, want)
			}
			if want == wire.StatusOK {
				p.want(p.lockMsg(id, 0, 1, wire.LockUnlock), wire.StatusOK)
			}
		}
		p1.want1(p1.lockMsg1(fid, 0, 1, 0), want)
		p1.want1(p1.msg(wire.SMB1LockByteRange, words(fid, uint32(1), uint32(1)), nil), want)
		p.want(p.closeMsg(id), wire.StatusOK)
		p1.want1(p1.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
	}
}

func TestLocksThatAreTakenBackAreTheLast(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	a, b := p.newFile("file"), p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	p.want(p.lockMsg(a, 0, 1, exclusive), wire.StatusOK)
	p.want(p.lockMsg(b, 2, 1, exclusive), wire.StatusOK)
	p.want(p.lockMsg(a, 0, 2, wire.LockShared|wire.LockFailImmediately), wire.StatusLockNotGranted) // the first of them is granted
	p.want(p.readMsg(b, 0, 1), wire.StatusFileLockConflict)
	p.want(p.lockMsg(a, 0, 1, wire.LockUnlock), wire.StatusOK)
	p.want(p.lockMsg(a, 0, 1, wire.LockUnlock), wire.StatusRangeNotLocked)
	if n := p.c.locks; n != 1 {
		t.Errorf("%d locks are counted, want 1", n)
	}
}

// A directory takes no other's place, and of one that is full it is said why.
func TestADirectoryReplacesNoDirectory(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for _, name := range []string{"empty", "full", `full\in`, "dir"} {
		p.want(p.closeMsg(p.open(name, opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})), wire.StatusOK)
	}
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Open, wire.OptionDirectory})
	p.want(p.setMsg(dir, wire.FileRenameInformation, renameInfo("empty", true)), wire.StatusAccessDenied)
	p.want(p.setMsg(dir, wire.FileRenameInformation, renameInfo("full", true)), wire.StatusDirectoryNotEmpty)
	p.want(p.setMsg(dir, wire.FileRenameInformation, renameInfo("full", false)), wire.StatusObjectNameCollision)
	file := p.newFile("file")
	p.want(p.setMsg(file, wire.FileRenameInformation, renameInfo("full", true)), wire.StatusAccessDenied)
	p.wantNames("dir empty file full")
}

// A directory takes no file's place: Linux can't do it in one, and neither is lost.
func TestADirectoryReplacesNoFile(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.put("file", "content")
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.want(p.setMsg(dir, wire.FileRenameInformation, renameInfo("file", true)), wire.StatusAccessDenied)
	p.want(p.setMsg(dir, wire.FileRenameInformation, renameInfo("file", false)), wire.StatusObjectNameCollision)
	p.want(p.closeMsg(dir), wire.StatusOK)
	if p.wantNames("dir file"); p.content("file") != "content" {
		t.Errorf("the file has %q", p.content("file"))
	}
}

func TestWhatMayBeSet(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	all := p.newFile("file")
	reader := p.open("file", opening{rd | att, shareAll, wire.Open, 0})
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	eight, forty := make([]byte, 8), make([]byte, 40)
	isDir := append(make([]byte, 32), byte(wire.AttributeDirectory), 0, 0, 0, 0, 0, 0, 0)
	for _, c := range []struct {
		id    wire.FileID
		class wire.FileInfoClass
		b     []byte
		want  wire.Status
	}{
		{all, wire.FileBasicInformation, forty, wire.StatusOK},
		{all, wire.FileBasicInformation, forty[:30], wire.StatusInfoLengthMismatch},
		{all, wire.FileBasicInformation, isDir, wire.StatusInvalidParameter},
		{dir, wire.FileBasicInformation, isDir, wire.StatusOK},
		{reader, wire.FileBasicInformation, forty, wire.StatusAccessDenied},
		{reader, wire.FileEndOfFileInformation, eight, wire.StatusAccessDenied},
		{reader, wire.FileDispositionInformation, eight, wire.StatusAccessDenied},
		{reader, wire.FileRenameInformation, renameInfo("x", false), wire.StatusAccessDenied},
		{all, wire.FileEndOfFileInformation, eight[:7], wire.StatusInfoLengthMismatch},
		{all, wire.FileAllocationInformation, eight[:7], wire.StatusInfoLengthMismatch},
		{dir, wire.FileEndOfFileInformation, eight, wire.StatusInvalidParameter},
		{all, wire.FilePositionInformation, eight, wire.StatusOK},
		{all, wire.FileModeInformation, eight, wire.StatusOK},
		{all, wire.FileDispositionInformation, nil, wire.StatusInfoLengthMismatch},
		{all, wire.FileRenameInformation, eight, wire.StatusInfoLengthMismatch},
		{all, wire.FileLinkInformation, renameInfo("x", false), wire.StatusOK},
		{reader, wire.FileLinkInformation, renameInfo("y", false), wire.StatusOK},
		{reader, wire.FileLinkInformation, renameInfo("Y", true), wire.StatusObjectNameCollision},
		{reader, wire.FileLinkInformation, renameInfo(`none\x`, false), wire.StatusObjectPathNotFound},
		{reader, wire.FileLinkInformation, renameInfo(`..\x`, false), wire.StatusObjectPathSyntaxBad},
		{reader, wire.FileLinkInformation, eight, wire.StatusInfoLengthMismatch},
		{dir, wire.FileLinkInformation, renameInfo("z", false), wire.StatusFileIsADirectory},
		{all, wire.FileFullEAInformation, eight, wire.StatusEAListInconsistent},
		{reader, wire.FileFullEAInformation, eight, wire.StatusAccessDenied},
		{all, wire.FileStandardInformation, forty, wire.StatusInvalidInfoClass},
		{all, 255, eight, wire.StatusInvalidInfoClass},
	} {
		if s := status(p.ask(p.setMsg(c.id, c.class, c.b))); s != c.want {
			t.Errorf("class %d, %d bytes: %v, want %v", c.class, len(c.b), s, c.want)
		}
	}
	p.want(p.request(wire.CommandFlush, 24, func(m []byte) { all.Put(m[72:]) }), wire.StatusOK)
	p.want(p.request(wire.CommandFlush, 24, func(m []byte) { reader.Put(m[72:]) }), wire.StatusAccessDenied)
	p.want(p.request(wire.CommandChangeNotify, 32, func(m []byte) { all.Put(m[72:]) }), wire.StatusInvalidParameter)
	p.want(p.request(wire.CommandOplockBreak, 24, nil), wire.StatusFileClosed)
	p.want(p.request(wire.CommandOplockBreak, 24, func(m []byte) { all.Put(m[72:]) }), wire.StatusInvalidOplockProtocol)
	if err := p.feed(frame(p.request(wire.CommandCancel, 4, nil))); err != nil || p.reply() != nil {
		t.Errorf("CANCEL: %v, or an answer", err)
	}
}

// withContext adds a create context to a CREATE.
func withContext(m []byte, name string, data []byte) []byte {
	m = append(m, make([]byte, -len(m)&7)...)
	at := len(m)
	m = append(m, make([]byte, 24+len(data)+8)...)
	body, n := wire.PutContext(m[at:], name, len(data))
	copy(body, data)
	le.PutUint32(m[112:], uint32(at))
	le.PutUint32(m[116:], uint32(n))
	return m[:at+n]
}

// A file that is made or cut has the room that was asked for, MS-SMB2 3.3.5.9.1; one that is only opened is left alone.
func TestAllocationSizeOfCreate(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for _, c := range []struct {
		d        wire.Disposition
		size     uint64
		want     wire.Status
		reserved bool
	}{
		{wire.Create, 1 << 20, wire.StatusOK, true},
		{wire.OverwriteIf, 2 << 20, wire.StatusOK, true},
		{wire.Supersede, 0, wire.StatusOK, true},
		{wire.Open, 1 << 20, wire.StatusOK, false},
		{wire.Open, 1 << 63, wire.StatusInvalidParameter, false},
	} {
		r := p.want(withContext(p.createMsg("file", opening{wire.AccessAll, shareAll, c.d, 0}), wire.ContextAllocationSize, le.AppendUint64(nil, c.size)), c.want)
		if c.want != wire.StatusOK {
			continue
		}
		if got, end := le.Uint64(r[104:]), le.Uint64(r[112:]); c.reserved != (got >= c.size && got < c.size+1<<16) && c.size > 0 || end != 0 {
			t.Errorf("disposition %d, %d asked for: %d allocated, size %d", c.d, c.size, got, end)
		}
		p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
	}
	p.want(withContext(p.createMsg("short", opening{wire.AccessAll, shareAll, wire.Create, 0}), wire.ContextAllocationSize, make([]byte, 7)), wire.StatusInvalidParameter)
	for _, access := range []wire.Access{wire.AccessAll, rd} {
		huge := withContext(p.createMsg("huge", opening{access, shareAll, wire.Create, 0}), wire.ContextAllocationSize, le.AppendUint64(nil, 1<<62))
		if s := status(p.ask(huge)); s != wire.StatusDiskFull {
			t.Errorf("more than there can be: %v", s)
		}
		if _, s := p.tryOpen("huge", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameNotFound {
			t.Errorf("a file without the room that it needs: %v", s)
		}
	}
}

// A file that there is no room to write over keeps what it has.
func TestNoRoomToWriteOverLeavesTheFile(t *testing.T) {
	p := withStreams(t)
	for _, name := range []string{"file", "file:stream"} {
		p.put(name, "content")
		for _, d := range []wire.Disposition{wire.Overwrite, wire.OverwriteIf, wire.Supersede} {
			msg := p.createMsg(name, opening{wire.AccessAll, shareAll, d, 0})
			p.want(withContext(msg, wire.ContextAllocationSize, le.AppendUint64(nil, 1<<62)), wire.StatusDiskFull)
			id := p.open(name, opening{rd, shareAll, wire.Open, 0})
			if got := string(p.want(p.readMsg(id, 0, 100), wire.StatusOK)[80:]); got != "content" {
				t.Errorf("%s, disposition %d: %q is left", name, d, got)
			}
			p.close(id)
		}
	}
}

// Whoever makes a file may say how large it will be, though it is not he who will write it.
func TestAllocationSizeOfCreateNeedsNoRight(t *testing.T) {
	p := withStreams(t)
	for _, name := range []string{"file", "file:stream", "other:stream"} {
		for _, d := range []wire.Disposition{wire.Create, wire.OverwriteIf} {
			msg := p.createMsg(name, opening{wire.AccessReadAttributes, shareAll, d, 0})
			r := p.want(withContext(msg, wire.ContextAllocationSize, le.AppendUint64(nil, 500)), wire.StatusOK)
			p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
		}
	}
}

func TestModeInformation(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.open("file", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionSequentialOnly | wire.OptionNonDirectory})
	for _, c := range []struct {
		set  wire.CreateOptions
		want wire.Status
		mode wire.CreateOptions
	}{
		{wire.OptionWriteThrough, wire.StatusOK, wire.OptionWriteThrough},
		{1, wire.StatusInvalidParameter, wire.OptionWriteThrough},
		{wire.OptionDeleteOnClose, wire.StatusInvalidParameter, wire.OptionWriteThrough},
		{0, wire.StatusOK, 0},
	} {
		p.want(p.setMsg(id, wire.FileModeInformation, le.AppendUint32(nil, uint32(c.set))), c.want)
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileModeInformation), 4), wire.StatusOK)
		if got := wire.CreateOptions(le.Uint32(r[72:])); got != c.mode {
			t.Errorf("set %#x: mode %#x, want %#x", c.set, got, c.mode)
		}
	}
	p.want(p.setMsg(id, wire.FileModeInformation, make([]byte, 3)), wire.StatusInfoLengthMismatch)
}

// Who has a directory open decides whether a file may be renamed into it.
func TestRenameKeepsToShareModesOfTheDirectory(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.closeMsg(p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})), wire.StatusOK)
	file := p.newFile(`dir\file`)
	for _, c := range []struct {
		access wire.Access
		share  wire.ShareAccess
		want   wire.Status
	}{
		{rd, shareAll, wire.StatusOK},
		{rd, wire.ShareWrite, wire.StatusOK},
		{rd, wire.ShareRead | wire.ShareDelete, wire.StatusSharingViolation},
		{rd | del, shareAll, wire.StatusSharingViolation},
		{att, 0, wire.StatusOK},
	} {
		dir := p.open("dir", opening{c.access, c.share, wire.Open, 0})
		p.want(p.setMsg(file, wire.FileRenameInformation, renameInfo(`dir\other`, false)), c.want)
		p.want(p.closeMsg(dir), wire.StatusOK)
		if c.want == wire.StatusOK {
			p.want(p.setMsg(file, wire.FileRenameInformation, renameInfo(`dir\file`, false)), wire.StatusOK)
		}
	}
}

// What the structure is padded to counts for the least buffer, and dialect 2.1 knows no normalized names.
func TestLeastBuffers(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("a")
	for class, least := range map[wire.FsInfoClass]int{wire.FsVolumeInformation: 24, wire.FsAttributeInformation: 16} {
		p.want(p.queryMsg(id, wire.InfoFilesystem, uint8(class), least-1), wire.StatusInfoLengthMismatch)
		p.want(p.queryMsg(id, wire.InfoFilesystem, uint8(class), 100), wire.StatusOK)
	}
	p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileNormalizedNameInformation), 100), wire.StatusNotSupported)
}

// Nothing of a descriptor may be had without the right to read it.
func TestSecurityQueriesNeedReadControl(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.newFile("file")
	id := p.open("file", opening{att, shareAll, wire.Open, 0})
	for parts, want := range map[uint32]wire.Status{
		0: wire.StatusOK, uint32(sd.PartOwner): wire.StatusAccessDenied, uint32(sd.PartGroup): wire.StatusAccessDenied, uint32(sd.PartDACL): wire.StatusAccessDenied,
	} {
		m := p.queryMsg(id, wire.InfoSecurity, 0, 100)
		le.PutUint32(m[80:], parts)
		if r := p.want(m, want); want == wire.StatusOK && len(r) != 72+20 {
			t.Errorf("a descriptor of nothing takes %d bytes", len(r)-72)
		}
	}
}

// Where a channel's information lies is of no matter without one, MS-SMB2 2.2.19 and 2.2.21.
func TestReadAndWriteLookForNoChannelInfo(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	w := p.writeMsg(id, 0, []byte("content"))
	le.PutUint16(w[104:], 0x1234)
	le.PutUint16(w[106:], 0x5678)
	p.want(w, wire.StatusOK)
	r := p.readMsg(id, 0, 7)
	le.PutUint16(r[108:], 0x1234)
	le.PutUint16(r[110:], 0x5678)
	if got := p.want(r, wire.StatusOK)[80:]; string(got) != "content" {
		t.Errorf("read %q", got)
	}
}

// Dialects that know no channels ignore which one a READ or WRITE names, MS-SMB2 2.2.19 and 2.2.21; others have none on TCP.
func TestReadAndWriteByAChannel(t *testing.T) {
	for dialect, want := range map[uint16]wire.Status{
		0x0202: wire.StatusOK, 0x0210: wire.StatusOK, 0x0300: wire.StatusInvalidParameter,
	} {
		p := newPeer(t, nil)
		p.dialect = dialect
		p.logOn("pub")
		id := p.newFile("file")
		w := p.writeMsg(id, 0, []byte("content"))
		le.PutUint32(w[96:], 1)
		p.want(w, want)
		r := p.readMsg(id, 0, 7)
		le.PutUint32(r[100:], 1)
		p.want(r, want)
	}
}
