package smbproto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// noUnixChange is the basic information that changes nothing.
func noUnixChange() []byte {
	b := bytes.Repeat([]byte{0xFF}, wire.SMB1UnixBasicSize)
	le.PutUint32(b[56:], 0)
	return b
}

func modeOf(mode uint32) []byte {
	b := noUnixChange()
	le.PutUint64(b[84:], uint64(mode))
	return b
}

func (p *peer1) linkMsg(path, text string) []byte {
	return p.pathMsg(6, wire.SMB1InfoUnixLink, path, append(utf16le(text), 0, 0))
}

func (p *peer1) posixOpenMsg(path string, flags, mode uint32) []byte {
	return p.pathMsg(6, wire.SMB1InfoPosixOpen, path, words(uint32(0), flags, uint64(mode), uint16(wire.SMB1InfoUnixBasic)))
}

func (p *peer1) unlinkMsg(path string, kind uint16) []byte {
	return p.pathMsg(6, wire.SMB1InfoPosixUnlink, path, words(kind))
}

// modeOnDisk is the mode of what has a name itself.
func (p *peer1) modeOnDisk(path string) uint32 {
	p.t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(p.dir, path), &st); err != nil {
		p.t.Fatal(err)
	}
	return st.Mode
}

func TestSMB1PosixOpenMakesWhatItIsAskedFor(t *testing.T) {
	kept := uint32(0) // by a server that is not root
	if os.Geteuid() != 0 {
		kept = 0o400
	}
	p := newPeer1(t, nil).logOn1("pub").posix()
	b := p.trans2Data(p.posixOpenMsg("/file", wire.SMB1PosixReadWrite|wire.SMB1PosixCreate, 0o6640))
	fid := le.Uint16(b[2:])
	if action := le.Uint32(b[4:]); action != uint32(wire.ActionCreated) ||
		le.Uint16(b[8:]) != wire.SMB1InfoUnixBasic || readUnixInfo(b[12:]).mode != 0o640 {
		t.Errorf("made: % x", b)
	}
	p.want1(p.writeMsg1(fid, 0, []byte("content")), wire.StatusOK)
	if m := p.modeOnDisk("file"); m != unix.S_IFREG|0o640 {
		t.Errorf("mode %o", m)
	}
	p.want1(p.posixOpenMsg("/file", wire.SMB1PosixReadOnly|wire.SMB1PosixCreate|wire.SMB1PosixExclusive, 0o600), wire.StatusObjectNameCollision)
	b = p.trans2Data(p.posixOpenMsg("/file", wire.SMB1PosixReadOnly, 0))
	p.want1(p.writeMsg1(le.Uint16(b[2:]), 0, []byte("x")), wire.StatusAccessDenied)
	if r := p.want1(p.readMsg1(le.Uint16(b[2:]), 0, 100), wire.StatusOK); r.Word(5) != 7 {
		t.Errorf("%d bytes read", r.Word(5))
	}
	b = p.trans2Data(p.posixOpenMsg("/file", wire.SMB1PosixWriteOnly|wire.SMB1PosixTruncate, 0))
	if le.Uint32(b[4:]) != uint32(wire.ActionOverwritten) || readUnixInfo(b[12:]).size != 0 || p.content("file") != "" {
		t.Errorf("cut: % x", b)
	}
	for _, mode := range []uint32{0, 0o444, 0o7777} {
		p.trans2Data(p.posixOpenMsg("/d", wire.SMB1PosixCreate|wire.SMB1PosixDirectory, mode))
		if m := p.modeOnDisk("d"); m != unix.S_IFDIR|mode&0o777|kept {
			t.Errorf("directory of mode %o, want %o", m, mode)
		}
		p.want1(p.posixOpenMsg("/d", wire.SMB1PosixReadOnly, 0), wire.StatusFileIsADirectory)
		p.want1(p.posixOpenMsg("/d", wire.SMB1PosixCreate|wire.SMB1PosixDirectory, 0o700), wire.StatusObjectNameCollision)
		p.want1(p.unlinkMsg("/d", 1), wire.StatusOK)
		p.trans2Data(p.posixOpenMsg("/f", wire.SMB1PosixCreate|wire.SMB1PosixWriteOnly, mode))
		if m := p.modeOnDisk("f"); m != unix.S_IFREG|mode&0o777|kept {
			t.Errorf("file of mode %o, want %o", m, mode)
		}
		p.want1(p.msg(wire.SMB1Close, words(uint16(p.c.smb1.nextFID), uint32(0)), nil), wire.StatusOK)
		p.want1(p.unlinkMsg("/f", 0), wire.StatusOK) // also of a mode that nobody may write
	}
	p.want1(p.posixOpenMsg("/none", wire.SMB1PosixReadOnly, 0), wire.StatusObjectNameNotFound)
	p.want1(p.posixOpenMsg("/none/file", wire.SMB1PosixCreate, 0), wire.StatusObjectPathNotFound)
	p.want1(p.posixOpenMsg("/file", 7, 0), wire.StatusInvalidParameter)
}

