package vfs

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// lookup opens a path with O_PATH and says under which path it was found. If the
// exact name is missing, one that differs in the case of letters is taken. If only
// the last component is missing, the error is ErrNotFound and real is the path
// that it would have.
func (r *Root) lookup(p Path) (fd int, real Path, err error) {
	fd, err = r.beneath(p)
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
		return fd, p, err
	}
	if real, err = r.foldPath(p); err != nil {
		return -1, real, err
	}
	fd, err = r.beneath(real)
	if errors.Is(err, unix.ENOENT) {
		err = ErrNotFound // a link that leads nowhere, or gone again
	}
	return fd, real, err
}

// foldPath finds the names as they are on disk, component by component.
func (r *Root) foldPath(p Path) (Path, error) {
	parts := strings.Split(string(p), "/")
	var at Path
	for i, name := range parts {
		last := i == len(parts)-1
		fd, err := r.beneath(at)
		if err != nil {
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
				err = ErrPathNotFound
			}
			return at, err
		}
		found, err := r.foldName(fd, name)
		err = errors.Join(err, closeAll(fd))
		switch {
		case errors.Is(err, unix.ENOTDIR):
			return at, ErrPathNotFound
		case err != nil:
			return at, err
		case found == "" && last:
			return at.Join(name), ErrNotFound
		case found == "":
			return at, ErrPathNotFound
		}
		at = at.Join(found)
	}
	return at, nil
}

// foldName returns the entry of a directory that has the name, or else the first that
// is equal but for case, or else the first that has it as its 8.3 name, or "".
func (r *Root) foldName(dir int, name string) (string, error) {
	var st unix.Statx_t
	err := statx(dir, name, &st)
	if err == nil {
		return name, nil
	}
	if err != unix.ENOENT {
		return "", err
	}
	maybeShort := wire.MayBeMade(name) // of those no index knows
	var id ID
	if r.indexes != nil && !maybeShort {
		if err := statx(dir, "", &st); err != nil {
			return "", err
		}
		id = idOf(&st)
		if entries, known := r.indexes.find(id, name); known {
			for _, entry := range entries {
				if statx(dir, entry, &st) != unix.ENOENT { // in the midst of being renamed
					return entry, nil
				}
			}
			return "", nil
		}
	}
	fd, err := reopen(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	entries := newDirReader(fd)
	short := ""
	for n := 0; ; n++ {
		entry, ok, err := entries.next()
		if n == leastIndexed && !maybeShort {
			r.indexes.build(dir, id)
		}
		switch {
		case err != nil:
			return "", errors.Join(err, closeAll(fd))
		case !ok:
			return short, closeAll(fd)
		case wire.EqualFold(entry, name) && Nameable(entry):
			return entry, closeAll(fd)
		case maybeShort && short == "" && wire.EqualFold(wire.ShortName(entry), name) && Nameable(entry):
			short = entry
		}
	}
}
