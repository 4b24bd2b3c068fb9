package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExactNamesFollowNoLink(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "a/file"), []byte("content"), 0o644))
		for name, text := range map[string]string{"dirlink": "a", "link": "a/file", "out": "../secret", "absolute": "/etc", "dangling": "nothing"} {
			must(t, os.Symlink(text, filepath.Join(dir, name)))
			f, _, err := r.Open(Path(name), How{Exact: true, Link: true, Locate: true})
			must(t, err)
			if got, err := f.Text(); err != nil || got != text || !f.IsLink() {
				t.Errorf("%s says %q, %v", name, got, err)
			}
			must(t, f.Close())
		}
		for _, p := range []Path{"dirlink", "link", "out", "absolute", "dangling", "dirlink/file",
			"dirlink/new", "out/x", "absolute/passwd", "A", "a/FILE", "A/file", "a/file/x", "none/x"} {
			for _, how := range []How{{}, {Read: true}, {Read: true, Write: true}, {Locate: true}, {Link: true, Directory: true}} {
				how.Exact = true
				f, _, err := r.Open(p, how)
				if err == nil {
					t.Errorf("%q with %+v was opened", p, how)
					must(t, f.Close())
				}
			}
		}
		for p, want := range map[Path]error{
			"a/none": ErrNotFound, "A": ErrNotFound, "none/x": ErrPathNotFound,
			"dirlink/file": ErrPathNotFound, "a/file/x": ErrPathNotFound, "A/file": ErrPathNotFound,
		} {
			if _, err := r.Hold(p, true); !errors.Is(err, want) {
				t.Errorf("%q: %v, want %v", p, err, want)
			}
		}
		f, created, err := r.Open("a/FILE", How{Exact: true, Create: true, Write: true})
		must(t, err)
		if !created {
			t.Error("a file of another case was opened")
		}
		must(t, f.Close())
	})
}

// A link that a client makes leads no program of the machine anywhere either.
func TestLinksThatAreMadeLeadNowhere(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
		may := func(*Dir) error { return nil }
		for _, text := range []string{"file", "/etc/passwd", "../secret", "."} {
			must(t, r.MakeLink("link", text, may))
			if err := r.MakeLink("link", text, may); !errors.Is(err, ErrExists) {
				t.Errorf("a second link: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "link")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a link to %q leads somewhere: %v", text, err)
			}
			for _, how := range []How{{}, {Exact: true}, {Read: true}, {Create: true, Write: true}} {
				if f, _, err := r.Open("link", how); err == nil {
					t.Errorf("a link to %q is opened with %+v", text, how)
					must(t, f.Close())
				}
			}
			f, _, err := r.Open("link", How{Exact: true, Link: true, Locate: true})
			must(t, err)
			if got, err := f.Text(); err != nil || got != text {
				t.Errorf("%q comes back as %q, %v", text, got, err)
			}
			must(t, f.Remove())
			must(t, f.Close())
		}
		for _, text := range []string{"", "nul\x00", "\xff", string(make([]byte, maxLink))} {
			if err := r.MakeLink("link", text, may); !errors.Is(err, ErrName) {
				t.Errorf("%.10q: %v", text, err)
			}
		}
		refusal := errors.New("no")
		if err := r.MakeLink("link", "x", func(*Dir) error { return refusal }); !errors.Is(err, refusal) {
			t.Error(err)
		}
	})
}

func TestModeIsOfAFileAndNotOfALink(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
		must(t, os.Symlink("file", filepath.Join(dir, "link")))
		f, _, err := r.Open("link", How{Exact: true, Link: true})
		must(t, err)
		if err := f.SetMode(0o777); !errors.Is(err, ErrSpecial) {
			t.Error(err)
		}
		must(t, f.SetOwner(uint32(os.Getuid()), 1<<32-1))
		must(t, f.Close())
		f, _, err = r.Open("file", How{Exact: true})
		must(t, err)
		must(t, f.SetMode(0o6646))
		must(t, f.Close())
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(dir, "file"), &st))
		if st.Mode&0o7777 != 0o646 {
			t.Errorf("mode %o", st.Mode)
		}
	})
}
