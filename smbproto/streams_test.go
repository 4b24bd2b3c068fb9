package smbproto

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// withStreams is a peer of a share whose file system keeps streams.
func withStreams(t testing.TB) *peer {
	t.Helper()
	return streamsIn(t, t.TempDir())
}

func streamsIn(t testing.TB, dir string) *peer {
	t.Helper()
	p := connect(t, newServerIn(t, dir, nil), dir).logOn("pub")
	if !p.c.sessions[p.session].tree(p.tree).share.root.HasXattrs() {
		t.Skip("the file system has no xattrs")
	}
	return p
}

// streams lists an open's file by FileStreamInformation: names and sizes.
func (p *peer) streams(id wire.FileID) (list []string) {
	p.t.Helper()
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStreamInformation), 4096), wire.StatusOK)
	for b := r[72:]; len(b) > 0; {
		name, err := wire.UTF16ToString(b[24 : 24+le.Uint32(b[4:])])
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %d", name, le.Uint64(b[8:])))
		next := le.Uint32(b)
		if next == 0 {
			break
		}
		b = b[next:]
	}
	return list
}

func (p *peer) wantStreams(id wire.FileID, want ...string) {
	p.t.Helper()
	if got := p.streams(id); !slices.Equal(got, want) {
		p.t.Errorf("streams are %q, want %q", got, want)
	}
}

