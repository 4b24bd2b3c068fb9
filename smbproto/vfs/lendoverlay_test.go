package vfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// overlayDir tells this test, run in namespaces of its own, where to mount.
const overlayDir = "USTACK_TEST_OVERLAY"

// Below overlayfs the first writer's file is another one than those have who opened it before, and their mappings stay with that.
func TestAReaderBelowAnOverlaySeesWrites(t *testing.T) {
	base := os.Getenv(overlayDir)
	if base == "" {
		c := exec.Command("unshare", "-rm", os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), overlayDir+"="+t.TempDir())
		switch out, err := c.CombinedOutput(); {
		case errors.Is(err, exec.ErrNotFound), bytes.HasPrefix(out, []byte("unshare:")):
			t.Skip("needs namespaces: ", err)
		case err != nil:
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, ""); err != nil {
		t.Skip("needs namespaces: ", err)
	}
	at := func(name string) string { return filepath.Join(base, name) }
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		must(t, os.Mkdir(at(d), 0o755))
	}
	was, is := bytes.Repeat([]byte{'o'}, 1<<20), bytes.Repeat([]byte{'n'}, 1<<20)
	must(t, os.WriteFile(at("lower/file"), was, 0o644))
	layers := "userxattr,lowerdir=" + at("lower") + ",upperdir=" + at("upper") + ",workdir=" + at("work")
	if err := unix.Mount("overlay", at("merged"), "overlay", 0, layers); err != nil {
		t.Skip("needs overlayfs: ", err)
	}
	r, err := OpenRoot(at("merged"), Options{Loans: NewLoans()})
	must(t, err)
	defer r.Close()
	f := openFile(t, r, "file", How{Read: true})
	read := func(want []byte) {
		t.Helper()
		got := make([]byte, len(want))
		if k := lend(f, 0, len(got)); k != nil {
			got = k.read()
			k.giveBack()
		} else if _, err := f.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("it reads %q..., want %q...", got[:1], want[:1])
		}
	}
	read(was)
	_, err = openFile(t, r, "file", How{Write: true}).WriteAt(is, 0)
	must(t, err)
	read(is)
}
