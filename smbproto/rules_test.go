package smbproto

import (
	"testing"

	"pgregory.net/rapid"

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
		{all, wire.FileLinkInformation, renameInfo("x", false), wire.StatusNotSupported},
		{all, wire.FileFullEAInformation, eight, wire.StatusEASNotSupported},
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
	p.want(p.request(wire.CommandOplockBreak, 24, nil), wire.StatusInvalidOplockProtocol)
	if err := p.feed(frame(p.request(wire.CommandCancel, 4, nil))); err != nil || p.reply() != nil {
		t.Errorf("CANCEL: %v, or an answer", err)
	}
}
