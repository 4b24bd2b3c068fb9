package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// eaList makes FILE_FULL_EA_INFORMATION of names and values in turn.
func eaList(pairs ...string) []byte {
	b := make([]byte, 128<<10)
	w := wire.NewEAWriter(b)
	for i := 0; i < len(pairs); i += 2 {
		w.Put(pairs[i], []byte(pairs[i+1]))
	}
	return b[:w.Len()]
}

// eaNames makes FILE_GET_EA_INFORMATION.
func eaNames(names ...string) (b []byte) {
	for i, name := range names {
		entry := append([]byte{0, 0, 0, 0, byte(len(name))}, name...)
		entry = append(entry, make([]byte, 4-len(entry)%4)...)
		if i < len(names)-1 {
			le.PutUint32(entry, uint32(len(entry)))
		}
		b = append(b, entry...)
	}
	return b
}

func (p *peer) setEAs(id wire.FileID, pairs ...string) wire.Status {
	p.t.Helper()
	return status(p.ask(p.setMsg(id, wire.FileFullEAInformation, eaList(pairs...))))
}

func (p *peer) eaMsg(id wire.FileID, flags, index uint32, n int, input []byte) []byte {
	return p.request(wire.CommandQueryInfo, 41, func(m []byte) {
		m[66], m[67] = byte(wire.InfoFile), byte(wire.FileFullEAInformation)
		le.PutUint32(m[68:], uint32(n))
		le.PutUint16(m[72:], wire.HeaderSize+40)
		le.PutUint32(m[76:], uint32(len(input)))
		le.PutUint32(m[80:], index)
		le.PutUint32(m[84:], flags)
		id.Put(m[88:])
	}, append(input, 0)...)
}

// wantEAs asks for EAs, which are names and values in turn.
func (p *peer) wantEAs(msg []byte, s wire.Status, want ...string) {
	p.t.Helper()
	r := p.want(msg, s)
	var got []string
	if s == wire.StatusOK || s == wire.StatusBufferOverflow {
		list := wire.FullEAList(r[72:])
		if err := list.Valid(); err != nil {
			p.t.Fatal(err)
		}
		for _, ea := range list.All() {
			got = append(got, ea.Name, string(ea.Value))
		}
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("EAs are %q, want %q", got, want)
	}
}

func TestEAsAreSetAndGot(t *testing.T) {
	p := withStreams(t)
	id := p.newFile("file")
	all := func() []byte { return p.eaMsg(id, wire.QueryRestartScan, 0, 4096, nil) }
	p.wantEAs(all(), wire.StatusNoEASOnFile)
	p.put("file:stream", "no EA")
	p.wantEAs(all(), wire.StatusNoEASOnFile)
	for _, c := range []struct {
		set  []string
		want []string
	}{
		{[]string{"One", "1", "two", "22"}, []string{"One", "1", "two", "22"}},
		{[]string{"ONE", "111", "x", ""}, []string{"One", "111", "two", "22"}},
		{[]string{"three", "3", "Two", "", "three", "33"}, []string{"One", "111", "three", "33"}},
	} {
		if s := p.setEAs(id, c.set...); s != wire.StatusOK {
			t.Errorf("%q: %v", c.set, s)
		}
		p.wantEAs(all(), wire.StatusOK, c.want...)
	}
	var b [16]byte
	if n, err := unix.Getxattr(filepath.Join(p.dir, "file"), "user.One", b[:]); err != nil || string(b[:n]) != "111" {
		t.Errorf("xattr has %q, %v", b[:max(n, 0)], err)
	}
	for _, class := range []struct {
		class wire.FileInfoClass
		at    int
	}{{wire.FileEAInformation, 0}, {wire.FileAllInformation, 72}} {
		r := p.want(p.queryMsg(id, wire.InfoFile, uint8(class.class), 1000), wire.StatusOK)
		if got, want := le.Uint32(r[72+class.at:]), uint32(len(eaList("One", "111", "three", "33"))); got != want {
			t.Errorf("class %d: %d bytes of EAs, want %d", class.class, got, want)
		}
	}
	stream := p.openAll("file:stream")
	p.wantEAs(p.eaMsg(stream, 0, 0, 4096, nil), wire.StatusInvalidParameter) // they are the file's
	if s := p.setEAs(stream, "One", "1"); s != wire.StatusInvalidParameter {
		t.Errorf("set by a stream: %v", s)
	}
	p.wantEAs(all(), wire.StatusOK, "One", "111", "three", "33")
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	if s := p.setEAs(dir, "of", "a directory"); s != wire.StatusOK {
		t.Error(s)
	}
	p.wantEAs(p.eaMsg(dir, 0, 0, 4096, nil), wire.StatusOK, "of", "a directory")
}

