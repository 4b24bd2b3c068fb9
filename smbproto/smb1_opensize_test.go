package smbproto

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

func (p *peer1) openXMsg(name string, mode, function uint16, size uint32) []byte {
	return p.msg(wire.SMB1OpenAndX, andX(uint16(0), mode, uint16(0), uint16(0), uint32(0), function, size, uint32(0), uint32(0)),
		append(append([]byte{0}, utf16le(name)...), 0, 0))
}

// What OPEN_ANDX makes is as long as it says, whatever the open may do.
func TestSMB1OpenAndXSizesWhatItMakes(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub")
	const reads, both = smb1DenyNone<<4 | smb1AccessRead, smb1DenyNone<<4 | smb1AccessBoth
	for _, c := range []struct {
		name           string
		mode, function uint16
		size, want     uint32
		result         uint16
	}{
		{"a", both, 0x10, 1000, 1000, 2},
		{"a", reads, 0x11, 2000, 1000, 1},
		{"a", reads, 0x12, 2000, 2000, 3},
		{"a", reads, 0x02, 0, 0, 3},
		{"b", reads, 0x10, 1000, 1000, 2},
		{"c", reads, 0x11, 1000, 1000, 2},
		{"d", reads, 0x12, 1000, 1000, 2},
		{"d:stream", reads, 0x10, 1000, 1000, 2},
	} {
		b := p.want1(p.openXMsg(c.name, c.mode, c.function, c.size), wire.StatusOK)
		if size, result := b.U32(12), b.Word(11); size != c.want || result != c.result {
			t.Errorf("%+v: %d bytes, result %d", c, size, result)
		}
		data := p.want1(p.readMsg1(b.Word(2), 0, 4000), wire.StatusOK)
		if got := data.Word(5); uint32(got) != c.want {
			t.Errorf("%+v: %d bytes can be read", c, got)
		}
		p.want1(p.msg(wire.SMB1Close, words(b.Word(2), uint32(0)), nil), wire.StatusOK)
	}
}

// A file that can't be as long as its OPEN_ANDX says is not made.
func TestSMB1OpenAndXLeavesNothingThatItCanNotSize(t *testing.T) {
	limitFileSize(t)
	p := newPeer1(t, nil).logOn1("pub")
	for _, mode := range []uint16{smb1AccessRead, smb1AccessBoth} {
		if r := p.ask1(p.openXMsg("file", mode, 0x10, 1<<32-1)); r.Status() == wire.StatusOK {
			t.Error("there is room for 4 GiB")
		}
		if _, err := os.Stat(filepath.Join(p.dir, "file")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it was made: %v", err)
		}
	}
}
