package vfs

import (
	"errors"

	"ustack/smbproto/wire"
)

// EntryEAs lists the extended attributes of an entry of the directory.
func (f *File) EntryEAs(name string) ([]wire.EA, error) {
	if name == "." || name == ".." {
		return nil, nil
	}
	path := f.Path().Join(name)
	fd, err := f.root.beneathAs(path, f.exact)
	if err != nil {
		return nil, err
	}
	entry, err := f.root.file(fd, path)
	if err != nil {
		return nil, err
	}
	eas, err := entry.EAs()
	return eas, errors.Join(err, entry.Close())
}