func TestEAsThatAreRefused(t *testing.T) {
	p := withStreams(t)
	id := p.newFile("file")
	for _, c := range []struct {
		b    []byte
		want wire.Status
	}{
		{eaList("ustack.stream.x", "1"), wire.StatusAccessDenied},
		{eaList("USTACK.anything", "1"), wire.StatusAccessDenied},
		{eaList("", "1"), wire.StatusInvalidEAName},
		{eaList("a:b", "1"), wire.StatusInvalidEAName},
		{eaList("a\x1f", "1"), wire.StatusInvalidEAName},
		{eaList(strings.Repeat("n", 254), "1"), wire.StatusInvalidEAName}, // an xattr's name holds 250
		{eaList("large", strings.Repeat("x", 40<<10), "larger", strings.Repeat("x", 40<<10)), wire.StatusEATooLarge},
		{append([]byte{0, 0, 0, 0, 1}, eaList("flag", "1")[5:]...), wire.StatusInvalidEAName},
		{eaList("a", "1")[:9], wire.StatusEAListInconsistent},
		{append([]byte{2}, eaList("a", "1", "b", "2")[1:]...), wire.StatusEAListInconsistent},
		{nil, wire.StatusEAListInconsistent},
	} {
		msg := p.charged(p.setMsg(id, wire.FileFullEAInformation, c.b))
		charge(msg, len(c.b))
		if s := status(p.ask(p.charged(msg))); s != c.want {
			t.Errorf("%.40q: %v, want %v", c.b, s, c.want)
		}
		p.message = p.c.credits.low
	}
	p.wantEAs(p.eaMsg(id, 0, 0, 4096, nil), wire.StatusNoEASOnFile)
	noRights := p.open("file", opening{wire.AccessAll &^ (wire.AccessReadEA | wire.AccessWriteEA), shareAll, wire.Open, 0})
	if s := p.setEAs(noRights, "a", "1"); s != wire.StatusAccessDenied {
		t.Error(s)
	}
	p.wantEAs(p.eaMsg(noRights, 0, 0, 4096, nil), wire.StatusAccessDenied)
}