// put makes a stream, or a file, with content.
func (p *peer) put(name, content string) {
	p.t.Helper()
	id := p.newFile(name)
	p.want(p.writeMsg(id, 0, []byte(content)), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
}

func (p *peer) get(name string) string {
	p.t.Helper()
	id := p.open(name, opening{rd, shareAll, wire.Open, 0})
	r := p.ask(p.readMsg(id, 0, 4096))
	p.want(p.closeMsg(id), wire.StatusOK)
	if status(r) == wire.StatusEndOfFile {
		return ""
	}
	return string(r[80:])
}

func TestWhatNamesOfStreamsOpen(t *testing.T) {
	p := withStreams(t)
	p.put("file", "")
	p.put("file:there", "x")
	if err := os.Mkdir(filepath.Join(p.dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	open := func(d wire.Disposition, options wire.CreateOptions) opening {
		return opening{rd | wr, shareAll, d, options}
	}
	for _, c := range []struct {
		name string
		o    opening
		want wire.Status
	}{
		{"file:there", open(wire.Open, 0), wire.StatusOK},
		{"FILE:THERE:$data", open(wire.Open, 0), wire.StatusOK},
		{"file:none", open(wire.Open, 0), wire.StatusObjectNameNotFound},
		{"file:none", open(wire.Overwrite, 0), wire.StatusObjectNameNotFound},
		{"file:There", open(wire.Create, 0), wire.StatusObjectNameCollision},
		{"file:there", open(wire.Supersede, 0), wire.StatusOK},
		{"file:made", open(wire.Create, 0), wire.StatusOK},
		{"file::$data", open(wire.Open, 0), wire.StatusOK},
		{"file:there:", open(wire.Open, 0), wire.StatusObjectNameInvalid},
		{"file:", open(wire.Open, 0), wire.StatusObjectNameInvalid},
		{"file::", open(wire.Open, 0), wire.StatusObjectNameInvalid},
		{"file:there:$FOO", open(wire.Open, 0), wire.StatusObjectNameInvalid},
		{"file:" + strings.Repeat("x", vfs.MaxStreamName+1), open(wire.OpenIf, 0), wire.StatusObjectNameInvalid},
		{"none:x", open(wire.Open, 0), wire.StatusObjectNameNotFound},
		{`none\none:x`, open(wire.OpenIf, 0), wire.StatusObjectPathNotFound},
		{"file:there", open(wire.Open, wire.OptionNonDirectory), wire.StatusOK},
		{"file:there", open(wire.Open, wire.OptionDirectory), wire.StatusNotADirectory},
		{"dir:s", open(wire.OpenIf, wire.OptionNonDirectory), wire.StatusOK},
		{"dir:s", open(wire.OpenIf, wire.OptionDirectory), wire.StatusNotADirectory},
		{"dir::$DATA", open(wire.Open, wire.OptionDirectory), wire.StatusNotADirectory},
		{"dir::$DATA", open(wire.Open, 0), wire.StatusFileIsADirectory},
		{":of the root", open(wire.OpenIf, 0), wire.StatusOK},
		{"new:s", open(wire.Create, 0), wire.StatusOK},
	} {
		id, s := p.tryOpen(c.name, c.o)
		if s != c.want {
			t.Errorf("%q, disposition %d, options %#x: %v, want %v", c.name, c.o.disposition, c.o.options, s, c.want)
		}
		if s == wire.StatusOK {
			p.want(p.closeMsg(id), wire.StatusOK)
		}
	}
	p.wantNames("dir file new")
	p.wantStreams(p.openAll("file"), "::$DATA 0", ":made:$DATA 0", ":there:$DATA 0")
	p.wantStreams(p.openAll("dir"), ":s:$DATA 0")
	p.wantStreams(p.open("", opening{rd | att, shareAll, wire.Open, 0}), ":of the root:$DATA 0")
}

func TestAStreamIsBesideItsFile(t *testing.T) {
	p := withStreams(t)
	p.put("file", "of the file")
	id := p.newFile("file:s")
	p.want(p.readMsg(id, 0, 1), wire.StatusEndOfFile)
	p.want(p.writeMsg(id, 4, []byte("data")), wire.StatusOK)
	for _, c := range []struct {
		off  uint64
		n    int
		want string
	}{{0, 100, "\x00\x00\x00\x00data"}, {6, 1, "t"}, {8, 1, "EOF"}, {1 << 40, 5, "EOF"}} {
		r := p.ask(p.readMsg(id, c.off, c.n))
		if c.want == "EOF" {
			if status(r) != wire.StatusEndOfFile {
				t.Errorf("read at %d: %v", c.off, status(r))
			}
		} else if string(r[80:]) != c.want {
			t.Errorf("read at %d: %q, want %q", c.off, r[80:], c.want)
		}
	}
	for _, want := range []uint64{5, 100, 0} {
		p.want(p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, want)), wire.StatusOK)
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
		if got := le.Uint64(r[80:]); got != want || r[72+21] != 0 {
			t.Errorf("%d bytes, directory %d, want %d", got, r[72+21], want)
		}
	}
	p.want(p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 4096)), wire.StatusOK)
	p.want(p.writeMsg(id, 0, []byte("data")), wire.StatusOK)
	p.want(p.request(wire.CommandFlush, 24, func(m []byte) { id.Put(m[72:]) }), wire.StatusOK)
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000), wire.StatusOK)
	if name, _ := wire.UTF16ToString(r[72+100:]); name != `\file:s` {
		t.Errorf("name is %q", name)
	}
	p.wantStreams(id, "::$DATA 11", ":s:$DATA 4")
	p.want(p.closeMsg(id), wire.StatusOK)
	if p.content("file") != "of the file" {
		t.Errorf("the file has %q", p.content("file"))
	}

	// Where others find it, and that it goes with its file.
	var b [16]byte
	n, err := unix.Getxattr(filepath.Join(p.dir, "file"), "user.ustack.stream.s", b[:])
	if err != nil || string(b[:n]) != "data" {
		t.Errorf("xattr has %q, %v", b[:max(n, 0)], err)
	}
	file := p.openAll("file")
	if s := p.rename(file, "moved", false); s != wire.StatusOK {
		t.Fatal(s)
	}
	if got := p.get("moved:S"); got != "data" {
		t.Errorf("moved, it has %q", got)
	}
	if got := p.get("moved"); got != "of the file" {
		t.Errorf("the file has %q", got)
	}
}

