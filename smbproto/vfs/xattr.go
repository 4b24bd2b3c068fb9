package vfs

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// EAs and named streams are kept in extended attributes of Linux, xattr(7): EAs as
// "user.NAME", streams below a prefix of ours, which is no EA's. They are always asked for through
// the file's own handle.
const (
	eaPrefix     = "user."
	ownPrefix    = "ustack." // of names behind eaPrefix that clients can neither see nor set as EAs
	streamPrefix = eaPrefix + ownPrefix + "stream."

	maxXattrName = 255     // XATTR_NAME_MAX
	maxXattr     = 1 << 16 // XATTR_SIZE_MAX

	// maxNames is how much the names of a file's xattrs may take together: XATTR_LIST_MAX, beyond which Linux
	// lists none of them, less some room for what is not a client's.
	maxNames = 1<<16 - 1<<10
)

// ErrNoEAs and others: what xattrs can't do.
var (
	ErrNoEAs       = &Error{"the file system has no xattrs", wire.StatusEASNotSupported}
	ErrEAName      = &Error{"name of an EA not allowed", wire.StatusInvalidEAName}
	ErrEATooLarge  = &Error{"too many or too large EAs", wire.StatusEATooLarge}
	ErrEAIsOurs    = &Error{"name of an EA is the server's own", wire.StatusAccessDenied}
	ErrNoStreams   = &Error{"the file system has no named streams", wire.StatusObjectNameInvalid}
	ErrStreamGone  = &Error{"the stream is gone", wire.StatusFileDeleted}
	ErrStreamFull  = &Error{"stream too large for an xattr", wire.StatusDiskFull}
	ErrStreamInUse = &Error{"a stream that is not empty can't be replaced", wire.StatusInvalidParameter}
)

// xattrLocks make changes that take several calls one: of the files whose IDs share a lock, over
// all roots. Other processes know nothing of it.
var xattrLocks [64]sync.Mutex

func xattrLock(id ID) *sync.Mutex { return &xattrLocks[(id.Ino^id.Dev)%uint64(len(xattrLocks))] }

// probeXattrs finds out whether the file system keeps xattrs of users.
func (r *Root) probeXattrs() {
	_, err := xattrsOf(r.fd).get(eaPrefix+ownPrefix+"probe", nil)
	r.xattrs = err == nil || err == unix.ENODATA || err == unix.ERANGE
}

// HasXattrs reports whether files have EAs and named streams: whether the file system of the
// root's own directory keeps xattrs.
func (r *Root) HasXattrs() bool { return r.xattrs }

// listableEA reports whether an xattr's name, without its prefix, is one that clients know an EA by.
func listableEA(name string) bool { return wire.ValidEAName(name) && !ownName(name) }

// ownName reports whether an EA's name is one that the server keeps something of its own under.
func ownName(name string) bool {
	return len(name) >= len(ownPrefix) && strings.EqualFold(name[:len(ownPrefix)], ownPrefix)
}

// EAs lists the file's extended attributes, by name: those of which a client could say the
// name. What is beyond wire.MaxEAs, where others have set more, is not listed. A value of length 0 is
// to clients an EA that is not there.
func (f *File) EAs() ([]wire.EA, error) {
	if !f.root.xattrs {
		return nil, nil
	}
	x := f.xattrs()
	names, err := x.names(eaPrefix)
	if err != nil {
		return nil, noXattrs(err)
	}
	var list []wire.EA
	size := 0
	for _, name := range names {
		if !listableEA(name) {
			continue
		}
		value, err := x.value(eaPrefix + name)
		if err == unix.ENODATA || err == nil && (len(value) == 0 || len(value) > wire.MaxEAs) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if size = wire.EAListWith(size, len(name), len(value)); size > wire.MaxEAs {
			break
		}
		list = append(list, wire.EA{Name: name, Value: value})
	}
	return list, nil
}

func noXattrs(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return ErrNoEAs // of a file system that is mounted below the root
	}
	return err
}

// CheckEAs says why no file could have such EAs, before one is made for them.
func (r *Root) CheckEAs(list []wire.EA) error {
	if !r.xattrs {
		return ErrNoEAs
	}
	for _, ea := range list {
		switch {
		case !wire.ValidEAName(ea.Name), len(eaPrefix)+len(ea.Name) > maxXattrName:
			return ErrEAName
		case ownName(ea.Name):
			return ErrEAIsOurs
		}
	}
	return nil
}

// SetEAs sets extended attributes, and takes away those whose value is empty, all or none
// (MS-FSA 2.1.5.15.5). One of a name that differs in case is replaced and keeps its name.
func (f *File) SetEAs(list []wire.EA) error {
	if err := f.root.CheckEAs(list); err != nil {
		return err
	}
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	was, err := f.EAs()
	if err != nil {
		return err
	}
	to, err := plan(was, list)
	if err != nil {
		return err
	}
	x := f.xattrs()
	for i := range to {
		if err := to[i].apply(x, to[i].value); err != nil {
			errs := []error{noXattrs(tooLarge(err, ErrEATooLarge))}
			for _, done := range slices.Backward(to[:i]) {
				errs = append(errs, done.apply(x, done.was))
			}
			return errors.Join(errs...)
		}
	}
	return nil
}

func tooLarge(err error, instead error) error {
	if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE) {
		return instead
	}
	return err
}

// eaChange is what is to become of an EA. An empty value is none.
type eaChange struct {
	name       string
	was, value []byte
}

func (c *eaChange) apply(x xattrs, value []byte) error {
	if len(value) > 0 {
		if len(c.was) == 0 {
			if err := x.mayAdd(eaPrefix + c.name); err != nil {
				return err
			}
		}
		return x.set(eaPrefix+c.name, value, 0)
	}
	if err := x.remove(eaPrefix + c.name); err != nil && err != unix.ENODATA {
		return err
	}
	return nil
}

// plan says what is to be changed of the EAs that there were. What is taken away comes
// first, to make room.
func plan(was, list []wire.EA) ([]eaChange, error) {
	changes := make([]eaChange, 0, len(was)+len(list))
	at := map[string]int{}
	for _, ea := range was {
		at[wire.FoldEAName(ea.Name)] = len(changes)
		changes = append(changes, eaChange{ea.Name, ea.Value, ea.Value})
	}
	for _, ea := range list {
		fold := wire.FoldEAName(ea.Name)
		i, ok := at[fold]
		if !ok {
			i = len(changes)
			at[fold] = i
			changes = append(changes, eaChange{name: ea.Name})
		}
		changes[i].value = ea.Value
	}
	var after []wire.EA
	for _, c := range changes {
		if len(c.value) > 0 {
			after = append(after, wire.EA{Name: c.name, Value: c.value})
		}
	}
	if wire.EAListSize(after) > wire.MaxEAs {
		return nil, ErrEATooLarge
	}
	changes = slices.DeleteFunc(changes, func(c eaChange) bool { return bytes.Equal(c.was, c.value) })
	slices.SortStableFunc(changes, func(a, b eaChange) int { return min(len(a.value), 1) - min(len(b.value), 1) })
	return changes, nil
}

// HasEAs reports whether files of the share have EAs.
func (f *File) HasEAs() bool { return f.root.xattrs }
