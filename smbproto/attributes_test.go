package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// needXattrs skips a test where the file system keeps no extended attributes.
func needXattrs(t *testing.T) {
	t.Helper()
	if err := unix.Setxattr(t.TempDir(), "user.test", []byte("x"), 0); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("no extended attributes in ", os.TempDir())
	}
}

// createWith is createMsg with attributes.
func (p *peer) createWith(name string, a wire.Attributes, o opening) []byte {
	m := p.createMsg(name, o)
	le.PutUint32(m[92:], uint32(a))
	return m
}

func basicInfo(a wire.Attributes, times ...wire.Filetime) []byte {
	b := make([]byte, 40)
	for i, t := range times {
		le.PutUint64(b[8*i:], uint64(t))
	}
	le.PutUint32(b[32:], uint32(a))
	return b
}

// basic gives creation, access, write and change time, and the attributes.
func (p *peer) basic(id wire.FileID) (times [4]wire.Filetime, a wire.Attributes) {
	p.t.Helper()
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileBasicInformation), 40), wire.StatusOK)
	for i := range times {
		times[i] = wire.Filetime(le.Uint64(r[72+8*i:]))
	}
	return times, wire.Attributes(le.Uint32(r[72+32:]))
}

const (
	ro  = wire.AttributeReadOnly
	hid = wire.AttributeHidden
	sys = wire.AttributeSystem
	arc = wire.AttributeArchive
	dir = wire.AttributeDirectory
	nor = wire.AttributeNormal
)

// What is made and what is overwritten has the attributes of MS-FSA 2.1.5.1.1 and 2.1.5.1.2, and keeps them
// beyond its open.
func TestAttributesOfCreate(t *testing.T) {
	needXattrs(t)
	for _, c := range []struct {
		first, second wire.Attributes
		disposition   wire.Disposition
		want          wire.Status
		result        wire.Attributes
	}{
		{nor, nor, wire.OverwriteIf, wire.StatusOK, arc},
		{nor, ro, wire.Overwrite, wire.StatusOK, arc | ro},
		{hid, nor, wire.Overwrite, wire.StatusAccessDenied, arc | hid},
		{sys, nor, wire.Supersede, wire.StatusAccessDenied, arc | sys},
		{sys, sys | hid, wire.Overwrite, wire.StatusOK, arc | hid | sys},
		{ro, ro, wire.Overwrite, wire.StatusAccessDenied, arc | ro},
		{wire.AttributeTemporary, nor, wire.Overwrite, wire.StatusOK, arc | wire.AttributeTemporary},
		{wire.AttributeTemporary, nor, wire.Supersede, wire.StatusOK, arc},
		{hid, nor, wire.OpenIf, wire.StatusOK, arc | hid},
		{nor, wire.AttributeEncrypted, wire.Overwrite, wire.StatusAccessDenied, arc},
		{nor, 0x40, wire.OpenIf, wire.StatusInvalidParameter, arc},
	} {
		p := newPeer(t, nil).logOn("pub")
		r := p.want(p.createWith("file", c.first, opening{wire.AccessAll, shareAll, wire.Create, 0}), wire.StatusOK)
		if got := wire.Attributes(le.Uint32(r[120:])); got != c.first&^nor|arc {
			t.Errorf("made with %#x: %#x", c.first, got)
		}
		p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
		r = p.want(p.createWith("file", c.second, opening{wire.AccessMaximumAllowed, shareAll, c.disposition, 0}), c.want)
		if c.want == wire.StatusOK {
			if got := wire.Attributes(le.Uint32(r[120:])); got != c.result {
				t.Errorf("%#x, then %#x with disposition %d is answered with %#x, want %#x", c.first, c.second, c.disposition, got, c.result)
			}
			p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
		}
		if _, a := p.basic(p.open("file", opening{att, shareAll, wire.Open, 0})); a != c.result {
			t.Errorf("%#x, then %#x with disposition %d: %#x, want %#x", c.first, c.second, c.disposition, a, c.result)
		}
	}
}