func TestShareModesAreOfEachStream(t *testing.T) {
	p := withStreams(t)
	p.put("file", "")
	for _, c := range []struct {
		first  string
		o      opening
		second string
		access wire.Access
		want   wire.Status
	}{
		{"file:s", opening{wr, 0, wire.OpenIf, 0}, "file:S", wr, wire.StatusSharingViolation},
		{"file:s", opening{wr, 0, wire.OpenIf, 0}, "file:s:$DATA", att, wire.StatusOK},
		{"file:s", opening{wr, 0, wire.OpenIf, 0}, "file:t", wr, wire.StatusOK},
		{"file:s", opening{wr, 0, wire.OpenIf, 0}, "file", rd | wr, wire.StatusOK},
		{"file", opening{wr, 0, wire.OpenIf, 0}, "file:s", rd | wr | del, wire.StatusOK},
		// With the file its streams go.
		{"file:s", opening{wr, wire.ShareRead | wire.ShareWrite, wire.OpenIf, 0}, "file", del, wire.StatusSharingViolation},
		{"file:s", opening{wr, shareAll, wire.OpenIf, 0}, "file", del, wire.StatusOK},
		{"file:s", opening{att, 0, wire.OpenIf, 0}, "file", del, wire.StatusOK},
	} {
		first := p.open(c.first, c.o)
		second, s := p.tryOpen(c.second, opening{c.access, shareAll, wire.OpenIf, 0})
		if s != c.want {
			t.Errorf("%q %+v, then %q %#x: %v, want %v", c.first, c.o, c.second, c.access, s, c.want)
		}
		if s == wire.StatusOK {
			p.want(p.closeMsg(second), wire.StatusOK)
		}
		p.want(p.closeMsg(first), wire.StatusOK)
	}
}

func TestAStreamIsDeletedAlone(t *testing.T) {
	p := withStreams(t)
	p.put("file", "content")
	p.put("file:a", "a")
	p.put("file:b", "b")
	file := p.open("file", opening{rd | att, wire.ShareRead | wire.ShareWrite, wire.Open, 0})

	// On close, by the last who has it open.
	temp := p.open("file:a", opening{rd | del, shareAll, wire.Open, wire.OptionDeleteOnClose})
	other := p.open("file:a", opening{rd, shareAll, wire.Open, 0})
	p.want(p.closeMsg(temp), wire.StatusOK)
	if _, s := p.tryOpen("file:A", anyOpen); s != wire.StatusDeletePending {
		t.Errorf("one to be deleted: %v", s)
	}
	if r := p.want(p.readMsg(other, 0, 10), wire.StatusOK); string(r[80:]) != "a" {
		t.Errorf("it has %q", r[80:])
	}
	p.wantStreams(file, "::$DATA 7", ":a:$DATA 1", ":b:$DATA 1")
	p.want(p.closeMsg(other), wire.StatusOK)
	p.wantStreams(file, "::$DATA 7", ":b:$DATA 1")

	// By disposition, taken back once.
	b := p.openAll("file:b")
	for _, on := range []byte{1, 0, 1} {
		if s := p.dispose(b, on); s != wire.StatusOK {
			t.Fatal(s)
		}
		r := p.want(p.queryMsg(b, wire.InfoFile, uint8(wire.FileStandardInformation), 24), wire.StatusOK)
		if r[72+20] != on {
			t.Errorf("pending %d, want %d", r[72+20], on)
		}
	}
	p.want(p.closeMsg(b), wire.StatusOK)
	p.wantStreams(file, "::$DATA 7")
	p.want(p.closeMsg(file), wire.StatusOK)
	p.want(p.closeMsg(p.openAll("file:b")), wire.StatusOK) // another of the name
	p.wantNames("file")
}

