package smbproto

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// posix has the names of the peer's tree be those of POSIX from now on.
func (p *peer1) posix() *peer1 {
	p.t.Helper()
	return p.unix(wire.SMB1UnixPathnames)
}

// unix says that the peer uses the extensions, with capabilities.
func (p *peer1) unix(capabilities uint64) *peer1 {
	p.t.Helper()
	data := words(uint16(1), uint16(0), capabilities)
	p.want1(p.trans2(4, len(data), words(uint16(0), uint16(wire.SMB1FsUnix)), data), wire.StatusOK)
	return p
}

// pathMsg queries (5) or sets (6) something of a path.
func (p *peer1) pathMsg(fn, level uint16, path string, data []byte) []byte {
	params := append(append(words(level, uint32(0)), utf16le(path)...), 0, 0)
	return p.trans2(fn, len(data), params, data)
}

// trans2Data demands an answer with data.
func (p *peer1) trans2Data(msg []byte) []byte {
	p.t.Helper()
	r := p.ask1(msg)
	b := p.isAnswer(r, msg, wire.StatusOK)
	return r[b.Word(7):][:b.Word(6)]
}

// unixInfo is what the level of the basic information says of a path.
type unixInfo struct {
	size, uid, inode, mode, links uint64
	kind                          uint32
}

func (p *peer1) unixInfo(path string) unixInfo {
	p.t.Helper()
	b := p.trans2Data(p.pathMsg(5, wire.SMB1InfoUnixBasic, path, nil))
	return readUnixInfo(b)
}

func readUnixInfo(b []byte) unixInfo {
	return unixInfo{le.Uint64(b), le.Uint64(b[40:]), le.Uint64(b[76:]), le.Uint64(b[84:]), le.Uint64(b[92:]), le.Uint32(b[56:])}
}

