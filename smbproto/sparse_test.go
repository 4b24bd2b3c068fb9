package smbproto

import (
	"bytes"
	"testing"

	"ustack/smbproto/wire"
)

func twoOffsets(a, b uint64) []byte { return le.AppendUint64(le.AppendUint64(nil, a), b) }

func TestSparseFiles(t *testing.T) {
	needXattrs(t)
	p := newPeer(t, nil).logOn("pub")
	const piece = 64 << 10
	id := p.newFile("file")
	for i := range 4 {
		p.want(p.charged(p.writeMsg(id, uint64(i)*piece, bytes.Repeat([]byte{1}, piece))), wire.StatusOK)
	}
	ranges := func(off, length uint64, room int, want wire.Status) (list [][2]uint64) {
		t.Helper()
		r := p.want(p.ioctlMsg(wire.FsctlQueryAllocatedRanges, id, twoOffsets(off, length), room), want)
		if want.IsError() {
			return nil
		}
		for b := r[112:]; len(b) >= 16; b = b[16:] {
			list = append(list, [2]uint64{le.Uint64(b), le.Uint64(b[8:])})
		}
		return list
	}
	same := func(what string, got [][2]uint64, want ...[2]uint64) {
		t.Helper()
		ok := len(got) == len(want)
		for i := range want {
			ok = ok && got[i] == want[i]
		}
		if !ok {
			t.Errorf("%s: ranges %v, want %v", what, got, want)
		}
	}
	zero := func(from, to uint64, want wire.Status) {
		t.Helper()
		p.want(p.ioctlMsg(wire.FsctlSetZeroData, id, twoOffsets(from, to), 0), want)
	}
	isZero := func(what string, from, to int) {
		t.Helper()
		b := []byte(p.content("file"))
		if len(b) != 4*piece || len(bytes.Trim(b[from:to], "\x00")) != 0 || bytes.IndexByte(b[:from], 0) >= 0 && from <= piece || b[to] == 0 {
			t.Errorf("%s: [%d, %d) is not what is zero", what, from, to)
		}
	}
	same("whole", ranges(0, 8*piece, 160, wire.StatusOK), [2]uint64{0, 4 * piece})
	zero(10, 20, wire.StatusOK)
	isZero("not sparse", 10, 20)
	same("not sparse", ranges(5, piece, 160, wire.StatusOK), [2]uint64{5, piece})

	p.want(p.ioctlMsg(wire.FsctlSetSparse, id, nil, 0), wire.StatusOK)
	if _, a := p.basic(id); a&wire.AttributeSparse == 0 {
		t.Errorf("attributes %#x of a sparse file", a)
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(arc)), wire.StatusOK)
	if _, a := p.basic(id); a != arc|wire.AttributeSparse {
		t.Errorf("attributes %#x of a sparse file, after others were set", a)
	}
	zero(piece, 2*piece, wire.StatusOK)
	same("with a hole", ranges(0, 8*piece, 160, wire.StatusOK), [2]uint64{0, piece}, [2]uint64{2 * piece, 2 * piece})
	same("in the hole", ranges(piece, piece, 160, wire.StatusOK))
	same("room for one", ranges(0, 8*piece, 16, wire.StatusBufferOverflow), [2]uint64{0, piece})
	ranges(0, 8*piece, 15, wire.StatusBufferTooSmall)
	ranges(1<<63, 1, 160, wire.StatusInvalidParameter)
	ranges(1, 1<<63-1, 160, wire.StatusInvalidParameter)
	zero(2, 1, wire.StatusInvalidParameter)
	zero(1<<63, 1<<63, wire.StatusInvalidParameter)
	zero(8*piece, 9*piece, wire.StatusOK) // leaves its end where it is
	p.want(p.ioctlMsg(wire.FsctlSetZeroData, id, make([]byte, 15), 0), wire.StatusInvalidParameter)

	p.want(p.ioctlMsg(wire.FsctlSetSparse, id, []byte{0}, 0), wire.StatusOK)
	if _, a := p.basic(id); a&wire.AttributeSparse != 0 {
		t.Errorf("attributes %#x of a file that is sparse no more", a)
	}
	same("no more", ranges(0, 4*piece, 160, wire.StatusOK), [2]uint64{0, 4 * piece})

	for access, want := range map[wire.Access][3]wire.Status{
		rd: {wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusOK},
		wr: {wire.StatusOK, wire.StatusOK, wire.StatusAccessDenied},
	} {
		id := p.open("file", opening{access, shareAll, wire.Open, 0})
		for i, msg := range [][]byte{
			p.ioctlMsg(wire.FsctlSetSparse, id, nil, 0),
			p.ioctlMsg(wire.FsctlSetZeroData, id, twoOffsets(0, 1), 0),
			p.ioctlMsg(wire.FsctlQueryAllocatedRanges, id, twoOffsets(0, 1), 16),
		} {
			if s := status(p.ask(msg)); s != want[i] {
				t.Errorf("access %#x, control %d: %v, want %v", access, i, s, want[i])
			}
		}
	}
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.want(p.ioctlMsg(wire.FsctlSetSparse, dir, nil, 0), wire.StatusInvalidParameter)
}
