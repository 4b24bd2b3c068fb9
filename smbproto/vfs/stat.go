package vfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Stat reads the attributes from the open handle.
func (f *File) Stat() error {
	_, err := f.stat(false)
	return err
}

// StatEAs is Stat, and says how long the file's EAs are as a list.
func (f *File) StatEAs() (eaSize uint32, err error) { return f.stat(true) }

func (f *File) stat(eas bool) (eaSize uint32, err error) {
	if err := f.statOnly(); err != nil {
		return 0, err
	}
	f.kept, eaSize = f.root.shownXattrs(&f.st, f.xattrs(), eas)
	return eaSize, nil
}

// statOnly reads what Linux knows, and leaves what is kept as of the last Stat.
func (f *File) statOnly() error {
	if err := statx(f.fd, "", &f.st); err != nil || !f.named {
		return err
	}
	return f.statStream()
}

// Gone is Stat, and reports whether the file has no name any more: what is written to it is lost
// with the last handle. If it has lost one of several since the last Stat, it is gone if that was the one by which it was opened.
func (f *File) Gone() (bool, error) {
	links := f.st.Nlink
	err := f.Stat()
	if errors.Is(err, ErrStreamGone) {
		return true, nil
	}
	if err != nil || f.st.Nlink > 0 && f.st.Nlink >= links {
		return false, err
	}
	// There are file systems that count no links.
	id, err := f.root.Identify(f.Path(), f.exact)
	return err != nil || id != f.ID(), nil
}

// LastWrite is the time of the last write as of the last Stat.
func (f *File) LastWrite() wire.Filetime {
	return wire.FiletimeUnix(f.st.Mtime.Sec, int64(f.st.Mtime.Nsec))
}

// Size as of the last Stat.
func (f *File) Size() int64 { return int64(f.st.Size) }

// Info fills what the last Stat knows into info, and how much room the file has; it leaves what is the open's.
func (f *File) Info(info *wire.FileInfo) {
	f.loc.mu.Lock()
	base := f.loc.path
	f.loc.mu.Unlock()
	_, name := base.Split()
	fillInfo(info, &f.st, f.kept, name)
	if f.IsLink() {
		fillLink(info, f.fd, "")
	}
	if !f.IsDir() {
		info.AllocationSize = f.allocated(&f.st)
	}
}

func fillInfo(info *wire.FileInfo, st *unix.Statx_t, k kept, name string) {
	info.LastAccess = wire.FiletimeUnix(st.Atime.Sec, int64(st.Atime.Nsec))
	info.LastWrite = wire.FiletimeUnix(st.Mtime.Sec, int64(st.Mtime.Nsec))
	info.Change = k.changeTime(wire.FiletimeUnix(st.Ctime.Sec, int64(st.Ctime.Nsec)))
	info.Creation = info.LastWrite
	if st.Mask&unix.STATX_BTIME != 0 {
		info.Creation = wire.FiletimeUnix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	if k.creation != 0 {
		info.Creation = k.creation
	}
	info.EndOfFile = st.Size
	info.AllocationSize = st.Blocks * 512
	info.Attributes = attributesOf(st, k, name)
	if info.Directory() {
		// A directory has no data (MS-FSA 2.1.5.12.27).
		info.EndOfFile, info.AllocationSize = 0, 0
	}
	info.Links = st.Nlink
	if info.Directory() {
		info.Links = 1 // the others that Linux counts are its own "." and the ".." of those in it
	}
	info.FileIndex = st.Ino
	info.Unix = wire.UnixInfo{
		Size: st.Size, Allocated: st.Blocks * 512, Changed: wire.FiletimeUnix(st.Ctime.Sec, int64(st.Ctime.Nsec)),
		Mode: uint32(st.Mode), UID: st.Uid, GID: st.Gid, Major: st.Rdev_major, Minor: st.Rdev_minor, Links: st.Nlink,
	}
	info.Volume = unix.Mkdev(st.Dev_major, st.Dev_minor)
}

// attributesOf maps what Linux knows to attributes, and adds what is kept: a file that nobody may write
// is read-only, a leading dot is hidden.
func attributesOf(st *unix.Statx_t, k kept, name string) wire.Attributes {
	a := k.attributes
	if isType(st, unix.S_IFDIR) {
		a |= wire.AttributeDirectory
	} else {
		a &^= wire.AttributeReadOnly
		if st.Mode&0o222 == 0 {
			a |= wire.AttributeReadOnly
		}
	}
	if strings.HasPrefix(name, ".") {
		a |= wire.AttributeHidden
	}
	if a == 0 {
		a = wire.AttributeNormal
	}
	return a
}

func (f *File) readOnlyMode() bool { return !f.IsDir() && f.st.Mode&0o222 == 0 }

// setReadOnly sets or takes the attribute of a file.
func (f *File) setReadOnly(on bool) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if f.IsDir() || f.ofDir || on == f.readOnlyMode() {
		return nil
	}
	mode := uint32(f.st.Mode) & 0o7777 &^ 0o222
	if !on {
		mode |= f.root.opts.FileMode & 0o222
	}
	if err := f.chmod(mode); err != nil {
		return err
	}
	return f.Stat()
}