// To cut a named stream asks for no attribute of its file and sets none but that the file is to be archived, MS-FSA 2.1.5.1.2.
func TestAFileKeepsItsAttributesWhenAStreamIsCut(t *testing.T) {
	p := withStreams(t)
	for _, d := range []wire.Disposition{wire.Supersede, wire.Overwrite, wire.OverwriteIf} {
		for _, a := range []wire.Attributes{nor, hid, sys | wire.AttributeTemporary} {
			p.put("file:stream", "content")
			id := p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
			p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(a)), wire.StatusOK)
			r := p.want(p.createWith("file:stream", ro, opening{rd, shareAll, d, 0}), wire.StatusOK)
			p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
			if _, got := p.basic(id); got != a&^nor|arc {
				t.Errorf("disposition %d: %#x has become %#x", d, a, got)
			}
			p.wantStreams(id, "::$DATA 0", ":stream:$DATA 0")
			p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(nor)), wire.StatusOK)
			p.want(p.closeMsg(id), wire.StatusOK)
		}
	}
}

func TestAttributesAreKept(t *testing.T) {
	needXattrs(t)
	p := newPeer(t, nil).logOn("pub")
	both := opening{att | wire.AccessWriteAttributes, shareAll, wire.OpenIf, 0}
	asDir := both
	asDir.options = wire.OptionDirectory
	for name, o := range map[string]opening{"file": both, "dir": asDir, ".dot": both} {
		id := p.open(name, o)
		var always wire.Attributes
		if name == "dir" {
			always = dir
		} else if name == ".dot" {
			always = hid
		}
		for _, a := range []wire.Attributes{ro, hid, sys, arc, ro | hid | sys | arc, wire.AttributeOffline, nor} {
			p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(a)), wire.StatusOK)
			want := a&^nor | always
			if want == 0 {
				want = nor
			}
			again := p.open(name, opening{att, shareAll, wire.Open, 0})
			if _, got := p.basic(again); got != want {
				t.Errorf("%s: set %#x, got %#x, want %#x", name, a, got, want)
			}
			p.want(p.closeMsg(again), wire.StatusOK)
			list := p.open("", opening{rd, shareAll, wire.Open, 0})
			r := p.want(p.listMsg(list, wire.FileDirectoryInformation, name, 0, 1000), wire.StatusOK)
			if got := wire.Attributes(le.Uint32(r[72+56:])); got != want {
				t.Errorf("%s: listed with %#x, want %#x", name, got, want)
			}
			p.want(p.closeMsg(list), wire.StatusOK)
		}
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	f, d := p.open("file", both), p.open("dir", asDir)
	p.want(p.setMsg(f, wire.FileBasicInformation, basicInfo(dir)), wire.StatusInvalidParameter)
	p.want(p.setMsg(d, wire.FileBasicInformation, basicInfo(wire.AttributeTemporary)), wire.StatusInvalidParameter)
	p.want(p.setMsg(f, wire.FileBasicInformation, basicInfo(0, ^wire.Filetime(2))), wire.StatusInvalidParameter)

	// A directory that is read-only is not deleted, and not made to be.
	for _, options := range []wire.CreateOptions{0, wire.OptionDirectory} {
		p.want(p.createWith("temp", ro, opening{wire.AccessAll, shareAll, wire.OpenIf, options | wire.OptionDeleteOnClose}), wire.StatusCannotDelete)
	}
	p.want(p.setMsg(d, wire.FileBasicInformation, basicInfo(ro)), wire.StatusOK)
	del := p.open("dir", opening{del, shareAll, wire.Open, 0})
	p.want(p.setMsg(del, wire.FileDispositionInformation, []byte{1}), wire.StatusCannotDelete)
}

// A change sets the archive attribute again, MS-FSA 2.1.4.17.
func TestArchiveAttributeOfChanges(t *testing.T) {
	needXattrs(t)
	p := newPeer(t, nil).logOn("pub")
	if err := os.WriteFile(filepath.Join(p.dir, "linux"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"linux", "file"} {
		id, other := p.open(name, opening{wire.AccessAll, shareAll, wire.OpenIf, 0}), p.open(name, opening{wire.AccessAll, shareAll, wire.Open, 0})
		for what, change := range map[string]func() []byte{
			"write":      func() []byte { return p.writeMsg(id, 0, []byte("y")) },
			"size":       func() []byte { return p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, 5)) },
			"allocation": func() []byte { return p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 5)) },
		} {
			p.want(p.setMsg(other, wire.FileBasicInformation, basicInfo(nor)), wire.StatusOK)
			if _, a := p.basic(id); a != nor {
				t.Errorf("%s: %#x after the attribute was taken", name, a)
			}
			p.want(change(), wire.StatusOK)
			if _, a := p.basic(id); a != arc {
				t.Errorf("%s, %s: %#x", name, what, a)
			}
		}
	}
}

