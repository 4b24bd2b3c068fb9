package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// outside makes a share's directory with ways out of it, beside a secret.
func outside(t *testing.T) (p *peer, secret string) {
	t.Helper()
	base := t.TempDir()
	secret = filepath.Join(base, "secret")
	share := filepath.Join(base, "share")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(secret, []byte("secret"), 0o644))
	must(os.MkdirAll(filepath.Join(share, "a", "b"), 0o755))
	must(os.WriteFile(filepath.Join(share, "inside"), []byte("inside"), 0o644))
	must(os.Symlink("../secret", filepath.Join(share, "out")))
	must(os.Symlink(secret, filepath.Join(share, "absolute")))
	must(os.Symlink(filepath.Join(share, "inside"), filepath.Join(share, "absolute-inside")))
	must(os.Symlink("..", filepath.Join(share, "up")))
	must(os.Symlink("../../inside", filepath.Join(share, "a", "b", "within")))
	must(os.Symlink("/proc/self/root/etc", filepath.Join(share, "magic")))
	must(os.Symlink("loop", filepath.Join(share, "loop")))
	must(os.Symlink("nothing", filepath.Join(share, "dangling")))
	must(unix.Mkfifo(filepath.Join(share, "fifo"), 0o644))
	if err := unix.Mknod(filepath.Join(share, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Logf("no device node to try, a fifo stands in: %v", err)
		must(unix.Mkfifo(filepath.Join(share, "null"), 0o644))
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	must(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(share, "socket")}))
	must(unix.Close(fd))
	return connect(t, newServerIn(t, share, nil), share).logOn("pub"), secret
}