// Neither setuid, setgid nor the sticky bit is set; what others have set stays if the client says so.
func TestSMB1UnixModesHaveNoSpecialBits(t *testing.T) {
	p := unixShare(t)
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", modeOf(0o7751)), wire.StatusOK)
	if m := p.modeOnDisk("dir/file"); m != unix.S_IFREG|0o751 {
		t.Errorf("mode %o", m)
	}
	if err := unix.Chmod(filepath.Join(p.dir, "dir"), 0o2750); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ set, want uint32 }{{0o7755, 0o2755}, {0o755, 0o755}, {0o2755, 0o755}} {
		p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir", modeOf(c.set)), wire.StatusOK)
		if m := p.modeOnDisk("dir"); m != unix.S_IFDIR|c.want {
			t.Errorf("mode %o, want %o", m, c.want)
		}
	}
}

func TestSMB1UnixChangesAreMade(t *testing.T) {
	p := unixShare(t)
	b := noUnixChange()
	when := wire.FiletimeUnix(1_000_000_000, 0)
	le.PutUint64(b, 3)
	le.PutUint64(b[32:], uint64(when))
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", b), wire.StatusOK)
	st, err := os.Stat(filepath.Join(p.dir, "dir/file"))
	if err != nil || st.Size() != 3 || st.ModTime().Unix() != 1_000_000_000 || st.Mode() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	fid := le.Uint16(p.trans2Data(p.posixOpenMsg("/dir/file", wire.SMB1PosixReadOnly, 0))[2:])
	set := func(data []byte) []byte {
		return p.trans2(8, len(data), words(fid, uint16(wire.SMB1InfoUnixBasic), uint16(0)), data)
	}
	p.want1(set(modeOf(0o604)), wire.StatusOK)
	if m := p.modeOnDisk("dir/file"); m != unix.S_IFREG|0o604 {
		t.Errorf("mode %o", m)
	}
	le.PutUint64(b, 5)
	p.want1(set(b), wire.StatusAccessDenied) // it is not open for writing
	le.PutUint64(b, 1<<63)
	p.want1(set(b), wire.StatusInvalidParameter)
	p.want1(set(b[:99]), wire.StatusInvalidParameter)
	for kind := uint32(3); kind < 8; kind++ {
		b := modeOf(0o600)
		le.PutUint32(b[56:], kind)
		p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/new", b), wire.StatusNotSupported)
	}
	if _, err := os.Lstat(filepath.Join(p.dir, "new")); err == nil {
		t.Error("a device was made")
	}
	b = noUnixChange()
	le.PutUint64(b[40:], 12345)
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", b), wire.StatusAccessDenied)
	le.PutUint64(b[40:], uint64(os.Getuid())) // it is that already
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", b), wire.StatusOK)
}

// Who has a file open changes by that what he could by its name, and nothing more: each of the rights that a change takes must be there.
func TestSMB1UnixChangesOfAnOpenTakeAllTheirRights(t *testing.T) {
	needXattrs(t)
	p := unixShare(t)
	path := filepath.Join(p.dir, "dir", "file")
	times := noUnixChange()
	le.PutUint64(times[32:], uint64(wire.FiletimeUnix(1_000_000_000, 0)))
	changes := map[string][]byte{"mode": modeOf(0o666), "times": times}
	set := func(fid uint16, b []byte) []byte {
		return p.trans2(8, len(b), words(fid, uint16(wire.SMB1InfoUnixBasic), uint16(0)), b)
	}
	fid := p.open1(`/dir/file`, opening{wire.AccessReadAttributes, shareAll, wire.Open, 0})
	for _, b := range changes {
		p.want1(set(fid, b), wire.StatusAccessDenied)
	}
	d := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.Everyone) })
	d.Owner, d.Group = sd.System, sd.System
	if err := unix.Setxattr(path, securityName, d.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	fid = le.Uint16(p.trans2Data(p.posixOpenMsg("/dir/file", wire.SMB1PosixReadOnly, 0))[2:])
	for _, b := range changes {
		p.want1(set(fid, b), wire.StatusAccessDenied)
		p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", b), wire.StatusAccessDenied)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o640 || st.ModTime().Unix() == 1_000_000_000 {
		t.Errorf("%v, %v", st, err)
	}
}

