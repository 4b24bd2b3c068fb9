package vfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// both runs a test with openat2 and with the fallback for kernels without it.
func both(t *testing.T, test func(t *testing.T, dir string, r *Root)) {
	for name, fallback := range map[string]bool{"openat2": false, "os.Root": true} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "share")
			must(t, os.Mkdir(dir, 0o755))
			must(t, os.WriteFile(filepath.Join(base, "secret"), []byte("secret"), 0o644))
			r, err := OpenRoot(dir, Options{})
			must(t, err)
			if fallback {
				must(t, r.useFallback())
			}
			before := handles(t)
			test(t, dir, r)
			if after := handles(t); after != before {
				t.Errorf("%d handles open, before %d", after, before)
			}
			must(t, r.Close())
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func handles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

func TestNoPathLeavesTheRoot(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.Symlink("../secret", filepath.Join(dir, "out")))
		must(t, os.Symlink(filepath.Join(dir, "..", "secret"), filepath.Join(dir, "absolute")))
		must(t, os.Symlink("..", filepath.Join(dir, "up")))
		must(t, os.Symlink("/proc/self/root", filepath.Join(dir, "magic")))
		must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
		for _, p := range []Path{"out", "absolute", "up", "up/secret", "up/share", "magic/etc/passwd", "fifo", "..", "../secret", "/etc/passwd"} {
			for _, how := range []How{{}, {Read: true}, {Read: true, Write: true}, {Create: true, Write: true}, {Locate: true}} {
				f, _, err := r.Open(p, how)
				if err == nil {
					t.Errorf("%q with %+v was opened", p, how)
					must(t, f.Close())
				}
			}
		}
	})
}

func TestLinksInsideAreFollowed(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
		must(t, os.Symlink("a", filepath.Join(dir, "link")))
		must(t, os.Symlink("../../file", filepath.Join(dir, "a/b/to")))
		paths := []Path{"link/b"}
		if r.fallback == nil {
			paths = append(paths, "link/b/to", "a/b/to") // os.Root does not follow the last one with O_PATH
		}
		for _, p := range paths {
			f, _, err := r.Open(p, How{})
			if err != nil {
				t.Errorf("%q: %v", p, err)
				continue
			}
			must(t, f.Close())
		}
	})
}

func TestFilesAreTheirHandles(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		f, created, err := r.Open("file", How{Create: true, Read: true, Write: true, Locate: true})
		must(t, err)
		if !created {
			t.Error("not said to be created")
		}
		_, err = f.WriteAt([]byte("hello"), 3)
		must(t, err)
		// Behind our back the name gets another file.
		must(t, os.Rename(filepath.Join(dir, "file"), filepath.Join(dir, "moved")))
		must(t, os.WriteFile(filepath.Join(dir, "file"), make([]byte, 1000), 0o644))
		must(t, f.Stat())
		if f.Size() != 8 {
			t.Errorf("size %d: of another file", f.Size())
		}
		if err := f.Remove(); !errors.Is(err, ErrMoved) {
			t.Errorf("remove: %v", err)
		}
		if err := f.Rename("third", true, anyDir); !errors.Is(err, ErrMoved) {
			t.Errorf("rename: %v", err)
		}
		b := make([]byte, 100)
		if n, err := f.ReadAt(b, 0); n != 8 || err != nil || string(b[:8]) != "\x00\x00\x00hello" {
			t.Errorf("read %d, %v", n, err)
		}
		if n, err := f.ReadAt(b, 8); n != 0 || err != io.EOF {
			t.Errorf("read at the end: %d, %v", n, err)
		}
		must(t, f.Close())
	})
}

func TestCaseIsFoundAndKept(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.MkdirAll(filepath.Join(dir, "Dir/Süb"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "Dir/Süb/File.TXT"), nil, 0o644))
		f, _, err := r.Open("dir/SÜB/file.txt", How{Read: true})
		must(t, err)
		if f.Path() != "Dir/Süb/File.TXT" {
			t.Errorf("found as %q", f.Path())
		}
		must(t, f.Close())
		f, created, err := r.Open("DIR/süb/New", How{Create: true, Write: true})
		must(t, err)
		if f.Path() != "Dir/Süb/New" || !created {
			t.Errorf("made as %q", f.Path())
		}
		must(t, f.Close())
		for p, want := range map[Path]error{"dir/none": ErrNotFound, "none/none": ErrPathNotFound, "dir/süb/file.txt/x": ErrPathNotFound} {
			if _, _, err := r.Open(p, How{Read: true}); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", p, err, want)
			}
		}
	})
}