var escapes = []string{
	"..", `..\secret`, `a\..\..\secret`, `a\b\..\..\..`, ".", `a\.\b`, `.\inside`,
	"../secret", "a/b", "/etc/passwd", `\etc\passwd`, `\\server\share`, `C:\x`, "C:",
	"out", "absolute", "absolute-inside", "up", `up\secret`, `up\share\inside`, "magic", `magic\passwd`, "loop",
	"fifo", "null", "socket", "nul\x00byte", "inside\x00", "tab\tname", "star*", "what?", "pipe|", `quote"`, "<less",
	"inside:stream:", "inside:stream:$INDEX_ALLOCATION", `inside:..\..\secret`, "inside:../../secret", `a:s\b`,
	`..:stream`, "out:stream", "absolute:stream", "fifo:stream", "null:stream", "socket:stream", "loop:stream", `a\\b`, strings.Repeat("x", 256), strings.Repeat(`a\`, 200) + "a",
	`inside\below`, `fifo\below`,
}

func TestEveryPathStaysBelowTheRoot(t *testing.T) {
	p, secret := outside(t)
	for _, path := range escapes {
		for _, o := range []opening{
			{wire.AccessReadData, shareAll, wire.Open, 0},
			{wire.AccessReadAttributes, shareAll, wire.Open, 0},
			{wire.AccessMaximumAllowed, shareAll, wire.Open, 0},
			{wire.AccessAll, shareAll, wire.OverwriteIf, 0},
			{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory},
			{wire.AccessDelete, shareAll, wire.Open, wire.OptionDeleteOnClose},
		} {
			if _, s := p.tryOpen(path, o); !s.IsError() {
				t.Errorf("%q opened with %+v: %v", path, o, s)
			}
		}
	}
	id := p.open("inside", opening{wire.AccessAll, shareAll, wire.Open, 0})
	for _, path := range escapes {
		if path == "fifo" || path == "null" || path == "socket" || path == "dangling" ||
			path == "out" || path == "absolute" || path == "absolute-inside" || path == "up" || path == "magic" || path == "loop" {
			continue // a new name may take the place of such an entry, which leads nowhere
		}
		if s := status(p.ask(p.setMsg(id, wire.FileRenameInformation, renameInfo(path, true)))); s == wire.StatusOK && path != `\etc\passwd` {
			t.Errorf("renamed to %q", path)
		}
	}
	p.want(p.closeMsg(id), wire.StatusOK)
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the secret is %q, %v", b, err)
	}
}

// A component ".." takes back the one before it, and no more than there are.
func TestDotDotStaysBelowTheRoot(t *testing.T) {
	p, _ := outside(t)
	for path, same := range map[string]string{
		`a\..`: "", `a\..\inside`: "inside", `a\b\..`: "a", `none\..\a\b\..\..\inside`: "inside", `up\..\inside`: "inside",
	} {
		var index [2]uint64
		for i, name := range []string{path, same} {
			id := p.open(name, opening{att, shareAll, wire.Open, 0})
			index[i] = le.Uint64(p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileInternalInformation), 8), wire.StatusOK)[72:])
			p.want(p.closeMsg(id), wire.StatusOK)
		}
		if index[0] != index[1] {
			t.Errorf("%q is not %q", path, same)
		}
	}
	for _, path := range []string{"..", `..\secret`, `a\..\..\secret`} {
		if _, s := p.tryOpen(path, opening{rd, shareAll, wire.OpenIf, 0}); s != wire.StatusObjectPathSyntaxBad {
			t.Errorf("%q: %v", path, s)
		}
	}
}

func TestLinkWithinTheShareIsFollowed(t *testing.T) {
	p, _ := outside(t)
	id := p.open(`a\b\within`, opening{wire.AccessAll, shareAll, wire.Open, 0})
	if r := p.want(p.readMsg(id, 0, 100), wire.StatusOK); string(r[80:]) != "inside" {
		t.Errorf("read %q", r[80:])
	}
	// The name that was opened is what is deleted: the link.
	p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
	if p.content("inside") != "inside" {
		t.Error("the link's target is gone")
	}
	if _, err := os.Lstat(filepath.Join(p.dir, "a/b/within")); err == nil {
		t.Error("the link is still there")
	}
}

// What can't be opened is not listed.
func TestWaysOutAreNotListed(t *testing.T) {
	p, _ := outside(t)
	dir := p.open("", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	got := p.names(dir, "*")
	want := map[string]bool{".": true, "..": true, "a": true, "inside": true}
	for _, name := range got {
		if !want[name] {
			t.Errorf("%q is listed", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("listed: %q", got)
	}
	// ".." of the root is the root.
	r := p.want(p.listMsg(dir, wire.FileIDBothDirectoryInformation, "..", wire.RestartScans, 1000), wire.StatusOK)
	st, err := os.Stat(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	if ino := le.Uint64(r[72+96:]); ino != inodeOf(st) {
		t.Errorf("..: inode %d, the root has %d", ino, inodeOf(st))
	}
}

// names lists a directory in small pieces.
func (p *peer) names(dir wire.FileID, pattern string) (names []string) {
	p.t.Helper()
	flags := wire.RestartScans
	for {
		r := p.ask(p.listMsg(dir, wire.FileNamesInformation, pattern, flags, 600))
		flags = 0
		switch status(r) {
		case wire.StatusOK:
		case wire.StatusNoMoreFiles, wire.StatusNoSuchFile:
			return names
		default:
			p.t.Fatal(status(r))
		}
		names = append(names, p.entryNames(r)...)
	}
}

// entryNames are those in an answer.
func (p *peer) entryNames(r []byte) (names []string) {
	p.t.Helper()
	for e := r[72:]; ; {
		name, err := wire.UTF16ToString(e[12 : 12+le.Uint32(e[8:])])
		if err != nil {
			p.t.Fatal(err)
		}
		names = append(names, name)
		next := le.Uint32(e)
		if next == 0 {
			return names
		}
		e = e[next:]
	}
}

// exchanging has two names exchanged, again and again, until stop, which skips the test where that can't be done.
func exchanging(t *testing.T, a, b string) (stop func()) {
	enough, over := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for err == nil && running(enough) {
			err = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
		}
		over <- err
	}()
	end := sync.OnceValue(func() error {
		close(enough)
		return <-over
	})
	t.Cleanup(func() { _ = end() }) // of a test that has failed before
	return func() {
		if err := end(); err != nil {
			t.Skip("the file system can't exchange names: ", err)
		}
	}
}

// A directory that another process exchanges with a link out of the share, again and again, leads no request
// outside: nothing there is read, changed, made, listed or deleted.
func TestNoRaceLeadsOutside(t *testing.T) {
	base := t.TempDir()
	share, out := filepath.Join(base, "share"), filepath.Join(base, "out")
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(share, "d"), 0o755), os.Mkdir(out, 0o755), os.Symlink(out, filepath.Join(share, "l")),
		os.WriteFile(filepath.Join(out, "file"), []byte("secret"), 0o444), os.WriteFile(filepath.Join(share, "d", "file"), []byte("inside"), 0o644))
	before := treeOf(t, out)
	p := connect(t, newServerIn(t, share, nil), share).logOn("pub")
	stop := exchanging(t, filepath.Join(share, "d"), filepath.Join(share, "l"))
	mover := p.newFile("mover")
	done := map[string]int{}
	for i := 0; i < 1500; i++ {
		note := func(what string, s wire.Status) {
			if !s.IsError() {
				done[what]++
			}
		}
		id, s := p.tryOpen(`d\file`, opening{rd, shareAll, wire.Open, 0})
		if note("read", s); s == wire.StatusOK {
			if r := p.ask(p.readMsg(id, 0, 100)); strings.Contains(string(r), "secret") {
				t.Fatal("the secret is read")
			}
			p.want(p.closeMsg(id), wire.StatusOK)
		}
		for what, o := range map[string]opening{
			`d\new`:        {wire.AccessAll, shareAll, wire.OverwriteIf, wire.OptionDeleteOnClose},
			`d\file:s`:     {wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose},
			`d\newdir`:     {wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory},
			`D\NEWDIR\sub`: {wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory | wire.OptionDeleteOnClose},
		} {
			id, s := p.tryOpen(what, o)
			if note(what, s); s == wire.StatusOK {
				p.ask(p.closeMsg(id))
			}
		}
		note("moved in", status(p.ask(p.setMsg(mover, wire.FileRenameInformation, renameInfo(`d\moved`, true)))))
		note("linked", status(p.ask(p.setMsg(mover, wire.FileLinkInformation, renameInfo(fmt.Sprintf(`d\link%d`, i), false)))))
		note("moved out", status(p.ask(p.setMsg(mover, wire.FileRenameInformation, renameInfo("mover", true)))))
		if dir, s := p.tryOpen("d", opening{rd, shareAll, wire.Open, wire.OptionDirectory}); s == wire.StatusOK {
			r := p.ask(p.listMsg(dir, wire.FileBothDirectoryInformation, "file", wire.RestartScans, 1000))
			if note("list", status(r)); status(r) == wire.StatusOK && le.Uint64(r[72+40:]) != uint64(len("inside")) {
				t.Error("a file outside is listed")
			}
			p.want(p.closeMsg(dir), wire.StatusOK)
		}
	}
	stop()
	if after := treeOf(t, out); after != before {
		t.Errorf("outside there is now\n%s, there was\n%s", after, before)
	}
	for _, what := range []string{"read", `d\new`, `d\newdir`, "moved in", "linked", "list"} {
		if done[what] == 0 {
			t.Errorf("%s: never done", what)
		}
	}
}

// treeOf describes all that is in a directory.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		names := make([]byte, 1000)
		n, err := unix.Listxattr(path, names)
		fmt.Fprintf(&b, "%s: mode %o, %d links, %d bytes, changed %v, xattrs %q, %v\n", path, st.Mode, st.Nlink, st.Size, st.Ctim, names[:max(n, 0)], err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