// A time that is set as Linux's is one that the next write sets again, even through the same open.
func TestSMB1UnixTimesDoNotOutlastAWrite(t *testing.T) {
	p := unixShare(t)
	fid := le.Uint16(p.trans2Data(p.posixOpenMsg("/dir/file", wire.SMB1PosixReadWrite, 0))[2:])
	modified := func() time.Time {
		t.Helper()
		st, err := os.Stat(filepath.Join(p.dir, "dir/file"))
		if err != nil {
			t.Fatal(err)
		}
		return st.ModTime()
	}
	b := noUnixChange()
	le.PutUint64(b[32:], uint64(wire.FiletimeUnix(1_000_000_000, 0)))
	for range 2 {
		p.want1(p.trans2(8, len(b), words(fid, uint16(wire.SMB1InfoUnixBasic), uint16(0)), b), wire.StatusOK)
		if at := modified(); at.Unix() != 1_000_000_000 {
			t.Fatalf("it was set to %v", at)
		}
		p.want1(p.writeMsg1(fid, 0, []byte("text")), wire.StatusOK)
		if at := modified(); at.Unix() == 1_000_000_000 {
			t.Error("a write has not set it")
		}
	}
	p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
	if at := modified(); at.Unix() == 1_000_000_000 {
		t.Error("the close has set it")
	}
}

// Who may take ownership of files may give them to others, if Linux lets the server; nobody else may.
func TestSMB1UnixOwnersAreChangedByAdministrators(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("wants root, who alone may give files away")
	}
	p := unixShare(t)
	give := func(path string, uid uint32) []byte {
		b := noUnixChange()
		le.PutUint64(b[40:], uint64(uid))
		return p.pathMsg(6, wire.SMB1InfoUnixBasic, path, b)
	}
	owner := func(path string) uint32 {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(p.dir, path), &st); err != nil {
			t.Fatal(err)
		}
		return st.Uid
	}
	for _, path := range []string{"/dir/file", "/dir", "/link"} {
		p.want1(give(path, 1234), wire.StatusAccessDenied)
	}
	s := p.c.smb1.sessions[p.uid].session
	token := *s.token.Load()
	token.TakeOwnership = true
	s.token.Store(&token)
	for _, path := range []string{"/link", "/dir", "/dir/file"} { // the link leads to the last of them
		if uid := owner(path); uid == 1234 {
			t.Errorf("%s is of %d already", path, uid)
		}
		p.want1(give(path, 1234), wire.StatusOK)
		if uid := owner(path); uid != 1234 {
			t.Errorf("%s is of %d", path, uid)
		}
	}
}

// unixChanges are requests that change something, each of a share with a directory and a file.
func unixChanges(p *peer1) map[string][]byte {
	return map[string][]byte{
		"mode": p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", modeOf(0o777)), "link": p.linkMsg("/dir/l", "x"),
		"hard link":        p.pathMsg(6, wire.SMB1InfoUnixHardLink, "/dir/h", append(utf16le("/dir/file"), 0, 0)),
		"open":             p.posixOpenMsg("/dir/file", wire.SMB1PosixReadWrite, 0),
		"cut":              p.posixOpenMsg("/dir/file", wire.SMB1PosixReadOnly|wire.SMB1PosixTruncate, 0),
		"make":             p.posixOpenMsg("/dir/new", wire.SMB1PosixReadOnly|wire.SMB1PosixCreate, 0o600),
		"mkdir":            p.posixOpenMsg("/dir/newdir", wire.SMB1PosixDirectory|wire.SMB1PosixCreate, 0o600),
		"unlink":           p.unlinkMsg("/dir/file", 0),
		"rmdir":            p.unlinkMsg("/dir/empty", 1),
		"unlink of a link": p.unlinkMsg("/dir/there", 0),
	}
}

