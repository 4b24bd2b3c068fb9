package smbproto

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// listedEASizes gives the EaSize of each entry of a listing.
func (p *peer) listedEASizes(dir wire.FileID, class wire.FileInfoClass, flags uint8, n int) map[string]uint32 {
	p.t.Helper()
	nameAt := map[wire.FileInfoClass]int{
		wire.FileFullDirectoryInformation: 68, wire.FileBothDirectoryInformation: 94,
		wire.FileIDFullDirectoryInformation: 80, wire.FileIDBothDirectoryInformation: 104,
	}[class]
	sizes := map[string]uint32{}
	for b := p.want(p.listMsg(dir, class, "*", flags, n), wire.StatusOK)[72:]; ; {
		name, err := wire.UTF16ToString(b[nameAt : nameAt+int(le.Uint32(b[60:]))])
		if err != nil {
			p.t.Fatal(err)
		}
		sizes[name] = le.Uint32(b[64:])
		next := le.Uint32(b)
		if next == 0 {
			return sizes
		}
		b = b[next:]
	}
}

// What a listing says that EAs take is what FileEaInformation says of each file.
func TestListingsSayWhatEAsTake(t *testing.T) {
	p := withStreams(t)
	one, two := p.newFile("one"), p.newFile("two")
	p.put("streams only:s", "not an EA")
	p.put("none", "x")
	dir := p.open("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	root := p.open("", opening{wire.AccessAll, shareAll, wire.Open, 0})
	for id, pairs := range map[wire.FileID][]string{
		one: {"A", "12345"}, two: {"bc", "1", "A", "22", "def", "3"}, dir: {"OF.A", "directory"}, root: {"X", "1234567"},
	} {
		if s := p.setEAs(id, pairs...); s != wire.StatusOK {
			t.Fatal(s)
		}
	}
	if err := os.Symlink("two", filepath.Join(p.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, class := range []wire.FileInfoClass{
		wire.FileFullDirectoryInformation, wire.FileBothDirectoryInformation,
		wire.FileIDFullDirectoryInformation, wire.FileIDBothDirectoryInformation,
	} {
		sizes := p.listedEASizes(root, class, wire.RestartScans, 4096)
		sizes[""] = sizes["."] // "." can't be opened by that name
		for _, name := range []string{"one", "two", "link", "streams only", "none", "dir", ""} {
			id := p.openAll(name)
			want := le.Uint32(p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileEAInformation), 4), wire.StatusOK)[72:])
			p.want(p.closeMsg(id), wire.StatusOK)
			if got, ok := sizes[name]; got != want || !ok {
				t.Errorf("level %d, %q: %d bytes of EAs, by itself %d", class, name, got, want)
			}
		}
		if sizes["one"] == 0 || sizes["none"] != 0 {
			t.Errorf("level %d: %v", class, sizes)
		}
	}
}

// An entry that did not fit at a level without the size of EAs is looked at again for one with it.
func TestHeldEntryIsLookedAtAgainForItsEAs(t *testing.T) {
	p := withStreams(t)
	want := map[string]uint32{}
	for i := range 3 {
		name := fmt.Sprintf("file-%d", i)
		id := p.newFile(name)
		if s := p.setEAs(id, "NAME", "value"); s != wire.StatusOK {
			t.Fatal(s)
		}
		want[name] = uint32(len(eaList("NAME", "value")))
	}
	root := p.open("", opening{wire.AccessAll, shareAll, wire.Open, 0})
	r := p.want(p.listMsg(root, wire.FileNamesInformation, "*", 0, 64), wire.StatusOK) // ".", ".." and one
	if len(r) > 72+64 {
		t.Fatal("the first reply is too long")
	}
	sizes := p.listedEASizes(root, wire.FileFullDirectoryInformation, 0, 4096)
	if len(sizes) != 2 {
		t.Fatalf("the second reply has %v", sizes)
	}
	for name, size := range sizes {
		if size != want[name] {
			t.Errorf("%s: %d bytes of EAs, want %d", name, size, want[name])
		}
	}
}

// BenchmarkListing lists a directory of 1,000 files, of which none or all have EAs.
func BenchmarkListing(b *testing.B) {
	for _, eas := range []bool{false, true} {
		b.Run(fmt.Sprintf("EAs %v", eas), func(b *testing.B) {
			p := withStreams(b)
			for i := range 1000 {
				id := p.newFile(fmt.Sprintf("file-%04d", i))
				if eas {
					p.setEAs(id, "NAME", "value")
				}
				p.want(p.closeMsg(id), wire.StatusOK)
			}
			root := p.open("", opening{wire.AccessAll, shareAll, wire.Open, 0})
			for b.Loop() {
				for flags := uint8(wire.RestartScans); status(p.ask(p.listMsg(root, wire.FileIDBothDirectoryInformation, "*", flags, 1<<16))) ==
					wire.StatusOK; flags = 0 {
				}
			}
		})
	}
}
