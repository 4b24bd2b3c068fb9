package smbproto

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ustack/smbproto/wire"
)

// searchNames lists files by SEARCH, or a call like it, in ASCII; in order.
func (p *peer1) searchNames(cmd wire.SMB1Command, pattern string) (names []string) {
	p.t.Helper()
	return p.searchAll(cmd, pattern, 0)
}

// searchAll is searchNames with what has attributes among it.
func (p *peer1) searchAll(cmd wire.SMB1Command, pattern string, attrs uint16) (names []string) {
	p.t.Helper()
	r := p.ask1(p.msg(cmd, words(uint16(50), attrs), append(path1(pattern), 5, 0, 0)))
	if r.Status() == wire.StatusNoMoreFiles {
		return nil
	}
	b, err := r.Block(wire.SMB1HeaderSize)
	if r.Status() != wire.StatusOK || err != nil {
		p.t.Fatalf("%s: %v, %v", pattern, r.Status(), err)
	}
	for i := range int(b.Word(0)) {
		e := b.Bytes[3+i*searchEntrySize:][:searchEntrySize]
		name, _, _ := bytes.Cut(e[30:], []byte{0})
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names
}

// A client of SEARCH means by wildcards what they are to DOS, and knows files by their 8.3 names alone.
func TestSMB1SearchMatchesAsDOSDoes(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.flags2 &^= wire.SMB1Flags2Unicode
	for _, name := range []string{"FOO", "FOO.C", "FOO.TXT", "FOOBAR", "long name.textile"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(p.dir, "SUB"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := wire.ShortName("long name.textile")
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{`\*`, []string{"FOO", "FOO.C", "FOO.TXT", "FOOBAR", long}},
		{`\*.*`, []string{"FOO", "FOO.C", "FOO.TXT", "FOOBAR", long}},
		{`\????????.???`, []string{"FOO", "FOO.C", "FOO.TXT", "FOOBAR", long}},
		{`\*.`, []string{"FOO", "FOOBAR"}},
		{`\FOO.`, []string{"FOO"}},
		{`\FOO.*`, []string{"FOO", "FOO.C", "FOO.TXT"}},
		{`\FOO.???`, []string{"FOO", "FOO.C", "FOO.TXT"}},
		{`\FOO??`, []string{"FOO"}},
		{`\F????????.?`, []string{"FOO", "FOO.C", "FOOBAR"}},
		{`\*.TEX`, []string{long}},
		{`\` + long, []string{long}},
		{`\FOO.C`, []string{"FOO.C"}},
	} {
		slices.Sort(c.want)
		for _, cmd := range []wire.SMB1Command{wire.SMB1Search, wire.SMB1Find, wire.SMB1FindUnique} {
			if got := p.searchNames(cmd, c.pattern); !slices.Equal(got, c.want) {
				t.Errorf("command %#x: %s finds %q, want %q", cmd, c.pattern, got, c.want)
			}
		}
	}
}

// A directory may have more entries than fit two bytes of a resume key.
func TestSMB1SearchGoesOnBehindManyEntries(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.flags2 &^= wire.SMB1Flags2Unicode
	for _, name := range []string{"A", "B", "C"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := func(key []byte) []byte {
		t.Helper()
		more := append(append(path1(""), 5, byte(len(key)), 0), key...)
		if key == nil {
			more = append(path1(`\*`), 5, 0, 0)
		}
		b := p.want1(p.msg(wire.SMB1Search, words(uint16(1), uint16(0)), more), wire.StatusOK)
		if b.Word(0) != 1 {
			t.Fatalf("%d entries", b.Word(0))
		}
		return b.Bytes[3:][:resumeKeySize]
	}
	key := next(nil)
	for _, s := range p.c.smb1.searches { // as if it were the last that two bytes can count
		s.given = 65535
	}
	le.PutUint32(key[keyGiven:], 65535)
	next(next(key))
}

// In a directory DOS's pattern for all, and what its programs say for it, finds ".." too.
func TestSMB1SearchFindsTheDirectoryAbove(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.flags2 &^= wire.SMB1Flags2Unicode
	if err := os.MkdirAll(filepath.Join(p.dir, "SUB", "X"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{`\SUB\????????.???`, `\SUB\*.*`, `\SUB\*`} {
		if got, want := p.searchAll(wire.SMB1Search, pattern, 0x10), []string{".", "..", "X"}; !slices.Equal(got, want) {
			t.Errorf("%s finds %q, want %q", pattern, got, want)
		}
	}
}

// A client without Unicode finds a zero behind each name of a listing of NT's, which its length counts: such clients read to the zero.
func TestSMB1NamesWithoutUnicodeEndInAZero(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.flags2 &^= wire.SMB1Flags2Unicode
	for _, name := range []string{"one", "another"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for level, at := range map[uint16]struct{ length, name int }{0x101: {60, 64}, 0x102: {60, 68}, 0x103: {8, 12}, 0x104: {60, 94}, 0x105: {60, 80}, 0x106: {60, 104}} {
		b := p.trans2Data(p.trans2(1, 0, append(words(uint16(0), uint16(9), uint16(1), level, uint32(0)), "\\*\x00"...), nil))
		var names []string
		for next := uint32(1); next != 0; b = b[next:] {
			names = append(names, string(b[at.name:][:le.Uint32(b[at.length:])]))
			next = le.Uint32(b)
		}
		slices.Sort(names)
		if want := []string{"another\x00", "one\x00"}; !slices.Equal(names, want) {
			t.Errorf("level %#x: %q, want %q", level, names, want)
		}
	}
}

// A READ at a file's end leaves the position where it was asked to read, from which SEEK counts.
func TestSMB1SeekCountsFromTheLastRead(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", opening{wire.AccessAll, shareAll, wire.Create, 0})
	p.want1(p.writeMsg1(fid, 0, []byte("hello")), wire.StatusOK)
	for _, c := range []struct {
		off  uint64
		want uint32
	}{{1, 6}, {5, 6}, {700, 701}} {
		p.want1(p.readMsg1(fid, c.off, 10), wire.StatusOK)
		if b := p.want1(p.msg(wire.SMB1Seek, words(fid, uint16(1), uint32(1)), nil), wire.StatusOK); b.U32(0) != c.want {
			t.Errorf("after a READ at %d a SEEK by 1 leads to %d, want %d", c.off, b.U32(0), c.want)
		}
	}
}
