package smbproto

import (
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// What a process has open by FCB, or in compatibility mode, and may write, it may open so once more, and no other may: but a
// program in compatibility mode is shared by its share mode, with everybody.
func TestSMB1ProcessesDenyThemselvesNothing(t *testing.T) {
	const (
		reads, both = smb1AccessRead, smb1AccessBoth // in compatibility mode
		denyNone    = smb1DenyNone<<4 | smb1AccessRead
		fcb         = 0xFF
	)
	for _, c := range []struct {
		name          string
		first, second uint16
		want, others  wire.Status // the same process's, and another's
	}{
		{"a.dat", both, both, wire.StatusOK, wire.StatusSharingViolation},
		{"a.dat", both, reads, wire.StatusOK, wire.StatusSharingViolation},
		{"a.dat", both, fcb, wire.StatusOK, wire.StatusSharingViolation},
		{"a.dat", both, denyNone, wire.StatusSharingViolation, wire.StatusSharingViolation},
		{"a.dat", fcb, fcb, wire.StatusOK, wire.StatusSharingViolation},
		{"a.dat", fcb, both, wire.StatusOK, wire.StatusSharingViolation},
		{"a.dat", fcb, denyNone, wire.StatusSharingViolation, wire.StatusSharingViolation},
		{"a.dat", reads, fcb, wire.StatusSharingViolation, wire.StatusSharingViolation}, // it can't be written
		{"a.exe", both, both, wire.StatusOK, wire.StatusOK},
		{"a.exe", both, fcb, wire.StatusSharingViolation, wire.StatusSharingViolation},
		{"a.exe", fcb, fcb, wire.StatusOK, wire.StatusSharingViolation},
		{"a.exe", fcb, both, wire.StatusOK, wire.StatusSharingViolation},
	} {
		p := newPeer1(t, nil).logOn1("pub")
		p.open1(c.name, all1)
		p.want1(p.msg(wire.SMB1ProcessExit, nil, nil), wire.StatusOK)
		p.flags2 &^= wire.SMB1Flags2Unicode
		opens := func(mode uint16) wire.Status {
			r := p.ask1(p.msg(wire.SMB1Open, words(mode, uint16(0)), path1(c.name)))
			return r.Status()
		}
		if s := opens(c.first); s != wire.StatusOK {
			t.Fatalf("%s as %#x: %v", c.name, c.first, s)
		}
		p.pid++
		if s := opens(c.second); s != c.others {
			t.Errorf("%s as %#x, and as %#x by another process: %v, want %v", c.name, c.first, c.second, s, c.others)
		}
		p.want1(p.msg(wire.SMB1ProcessExit, nil, nil), wire.StatusOK) // of that process
		p.pid--
		if s := opens(c.second); s != c.want {
			t.Errorf("%s as %#x, and as %#x: %v, want %v", c.name, c.first, c.second, s, c.want)
		}
	}
}

// A program is shared in compatibility mode, by whatever name it is opened once more: others who have it open so are asked.
func TestSMB1ProcessesPassOverNoOthersShareMode(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	other := connect(t, p.srv, p.dir).logOn("pub")
	p.open1("a.exe", all1)
	p.want1(p.msg(wire.SMB1ProcessExit, nil, nil), wire.StatusOK)
	if err := os.Link(filepath.Join(p.dir, "a.exe"), filepath.Join(p.dir, "a.dat")); err != nil {
		t.Fatal(err)
	}
	p.flags2 &^= wire.SMB1Flags2Unicode
	opens := func(name string, mode uint16) []byte {
		return p.msg(wire.SMB1Open, words(mode, uint16(0)), path1(name))
	}
	p.want1(opens("a.exe", smb1AccessWrite), wire.StatusOK)
	other.open("a.exe", opening{wire.AccessWriteData, wire.ShareWrite, wire.Open, 0}) // nobody is to read it
	for _, name := range []string{"a.exe", "a.dat"} {
		p.want1(opens(name, smb1AccessRead), wire.StatusSharingViolation)
	}
}