// What others have set and no client could say the name of is not listed.
func TestForeignXattrsAreEAsIfTheyCanBe(t *testing.T) {
	p := withStreams(t)
	id := p.newFile("file")
	for name, value := range map[string]string{
		"user.foo": "bar", "user.a:b": "x", "user.none": "", "user.ustack.stream.s": "x", "user.ustack.later": "x",
	} {
		if err := unix.Setxattr(filepath.Join(p.dir, "file"), name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	p.wantEAs(p.eaMsg(id, 0, 0, 4096, nil), wire.StatusOK, "foo", "bar")
}

func TestEAsAreGotInPieces(t *testing.T) {
	p := withStreams(t)
	id := p.newFile("file")
	if s := p.setEAs(id, "a", "1", "b", "2", "c", "3"); s != wire.StatusOK {
		t.Fatal(s)
	}
	size := len(eaList("a", "1"))
	const restart, single, index = wire.QueryRestartScan, wire.QueryReturnSingleEntry, wire.QueryIndexSpecified
	for i, c := range []struct {
		flags, index uint32
		n            int
		names        []byte
		status       wire.Status
		want         []string
	}{
		{0, 0, 4096, nil, wire.StatusOK, []string{"a", "1", "b", "2", "c", "3"}},
		{0, 0, 4096, nil, wire.StatusNoMoreEAs, nil},
		{restart | single, 0, 4096, nil, wire.StatusOK, []string{"a", "1"}},
		{single, 0, 4096, nil, wire.StatusOK, []string{"b", "2"}},
		{0, 0, 4096, nil, wire.StatusOK, []string{"c", "3"}},
		{restart, 0, 2 * size, nil, wire.StatusBufferOverflow, []string{"a", "1"}},
		{0, 0, size, nil, wire.StatusBufferOverflow, []string{"b", "2"}},
		{0, 0, size - 1, nil, wire.StatusBufferTooSmall, nil},
		{0, 0, size, nil, wire.StatusOK, []string{"c", "3"}},
		{index, 2, 4096, nil, wire.StatusOK, []string{"b", "2", "c", "3"}},
		{index, 0, 4096, nil, wire.StatusNonexistentEAEntry, nil},
		{index, 4, 4096, nil, wire.StatusNonexistentEAEntry, nil},
		{index, 1 << 31, 4096, nil, wire.StatusNonexistentEAEntry, nil},
		{0, 0, 4096, eaNames("C", "none", "a", "A"), wire.StatusOK, []string{"c", "3", "none", "", "a", "1"}},
		{single, 0, 4096, eaNames("b", "a"), wire.StatusOK, []string{"b", "2"}},
		{0, 0, size, eaNames("b", "a"), wire.StatusBufferOverflow, []string{"b", "2"}},
		{0, 0, 4096, eaNames("ustack.stream.x"), wire.StatusOK, []string{"ustack.stream.x", ""}},
		{0, 0, 4096, eaNames("b*"), wire.StatusInvalidEAName, nil},
		{0, 0, 4096, eaNames("b", "a")[:6], wire.StatusEAListInconsistent, nil},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p.t = t
			p.wantEAs(p.eaMsg(id, c.flags, c.index, c.n, c.names), c.status, c.want...)
		})
	}
	p.t = t
}

// createWithEAs is a CREATE with SMB2_CREATE_EA_BUFFER, MS-SMB2 2.2.13.2.1.
func (p *peer) createWithEAs(name string, o opening, eas []byte) []byte {
	m := p.createMsg(name, o)
	if eas == nil {
		return m
	}
	m = append(m, make([]byte, wire.Align8(len(m))-len(m))...)
	body := make([]byte, wire.Align8(24+len(eas)))
	data, n := wire.PutContext(body, wire.ContextEABuffer, len(eas))
	copy(data, eas)
	le.PutUint32(m[112:], uint32(len(m)))
	le.PutUint32(m[116:], uint32(n))
	return append(m, body[:n]...)
}

