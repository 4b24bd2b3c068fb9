package vfs

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// ownMounts runs the test in a mount namespace of its own, as root, and gives it a tmpfs there; in the process that was started for
// it, base is not "".
func ownMounts(t *testing.T, options string) (base string) {
	t.Helper()
	const dir = "USTACK_TEST_MOUNTS"
	if base = os.Getenv(dir); base != "" {
		if err := unix.Mount("tmpfs", base, "tmpfs", 0, options); err != nil {
			t.Skip("needs tmpfs: ", err)
		}
		return base
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	c := exec.Command("unshare", "-m", os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), dir+"="+t.TempDir())
	switch out, err := c.CombinedOutput(); {
	case errors.Is(err, exec.ErrNotFound), bytes.HasPrefix(out, []byte("unshare:")), bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("needs a mount namespace: %v: %s", err, out)
	case err != nil:
		t.Fatalf("%v: %s", err, out)
	}
	return ""
}

// Who has a file deleted is told before its last close if Linux would not let it go.
func TestWhatLinuxKeepsCanNotBeRemoved(t *testing.T) {
	base := ownMounts(t, "")
	if base == "" {
		return
	}
	at := func(name string) string { return filepath.Join(base, name) }
	for _, d := range []struct {
		name string
		mode uint32
	}{{"open", 0o777}, {"closed", 0o755}, {"sticky", 0o1777}, {"mount", 0o755}, {"readonly", 0o777}} {
		must(t, os.Mkdir(at(d.name), 0o755))
		if d.name == "readonly" {
			must(t, unix.Mount("tmpfs", at(d.name), "tmpfs", 0, ""))
		}
		must(t, unix.Chmod(at(d.name), d.mode))
		must(t, os.WriteFile(at(d.name+"/file"), nil, 0o666))
	}
	must(t, os.WriteFile(at("sticky/own"), nil, 0o666))
	must(t, os.Chown(at("sticky/own"), 65534, 65534))
	must(t, os.WriteFile(at("sticky/another"), nil, 0o666))
	must(t, os.Mkdir(at("open/mount"), 0o777))
	must(t, unix.Mount("tmpfs", at("open/mount"), "tmpfs", 0, ""))
	must(t, unix.Mount("", at("readonly"), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	r, err := OpenRoot(base, Options{})
	must(t, err)
	defer r.Close()
	nobody := func(f func() error) error {
		_, err := asNobody(func() (struct{}, error) { return struct{}{}, f() })
		return err
	}
	root := func(f func() error) error { return f() }
	owner := func(f func() error) error { // by CAP_FOWNER
		return nobody(func() error {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var caps [2]unix.CapUserData
			must(t, unix.Capget(&head, &caps[0]))
			caps[0].Effective |= 1 << unix.CAP_FOWNER
			must(t, unix.Capset(&head, &caps[0]))
			return f()
		})
	}
	for _, c := range []struct {
		name string
		as   func(func() error) error
		want error
	}{
		{`open\file`, nobody, nil},
		{`closed\file`, nobody, unix.EACCES},
		{`closed\file`, root, nil},
		{`sticky\file`, nobody, unix.EPERM},
		{`sticky\file`, root, nil},
		{`sticky\own`, nobody, nil},
		{`sticky\another`, owner, nil},
		{`readonly\file`, root, unix.EROFS},
		{`open\mount`, root, unix.EBUSY},
	} {
		f := openFile(t, r, c.name, How{Locate: true})
		can, did := c.as(f.CanRemove), c.as(f.Remove)
		if !errors.Is(can, c.want) || !errors.Is(did, c.want) {
			t.Errorf("%s can be removed: %v, is: %v, want %v", c.name, can, did, c.want)
		}
	}
	must(t, os.WriteFile(at("closed/file"), nil, 0o666))
	elsewhere = append(elsewhere, unix.TMPFS_MAGIC) // where others decide, they are asked by the deletion itself
	if err := nobody(openFile(t, r, `closed\file`, How{Locate: true}).CanRemove); err != nil {
		t.Errorf("on another machine: %v", err)
	}
}

// Who asks by a file has the room of the file system that it is in, which may be mounted below the share's root.
func TestRoomIsOfTheFilesOwnFileSystem(t *testing.T) {
	base := ownMounts(t, "size=1m")
	if base == "" {
		return
	}
	must(t, os.Mkdir(filepath.Join(base, "mount"), 0o755))
	must(t, unix.Mount("tmpfs", filepath.Join(base, "mount"), "tmpfs", 0, "size=8m"))
	r, err := OpenRoot(base, Options{})
	must(t, err)
	defer r.Close()
	for name, want := range map[string]uint64{"": 1 << 20, "mount": 8 << 20} {
		var info wire.FsInfo
		must(t, openFile(t, r, name, How{}).Volume(&info))
		if got := info.Total * uint64(info.UnitSize); got != want {
			t.Errorf("%q: %d bytes in all, want %d", name, got, want)
		}
	}
}

func TestWhatIsImmutableCanNotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	const immutable = 0x10 // FS_IMMUTABLE_FL, ioctl_iflags(2)
	if err := unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
		t.Skip("needs a file that can be made immutable: ", err)
	}
	defer func() { must(t, unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, 0)) }()
	r, err := OpenRoot(dir, Options{})
	must(t, err)
	defer r.Close()
	if err := openFile(t, r, "file", How{Locate: true}).CanRemove(); err != unix.EPERM {
		t.Errorf("%v, want EPERM", err)
	}
}
