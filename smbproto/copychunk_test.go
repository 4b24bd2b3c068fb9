package smbproto

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

type chunk struct {
	from, to uint64
	length   uint32
}

func copyChunkInput(key []byte, chunks ...chunk) []byte {
	b := append([]byte(nil), key[:24]...)
	b = le.AppendUint64(b, uint64(len(chunks)))
	for _, c := range chunks {
		b = le.AppendUint64(le.AppendUint64(b, c.from), c.to)
		b = le.AppendUint64(b, uint64(c.length))
	}
	return b
}

func (p *peer) resumeKey(id wire.FileID) []byte {
	p.t.Helper()
	return p.want(p.ioctlMsg(wire.FsctlRequestResumeKey, id, nil, 32), wire.StatusOK)[112:]
}

func TestServerSideCopy(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	const text = "0123456789abcdef"
	src, dst := p.newFile("src"), p.newFile("dst")
	p.want(p.writeMsg(src, 0, []byte(text)), wire.StatusOK)
	key, own := p.resumeKey(src), p.resumeKey(dst)
	many := make([]chunk, maxChunks+1)
	for i := range many {
		many[i].length = 1
	}
	for _, c := range []struct {
		what    string
		in      []byte
		want    wire.Status
		answer  [3]uint32
		content string
	}{
		{"all", copyChunkInput(key, chunk{0, 0, 16}), wire.StatusOK, [3]uint32{1, 0, 16}, text},
		{"two, one beyond the end", copyChunkInput(key, chunk{0, 20, 4}, chunk{8, 2, 2}), wire.StatusOK, [3]uint32{2, 0, 6}, "0189456789abcdef\x00\x00\x00\x000123"},
		{"itself", copyChunkInput(own, chunk{0, 24, 2}), wire.StatusOK, [3]uint32{1, 0, 2}, "0189456789abcdef\x00\x00\x00\x00012301"},
		{"itself, overlapping", copyChunkInput(own, chunk{0, 2, 8}), wire.StatusOK, [3]uint32{1, 0, 8}, "0101894567abcdef\x00\x00\x00\x00012301"},
		{"none", copyChunkInput(key), wire.StatusOK, [3]uint32{}, ""},
		{"no length", copyChunkInput(key, chunk{}), wire.StatusInvalidParameter, [3]uint32{maxChunks, maxChunk, maxChunkTotal}, ""},
		{"too long", copyChunkInput(key, chunk{0, 0, maxChunk + 1}), wire.StatusInvalidParameter, [3]uint32{maxChunks, maxChunk, maxChunkTotal}, ""},
		{"too many", copyChunkInput(key, many...), wire.StatusInvalidParameter, [3]uint32{maxChunks, maxChunk, maxChunkTotal}, ""},
		{"beyond the source", copyChunkInput(key, chunk{0, 0, 1}, chunk{10, 1, 7}), wire.StatusInvalidViewSize, [3]uint32{1, 0, 1}, ""},
		{"far beyond the source", copyChunkInput(key, chunk{1<<64 - 1, 0, 1}), wire.StatusInvalidViewSize, [3]uint32{}, ""},
		{"beyond all", copyChunkInput(key, chunk{0, 1<<64 - 1, 1}), wire.StatusDiskFull, [3]uint32{}, ""},
	} {
		r := p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, c.in, 12), c.want)
		if len(r) != 112+12 {
			t.Errorf("%s: answer of %d bytes", c.what, len(r))
			continue
		}
		got := [3]uint32{le.Uint32(r[112:]), le.Uint32(r[116:]), le.Uint32(r[120:])}
		if got != c.answer {
			t.Errorf("%s: answer %v, want %v", c.what, got, c.answer)
		}
		if c.content != "" && p.content("dst") != c.content {
			t.Errorf("%s: %q", c.what, p.content("dst"))
		}
	}
	p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, copyChunkInput(key, chunk{0, 0, 16}), 11), wire.StatusInvalidParameter)
	p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, key[:31], 12), wire.StatusInvalidParameter)
	p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, copyChunkInput(make([]byte, 24), chunk{0, 0, 1}), 12), wire.StatusObjectNameNotFound)
}