func TestParsePath(t *testing.T) {
	for name, want := range map[string]Path{
		"": "", `\`: "", "a": "a", `a\b`: "a/b", `a\b\`: "a/b", "a::$DATA": "a", ".hidden": ".hidden", "...": "...", "ü": "ü",
		`a\..`: "", `a\..\b`: "b", `a\b\..\c\`: "a/c", `a\b\..\..\c`: "c",
	} {
		if p, err := ParsePath(name); err != nil || p != want {
			t.Errorf("%q: %q, %v", name, p, err)
		}
	}
	for _, name := range []string{"..", `a\..\..`, `..\a`, `a\..\..\a\b`, `a*\..`, `\a`, `a\\b`, ".", `a\.`, "a/b", "a:b", "a*", "a?", "a\x00", "a\x1f", `"`, "<", ">", "|",
		"\xff", strings.Repeat("x", 256), strings.Repeat(`x\`, 129) + "x"} {
		if p, err := ParsePath(name); err == nil {
			t.Errorf("%q is taken for %q", name, p)
		} else if !wire.StatusOf(err).IsError() {
			t.Errorf("%q: %v has no status", name, err)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`a\b`, `..\x`, "a::$DATA", `\\x`, "a/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := ParsePath(name)
		if err != nil || p == "" {
			return
		}
		for part := range strings.SplitSeq(string(p), "/") {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00:") || len(part) > maxComponent {
				t.Errorf("%q becomes %q", name, p)
			}
		}
		if again, err := ParsePath(strings.TrimPrefix(p.Backslashed(), `\`)); err != nil || again != p {
			t.Errorf("%q becomes %q, and then %q, %v", name, p, again, err)
		}
	})
}

// A second thread swaps a directory for a link to the outside, all the time.
func TestSwapRaceNeverReachesOutside(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.MkdirAll(filepath.Join(dir, "d"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "d", "secret"), []byte("inside"), 0o644))
		must(t, os.Symlink("..", filepath.Join(dir, "l")))
		stop, done := make(chan bool), make(chan error)
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, "d"), unix.AT_FDCWD, filepath.Join(dir, "l"), unix.RENAME_EXCHANGE); err != nil {
					done <- err
					return
				}
			}
		}()
		opened := 0
		for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
			f, _, err := r.Open("d/secret", How{Read: true, Locate: true})
			if err != nil {
				continue
			}
			opened++
			b := make([]byte, 10)
			if n, err := f.ReadAt(b, 0); err != nil || string(b[:n]) != "inside" {
				t.Errorf("read %q, %v", b[:n], err)
			}
			must(t, f.Close())
		}
		close(stop)
		if err := <-done; err != nil {
			t.Skip("the file system can't exchange names: ", err)
		}
		if opened == 0 {
			t.Error("never opened")
		}
	})
}

// Whatever the extended attribute has, what is read of it is written as it was read.
func FuzzKept(f *testing.F) {
	var seed [attributesSize]byte
	kept{wire.AttributeHidden, 1, 2, 3}.put(&seed)
	f.Add(seed[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, ok := parseKept(b)
		if !ok {
			return
		}
		if k.attributes&^keptAttributes != 0 {
			t.Errorf("attributes %#x", k.attributes)
		}
		_ = k.changeTime(wire.Filetime(len(b)))
		var back [attributesSize]byte
		k.put(&back)
		if again, ok := parseKept(back[:]); again != k || !ok {
			t.Errorf("%+v becomes %+v", k, again)
		}
	})
}

// Who changes one attribute of a file leaves those that another has changed since.
func TestAttributesThatOthersHaveSetStay(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		if !r.HasXattrs() {
			t.Skip("no xattrs here")
		}
		one, _, err := r.Open("file", How{Create: true, Write: true})
		must(t, err)
		other, _, err := r.Open("file", How{})
		must(t, err)
		must(t, other.SetAttributes(wire.AttributeHidden|wire.AttributeSystem))
		must(t, one.SetSparse(true))
		must(t, other.Stat())
		if got, want := other.Kept(), wire.AttributeHidden|wire.AttributeSystem|wire.AttributeSparse; got != want {
			t.Errorf("attributes %#x, want %#x", got, want)
		}
		must(t, one.Close())
		must(t, other.Close())
	})
}

func anyDir(*Dir) error { return nil }