func makeUnixTree(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "dir", "empty"), 0o755),
		os.WriteFile(filepath.Join(dir, "dir", "file"), []byte("content"), 0o644),
		os.Symlink("file", filepath.Join(dir, "dir", "there"))); err != nil {
		t.Fatal(err)
	}
}

// Levels of the extensions mean something to who has said that he uses them.
func TestSMB1UnixChangesNothingForOtherClients(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	makeUnixTree(t, p.dir)
	before := treeOf(t, p.dir)
	for what, msg := range unixChanges(p) {
		if s := p.ask1(msg).Status(); !s.IsError() {
			t.Errorf("%s: %v", what, s)
		}
	}
	p.want1(p.pathMsg(6, wire.SMB1InfoPosixUnlink, `\dir\file`, words(uint16(0))), wire.StatusInvalidLevel)
	if after := treeOf(t, p.dir); after != before {
		t.Errorf("there is now\n%s, there was\n%s", after, before)
	}
	p.unix(0)
	p.want1(p.pathMsg(6, wire.SMB1InfoPosixUnlink, `\dir\file`, words(uint16(0))), wire.StatusOK)
}

func TestSMB1UnixChangesNothingOfReadOnlyShares(t *testing.T) {
	p := newPeer1(t, nil).logOn1("ro").posix()
	makeUnixTree(t, p.dir)
	before := treeOf(t, p.dir)
	for what, msg := range unixChanges(p) {
		if s := p.ask1(msg).Status(); s != wire.StatusAccessDenied && s != wire.StatusMediaWriteProtected {
			t.Errorf("%s: %v", what, s)
		}
	}
	p.trans2Data(p.posixOpenMsg("/dir/file", wire.SMB1PosixReadOnly, 0))
	if after := treeOf(t, p.dir); after != before {
		t.Errorf("there is now\n%s, there was\n%s", after, before)
	}
}

// Who may only read a directory and what is in it changes nothing by the extensions either.
func TestSMB1UnixChangesAreHeldToDescriptors(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub").posix()
	makeUnixTree(t, p.dir)
	d := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.Everyone) })
	d.Owner, d.Group = sd.System, sd.System
	for _, path := range []string{"dir", "dir/empty", "dir/file"} {
		if err := unix.Setxattr(filepath.Join(p.dir, path), securityName, d.Append(nil), 0); err != nil {
			t.Fatal(err)
		}
	}
	before := treeOf(t, filepath.Join(p.dir, "dir"))
	for what, msg := range unixChanges(p) {
		p.want1(msg, wire.StatusAccessDenied)
		if after := treeOf(t, filepath.Join(p.dir, "dir")); after != before {
			t.Fatalf("%s: there is now\n%s, there was\n%s", what, after, before)
		}
	}
	if i := p.unixInfo("/dir/there"); i.kind != 2 {
		t.Errorf("%+v", i)
	}
	// Who may not list it is told of no link in it.
	d = dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessReadAttributes, sd.Everyone) })
	d.Owner, d.Group = sd.System, sd.System
	if err := unix.Setxattr(filepath.Join(p.dir, "dir"), securityName, d.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	p.want1(p.pathMsg(5, wire.SMB1InfoUnixLink, "/dir/there", nil), wire.StatusAccessDenied)
}

func TestSmbclientWorksInPosixMode(t *testing.T) {
	ts := startServer(t, allowSMB1)
	for _, c := range []struct{ ask, want string }{
		{"posix_mkdir d 0750", "posix_mkdir created directory /d"},
		{"posix_open d/f 0640", "posix_open file /d/f"},
		{"stat d/f", "Access: (0640/-rw-r-----)"},
		{"chmod 0604 d/f; stat d/f", "Access: (0604/-rw----r--)"},
		{"symlink ../nowhere d/l; readlink d/l", "d/l -> ../nowhere"},
		{"hardlink d/f d/h; stat d/h", "Links: 2"},
		{"ls d/*", "l "},
		{"rename d/l d/m; posix_unlink d/m", ""},
		{"posix_unlink d/f; posix_unlink d/h; posix_rmdir d; ls", "blocks"},
	} {
		out, err := ts.smbclient(t, append(slices.Clone(asAliceOfSMB1()), "//127.0.0.1/pub", "-c", "posix; "+c.ask)...)
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "NT_STATUS") {
			t.Errorf("%s: %v, want %q\n%s", c.ask, err, c.want, out)
		}
	}
	if left, _ := os.ReadDir(ts.dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