// A file that is deleted stays for as long as one of its streams is open, and nobody else gets at either.
func TestAnOpenStreamKeepsItsFile(t *testing.T) {
	for _, both := range []bool{false, true} {
		p := withStreams(t)
		p.put("file", "content")
		p.put("file:s", "data")
		s := p.open("file:s", opening{rd | del, shareAll, wire.Open, 0})
		t2 := p.open("file:t", opening{rd, shareAll, wire.OpenIf, 0})
		if both {
			p.dispose(s, 1)
		}
		p.want(p.closeMsg(p.open("file", opening{del, shareAll, wire.Open, wire.OptionDeleteOnClose})), wire.StatusOK)
		for _, name := range []string{"file", "file:s", "file:new"} {
			if _, s := p.tryOpen(name, anyOpen); s != wire.StatusDeletePending {
				t.Errorf("%q: %v", name, s)
			}
		}
		if r := p.want(p.readMsg(s, 0, 10), wire.StatusOK); string(r[80:]) != "data" {
			t.Errorf("it has %q", r[80:])
		}
		p.want(p.closeMsg(s), wire.StatusOK)
		p.wantNames("file")
		p.want(p.closeMsg(t2), wire.StatusOK)
		p.wantNames("")
		p.want(p.closeMsg(p.openAll("file:s")), wire.StatusOK)
	}
}

// MS-FSA 2.1.5.1.2: what is written over loses its streams, but not those that are in use.
func TestOverwritingAFileDropsItsStreams(t *testing.T) {
	for _, d := range []wire.Disposition{wire.Overwrite, wire.OverwriteIf, wire.Supersede} {
		p := withStreams(t)
		p.put("file:a", "a")
		p.put("file:b", "b")
		p.want(p.closeMsg(p.open("file:a", opening{rd | wr, shareAll, d, 0})), wire.StatusOK)
		p.wantStreams(p.open("file", opening{att, 0, wire.Open, 0}), "::$DATA 0", ":a:$DATA 0", ":b:$DATA 1")

		used := p.open("file:b", opening{rd, wire.ShareRead, wire.Open, 0})
		if _, s := p.tryOpen("file", opening{wr, shareAll, d, 0}); s != wire.StatusSharingViolation {
			t.Errorf("disposition %d, with a stream that may not go: %v", d, s)
		}
		p.want(p.closeMsg(used), wire.StatusOK)

		used = p.open("file:b", opening{rd, shareAll, wire.Open, 0})
		file := p.open("file", opening{wr | att, shareAll, d, 0})
		if r := p.want(p.readMsg(used, 0, 10), wire.StatusOK); string(r[80:]) != "b" {
			t.Errorf("it has %q", r[80:])
		}
		if _, s := p.tryOpen("file:b", anyOpen); s != wire.StatusDeletePending {
			t.Errorf("disposition %d, one that goes: %v", d, s)
		}
		p.wantStreams(file, "::$DATA 0", ":b:$DATA 1")
		p.want(p.closeMsg(used), wire.StatusOK)
		p.wantStreams(file, "::$DATA 0")
	}
}

