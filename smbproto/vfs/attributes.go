package vfs

import (
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// What clients know of a file and Linux does not is kept in an extended attribute of it: the
// attributes of MS-FSCC 2.6 but for read-only of a file, which is its mode, and the creation time
// if a client has set one. A file without it has what the file system says.

// attributesName is the name of the extended attribute.
const attributesName = "user.ustack.attributes"

// The layout, in little endian: the version in one byte, three bytes of zero, the attributes in
// four, and as Filetimes in eight each the creation time, 0 for none, the change time, 0 for none, and when that
// was set.
const (
	attributesVersion = 1
	attributesSize    = 32
)

// Linux sets the change time itself with each change, with that of this extended attribute too. One that a client
// has set stands for that for as long as Linux's is no later than when it was set, with this much for setting it.
const changeSlack = 20 * 10_000

// keptAttributes are those that the extended attribute may have. Read-only is kept there for
// directories alone.
const keptAttributes = wire.AttributesSettable | wire.AttributeSparse

// kept is what the extended attribute of a file says.
type kept struct {
	attributes wire.Attributes
	creation   wire.Filetime // 0: that of the file system
	change     wire.Filetime // 0: that of the file system
	changed    wire.Filetime // when change was set
}

// keptOf is what counts for a file without the extended attribute: nobody has archived it. So most files never need one.
func keptOf(st *unix.Statx_t) kept {
	if isType(st, unix.S_IFDIR) {
		return kept{}
	}
	return kept{attributes: wire.AttributeArchive}
}

// parseKept reads the extended attribute; false if it is not of the version that is known: whoever may write the file
// may write this, too.
func parseKept(b []byte) (kept, bool) {
	if len(b) != attributesSize || b[0] != attributesVersion {
		return kept{}, false
	}
	times := [3]wire.Filetime{}
	for i := range times {
		if t := wire.Filetime(binary.LittleEndian.Uint64(b[8+8*i:])); t.Sets() {
			times[i] = t
		}
	}
	return kept{wire.Attributes(binary.LittleEndian.Uint32(b[4:])) & keptAttributes, times[0], times[1], times[2]}, true
}

func (k kept) sparse() bool { return k.attributes&wire.AttributeSparse != 0 }

func (k kept) put(b *[attributesSize]byte) {
	*b = [attributesSize]byte{attributesVersion}
	binary.LittleEndian.PutUint32(b[4:], uint32(k.attributes))
	binary.LittleEndian.PutUint64(b[8:], uint64(k.creation))
	binary.LittleEndian.PutUint64(b[16:], uint64(k.change))
	binary.LittleEndian.PutUint64(b[24:], uint64(k.changed))
}

// changeTime is the change time of a file for which Linux has ctime.
func (k kept) changeTime(ctime wire.Filetime) wire.Filetime {
	if k.change != 0 && ctime <= k.changed+changeSlack {
		return k.change
	}
	return ctime
}

// kept reads what is kept of a file, of which st is known. If something prevents it, a file system without extended
// attributes or a mode, the file is one without.
func (x xattrs) kept(st *unix.Statx_t) kept {
	if !isType(st, unix.S_IFREG) && !isType(st, unix.S_IFDIR) {
		return kept{}
	}
	var b [attributesSize]byte
	if n, err := x.get(attributesName, b[:]); err == nil {
		if k, ok := parseKept(b[:n]); ok {
			return k
		}
	}
	return keptOf(st)
}

// keep changes what is kept: what others have changed since the last Stat stays. A file system that can't keep any loses it,
// as it did before anything was.
func (f *File) keep(change func(k kept) kept) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if change(f.kept) == f.kept {
		return nil
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	x := f.xattrs()
	k := change(x.kept(&f.st))
	var b [attributesSize]byte
	k.put(&b)
	err := x.set(attributesName, b[:], 0)
	switch {
	case err == nil:
		f.kept = k
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil
	}
	return err
}

// Kept are the attributes that somebody has set, as of the last Stat: not those that come of a file's name or type.
func (f *File) Kept() wire.Attributes {
	a := f.kept.attributes
	if f.readOnlyMode() {
		a |= wire.AttributeReadOnly
	}
	return a
}

// KeptNow is Kept, with what the extended attribute says now: that of a file that was there is not known before a Stat.
func (f *File) KeptNow() wire.Attributes {
	f.kept = f.xattrs().kept(&f.st)
	return f.Kept()
}

// IsReadOnly reports whether the file has the read-only attribute.
func (f *File) IsReadOnly() bool { return f.Kept()&wire.AttributeReadOnly != 0 }

// SetAttributes replaces the attributes, as of the last Stat, of a file that was made or is written over: one that has no room for
// them goes without. Whether the file is sparse is not changed by it.
func (f *File) SetAttributes(a wire.Attributes) error {
	with := func(k kept) kept { return k.with(a, f.IsDir()) }
	return f.change(a&wire.AttributeReadOnly != 0, with(f.kept) != f.kept, func() error {
		if err := f.keep(with); !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			return err
		}
		return nil
	})
}

// with gives k other attributes.
func (k kept) with(a wire.Attributes, dir bool) kept {
	k.attributes = k.attributes&wire.AttributeSparse | a&wire.AttributesSettable
	if !dir {
		k.attributes &^= wire.AttributeReadOnly // is kept in the mode
	}
	return k
}

// change calls set, and leaves the file read-only or not; as it was, if that fails. Who may not write a file may not keep attributes
// of it, so if that is needed it is made read-only last.
func (f *File) change(readOnly, writes bool, set func() error) error {
	was := f.readOnlyMode()
	if !readOnly || writes {
		if err := f.setReadOnly(false); err != nil {
			return err
		}
	}
	if err := set(); err != nil {
		return errors.Join(err, f.setReadOnly(was))
	}
	return f.setReadOnly(readOnly)
}

// Basic is what SetBasic changes of a file; what is 0, and a time that does not set one, stays.
type Basic struct {
	Attributes                              wire.Attributes
	Creation, LastAccess, LastWrite, Change wire.Filetime
}

// SetBasic sets times and attributes, as of the last Stat.
func (f *File) SetBasic(b Basic) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	readOnly, now := f.readOnlyMode(), wire.FiletimeOf(time.Now())
	if b.Attributes != 0 {
		readOnly = b.Attributes&wire.AttributeReadOnly != 0
	}
	with := func(k kept) kept {
		if b.Attributes != 0 {
			k = k.with(b.Attributes, f.IsDir())
		}
		if b.Creation.Sets() {
			k.creation = b.Creation
		}
		if b.Change.Sets() {
			k.change, k.changed = b.Change, now
		}
		return k
	}
	return f.change(readOnly, with(f.kept) != f.kept, func() error {
		if err := f.SetTimes(b.LastAccess, b.LastWrite); err != nil {
			return err
		}
		return f.keep(with)
	})
}

// SetSparse notes whether the file is sparse, as of the last Stat (MS-FSCC 2.3, FSCTL_SET_SPARSE).
func (f *File) SetSparse(on bool) error {
	return f.keep(func(k kept) kept {
		k.attributes &^= wire.AttributeSparse
		if on {
			k.attributes |= wire.AttributeSparse
		}
		return k
	})
}

// MarkArchive adds the archive attribute: the file has been changed. The attributes that others may have changed
// since the last Stat stay.
func (f *File) MarkArchive() error {
	if err := f.Stat(); err != nil {
		return err
	}
	return f.keep(func(k kept) kept {
		k.attributes |= wire.AttributeArchive
		return k
	})
}