func TestFilesAreMadeWithEAs(t *testing.T) {
	p := withStreams(t)
	all := func(d wire.Disposition) opening { return opening{wire.AccessAll, shareAll, d, 0} }
	for _, c := range []struct {
		what, name string
		o          opening
		eas        []byte
		status     wire.Status
		want       []string // of the file then
	}{
		{"made", "file", all(wire.Create), eaList("a", "1"), wire.StatusOK, []string{"a", "1"}},
		{"opened", "file", all(wire.OpenIf), eaList("b", "2"), wire.StatusOK, []string{"a", "1"}},
		{"written over", "file", all(wire.OverwriteIf), eaList("b", "2"), wire.StatusOK, []string{"b", "2"}},
		{"made with a bad name", "bad", all(wire.Create), eaList("a*", "2"), wire.StatusInvalidEAName, nil},
		{"made with one of ours", "bad", all(wire.Create), eaList("ustack.x", "2"), wire.StatusAccessDenied, nil},
		{"made with half a list", "bad", all(wire.Create), eaList("a", "2")[:8], wire.StatusEAListInconsistent, nil},
		{"written over with a bad name", "file", all(wire.OverwriteIf), eaList("a*", "2"), wire.StatusInvalidEAName, nil},
		{"opened once more", "file", all(wire.Open), nil, wire.StatusOK, []string{"b", "2"}},
		{"a directory", "dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory}, eaList("d", "4"), wire.StatusOK, []string{"d", "4"}},
		{"made for a stream", "of:s", all(wire.OpenIf), eaList("s", "5"), wire.StatusInvalidParameter, nil},
		{"a stream more", "file:s", all(wire.Create), eaList("s", "5"), wire.StatusInvalidParameter, nil},
		{"a stream written over", "file:s", all(wire.Supersede), eaList("s", "5"), wire.StatusInvalidParameter, nil},
		{"a stream, without", "file:s", all(wire.Create), nil, wire.StatusOK, []string{"b", "2"}},
		{"a stream that is there", "file:s", all(wire.Open), eaList("s", "5"), wire.StatusOK, []string{"b", "2"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			p.t = t
			r := p.want(p.createWithEAs(c.name, c.o, c.eas), c.status)
			if c.status != wire.StatusOK {
				return
			}
			p.want(p.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
			file, _, _ := strings.Cut(c.name, ":")
			id := p.open(file, all(wire.Open))
			p.wantEAs(p.eaMsg(id, 0, 0, 4096, nil), wire.StatusOK, c.want...)
			p.want(p.closeMsg(id), wire.StatusOK)
		})
	}
	p.t = t
	p.wantNames("dir file")
	id := p.open("file", all(wire.Supersede))
	p.wantEAs(p.eaMsg(id, 0, 0, 4096, nil), wire.StatusNoEASOnFile)
	if _, err := os.Stat(filepath.Join(p.dir, "bad")); err == nil {
		t.Error("a file whose EAs could not be set is left")
	}
}

func TestAShareWithoutXattrs(t *testing.T) {
	srv := newServerIn(t, "/proc/sys", func(c *Config) { c.Shares[0].ReadOnly = true })
	p := connect(t, srv, "/proc/sys").logOn("pub")
	if p.c.sessions[p.session].tree(p.tree).share.root.HasXattrs() {
		t.Skip("/proc has xattrs")
	}
	id := p.open("kernel", opening{wire.AccessReadOnly, shareAll, wire.Open, 0})
	p.wantEAs(p.eaMsg(id, 0, 0, 4096, nil), wire.StatusEASNotSupported)
	p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileEAInformation), 4), wire.StatusOK)
	p.wantStreams(id)
	if _, s := p.tryOpen("kernel:s", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusObjectNameInvalid {
		t.Errorf("a stream: %v", s)
	}
	r := p.want(p.queryMsg(id, wire.InfoFilesystem, uint8(wire.FsAttributeInformation), 100), wire.StatusOK)
	if a := le.Uint32(r[72:]); a&(wire.FsNamedStreams|wire.FsExtendedAttributes) != 0 {
		t.Errorf("attributes %#x", a)
	}
	q := withStreams(t)
	r = q.want(q.queryMsg(q.openAll("x"), wire.InfoFilesystem, uint8(wire.FsAttributeInformation), 100), wire.StatusOK)
	if a := le.Uint32(r[72:]); a&wire.FsNamedStreams == 0 || a&wire.FsExtendedAttributes == 0 {
		t.Errorf("attributes %#x of one with xattrs", a)
	}
}

// Where the kernel has no room for the EAs, there is no file either.
func TestAFileThatGetsNoEAsIsTakenBack(t *testing.T) {
	p := withStreams(t)
	eas := eaList("large", strings.Repeat("x", 60<<10))
	msg := p.createWithEAs("file", opening{rd, shareAll, wire.Create, 0}, eas)
	charge(msg, len(eas))
	switch r := p.ask(p.charged(msg)); status(r) {
	case wire.StatusOK:
		t.Skip("the file system has the room")
	case wire.StatusDiskFull, wire.StatusEATooLarge:
		p.wantNames("")
	default:
		t.Error(status(r))
	}
}