func TestRenamesOfStreams(t *testing.T) {
	p := withStreams(t)
	p.put("file:a", "a")
	p.put("file:full", "full")
	p.put("file:empty", "")
	p.put("file:open", "")
	p.newFile("file:open")
	id, other := p.openAll("file:a"), p.openAll("file:a")
	for _, c := range []struct {
		to      string
		replace bool
		want    wire.Status
	}{
		{":full", false, wire.StatusObjectNameCollision},
		{":FULL:$DATA", true, wire.StatusInvalidParameter},
		{":empty", false, wire.StatusObjectNameCollision},
		{":Empty", true, wire.StatusOK},
		{":open", true, wire.StatusInvalidParameter},
		{":b:$DATA", false, wire.StatusOK},
		{":b", false, wire.StatusOK},
		{":B", false, wire.StatusOK},
		{":c:", false, wire.StatusInvalidParameter},
		{":", false, wire.StatusInvalidParameter},
		{`:c\d`, false, wire.StatusInvalidParameter},
		{":c:$INDEX_ALLOCATION", false, wire.StatusObjectTypeMismatch},
		{"file:c", false, wire.StatusSharingViolation},
		{"another", false, wire.StatusSharingViolation},
		{"::$DATA", false, wire.StatusObjectNameCollision},
		{"::$DATA", true, wire.StatusInvalidParameter}, // it is open twice
	} {
		if s := p.rename(id, c.to, c.replace); s != c.want {
			t.Errorf("to %q, replace %v: %v, want %v", c.to, c.replace, s, c.want)
		}
	}
	p.wantStreams(id, "::$DATA 0", ":B:$DATA 1", ":full:$DATA 4", ":open:$DATA 0")
	if r := p.want(p.readMsg(other, 0, 10), wire.StatusOK); string(r[80:]) != "a" {
		t.Errorf("by another open it has %q", r[80:])
	}
	if s := p.rename(p.openAll("file"), "moved", false); s != wire.StatusAccessDenied {
		t.Errorf("the file, with streams open: %v", s)
	}
	if _, s := p.tryOpen("file:b", opening{rd, 0, wire.Open, 0}); s != wire.StatusSharingViolation {
		t.Errorf("by the new name: %v", s)
	}
	if s := p.dispose(other, 1); s != wire.StatusOK {
		t.Fatal(s)
	}
	p.want(p.closeMsg(other), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	p.wantStreams(p.openAll("file"), "::$DATA 0", ":full:$DATA 4", ":open:$DATA 0")
}

// A stream may become its file's data, and its open the file's.
func TestAStreamBecomesTheFilesData(t *testing.T) {
	p := withStreams(t)
	p.put("file:a", "data")
	p.put("full", "full")
	p.put("full:a", "data")
	full := p.openAll("full:a")
	if s := p.rename(full, "::$DATA", true); s != wire.StatusInvalidParameter {
		t.Errorf("in the place of data: %v", s)
	}
	id := p.openAll("file:a")
	if s := p.rename(id, "::$DATA", true); s != wire.StatusOK {
		t.Fatal(s)
	}
	p.wantStreams(id, "::$DATA 4")
	p.want(p.writeMsg(id, 4, []byte(" more")), wire.StatusOK)
	if got := p.content("file"); got != "data more" {
		t.Errorf("the file has %q", got)
	}
	if _, s := p.tryOpen("file", opening{rd, 0, wire.Open, 0}); s != wire.StatusSharingViolation {
		t.Errorf("it is open as the file is: %v", s)
	}
	if s := p.rename(id, "moved", false); s != wire.StatusOK {
		t.Errorf("renamed: %v", s)
	}
	if s := p.dispose(id, 1); s != wire.StatusOK {
		t.Errorf("to be deleted: %v", s)
	}
	p.want(p.closeMsg(id), wire.StatusOK)
	p.wantNames("full")
}

// A stream is as large as an xattr, and full beyond.
func TestStreamsAreBounded(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		if dir == "/dev/shm" {
			var err error
			if dir, err = os.MkdirTemp(dir, "streams"); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
		}
		t.Run(dir, func(t *testing.T) {
			p := streamsIn(t, dir)
			id := p.newFile("file:s")
			p.want(p.writeMsg(id, 0, []byte("data")), wire.StatusOK)
			large := pattern(vfs.MaxStream + 1)
			for what, msg := range map[string][]byte{
				"too long":       p.charged(p.writeMsg(id, 0, large)),
				"behind the end": p.writeMsg(id, vfs.MaxStream, []byte("x")),
				"far behind":     p.writeMsg(id, 1<<62, []byte("x")),
				"cut too long":   p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, vfs.MaxStream+1)),
				"allocated":      p.setMsg(id, wire.FileAllocationInformation, le.AppendUint64(nil, 1<<40)),
			} {
				le.PutUint64(msg[24:], p.message) // in whatever order
				p.message += uint64(max(wire.Header(msg).CreditCharge(), 1))
				if s := status(p.ask(msg)); s != wire.StatusDiskFull {
					t.Errorf("%s: %v", what, s)
				}
			}
			p.wantStreams(id, "::$DATA 0", ":s:$DATA 4")
			msg := p.charged(p.writeMsg(id, 0, large[:vfs.MaxStream]))
			switch s := status(p.ask(msg)); {
			case s == wire.StatusDiskFull: // ext4
				p.wantStreams(id, "::$DATA 0", ":s:$DATA 4")
			case s != wire.StatusOK:
				t.Errorf("as large as can be: %v", s)
			default:
				r := p.want(p.charged(p.readMsg(id, 0, vfs.MaxStream)), wire.StatusOK)
				if !bytes.Equal(r[80:], large[:vfs.MaxStream]) {
					t.Error("it has other data")
				}
			}
		})
	}
}

