package smbproto

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ustack/smbproto/wire"
)

// model is what a directory of files should be: contents by name.
type model struct {
	p     *peer
	files map[string][]byte
}

func (m *model) name(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "D"}).Draw(t, label)
}

// with opens a file and closes it. One that is there is found by a name of any case.
func (m *model) with(t *rapid.T, name string, d wire.Disposition, do func(id wire.FileID)) wire.Status {
	if _, there := m.files[name]; rapid.Bool().Draw(t, "upper") && there {
		name = strings.ToUpper(name)
	}
	id, s := m.p.tryOpen(name, opening{wire.AccessAll, shareAll, d, 0})
	if s != wire.StatusOK {
		return s
	}
	do(id)
	m.p.want(m.p.closeMsg(id), wire.StatusOK)
	return s
}

// wantOpen checks that a file could be opened just if the model has it.
func (m *model) wantOpen(t *rapid.T, name string, s wire.Status) {
	_, there := m.files[name]
	if want := wire.StatusObjectNameNotFound; there == (s == want) || s != wire.StatusOK && s != want {
		t.Fatalf("open %q: %v, there: %v", name, s, there)
	}
}

func (m *model) write(t *rapid.T) {
	name := m.name(t, "name")
	off := rapid.IntRange(0, 3000).Draw(t, "off")
	data := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "data")
	m.with(t, name, wire.OpenIf, func(id wire.FileID) { m.p.want(m.p.writeMsg(id, uint64(off), data), wire.StatusOK) })
	old := m.files[name]
	if end := off + len(data); len(data) > 0 && end > len(old) {
		old = append(old, make([]byte, end-len(old))...)
	}
	copy(old[min(off, len(old)):], data)
	m.files[name] = append([]byte{}, old...)
}

func (m *model) read(t *rapid.T) {
	name := m.name(t, "name")
	off, n := rapid.IntRange(0, 4000).Draw(t, "off"), rapid.IntRange(0, 4000).Draw(t, "n")
	s := m.with(t, name, wire.Open, func(id wire.FileID) {
		r := m.p.ask(m.p.readMsg(id, uint64(off), n))
		want := m.files[name][min(off, len(m.files[name])):]
		want = want[:min(n, len(want))]
		switch {
		case len(want) == 0 && n > 0:
			if status(r) != wire.StatusEndOfFile {
				t.Fatalf("read at the end: %v", status(r))
			}
		case status(r) != wire.StatusOK || string(r[80:]) != string(want):
			t.Fatalf("read %d at %d of %q: %v, %d bytes, want %d", n, off, name, status(r), len(r)-80, len(want))
		}
	})
	m.wantOpen(t, name, s)
}

func (m *model) truncate(t *rapid.T) {
	name, size := m.name(t, "name"), rapid.IntRange(0, 5000).Draw(t, "size")
	s := m.with(t, name, wire.Open, func(id wire.FileID) {
		m.p.want(m.p.setMsg(id, wire.FileEndOfFileInformation, le.AppendUint64(nil, uint64(size))), wire.StatusOK)
	})
	m.wantOpen(t, name, s)
	if old, ok := m.files[name]; ok {
		m.files[name] = append(append([]byte{}, old[:min(size, len(old))]...), make([]byte, max(0, size-len(old)))...)
	}
}

func (m *model) rename(t *rapid.T) {
	from, to, replace := m.name(t, "from"), m.name(t, "to"), rapid.Bool().Draw(t, "replace")
	_, taken := m.files[to]
	s := m.with(t, from, wire.Open, func(id wire.FileID) {
		want := wire.StatusOK
		if taken && !replace && from != to {
			want = wire.StatusObjectNameCollision
		}
		m.p.want(m.p.setMsg(id, wire.FileRenameInformation, renameInfo(to, replace)), want)
	})
	m.wantOpen(t, from, s)
	if old, ok := m.files[from]; ok && (!taken || replace) {
		delete(m.files, from)
		m.files[to] = old
	}
}

func (m *model) remove(t *rapid.T) {
	name := m.name(t, "name")
	s := m.with(t, name, wire.Open, func(id wire.FileID) {
		m.p.want(m.p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	})
	m.wantOpen(t, name, s)
	delete(m.files, name)
}

func (m *model) check(t *rapid.T) {
	dir := m.p.open("", opening{rd, shareAll, wire.Open, 0})
	names := m.p.names(dir, "*")
	m.p.want(m.p.closeMsg(dir), wire.StatusOK)
	slices.Sort(names)
	if want := append([]string{".", ".."}, slices.Sorted(maps.Keys(m.files))...); !slices.Equal(names, slices.Sorted(slices.Values(want))) {
		t.Fatalf("listed %q, want %q", names, want)
	}
	for name, want := range m.files {
		if got, err := os.ReadFile(filepath.Join(m.p.dir, name)); err != nil || string(got) != string(want) {
			t.Fatalf("%q has %d bytes, want %d: %v", name, len(got), len(want), err)
		}
	}
}

func TestFilesAreWhatAModelSays(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	rapid.Check(t, func(t *rapid.T) {
		entries, err := os.ReadDir(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := os.Remove(filepath.Join(p.dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		m := &model{p: p, files: map[string][]byte{}}
		t.Repeat(map[string]func(*rapid.T){
			"write": m.write, "read": m.read, "truncate": m.truncate, "rename": m.rename, "remove": m.remove, "": m.check,
		})
	})
}