func (f *File) chmod(mode uint32) error {
	return retry(func() error { return unix.Chmod(throughProc(f.fd), mode) })
}

// SetTimes sets the times that are given.
func (f *File) SetTimes(access, write wire.Filetime) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if !access.Sets() && !write.Sets() {
		return nil
	}
	ts := []unix.Timespec{timespec(access), timespec(write)}
	if err := retry(func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, throughProc(f.fd), ts, 0) }); err != nil {
		return err
	}
	return f.Stat()
}

func timespec(t wire.Filetime) unix.Timespec {
	if !t.Sets() {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	sec, nsec := t.Unix()
	return unix.Timespec{Sec: sec, Nsec: nsec}
}

// Volume says what the file system below the root is like.
func (r *Root) Volume(info *wire.FsInfo) error { return r.volume(r.fd, info) }

// Volume is the root's, with the room of the file's own file system.
func (f *File) Volume(info *wire.FsInfo) error { return f.root.volume(f.fd, info) }

func (r *Root) volume(fd int, info *wire.FsInfo) error {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return err
	}
	unit, scale := uint64(st.Frsize), uint64(1) // the counts are in these, not in f_bsize
	if unit == 0 {
		unit = uint64(st.Bsize)
	}
	for unit > 1<<20 {
		unit, scale = unit/2, scale*2
	}
	if unit < 512 {
		unit = 512
	}
	info.FileSystem = "NTFS" // clients that ask want to know what it can do
	info.Serial = uint32(r.id.Dev) ^ uint32(r.id.Ino)
	info.Attributes = wire.FsCaseSensitiveSearch | wire.FsCasePreservedNames | wire.FsUnicodeOnDisk |
		wire.FsSparseFiles | wire.FsObjectIDs
	if r.xattrs {
		info.Attributes |= wire.FsNamedStreams | wire.FsExtendedAttributes | wire.FsPersistentACLs
	}
	info.ReadOnly = r.opts.ReadOnly
	if info.ReadOnly {
		info.Attributes |= wire.FsReadOnlyVolume
	}
	info.MaxName = maxComponent
	info.UnitSize = uint32(unit)
	info.Total, info.Free, info.ActuallyFree = st.Blocks*scale, st.Bavail*scale, st.Bfree*scale
	info.Files, info.FreeFiles = st.Files, st.Ffree
	var root unix.Statx_t
	if err := statx(r.fd, "", &root); err != nil {
		return err
	}
	info.Creation = wire.FiletimeUnix(root.Btime.Sec, int64(root.Btime.Nsec))
	return nil
}