// However a write arrives, a stream is changed once.
func TestAWriteToAStreamWaitsForItsData(t *testing.T) {
	p := withStreams(t)
	id := p.newFile("file:s")
	data := pattern(3000)
	b := frame(p.writeMsg(id, 0, data))
	for len(b) > 0 {
		n := min(len(b), 100)
		if err := p.feed(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
		if st := p.openOf(id).file; st.Stat() != nil || len(b) > 0 && st.Size() != 0 {
			t.Fatalf("%d bytes are written, %d have not come", st.Size(), len(b))
		}
	}
	if r := p.reply(); status(r) != wire.StatusOK {
		t.Error(status(r))
	}
	if got := p.get("file:s"); got != string(data) {
		t.Errorf("it has %d bytes", len(got))
	}
}

func TestAStreamHasItsFilesRights(t *testing.T) {
	p := withStreams(t)
	p.put("file:s", "data")
	basic := make([]byte, 40)
	basic[32] = byte(wire.AttributeReadOnly)
	id := p.openAll("file:s")
	p.want(p.setMsg(id, wire.FileBasicInformation, basic), wire.StatusOK)
	if s := p.dispose(id, 1); s != wire.StatusCannotDelete {
		t.Errorf("of a read-only file: %v", s)
	}
	p.want(p.closeMsg(id), wire.StatusOK)
	for name, want := range map[string]wire.Status{"file": wire.StatusAccessDenied, "file:s": wire.StatusAccessDenied, "file:new": wire.StatusAccessDenied} {
		if _, s := p.tryOpen(name, opening{wr, shareAll, wire.OpenIf, 0}); s != want {
			t.Errorf("%q of a read-only file: %v", name, s)
		}
	}
	p.want(p.closeMsg(p.open("file:s", opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0})), wire.StatusOK)

	dir := p.dir
	srv := newServerIn(t, dir, func(c *Config) { c.Shares[0].ReadOnly = true })
	q := connect(t, srv, dir).logOn("pub")
	if got := q.get("file:s"); got != "data" {
		t.Errorf("in a read-only share it has %q", got)
	}
	for _, c := range []struct {
		o    opening
		want wire.Status
	}{
		{opening{wr, shareAll, wire.Open, 0}, wire.StatusAccessDenied},
		{opening{rd, shareAll, wire.OverwriteIf, 0}, wire.StatusMediaWriteProtected},
		{opening{rd, shareAll, wire.OpenIf, 0}, wire.StatusMediaWriteProtected},
	} {
		if _, s := q.tryOpen("file:new", c.o); s != c.want {
			t.Errorf("in a read-only share, %+v: %v, want %v", c.o, s, c.want)
		}
	}
}

func TestLocksAreOfEachStream(t *testing.T) {
	p := withStreams(t)
	p.put("file:s", "data")
	file, a, b := p.openAll("file"), p.openAll("file:s"), p.openAll("file:s")
	for id, want := range map[wire.FileID]wire.Status{file: wire.StatusOK, a: wire.StatusOK} {
		p.want(p.lockMsg(id, 0, 1, exclusive), want)
	}
	p.want(p.lockMsg(b, 0, 1, exclusive), wire.StatusLockNotGranted)
	p.want(p.readMsg(b, 0, 4), wire.StatusFileLockConflict)
	p.want(p.writeMsg(b, 0, []byte("x")), wire.StatusFileLockConflict)
	p.want(p.readMsg(a, 0, 4), wire.StatusOK)
	if s := p.rename(a, "::$DATA", true); s != wire.StatusInvalidParameter {
		t.Errorf("with locks: %v", s)
	}
}