// unixShare has a file, a directory and links made by others than clients.
func unixShare(t *testing.T) *peer1 {
	t.Helper()
	p := newPeer1(t, nil).logOn1("pub").posix()
	for _, err := range []error{
		os.Mkdir(filepath.Join(p.dir, "dir"), 0o750),
		os.WriteFile(filepath.Join(p.dir, "dir", "file"), []byte("content"), 0o600),
		os.Chmod(filepath.Join(p.dir, "dir", "file"), 0o640),
		os.Symlink("dir/file", filepath.Join(p.dir, "link")),
		os.Symlink("dir", filepath.Join(p.dir, "dirlink")),
		os.Symlink("/etc/passwd", filepath.Join(p.dir, "out")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestSMB1UnixInfoIsWhatLinuxKnows(t *testing.T) {
	p := unixShare(t)
	for path, kind := range map[string]uint32{"": 1, "/dir": 1, "/dir/file": 0, "/link": 2, "/dirlink": 2, "/out": 2} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(p.dir, path), &st); err != nil {
			t.Fatal(err)
		}
		want := unixInfo{uint64(st.Size), uint64(st.Uid), st.Ino, uint64(st.Mode & 0o7777), uint64(st.Nlink), kind}
		if got := p.unixInfo(path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	b := p.trans2Data(p.trans2(3, 0, words(uint16(wire.SMB1FsUnix)), nil))
	if le.Uint16(b) != 1 || le.Uint64(b[4:]) != unixCapabilities {
		t.Errorf("capabilities % x", b)
	}
	b = p.trans2Data(p.trans2(3, 0, words(uint16(wire.SMB1FsPosix)), nil))
	var st unix.Statfs_t
	if err := unix.Statfs(p.dir, &st); err != nil || le.Uint64(b[8:])*uint64(le.Uint32(b[4:])) != st.Blocks*uint64(st.Bsize) {
		t.Errorf("statfs: % x, %v", b, err)
	}
}

func TestSMB1UnixClientsAreToldWhoTheyAre(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	params := words(uint16(wire.SMB1FsWho))
	token := p.c.smb1.sessions[p.uid].session.token.Load()
	b := p.trans2Data(p.trans2(3, 0, params, nil))
	if le.Uint32(b) != 1 || le.Uint64(b[8:]) != uint64(os.Geteuid()) || int(le.Uint32(b[28:])) != 1+len(token.Groups) ||
		int(le.Uint32(b[32:])) != len(b)-40 || !strings.HasPrefix(string(b[40:]), string(token.User)) {
		t.Errorf("% x", b)
	}
	// Where they have no room for it all, the SIDs are left out.
	if b = p.trans2Data(p.trans2Msg(3, params, nil, len(params), 0, 41)); len(b) != 40 || le.Uint64(b[28:]) != 0 {
		t.Errorf("% x", b)
	}
	p.want1(p.trans2Msg(3, params, nil, len(params), 0, 39), wire.StatusInfoLengthMismatch)
}

// A link is text: it is read, and nothing but its own name leads to it.
func TestSMB1UnixLinksAreReadAndNotFollowed(t *testing.T) {
	p := unixShare(t)
	for path, want := range map[string]string{"/link": "dir/file", "/dirlink": "dir", "/out": "/etc/passwd"} {
		text, err := wire.UTF16ToString(p.trans2Data(p.pathMsg(5, wire.SMB1InfoUnixLink, path, nil)))
		if err != nil || text != want+"\x00" {
			t.Errorf("%s says %q, want %q", path, text, want)
		}
	}
	p.want1(p.pathMsg(5, wire.SMB1InfoUnixLink, "/dir/file", nil), wire.StatusInvalidParameter)
	for path, s := range map[string]wire.Status{
		"/link": wire.StatusAccessDenied, "/out": wire.StatusAccessDenied, "/dirlink/file": wire.StatusObjectPathNotFound,
		"/dirlink": wire.StatusAccessDenied,
	} {
		p.want1(p.createMsg1(path, opening{wire.AccessReadData, shareAll, wire.Open, 0}, 0), s)
		p.want1(p.createMsg1(path, opening{wire.AccessAll, shareAll, wire.OverwriteIf, 0}, 0), s)
	}
	p.want1(p.pathMsg(5, wire.SMB1InfoUnixBasic, "/dirlink/file", nil), wire.StatusObjectPathNotFound)
	p.want1(p.trans2(1, 0, findParams("/dirlink/*", 6), nil), wire.StatusAccessDenied)
}

func TestSMB1PosixNamesCountAsTheyStand(t *testing.T) {
	p := unixShare(t)
	p.want1(p.pathMsg(5, 0x101, "/DIR/file", nil), wire.StatusObjectPathNotFound)
	p.want1(p.pathMsg(5, 0x101, "/dir/FILE", nil), wire.StatusObjectNameNotFound)
	fid := p.open1("/dir/FILE", all1)
	p.want1(p.writeMsg1(fid, 0, []byte("other")), wire.StatusOK)
	if b, err := os.ReadFile(filepath.Join(p.dir, "dir/FILE")); err != nil || string(b) != "other" || p.content("dir/file") != "content" {
		t.Errorf("%q, %v", b, err)
	}
	p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
	p.want1(p.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/dir/FILE", "/dir/file")), wire.StatusObjectNameCollision)
	// What other names have a meaning for is no part of one.
	for _, path := range []string{`\dir\file`, `/dir\file`, "/dir/file:stream", "/dir/file::$DATA", "/nul\x00byte/.."} {
		if r := p.ask1(p.createMsg1(path, all1, 0)); !r.Status().IsError() && path[1] != 'n' {
			t.Errorf("%q is opened", path)
		}
	}
	for _, path := range []string{"/..", "/../secret", "/dir/../../secret", "../x"} {
		if r := p.ask1(p.createMsg1(path, all1, 0)); !r.Status().IsError() {
			t.Errorf("%q is opened", path)
		}
	}
	p.unixInfo("/dir/../dir/file")
	// Another tree of the same share has names of its own.
	q := connect1(t, p.srv, p.dir).logOn1("pub")
	q.open1(`\DIR\File`, opening{wire.AccessReadData, shareAll, wire.Open, 0})
}

func twoNames(from, to string) (b []byte) {
	b = append(append([]byte{4}, utf16le(from)...), 0, 0) // at an even place
	return append(append(append(b, 4, 0), utf16le(to)...), 0, 0)
}

func TestSMB1PosixNamesHaveNoWildcards(t *testing.T) {
	p := unixShare(t)
	for _, name := range []string{"/dir/*", "/dir/fil?", "/dir/<"} {
		p.want1(p.msg(wire.SMB1Delete, words(uint16(0x16)), append(append([]byte{4}, utf16le(name)...), 0, 0)), wire.StatusObjectNameInvalid)
		p.want1(p.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames(name, "/dir/x")), wire.StatusObjectNameInvalid)
		p.want1(p.msg(wire.SMB1Rename, words(uint16(0x16)), twoNames("/dir/file", name)), wire.StatusObjectNameInvalid)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "dir", "FILE"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for pattern, n := range map[string]uint16{"/dir/*": 4, "/dir/f*": 1, "/dir/FILE": 1, "/dir/?ILE": 1, "/dir/F*E": 1} {
		r := p.ask1(p.trans2(1, 0, findParams(pattern, 7), nil))
		b, err := r.Block(wire.SMB1HeaderSize)
		if err != nil || r.Status() != wire.StatusOK || le.Uint16(r[b.Word(4)+2:]) != n {
			t.Errorf("%s: %v, %d are found", pattern, r.Status(), le.Uint16(r[b.Word(4)+2:]))
		}
	}
	p.want1(p.trans2(1, 0, findParams("/dir/file:x", 7), nil), wire.StatusObjectNameInvalid)
	q := connect1(t, p.srv, p.dir).logOn1("pub").unix(0)
	q.want1(q.posixOpenMsg(`\dir\file:stream`, wire.SMB1PosixReadWrite|wire.SMB1PosixCreate, 0o600), wire.StatusObjectNameInvalid)
}

func TestSMB1UnixListingHasLinks(t *testing.T) {
	p := unixShare(t)
	params := findParams("/*", 6)
	le.PutUint16(params[6:], uint16(wire.SMB1FindUnix))
	data := p.trans2Data(p.trans2(1, 0, params, nil))
	got := map[string]uint32{}
	for {
		raw := data[108:]
		if next := le.Uint32(data); next != 0 {
			raw = data[108:next]
		}
		name, err := wire.UTF16ToString(raw[:len(raw)&^1])
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ = strings.Cut(name, "\x00")
		got[name] = readUnixInfo(data[8:]).kind
		next := le.Uint32(data)
		if next == 0 {
			break
		}
		data = data[next:]
	}
	want := map[string]uint32{".": 1, "..": 1, "dir": 1, "link": 2, "dirlink": 2, "out": 2}
	for name, kind := range want {
		if k, ok := got[name]; !ok || k != kind {
			t.Errorf("%s is listed with type %d, %v", name, k, ok)
		}
	}
	if len(got) != len(want) {
		t.Errorf("listed: %v", got)
	}
}

func TestSmbclientReadsLinksInPosixMode(t *testing.T) {
	ts := startServer(t, allowSMB1)
	if err := os.Symlink("target of it", filepath.Join(ts.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ask, want string }{
		{"posix", "pathnames"},
		{"posix; readlink link", "link -> target of it"},
		{"posix; stat link", "symbolic link"},
		{"posix; ls", "link"},
	} {
		out, err := ts.smbclient(t, append(slices.Clone(asAliceOfSMB1()), "//127.0.0.1/pub", "-c", c.ask)...)
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "NT_STATUS") {
			t.Errorf("%s: %v, want %q\n%s", c.ask, err, c.want, out)
		}
	}
}
