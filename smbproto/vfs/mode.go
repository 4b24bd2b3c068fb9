package vfs

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	permissions = 0o777
	specialBits = 0o7000 // setuid, setgid, sticky
)

// SetMode sets the permissions, as of the last Stat. Of setuid, setgid and the sticky bit those that the file has stay, if
// the mode has them; none is added. A server that is not root keeps its right to read: without it, nobody could ask for the
// file's xattrs any more, nor take the mode back.
func (f *File) SetMode(mode uint32) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if f.named || !f.IsDir() && !isType(&f.st, unix.S_IFREG) {
		return ErrSpecial
	}
	was := uint32(f.st.Mode)
	mode = mode&permissions | was&mode&specialBits
	if unix.Geteuid() != 0 {
		mode |= 0o400
	}
	if mode == was&(permissions|specialBits) {
		return nil
	}
	if err := retry(func() error { return unix.Chmod(throughProc(f.fd), mode) }); err != nil {
		return err
	}
	return f.Stat()
}

// Owner is the file's user and group in Linux, as of the last Stat.
func (f *File) Owner() (uid, gid uint32) { return f.st.Uid, f.st.Gid }

// SetOwner gives the file, or the link, to another user and group; 1<<32-1 leaves one as it is.
func (f *File) SetOwner(uid, gid uint32) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	err := retry(func() error {
		return unix.Fchownat(f.fd, "", int(int32(uid)), int(int32(gid)), unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return err
	}
	return f.Stat()
}

// firstMode is what a file is made with: no more than it is to have in the end, but what its maker needs until then.
func (how *How) firstMode(usual, owner uint32) uint32 {
	if !how.HasMode {
		return usual
	}
	return usual&how.Mode&permissions | owner
}

// MakeLink makes a symbolic link, of a text that is kept as linkMark says. It fails with ErrExists if the name, which is
// taken as it stands, is there. mayAdd is asked whether the directory may get it.
func (r *Root) MakeLink(p Path, text string, mayAdd func(in *Dir) error) error {
	switch {
	case r.opts.ReadOnly:
		return ErrReadOnly
	case text == "", len(text) >= maxLink-len(linkMark), strings.Contains(text, "\x00"), !utf8.ValidString(text):
		return ErrName
	}
	t, err := r.target(p, true)
	if err != nil {
		return pathError("link", string(p), err)
	}
	if err = mayAdd(t.in); err == nil && t.found != "" {
		err = ErrExists
	}
	if err == nil {
		err = retry(func() error { return unix.Symlinkat(linkMark+text, t.parent, t.base) })
	}
	if err := closeAll(t.parent); err != nil {
		return err
	}
	return pathError("link", string(p), err)
}