// So does a rename, through whatever open: who saves what has the attribute would else have the file by its old name alone.
func TestARenamedFileIsToBeArchived(t *testing.T) {
	needXattrs(t)
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(hid)), wire.StatusOK)
	renames := p.open("file", opening{wire.AccessDelete, shareAll, wire.Open, 0})
	p.want(p.setMsg(renames, wire.FileRenameInformation, renameInfo("renamed", false)), wire.StatusOK)
	if _, a := p.basic(id); a != hid|arc {
		t.Errorf("renamed: %#x", a)
	}
	p.newFile("other")
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(nor)), wire.StatusOK)
	p.want(p.setMsg(renames, wire.FileRenameInformation, renameInfo("renamed", false)), wire.StatusOK)
	p.want(p.setMsg(renames, wire.FileRenameInformation, renameInfo("other", false)), wire.StatusObjectNameCollision)
	if _, a := p.basic(id); a != nor {
		t.Errorf("not renamed: %#x", a)
	}
	d := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.want(p.setMsg(d, wire.FileRenameInformation, renameInfo("dir2", false)), wire.StatusOK)
	if _, a := p.basic(d); a != dir {
		t.Errorf("a directory: %#x", a)
	}
}

func TestTimesAreKept(t *testing.T) {
	needXattrs(t)
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	want := [4]wire.Filetime{}
	for i := range want {
		want[i] = wire.FiletimeOf(time.Date(1985+10*i, 1, 2, 3, 4, 5, 0, time.UTC))
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, want[:]...)), wire.StatusOK)
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0)), wire.StatusOK) // leaves them
	p.want(p.closeMsg(id), wire.StatusOK)
	id = p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	if got, _ := p.basic(id); got != want {
		t.Errorf("times are %v, want %v", got, want)
	}
	// What was set for the change time does not outlive a change.
	time.Sleep(50 * time.Millisecond)
	p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	if got, _ := p.basic(id); got[0] != want[0] || got[2] == want[2] || got[3] == want[3] {
		t.Errorf("after a write: %v", got)
	}
}

// A time of the last write that was set, or stopped, stays as it is for what is written through that open.
func TestFrozenWriteTime(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	when := wire.FiletimeOf(time.Date(1999, 1, 2, 3, 4, 5, 0, time.UTC))
	write := func(id wire.FileID) wire.Filetime {
		p.want(p.writeMsg(id, 0, []byte("x")), wire.StatusOK)
		times, _ := p.basic(id)
		return times[2]
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, 0, 0, when)), wire.StatusOK)
	if got := write(id); got != when {
		t.Errorf("set, and written: %v", got.Time())
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, 0, 0, ^wire.Filetime(1))), wire.StatusOK) // -2: let it go on
	now := write(id)
	if now == when {
		t.Error("the time is still what was set")
	}
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(0, 0, 0, ^wire.Filetime(0))), wire.StatusOK) // -1: stop it
	time.Sleep(20 * time.Millisecond)
	if got := write(id); got != now {
		t.Errorf("stopped at %v, and written: %v", now.Time(), got.Time())
	}
	if other := p.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0}); write(other) == now {
		t.Error("stopped for another open, too")
	}
}

// Attributes and times that there is no room for are not said to be set, and a file that is read-only stays so.
func TestAttributesThatHaveNoRoomAreRefused(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(ro|arc)), wire.StatusOK)
	path := filepath.Join(p.dir, "file")
	for n := 4096; n > 0; n /= 2 {
		for i := range 100 {
			err := unix.Setxattr(path, fmt.Sprintf("user.%d.%d", n, i), make([]byte, n), 0)
			if errors.Is(err, unix.ENOSPC) {
				break
			}
			if err != nil || i == 99 {
				t.Skip("needs a file system with little room for xattrs: ", err)
			}
		}
	}
	times, _ := p.basic(id)
	p.want(p.setMsg(id, wire.FileBasicInformation, basicInfo(hid|arc, 1<<57)), wire.StatusDiskFull)
	if now, a := p.basic(id); a != ro|arc || now[0] != times[0] {
		t.Errorf("attributes %#x, created %v; want %#x, %v", a, now[0], ro|arc, times[0])
	}
}
