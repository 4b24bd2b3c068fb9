package smbproto

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// path1 is a path in the bytes of a command, with its format; in ASCII.
func path1(name string) []byte { return append(append([]byte{4}, name...), 0) }

// The calls of before NT, as old clients make them: in ASCII, and with classes of errors.
func TestSMB1OldCalls(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.flags2 &^= wire.SMB1Flags2Unicode | wire.SMB1Flags2NTStatus
	const (
		badFile   = wire.Status(2<<16 | 1)
		badPath   = wire.Status(3<<16 | 1)
		badFID    = wire.Status(6<<16 | 1)
		lockError = wire.Status(33<<16 | 1)
		noFiles   = wire.Status(18<<16 | 1)
	)
	ask := func(cmd wire.SMB1Command, s wire.Status, w, data []byte) wire.SMB1Block {
		t.Helper()
		return p.want1(p.msg(cmd, w, data), s)
	}
	ask(wire.SMB1CreateDirectory, wire.StatusOK, nil, path1(`\dir`))
	ask(wire.SMB1CheckDirectory, wire.StatusOK, nil, path1(`\dir`))
	ask(wire.SMB1CheckDirectory, badPath, nil, path1(`\no\dir`))
	ask(wire.SMB1CheckDirectory, badPath, nil, path1(`\no`))
	ask(wire.SMB1CheckDirectory, badPath, nil, path1(`\no*`))
	p.flags2 |= wire.SMB1Flags2NTStatus
	ask(wire.SMB1CheckDirectory, wire.StatusObjectNameNotFound, nil, path1(`\no`))
	ask(wire.SMB1CheckDirectory, wire.StatusObjectNameInvalid, nil, path1(`\no*`))
	p.flags2 &^= wire.SMB1Flags2NTStatus
	b := ask(wire.SMB1Create, wire.StatusOK, words(uint16(0), uint32(1_000_000_000)), path1(`\dir\a.txt`))
	fid := b.Word(0)
	b = ask(wire.SMB1Write, wire.StatusOK, words(fid, uint16(5), uint32(0), uint16(0)), append([]byte{1, 5, 0}, "hello"...))
	if b.Word(0) != 5 {
		t.Errorf("%d bytes written", b.Word(0))
	}
	ask(wire.SMB1LockByteRange, wire.StatusOK, words(fid, uint32(2), uint32(0)), nil)
	ask(wire.SMB1LockByteRange, lockError, words(fid, uint32(2), uint32(1)), nil)
	ask(wire.SMB1UnlockByteRange, wire.StatusOK, words(fid, uint32(2), uint32(0)), nil)
	b = ask(wire.SMB1Seek, wire.StatusOK, words(fid, uint16(2), uint32(1<<32-2)), nil)
	if b.U32(0) != 3 {
		t.Errorf("sought to %d", b.U32(0))
	}
	b = ask(wire.SMB1Read, wire.StatusOK, words(fid, uint16(10), uint32(1), uint16(0)), nil)
	if b.Word(0) != 4 || string(b.Bytes[3:]) != "ello" {
		t.Errorf("read %q", b.Bytes)
	}
	ask(wire.SMB1Write, wire.StatusOK, words(fid, uint16(0), uint32(2), uint16(0)), []byte{1, 0, 0}) // cuts it
	ask(wire.SMB1Flush, wire.StatusOK, words(fid), nil)
	ask(wire.SMB1Close, wire.StatusOK, words(fid, uint32(1_000_000_002)), nil)
	ask(wire.SMB1Close, badFID, words(fid, uint32(0)), nil)
	b = ask(wire.SMB1QueryInformation, wire.StatusOK, nil, path1(`\dir\a.txt`))
	if b.U32(2) != 1_000_000_002 || b.U32(6) != 2 {
		t.Errorf("written at %d, %d bytes", b.U32(2), b.U32(6))
	}
	ask(wire.SMB1SetInformation, wire.StatusOK, words(uint16(1), uint32(0), uint64(0), uint16(0)), path1(`\dir\a.txt`))
	ask(wire.SMB1CreateNew, wire.Status(80<<16|1), words(uint16(0), uint32(0)), path1(`\dir\a.txt`))
	ask(wire.SMB1Delete, wire.Status(5<<16|1), words(uint16(0)), path1(`\dir\a.txt`))
	ask(wire.SMB1SetInformation, wire.StatusOK, words(uint16(0), uint32(0), uint64(0), uint16(0)), path1(`\dir\a.txt`))
	ask(wire.SMB1Rename, wire.StatusOK, words(uint16(0)), append(path1(`\dir\*.txt`), path1(`\dir\*.old`)...))
	ask(wire.SMB1NTRename, wire.StatusOK, words(uint16(0), uint16(smb1RenameCopy), uint32(0)), append(path1(`\dir\a.old`), path1(`\dir\b.old`)...))
	if got := p.content("dir/b.old"); got != "he" {
		t.Errorf("the copy has %q", got)
	}
	b = ask(wire.SMB1Copy, wire.StatusOK, words(p.tid, uint16(0x10), uint16(0)), append(path1(`\dir\a.old`), path1(`\dir\c.old`)...))
	if got := p.content("dir/c.old"); got != "he" || b.Word(0) != 1 {
		t.Errorf("the copy has %q, %d are counted", got, b.Word(0))
	}
	ask(wire.SMB1Copy, wire.Status(80<<16|1), words(p.tid, uint16(0x10), uint16(0)), append(path1(`\dir\a.old`), path1(`\dir\c.old`)...))
	ask(wire.SMB1Copy, wire.StatusOK, words(p.tid, uint16(0x12), uint16(0)), append(path1(`\dir\a.old`), path1(`\dir\c.old`)...))
	ask(wire.SMB1Copy, wire.Status(5<<16|1), words(p.tid, uint16(0x12), uint16(0)), append(path1(`\dir\c.old`), path1(`\dir\C.OLD`)...))
	if got := p.content("dir/c.old"); got != "he" {
		t.Errorf("copied onto itself, it has %q", got)
	}
	ask(wire.SMB1DeleteDirectory, wire.Status(145<<16|1), nil, path1(`\dir`))
	ask(wire.SMB1Delete, wire.StatusOK, words(uint16(0)), path1(`\dir\*.old`))
	ask(wire.SMB1Delete, badFile, words(uint16(0)), path1(`\dir\*.old`))
	ask(wire.SMB1DeleteDirectory, wire.StatusOK, nil, path1(`\dir`))
	b = ask(wire.SMB1CreateTemporary, wire.StatusOK, words(uint16(0), uint32(0)), path1(`\`))
	if _, err := os.Stat(filepath.Join(p.dir, string(bytes.TrimSuffix(b.Bytes, []byte{0})))); err != nil { // the name and nothing in front of it
		t.Error(err)
	}
	ask(wire.SMB1Search, noFiles, words(uint16(10), uint16(0)), append(path1(`\none*`), 5, 0, 0))
}

// DELETE_DIRECTORY goes by what others share: those who let the directory be deleted keep it until they close it.
func TestSMB1RemovesDirectoriesThatOthersHaveOpen(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	other := connect(t, p.srv, p.dir).logOn("pub")
	remove := func() []byte { return p.msg(wire.SMB1DeleteDirectory, nil, append([]byte{4}, utf16le("dir\x00")...)) }
	dir := func(share wire.ShareAccess) wire.FileID {
		return other.open("dir", opening{wire.AccessAll, share, wire.OpenIf, wire.OptionDirectory})
	}
	keeps := dir(shareAll &^ wire.ShareDelete)
	p.want1(remove(), wire.StatusSharingViolation)
	other.want(other.closeMsg(keeps), wire.StatusOK)
	lets := dir(shareAll)
	p.want1(remove(), wire.StatusOK)
	if _, s := other.tryOpen("dir", opening{wire.AccessAll, shareAll, wire.Open, 0}); s != wire.StatusDeletePending {
		t.Errorf("opened while it is to be deleted: %v", s)
	}
	other.want(other.closeMsg(lets), wire.StatusOK)
	if _, err := os.Stat(filepath.Join(p.dir, "dir")); !os.IsNotExist(err) {
		t.Errorf("%v, want it gone", err)
	}
}

// Commands of one message work on what those before them have opened, up to the first that fails.
func TestSMB1Chains(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	if err := os.WriteFile(filepath.Join(p.dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	chain := func(name string) []byte {
		raw := append(append([]byte{0}, utf16le(name)...), 0, 0)
		m := p.msg(wire.SMB1NTCreateAndX, andX(uint8(0), uint16(len(raw)-3), uint32(0), uint32(0), uint32(wire.AccessReadData), uint64(0),
			uint32(0), uint32(shareAll), uint32(wire.Open), uint32(0), uint32(2), uint8(0)), raw)
		m[wire.SMB1HeaderSize+1] = byte(wire.SMB1ReadAndX)
		le.PutUint16(m[wire.SMB1HeaderSize+3:], uint16(len(m)))
		next := p.readMsg1(0xFFFF, 0, 100)
		return append(m, next[wire.SMB1HeaderSize:]...)
	}
	r := p.ask1(chain(`\file`))
	if r.Status() != wire.StatusOK {
		t.Fatal(r.Status())
	}
	first, err := r.Block(wire.SMB1HeaderSize)
	if err != nil {
		t.Fatal(err)
	}
	cmd, at := first.AndX()
	second, err := r.Block(at)
	if err != nil || cmd != wire.SMB1ReadAndX {
		t.Fatal(cmd, err)
	}
	if data, ok := r.Tail(int(second.Word(6)), int(second.Word(5))); !ok || string(data) != "content" {
		t.Errorf("read %q", data)
	}
	r = p.ask1(chain(`\missing`))
	if first, err = r.Block(wire.SMB1HeaderSize); err != nil || r.Status() != wire.StatusObjectNameNotFound || first.Count() != 0 {
		t.Errorf("%v with %d words", r.Status(), first.Count())
	}
	loop := chain(`\file`)
	le.PutUint16(loop[wire.SMB1HeaderSize+3:], wire.SMB1HeaderSize) // to itself
	if r = p.ask1(loop); r.Status() != wire.StatusInvalidSMB {
		t.Errorf("a chain without an end: %v", r.Status())
	}
}

// What leads through a directory called "." leads to none that is there, in a search as in an open; to search in one is to
// name what can't be.
func TestSMB1PathsThroughDotsAreNotThere(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	if err := os.Mkdir(filepath.Join(p.dir, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]wire.Status{
		`\dir\x`: wire.StatusNoSuchFile, `\dir\..\dir\x`: wire.StatusNoSuchFile,
		`\dir\.\x`: wire.StatusObjectNameInvalid, `\dir\.\.\x`: wire.StatusObjectPathNotFound, `\dir\.\.\.`: wire.StatusObjectPathNotFound,
	} {
		find := append(append(words(uint16(0), uint16(10), uint16(0), uint16(0x104), uint32(0)), utf16le(path)...), 0, 0)
		if r := p.ask1(p.trans2Msg(1, find, nil, len(find), 0, 60_000)); r.Status() != want {
			t.Errorf("%s: %v, want %v", path, r.Status(), want)
		}
	}
	p.want1(p.createMsg1(`\dir\.\.\x`, all1, 0), wire.StatusObjectPathNotFound)
}

// A search goes on behind whichever entry the client names.
func TestSMB1SearchesGoOn(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	const files = 30
	for i := range files {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("f%02d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	find := func(fn uint16, params []byte) (names []string) {
		t.Helper()
		b := p.want1(p.trans2Msg(fn, params, nil, len(params), 0, 60_000), wire.StatusOK)
		at := int(b.Word(7)) - b.At
		for rest := b.Bytes[at : at+int(b.Word(6))]; len(rest) > 0; {
			n := int(le.Uint32(rest[60:]))
			name, err := wire.UTF16ToString(rest[94 : 94+n])
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
			next := le.Uint32(rest)
			if next == 0 {
				break
			}
			rest = rest[next:]
		}
		return names
	}
	params := append(append(words(uint16(0), uint16(10), uint16(0), uint16(0x104), uint32(0)), utf16le(`\f*`)...), 0, 0)
	first := find(1, params)
	sid := uint16(1)
	next := func(name string, key uint32, flags uint16) []string {
		t.Helper()
		return find(2, append(append(words(sid, uint16(5), uint16(0x104), key, flags), utf16le(name)...), 0, 0))
	}
	second := next(first[9], 0, 0)
	if len(first) != 10 || len(second) != 5 || second[0] == first[9] {
		t.Fatalf("%q, then %q", first, second)
	}
	if again := next(first[4], 0, 0); again[0] != first[5] || again[4] != first[9] {
		t.Errorf("behind %q come %q, want %q", first[4], again, first[5:])
	}
	if on := next("", 0, findContinue); on[0] != second[0] {
		t.Errorf("it goes on with %q, want %q", on[0], second[0])
	}
	if byKey := next("", 3, 0); byKey[0] != first[3] {
		t.Errorf("behind the third comes %q, want %q", byKey[0], first[3])
	}
	if start := next("..", 0, 0); start[0] != first[0] {
		t.Errorf("from the beginning comes %q, want %q", start[0], first[0])
	}
}

// Who may not read gets no lock by LOCK_AND_READ: that the call was refused, its client takes to mean that there is none.
func TestSMB1LockAndReadWithoutTheRightLocksNothing(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", opening{wire.AccessWriteData, shareAll, wire.Create, 0})
	other := p.open1("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	lock := func(fid uint16) []byte {
		return p.msg(wire.SMB1LockAndRead, words(fid, uint16(5), uint32(0), uint16(0)), nil)
	}
	p.want1(lock(fid), wire.StatusAccessDenied)
	p.want1(lock(other), wire.StatusOK)
}

// Names are told in Unicode to clients that speak none too, MS-CIFS 2.2.8.3.9 to 2.2.8.3.11.
func TestSMB1TellsNamesInUnicode(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("name.txt", all1)
	for _, flags2 := range []uint16{p.flags2, p.flags2 &^ wire.SMB1Flags2Unicode} {
		p.flags2 = flags2
		for _, c := range []struct {
			level uint16
			at    int
			want  string
		}{
			{0x104, 0, `\name.txt`}, {wire.SMB1Passthru + uint16(wire.FileNameInformation), 0, `\name.txt`},
			{0x107, 68, `\name.txt`}, {wire.SMB1Passthru + uint16(wire.FileAllInformation), 68, `\name.txt`},
			{0x108, 0, `name.txt`}, {wire.SMB1Passthru + uint16(wire.FileAlternateNameInformation), 0, `name.txt`},
		} {
			b := p.trans2Data(p.trans2(7, 0, words(fid, c.level), nil))[c.at:]
			if got, err := wire.UTF16ToString(b[4:]); err != nil || got != c.want || int(le.Uint32(b)) != 2*len(got) {
				t.Errorf("level %#x: % x, want %q", c.level, b, c.want)
			}
		}
	}
}

// What a file does not have is said where the long answer is asked for, MS-SMB 2.2.4.9.2, and only there.
func TestSMB1TellsWhatAFileDoesNotHave(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub")
	const noEAs, noStreams, noReparse = 1, 2, 4
	p.open1("plain", all1)
	p.open1("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.open1("ea", all1)
	if err := unix.Setxattr(filepath.Join(p.dir, "ea"), "user.KEY", []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
	p.open1("streams", all1)
	p.open1("streams:one", all1)
	p.open1("dir2", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.open1("dir2:one", all1)
	for name, want := range map[string]uint16{
		"plain": noEAs | noStreams | noReparse, "dir": noEAs | noStreams | noReparse, "ea": noStreams | noReparse,
		"streams": noEAs | noReparse, "streams:one": noEAs | noReparse, "dir2": noEAs | noReparse,
	} {
		o := opening{rd, shareAll, wire.Open, 0}
		b := p.want1(p.createMsg1(name, o, smb1CreateExtended), wire.StatusOK)
		if got := le.Uint16(b.Words[65:]); got != want {
			t.Errorf("%s: %#x, want %#x", name, got, want)
		}
		b = p.want1(p.createMsg1(name, o, 0), wire.StatusOK)
		if got := le.Uint16(b.Words[65:]); got != 0 {
			t.Errorf("%s in short: %#x", name, got)
		}
	}
}

// NT_CREATE_OPEN_TARGET_DIR opens the directory that a name is in, MS-CIFS 2.2.4.64.1, whether or not the name is there.
func TestSMB1OpensTheDirectoryOfAName(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	p.open1("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.open1(`dir\file`, all1)
	for _, c := range []struct {
		name string
		want wire.Status
		path string
	}{
		{`dir\file`, wire.StatusOK, `\dir`}, {`dir\none`, wire.StatusOK, `\dir`}, {`dir`, wire.StatusOK, `\`}, {``, wire.StatusOK, `\`},
		{`dir\file\none`, wire.StatusNotADirectory, ""}, {`none\file`, wire.StatusObjectNameNotFound, ""},
	} {
		for _, d := range []wire.Disposition{wire.Open, wire.OpenIf} {
			b := p.want1(p.createMsg1(c.name, opening{wire.AccessReadAttributes, shareAll, d, 0}, smb1CreateParent), c.want)
			if c.want != wire.StatusOK {
				continue
			}
			name := p.trans2Data(p.trans2(7, 0, words(le.Uint16(b.Words[5:]), uint16(0x104)), nil))[4:]
			if got, err := wire.UTF16ToString(name); err != nil || got != c.path {
				t.Errorf("%s, disposition %d: opens %q, want %q", c.name, d, got, c.path)
			}
		}
	}
	if list, err := os.ReadDir(p.dir); err != nil || len(list) != 1 {
		t.Errorf("in the share are %v, %v", list, err)
	}
}

// The least that --max-io allows leaves no room for the largest token there can be, and needs none.
func TestSMB1IsSpokenWithTheLeastThatAReadMayCarry(t *testing.T) {
	p := newPeer1(t, func(c *Config) {
		c.Limits.MaxRead, c.Limits.MaxWrite, c.Limits.MaxTransact = LeastIO, LeastIO, LeastIO
	}).logOn1("pub")
	fid := p.open1("file", all1)
	p.want1(p.writeMsg1(fid, 0, pattern(LeastIO)), wire.StatusOK)
	if b := p.want1(p.readMsg1(fid, 0, LeastIO), wire.StatusOK); int(b.Word(5)) != LeastIO {
		t.Errorf("%d bytes read, want %d", b.Word(5), LeastIO)
	}
	// Clients have room for more than the server would ever say.
	p.want1(p.trans2Msg(7, words(fid, uint16(0x109)), nil, 4, 0, 1<<16-1), wire.StatusOK)
}

// Where there are pipes there are no files: no call makes or opens one, and none takes the server down.
func TestSMB1PipesAreNoFiles(t *testing.T) {
	p := newPeer1(t, nil).logOn1("IPC$")
	p.flags2 &^= wire.SMB1Flags2Unicode
	for code, w := range map[wire.SMB1Command][]byte{
		wire.SMB1Open: words(uint16(0x42), uint16(0)), wire.SMB1Create: words(uint16(0), uint32(0)), wire.SMB1CreateNew: words(uint16(0), uint32(0)),
		wire.SMB1CreateTemporary: words(uint16(0), uint32(0)),
	} {
		p.want1(p.msg(code, w, path1(`\srvsvc`)), wire.StatusAccessDenied)
	}
}

// What another has locked is not copied, and leaves no file begun.
func TestSMB1CopiesReadNothingThatIsLocked(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("from", all1)
	p.want1(p.writeMsg1(fid, 0, pattern(100)), wire.StatusOK)
	p.want1(p.lockMsg1(fid, 90, 5, 0), wire.StatusOK)
	p.flags2 &^= wire.SMB1Flags2Unicode
	names := append(path1("from"), path1("to")...)
	for _, msg := range [][]byte{
		p.msg(wire.SMB1Copy, words(p.tid, uint16(0x10), uint16(0)), names),
		p.msg(wire.SMB1NTRename, words(uint16(0), uint16(smb1RenameCopy), uint32(0)), names),
	} {
		p.want1(msg, wire.StatusFileLockConflict)
		if _, err := os.Stat(filepath.Join(p.dir, "to")); !os.IsNotExist(err) {
			t.Errorf("%v, want no copy", err)
		}
	}
}