// A directory with a stream of something in it open is not renamed.
func TestAnOpenStreamKeepsTheDirectoryAbove(t *testing.T) {
	p := withStreams(t)
	if err := os.MkdirAll(filepath.Join(p.dir, "d", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := p.openAll("d")
	p.renamedOnceClosed(d, "e", `d\sub:s`, `d\sub\file:s`)
}

// A directory is renamed though streams of its own are open: they know where it is.
func TestOpenStreamsGoWithTheirDirectory(t *testing.T) {
	p := withStreams(t)
	if err := os.Mkdir(filepath.Join(p.dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.put("d:s", "data")
	d, s, gone, deletes := p.openAll("d"), p.openAll("d:s"), p.openAll("d:gone"), p.openAll("d:gone")
	p.dispose(deletes, 1)
	p.want(p.closeMsg(deletes), wire.StatusOK)
	if got := p.rename(d, "e", false); got != wire.StatusOK {
		t.Fatal(got)
	}
	if got := p.openOf(s).name(); got != `\e:s` {
		t.Errorf("the stream is %q", got)
	}
	if got := p.openOf(gone).state.doomed[0].file.Path(); got != "e" {
		t.Errorf("the one to be deleted is of %q", got)
	}
	p.want(p.writeMsg(s, 0, []byte("DA")), wire.StatusOK)
	p.want(p.closeMsg(gone), wire.StatusOK)
	p.wantStreams(d, ":s:$DATA 4")
	if got := p.get("e:s"); got != "DAta" {
		t.Errorf("by the new name it has %q", got)
	}
	if got := p.dispose(s, 1); got != wire.StatusOK {
		t.Error(got)
	}
	p.want(p.closeMsg(s), wire.StatusOK)
	p.wantStreams(d)
	if got := p.rename(d, "f", false); got != wire.StatusOK {
		t.Error(got)
	}
}

// Two who write to different places of a stream lose nothing of each other's.
func TestWritesToAStreamAreOne(t *testing.T) {
	a := withStreams(t)
	b := connect(t, a.srv, a.dir).logOn("pub")
	a.put("file:s", strings.Repeat(" ", 200))
	var both sync.WaitGroup
	for i, p := range []*peer{a, b} {
		id := p.openAll("file:s")
		both.Go(func() {
			for off := i; off < 200; off += 2 {
				p.want(p.writeMsg(id, uint64(off), []byte{byte('a' + i)}), wire.StatusOK)
			}
		})
	}
	both.Wait()
	if got := a.get("file:s"); got != strings.Repeat("ab", 100) {
		t.Errorf("it has %q", got)
	}
}

// Streams are made, renamed and deleted by two at once, and their files too.
func TestStreamsOfManyClients(t *testing.T) {
	a := withStreams(t)
	b := connect(t, a.srv, a.dir).logOn("pub")
	var both sync.WaitGroup
	for i, p := range []*peer{a, b} {
		both.Go(func() {
			for n := range 300 {
				o := anyOpen
				if (n+i)%3 == 0 {
					o.options = wire.OptionDeleteOnClose
				}
				name := []string{"file", "file:a", "file:b", "file:A"}[(n+2*i)%4]
				if n%7 == 0 {
					o.disposition = wire.OverwriteIf
				}
				id, s := p.tryOpen(name, o)
				if s != wire.StatusOK {
					continue
				}
				p.ask(p.writeMsg(id, 0, []byte("x")))
				p.ask(p.setMsg(id, wire.FileRenameInformation, renameInfo(fmt.Sprintf(":%d", n%5), true)))
				p.want(p.closeMsg(id), wire.StatusOK)
			}
		})
	}
	both.Wait()
}

func TestAStreamIsWhatAModelSays(t *testing.T) {
	p := withStreams(t)
	rapid.Check(t, func(t *rapid.T) {
		p.put("file", "content")
		id := p.newFile("file:s")
		defer func() { p.want(p.closeMsg(id), wire.StatusOK) }()
		var model []byte
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				off, data := rapid.IntRange(0, 1000).Draw(t, "off"), rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(t, "data")
				p.want(p.writeMsg(id, uint64(off), data), wire.StatusOK)
				if end := off + len(data); len(data) > 0 && end > len(model) {
					model = append(model, make([]byte, end-len(model))...)
				}
				copy(model[min(off, len(model)):], data)
			},
			"cut": func(t *rapid.T) {
				size := rapid.IntRange(0, 2000).Draw(t, "size")
				p.want(p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, uint64(size))), wire.StatusOK)
				model = append(model[:min(size, len(model)):min(size, len(model))], make([]byte, max(0, size-len(model)))...)
			},
			"": func(t *rapid.T) {
				if got := p.get("file:s"); got != string(model) {
					t.Fatalf("it has %q, want %q", got, model)
				}
				if p.content("file") != "content" {
					t.Fatal("the file was changed")
				}
			},
		})
	})
}