func TestRightsOfServerSideCopy(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.closeMsg(p.newFile("src")), wire.StatusOK)
	p.want(p.closeMsg(p.newFile("dst")), wire.StatusOK)
	p.want(p.writeMsg(p.newFile("src"), 0, []byte(strings.Repeat("x", 64))), wire.StatusOK)
	for _, c := range []struct {
		src, dst      wire.Access
		copies, write wire.Status
	}{
		{rd, rd | wr, wire.StatusOK, wire.StatusOK},
		{rd, wr, wire.StatusAccessDenied, wire.StatusOK},
		{wire.AccessExecute, rd | wr, wire.StatusOK, wire.StatusOK},
		{rd, wire.AccessExecute | wr, wire.StatusAccessDenied, wire.StatusOK},
		{rd, rd, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{wr, rd | wr, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{att, rd | wr, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{rd, rd | wire.AccessAppendData, wire.StatusAccessDenied, wire.StatusAccessDenied}, // it is there already
	} {
		src, dst := p.open("src", opening{c.src, shareAll, wire.Open, 0}), p.open("dst", opening{c.dst, shareAll, wire.Open, 0})
		in := copyChunkInput(p.resumeKey(src), chunk{0, 0, 8})
		if s := status(p.ask(p.ioctlMsg(wire.FsctlCopyChunk, dst, in, 12))); s != c.copies {
			t.Errorf("%#x to %#x: %v, want %v", c.src, c.dst, s, c.copies)
		}
		if s := status(p.ask(p.ioctlMsg(wire.FsctlCopyChunkWrite, dst, in, 12))); s != c.write {
			t.Errorf("%#x to %#x, to write: %v, want %v", c.src, c.dst, s, c.write)
		}
		p.want(p.closeMsg(src), wire.StatusOK)
		p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, in, 12), wire.StatusObjectNameNotFound)
		p.want(p.closeMsg(dst), wire.StatusOK)
	}
	// A key is good in its session alone.
	q := connect(t, p.srv, p.dir).logOn("pub")
	key := p.resumeKey(p.open("src", opening{rd, shareAll, wire.Open, 0}))
	dst := q.open("dst", opening{rd | wr, shareAll, wire.Open, 0})
	q.want(q.ioctlMsg(wire.FsctlCopyChunk, dst, copyChunkInput(key, chunk{0, 0, 8}), 12), wire.StatusObjectNameNotFound)
}

func TestServerSideCopyKeepsToLocks(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	src, dst := p.newFile("src"), p.newFile("dst")
	p.want(p.writeMsg(src, 0, []byte("0123456789")), wire.StatusOK)
	in := copyChunkInput(p.resumeKey(src), chunk{0, 0, 8})
	for _, name := range []string{"src", "dst"} {
		other := p.open(name, opening{wire.AccessAll, shareAll, wire.Open, 0})
		p.want(p.request(wire.CommandLock, 48, func(m []byte) {
			le.PutUint16(m[66:], 1)
			other.Put(m[72:])
			le.PutUint64(m[88:], 7)
			le.PutUint64(m[96:], 1)
			le.PutUint32(m[104:], wire.LockExclusive|wire.LockFailImmediately)
		}), wire.StatusOK)
		p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, in, 12), wire.StatusFileLockConflict)
		p.want(p.closeMsg(other), wire.StatusOK)
	}
	p.want(p.ioctlMsg(wire.FsctlCopyChunk, dst, in, 12), wire.StatusOK)
}

// Of a chunk that fails midway, what is in the file has changed it.
func TestACopyThatFailsMidwayBreaksOplocks(t *testing.T) {
	limitFileSize(t)
	const limit = 1 << 30 // of a file
	r, w := twoClients(t)
	held := r.openOplock("file", anyOpen, wire.OplockII, wire.OplockII)
	src, dst := w.newFile("src"), w.open("file", anyOpen)
	w.want(w.writeMsg(src, 0, []byte("xx")), wire.StatusOK)
	in := copyChunkInput(w.resumeKey(src), chunk{0, limit - 1, 2})
	if s := status(w.ask(w.ioctlMsg(wire.FsctlCopyChunk, dst, in, 12))); !s.IsError() {
		t.Fatal(s)
	}
	if st, err := os.Stat(filepath.Join(r.dir, "file")); err != nil || st.Size() != limit {
		t.Fatal(st, err)
	}
	r.breaks(held, wire.OplockNone)
}
