package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

func TestNamesOfStreams(t *testing.T) {
	long := strings.Repeat("x", MaxStreamName)
	for _, c := range []struct {
		name, stream string
		path         Path
		data         bool
		err          error
	}{
		{`a\b`, "", "a/b", false, nil},
		{`a\b:s`, "s", "a/b", false, nil},
		{`a\b:s:$DATA`, "s", "a/b", false, nil},
		{`a\b:s:$dAtA`, "s", "a/b", false, nil},
		{`a\b::$DATA`, "", "a/b", true, nil},
		{`:s`, "s", "", false, nil},
		{`::$DATA`, "", "", true, nil},
		{"a:\x05 ?*<>\"|\n", "\x05 ?*<>\"|\n", "a", false, nil},
		{"a:..", "..", "a", false, nil},
		{"a:" + long, long, "a", false, nil},
		{"a:" + long + "x", "", "", false, ErrName},
		{`a:`, "", "", false, ErrName},
		{`a::`, "", "", false, ErrName},
		{`a:s:`, "", "", false, ErrName},
		{`a:s:$DATA:`, "", "", false, ErrStreamType},
		{`a:s:$DATA:x`, "", "", false, ErrStreamType},
		{`a:s:$FOO`, "", "", false, ErrStreamType},
		{`a::$INDEX_ALLOCATION`, "", "", false, ErrStreamType},
		{`a:s\b`, "", "", false, ErrName},
		{`a:s/b`, "", "", false, ErrName},
		{"a:s\x00", "", "", false, ErrName},
		{`a\:s`, "", "", false, ErrName},
		{`..:s`, "", "", false, ErrDotDot},
		{`a*:s`, "", "", false, ErrName},
	} {
		p, stream, data, err := ParseName(c.name)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%q: %v, want %v", c.name, err, c.err)
		}
		if err == nil && (p != c.path || stream != c.stream || data != c.data) {
			t.Errorf("%q: path %q, stream %q, data %v", c.name, p, stream, data)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, name := range []string{"a:s", "a:s:$DATA", "a::$DATA", `a\b:s`, ":"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, stream, data, err := ParseName(name)
		if err != nil {
			return
		}
		if strings.ContainsAny(stream, "/\\:\x00") || len(streamPrefix+stream) > maxXattrName || data && stream != "" {
			t.Errorf("%q has the stream %q", name, stream)
		}
		if q, err := ParsePath(strings.ReplaceAll(string(p), "/", `\`)); err != nil || q != p {
			t.Errorf("%q has the path %q", name, p)
		}
	})
}

// A stream is of the file that was opened, whatever has its name by then.
func TestAStreamIsItsFiles(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		if !r.HasXattrs() {
			t.Skip("no xattrs here")
		}
		f, created, err := r.Open("a", How{Stream: "s", Create: true, Write: true, Read: true})
		must(t, err)
		if !created || !f.Named() || f.IsDir() {
			t.Errorf("created %v, named %v", created, f.Named())
		}
		if _, err := unix.Pwrite(f.fd, []byte("x"), 0); err != unix.EBADF {
			t.Errorf("the handle of a stream takes data for its file: %v", err)
		}
		must(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
		must(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o644))
		_, err = f.WriteAt([]byte("data"), 2)
		must(t, err)
		must(t, f.Sync())
		for name, want := range map[Path]int64{"a": -1, "b": 6} {
			g, _, err := r.Open(name, How{Stream: "S", Read: true})
			switch {
			case want < 0 && errors.Is(err, ErrNotFound):
				continue
			case err != nil:
				t.Fatal(err)
			}
			if g.Size() != want || g.Stream() != "s" {
				t.Errorf("%s: %d bytes of %q", name, g.Size(), g.Stream())
			}
			must(t, g.Close())
		}
		must(t, f.Remove())
		if gone, err := f.Gone(); !gone || err != nil {
			t.Errorf("gone %v, %v", gone, err)
		}
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrStreamGone) {
			t.Errorf("written to what is gone: %v", err)
		}
		must(t, f.Close())
	})
}

// What can't be set leaves all as it was.
func TestEAsAreSetAllOrNone(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		if !r.HasXattrs() {
			t.Skip("no xattrs here")
		}
		f, _, err := r.Open("a", How{Create: true, Write: true, Attributes: wire.AttributeArchive})
		must(t, err)
		must(t, f.SetEAs([]wire.EA{{Name: "one", Value: []byte("1")}, {Name: "two", Value: []byte("2")}}))
		large := make([]byte, 60<<10)
		for _, list := range [][]wire.EA{
			{{Name: "ONE", Value: []byte("x")}, {Name: "TWO"}, {Name: "three", Value: large}, {Name: "four", Value: large}}, // by the rule
			{{Name: "ONE", Value: []byte("x")}, {Name: "bad\x01", Value: []byte("x")}},
			{{Name: "ONE", Value: []byte("x")}, {Name: "Ustack.stream.x", Value: []byte("x")}},
			{{Name: "ONE", Value: []byte("x")}, {Name: strings.Repeat("n", 251), Value: []byte("x")}},
			{{Name: "ONE", Value: []byte("x")}, {Name: "TWO"}, {Name: "three", Value: large}}, // by the kernel, on ext4
		} {
			err := f.SetEAs(list)
			if err == nil {
				must(t, f.SetEAs([]wire.EA{{Name: "one", Value: []byte("1")}, {Name: "two", Value: []byte("2")}, {Name: "three"}}))
			}
			eas, err := f.EAs()
			must(t, err)
			if len(eas) != 2 || string(eas[0].Value) != "1" || eas[0].Name != "one" || string(eas[1].Value) != "2" {
				t.Errorf("left %q", eas)
			}
		}
		for _, name := range []string{"a:b", "ustack.later", "ustack.stream.a", "ustack.stream.b"} {
			must(t, unix.Setxattr(filepath.Join(dir, "a"), "user."+name, []byte("x"), 0))
		}
		must(t, f.DropXattrs(func(stream string) bool { return stream == "b" }))
		names, err := f.xattrs().names("user.")
		must(t, err)
		if want := []string{"a:b", "ustack.later", "ustack.stream.b"}; !slices.Equal(names, want) {
			t.Errorf("left %q, want %q", names, want)
		}
		must(t, f.Close())
	})
}

func TestAFileSystemWithoutXattrs(t *testing.T) {
	r, err := OpenRoot("/proc/sys", Options{})
	if err != nil {
		t.Skip(err)
	}
	if r.HasXattrs() {
		t.Skip("/proc has xattrs")
	}
	var info wire.FsInfo
	must(t, r.Volume(&info))
	if info.Attributes&(wire.FsNamedStreams|wire.FsExtendedAttributes) != 0 {
		t.Errorf("attributes %#x", info.Attributes)
	}
	if _, _, err := r.Open("kernel", How{Stream: "s", Create: true}); !errors.Is(err, ErrNoStreams) {
		t.Errorf("stream: %v", err)
	}
	f, _, err := r.Open("kernel", How{})
	must(t, err)
	if err := f.SetEAs([]wire.EA{{Name: "a", Value: []byte("b")}}); !errors.Is(err, ErrNoEAs) {
		t.Errorf("EA: %v", err)
	}
	must(t, f.DropXattrs(func(string) bool { return false }))
	if list, err := f.Streams(); len(list) != 0 || err != nil {
		t.Errorf("streams %v, %v", list, err)
	}
	must(t, f.Close())
	must(t, r.Close())
}

// A stream of a file that has become read-only is deleted without an error, also by a server that is not root, and the file stays read-only.
func TestAStreamOfWhatHasBecomeReadOnlyIsDeleted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user for a while")
	}
	dir := t.TempDir()
	r, err := OpenRoot(dir, Options{FileMode: 0o644})
	must(t, err)
	defer r.Close()
	f, _, err := r.Open("file", How{Stream: "s", Read: true, Write: true, Create: true, Locate: true})
	if errors.Is(err, ErrNoStreams) {
		t.Skip(err)
	}
	must(t, err)
	defer f.Close()
	name := filepath.Join(dir, "file")
	must(t, errors.Join(os.Chown(name, 65534, -1), os.Chmod(name, 0o444)))
	if _, err := asNobody(func() (int, error) { return 0, f.Remove() }); err != nil {
		t.Error(err)
	}
	if err := f.Stat(); !errors.Is(err, ErrStreamGone) {
		t.Error("the stream is there:", err)
	}
	var st unix.Stat_t
	if must(t, unix.Stat(name, &st)); st.Mode&0o777 != 0o444 {
		t.Errorf("the file's mode is %o", st.Mode)
	}
}
