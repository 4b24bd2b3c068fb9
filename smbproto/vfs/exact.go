package vfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// Clients of POSIX take a name as it stands: another case of it is another name, and a link is an entry whose text they
// read, and follow themselves. So nothing is followed for them, whatever the text is.

// beneathAs is beneath, or with exact opens the path without following any link; if the last component is
// one, that is what is opened.
func (r *Root) beneathAs(p Path, exact bool) (fd int, err error) {
	switch {
	case !exact:
		return r.beneath(p)
	case r.fallback != nil:
		return r.walk(p)
	}
	return resolve(r.fd, p.dot(), unix.OpenHow{Flags: unix.O_NOFOLLOW, Resolve: unix.RESOLVE_NO_SYMLINKS})
}

// walk opens a path one component after the other.
func (r *Root) walk(p Path) (fd int, err error) {
	fd, err = openat(r.fd, ".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if p == "" || err != nil {
		return fd, err
	}
	parts := strings.Split(string(p), "/")
	for i, name := range parts {
		flags := unix.O_PATH
		if i < len(parts)-1 {
			flags |= unix.O_DIRECTORY
		}
		next, err := openat(fd, name, flags, 0)
		if err := errors.Join(err, closeAll(fd)); err != nil {
			return -1, errors.Join(err, closeAll(next))
		}
		fd = next
	}
	return fd, nil
}

// lookupAs is lookup, or with exact opens the path as beneathAs does.
func (r *Root) lookupAs(p Path, exact bool) (fd int, real Path, err error) {
	if !exact {
		return r.lookup(p)
	}
	fd, err = r.beneathAs(p, true)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		err = ErrPathNotFound
	case errors.Is(err, unix.ENOENT):
		dir, _ := p.Split()
		parent, missing := r.beneathAs(dir, true)
		if err = errors.Join(ErrNotFound, closeAll(parent)); missing != nil {
			err = ErrPathNotFound
		}
	}
	return fd, p, err
}

// nameAs is foldName, or with exact the entry that has just the name.
func (r *Root) nameAs(dir int, name string, exact bool) (string, error) {
	if !exact {
		return r.foldName(dir, name)
	}
	var st unix.Statx_t
	switch err := statx(dir, name, &st); err {
	case nil:
		return name, nil
	case unix.ENOENT:
		return "", nil
	default:
		return "", err
	}
}

// Exact reports whether the file was opened by its name as it stands.
func (f *File) Exact() bool { return f.exact }

// IsLink reports whether it is a symbolic link.
func (f *File) IsLink() bool { return isType(&f.st, unix.S_IFLNK) }

// A link that a client makes is text for clients. No other program is to be led anywhere by it, nor is a client that does
// not know of it: so what is kept leads nowhere, for it begins with a directory that there is not, and being absolute
// it is never followed below the root of a share.
const linkMark = "/.ustack-link/"

// maxLink is PATH_MAX, with the zero at the end.
const maxLink = 4096

// linkText is the text of the link that is a directory's entry, or, without a name, of what is open.
func linkText(fd int, name string) (string, error) {
	b := make([]byte, maxLink)
	var n int
	err := retry(func() (err error) {
		n, err = unix.Readlinkat(fd, name, b)
		return err
	})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(string(b[:n]), linkMark), nil
}

// Text is what a symbolic link says, as its maker has written it.
func (f *File) Text() (string, error) {
	if !f.IsLink() {
		return "", ErrNoLink
	}
	return linkText(f.fd, "")
}

// fillLink has info say how long the text of a link is.
func fillLink(info *wire.FileInfo, fd int, name string) {
	if text, err := linkText(fd, name); err == nil {
		info.EndOfFile, info.Unix.Size = uint64(len(text)), uint64(len(text))
	}
}
