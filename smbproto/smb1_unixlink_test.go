package smbproto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ustack/smbproto/audit"
	"ustack/smbproto/wire"
)

func TestSMB1UnixLinksAreMadeAndTakenAway(t *testing.T) {
	p := unixShare(t)
	for _, text := range []string{"file", "dir/file", "/etc/passwd", "..", "../..", p.dir + "/dir/file", "ünï \\ : *", strings.Repeat("x", 1900)} {
		p.want1(p.linkMsg("/new", text), wire.StatusOK)
		raw := p.trans2Data(p.pathMsg(5, wire.SMB1InfoUnixLink, "/new", nil))
		if got, err := wire.UTF16ToString(raw); err != nil || got != text+"\x00" {
			t.Errorf("%q comes back as %q", text, got)
		}
		if i := p.unixInfo("/new"); i.kind != 2 || i.size != uint64(len(text)) {
			t.Errorf("%q: %+v", text, i)
		}
		p.want1(p.linkMsg("/new", "other"), wire.StatusObjectNameCollision)
		p.want1(p.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/new", "/moved")), wire.StatusOK)
		p.want1(p.unlinkMsg("/moved", 1), wire.StatusNotADirectory)
		p.want1(p.unlinkMsg("/moved", 0), wire.StatusOK)
		if _, err := os.Lstat(filepath.Join(p.dir, "moved")); !errors.Is(err, os.ErrNotExist) {
			t.Error("the link is still there: ", err)
		}
	}
	for _, text := range []string{"", strings.Repeat("x", 4095)} {
		data := append(utf16le(text), 0, 0)
		params := append(append(words(uint16(wire.SMB1InfoUnixLink), uint32(0)), utf16le("/long")...), 0, 0)
		p.want1(p.trans2(6, len(data), params, data), wire.StatusObjectNameInvalid)
	}
	// A link has times of its own, and no mode.
	was := p.unixInfo("/dir/file")
	b := noUnixChange()
	le.PutUint64(b[32:], uint64(wire.FiletimeUnix(1_000_000_000, 0)))
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/link", b), wire.StatusOK)
	if st, err := os.Lstat(filepath.Join(p.dir, "link")); err != nil || st.ModTime().Unix() != 1_000_000_000 {
		t.Errorf("%v, %v", st, err)
	}
	if st, err := os.Stat(filepath.Join(p.dir, "dir/file")); err != nil || st.ModTime().Unix() == 1_000_000_000 || p.unixInfo("/dir/file") != was {
		t.Errorf("what it leads to has changed: %v, %v", st, err)
	}
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/link", modeOf(0o600)), wire.StatusAccessDenied)
	// Of a link that others have made the link is taken away, not what it leads to.
	p.want1(p.unlinkMsg("/link", 0), wire.StatusOK)
	if p.content("dir/file") != "content" {
		t.Error("the link's target is gone")
	}
	hard := func(to, from string) []byte {
		return p.pathMsg(6, wire.SMB1InfoUnixHardLink, to, append(utf16le(from), 0, 0))
	}
	p.want1(hard("/hard", "/dir/file"), wire.StatusOK)
	if i := p.unixInfo("/hard"); i.links != 2 || i.inode != p.unixInfo("/dir/file").inode {
		t.Errorf("%+v", i)
	}
	p.want1(hard("/hard", "/dir/file"), wire.StatusObjectNameCollision)
	p.want1(hard("/HARD", "/dir/file"), wire.StatusOK)
	p.want1(hard("/x", "/out"), wire.StatusAccessDenied)
	p.want1(hard("/x", "/dirlink/file"), wire.StatusObjectPathNotFound)
	p.want1(hard("/x", "../secret"), wire.StatusObjectPathSyntaxBad)
}

// A file that POSIX removes loses its name at once, and stays what it is to those who have it open. Who does not share that
// keeps it.
func TestSMB1PosixRemovesFilesThatAreOpen(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub").posix()
	two := connect(t, p.srv, p.dir).logOn("pub")
	fid := le.Uint16(p.trans2Data(p.posixOpenMsg("/file", wire.SMB1PosixReadWrite|wire.SMB1PosixCreate, 0o600))[2:])
	p.want1(p.writeMsg1(fid, 0, []byte("content")), wire.StatusOK)
	other := two.open("file", opening{rd, shareAll, wire.Open, 0})
	doomed := two.open("file", opening{rd | wire.AccessDelete, shareAll, wire.Open, wire.OptionDeleteOnClose})
	p.want1(p.unlinkMsg("/file", 0), wire.StatusOK)
	p.want1(p.unlinkMsg("/file", 0), wire.StatusObjectNameNotFound)
	fresh := le.Uint16(p.trans2Data(p.posixOpenMsg("/file", wire.SMB1PosixReadWrite|wire.SMB1PosixCreate|wire.SMB1PosixExclusive, 0o600))[2:])
	p.want1(p.writeMsg1(fresh, 0, []byte("new")), wire.StatusOK)
	if r := p.ask1(p.readMsg1(fid, 0, 100)); !bytes.Contains(r, []byte("content")) {
		t.Errorf("%v, % x", r.Status(), []byte(r))
	}
	if r := two.want(two.readMsg(other, 0, 100), wire.StatusOK); string(r[80:]) != "content" {
		t.Errorf("read %q", r[80:])
	}
	if r := p.ask1(p.trans2(7, 0, words(fid, uint16(wire.SMB1InfoUnixBasic)), nil)); r.Status() != wire.StatusOK {
		t.Error(r.Status())
	}
	two.want(two.closeMsg(doomed), wire.StatusOK)
	two.want(two.closeMsg(other), wire.StatusOK)
	p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
	if p.content("file") != "new" {
		t.Error("the file that has the name now is gone, or another")
	}
	p.want1(p.msg(wire.SMB1Close, words(fresh, uint32(0)), nil), wire.StatusOK)
	keeps := two.open("file", opening{rd, wire.ShareRead | wire.ShareWrite, wire.Open, 0})
	p.want1(p.unlinkMsg("/file", 0), wire.StatusSharingViolation)
	two.want(two.closeMsg(keeps), wire.StatusOK)
	p.want1(p.unlinkMsg("/file", 0), wire.StatusOK)
	if st := p.srv.Stats(); st.Opens != 0 || len(p.srv.files.files) != 0 {
		t.Errorf("left: %+v, %d files", st, len(p.srv.files.files))
	}
}

func TestSMB1UnixChangesAreAudited(t *testing.T) {
	var log bytes.Buffer
	p := newPeer1(t, func(c *Config) { c.Audit = audit.NewLogger(&log) }).logOn1("pub").posix()
	log.Reset()
	p.trans2Data(p.posixOpenMsg("/dir", wire.SMB1PosixCreate|wire.SMB1PosixDirectory, 0o700))
	p.trans2Data(p.posixOpenMsg("/dir/file", wire.SMB1PosixCreate|wire.SMB1PosixReadOnly, 0o600))
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixBasic, "/dir/file", modeOf(0o640)), wire.StatusOK)
	p.want1(p.linkMsg("/dir/link", "/etc"), wire.StatusOK)
	p.want1(p.linkMsg("/dir/link", "/etc"), wire.StatusObjectNameCollision)
	p.want1(p.pathMsg(6, wire.SMB1InfoUnixHardLink, "/hard", append(utf16le("/dir/file"), 0, 0)), wire.StatusOK)
	p.want1(p.unlinkMsg("/dir/link", 0), wire.StatusOK)
	want := []string{
		`create STATUS_SUCCESS pub \dir create`, `create STATUS_SUCCESS pub \dir\file open_if`, `set security STATUS_SUCCESS pub \dir\file`,
		`symbolic link STATUS_SUCCESS pub \dir\link`, `symbolic link STATUS_OBJECT_NAME_COLLISION pub \dir\link`,
		`link STATUS_SUCCESS pub \dir\file \hard`, `delete STATUS_SUCCESS pub \dir\link`,
	}
	if got := events(t, &log, "share", "path", "to", "disposition"); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
