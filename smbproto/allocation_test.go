package smbproto

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// allocationSize asks by a handle, by FileStreamInformation and in a listing; they must agree.
func (p *peer) allocationSize(id wire.FileID, name string) uint64 {
	p.t.Helper()
	n := le.Uint64(p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)[72:])
	root := p.open("", opening{rd, shareAll, wire.Open, 0})
	listed := le.Uint64(p.want(p.listMsg(root, wire.FileDirectoryInformation, name, 0, 1000), wire.StatusOK)[72+48:])
	p.want(p.closeMsg(root), wire.StatusOK)
	stream := le.Uint64(p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStreamInformation), 1000), wire.StatusOK)[72+16:])
	if listed != n || stream != n {
		p.t.Errorf("%s takes %d bytes by itself, %d in a listing, %d as a stream", name, n, listed, stream)
	}
	return n
}

func (p *peer) allocate(id wire.FileID, n uint64) {
	p.t.Helper()
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, n)), wire.StatusOK)
}

// What extended attributes take on disk is not the file's data's.
func TestAllocationSizeIsOfTheDataAlone(t *testing.T) {
	p := withStreams(t)
	var fs unix.Statfs_t
	if err := unix.Statfs(p.dir, &fs); err != nil {
		t.Fatal(err)
	}
	unit := uint64(fs.Bsize)
	p.put("file:s", strings.Repeat("s", 600)) // which an inode has no room for
	id := p.newFile("file")
	p.put("file:s", strings.Repeat("s", 600))
	check := func(what string, want uint64) {
		t.Helper()
		if got := p.allocationSize(id, "file"); got != want {
			t.Errorf("%s: %d bytes, want %d", what, got, want)
		}
	}
	check("an empty file", 0)
	p.allocate(id, 3*unit)
	check("with room reserved", 3*unit)
	p.allocate(id, 0)
	check("with none any more", 0)
	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	p.want(p.request(wire.CommandFlush, 24, func(m []byte) { id.Put(m[72:]) }), wire.StatusOK)
	check("with a byte", unit)
	p.allocate(id, 5*unit)
	check("with a byte, and room reserved", 5*unit)
}

// The last write is one that changes the data; reserving room does not.
func TestReservingRoomIsNoWrite(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.writeMsg(id, 0, []byte("content")), wire.StatusOK)
	times := func() (write, change uint64) {
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileBasicInformation), 40), wire.StatusOK)
		return le.Uint64(r[72+16:]), le.Uint64(r[72+24:])
	}
	// A time of the past, so that the clock's steps don't matter.
	past := unix.NsecToTimespec(time.Now().Add(-time.Hour).UnixNano())
	for _, c := range []struct {
		n      uint64
		writes bool
	}{{100_000, false}, {7, false}, {200_000, false}, {3, true}} {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, p.dir+"/file", []unix.Timespec{past, past}, 0); err != nil {
			t.Fatal(err)
		}
		was, _ := times()
		p.allocate(id, c.n)
		write, change := times()
		if (write != was) != c.writes {
			t.Errorf("allocation of %d: time of the last write %d, was %d", c.n, write, was)
		}
		if change == was {
			t.Errorf("allocation of %d: not a change", c.n)
		}
	}
}