// smbclient does with streams and EAs what it does with files.
func TestSmbclientHasStreamsAndEAs(t *testing.T) {
	withStreams(t)
	ts := startServer(t, nil)
	path, content := randomFile(t, 2000)
	back := filepath.Join(t.TempDir(), "back")
	for _, c := range []struct{ ask, want string }{
		{"put " + path + " file; put " + path + " file:s; get file:s " + back, "getting file"},
		{"allinfo file", "stream: [:s:$DATA], 2000 bytes"},
		{"setea file One first; setea file two second; geteas file", "One (0) ="},
		{"allinfo file", "stream: [::$DATA], 2000 bytes"},
		{"del file; ls", "blocks available"},
	} {
		out, err := ts.smbclient(t, "-U", "alice%secret", "//127.0.0.1/pub", "-c", c.ask)
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "NT_STATUS") {
			t.Errorf("%s: %v, want %q\n%s", c.ask, err, c.want, out)
		}
	}
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
		t.Errorf("what came back is not what was put: %v, %d bytes", err, len(got))
	}
	if left, _ := os.ReadDir(ts.dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// What is done on the server to a stream is not done to its file.
func TestControlsOfAStream(t *testing.T) {
	p := withStreams(t)
	p.put("file", "of the file")
	p.put("file:s", "of the stream")
	p.put("new:made", "")
	file, s, made := p.openAll("file"), p.openAll("file:s"), p.openAll("new:made")
	for _, c := range []struct {
		what     string
		from, to wire.FileID
		n        uint32
		name     string
		want     string
	}{
		{"from a stream to a stream", s, made, 13, "new:made", "of the stream"},
		{"from a file to a stream", file, s, 6, "file:s", "of the stream"},
		{"from a stream to a file", s, file, 13, "file", "of the stream"},
	} {
		r := p.want(p.ioctlMsg(wire.FsctlRequestResumeKey, c.from, nil, 64), wire.StatusOK)
		key := r[wire.IoctlFixed : wire.IoctlFixed+24]
		p.want(p.ioctlMsg(wire.FsctlCopyChunk, c.to, copyChunkInput(key, chunk{0, 0, c.n}), 64), wire.StatusOK)
		if got := p.get(c.name); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	if got := p.get("new"); got != "" {
		t.Errorf("the file of a stream has got %q", got)
	}
	for _, in := range [][]byte{{1}, {0}} {
		p.want(p.ioctlMsg(wire.FsctlSetSparse, s, in, 0), wire.StatusOK)
		p.want(p.ioctlMsg(wire.FsctlSetZeroData, s, twoOffsets(3, 6), 0), wire.StatusOK)
		r := p.want(p.ioctlMsg(wire.FsctlQueryAllocatedRanges, s, twoOffsets(0, 100), 64), wire.StatusOK)
		if got := le.Uint64(r[wire.IoctlFixed+8:]); got != 13 {
			t.Errorf("a range of %d bytes", got)
		}
	}
	if got := p.get("file:s"); got != "of \x00\x00\x00 stream" {
		t.Errorf("the stream has %q", got)
	}
	if got := p.get("file"); got != "of the stream" {
		t.Errorf("the file has %q", got)
	}
	if s := status(p.ask(p.setMsg(s, wire.FileLinkInformation, renameInfo("link", false)))); s != wire.StatusInvalidParameter {
		t.Errorf("a link to a stream: %v", s)
	}
}
