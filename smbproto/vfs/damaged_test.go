package vfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// What the disk does not give any more is listed all the same: who mirrors the directory would delete his copy.
func TestWhatIsDamagedIsListed(t *testing.T) {
	base := ownMounts(t, "")
	if base == "" {
		return
	}
	image, dir := filepath.Join(base, "image"), filepath.Join(base, "dir")
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("needs ext4 in a loop device: %q: %v: %s", args, err, out)
		}
	}
	must(t, os.Mkdir(dir, 0o755))
	run("mkfs.ext4", "-q", image, "1024")
	run("mount", "-o", "loop", image, dir)
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	inodes := map[string]uint64{}
	for _, name := range []string{"file", "sub"} {
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(dir, name), &st))
		inodes[name] = st.Ino
	}
	run("umount", dir)
	for _, ino := range inodes {
		run("debugfs", "-w", "-R", fmt.Sprintf("clri <%d>", ino), image)
	}
	run("mount", "-o", "loop", image, dir)
	defer run("umount", dir)
	r, err := OpenRoot(dir, Options{})
	must(t, err)
	defer r.Close()
	f, _, err := r.Open("", How{Read: true})
	must(t, err)
	defer f.Close()
	got := map[string]wire.FileInfo{}
	for {
		name, ok, err := f.ReadName()
		must(t, err)
		if !ok {
			break
		}
		var info wire.FileInfo
		if err := f.EntryInfo(name, &info, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got[name] = info
	}
	for name, ino := range inodes {
		if info := got[name]; info.Directory() != (name == "sub") || info.FileIndex != ino || info.Attributes == 0 {
			t.Errorf("%s: %+v, want inode %d", name, info, ino)
		}
	}
}
