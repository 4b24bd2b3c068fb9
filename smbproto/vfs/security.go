package vfs

import (
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// A file's security descriptor is kept in an extended attribute of it, in the self-relative form of MS-DTYP 2.4.6. What is
// in it is nothing to this package.

// securityName is the name of the extended attribute.
const securityName = eaPrefix + ownPrefix + "security"

// ErrNoSecurity and ErrSecurityFull: why a descriptor can't be kept.
var (
	ErrNoSecurity   = &Error{"the file system keeps no security descriptors", wire.StatusNotSupported}
	ErrSecurityFull = &Error{"security descriptor too large for an xattr", wire.StatusDiskFull}
)

// Security is what decides who may do what with a file.
type Security struct {
	Descriptor []byte // nil: it has none
	UID, GID   uint32 // its owner and group in Linux
	Dir        bool
}

// Guard decides, when a file is opened, by the descriptors of files. An error of its refuses the CREATE.
type Guard interface {
	// Existing is asked about a file that is there, before anything is done with it. adds: a named stream is to be made.
	Existing(f *File, adds bool) error
	// New is asked about what is to be made in a directory, and gives the descriptor that it gets; nil for none.
	New(in *Dir, dir bool) ([]byte, error)
}

// Dir is a directory in which a name is to be made. It is open for as long as the call that it is handed to.
type Dir struct {
	fd    int
	st    unix.Statx_t
	since moment
}

// ID of the directory.
func (d *Dir) ID() ID { return idOf(&d.st) }

// Security of the directory.
func (d *Dir) Security() (Security, error) { return security(xattrsOf(d.fd), &d.st, d.since) }

// dirOf says what a handle of O_PATH is of.
func dirOf(fd int, since moment) (*Dir, error) {
	d := &Dir{fd: fd, since: since}
	return d, statx(fd, "", &d.st)
}

// Security of the file, which a named stream has in common with it.
func (f *File) Security() (Security, error) {
	s, err := security(f.xattrs(), &f.st, f.since)
	s.Dir = f.IsDir() || f.ofDir
	return s, err
}

// ParentSecurity is that of the directory that the file's name is in, if it is not the root of the share.
func (f *File) ParentSecurity() (s Security, ok bool, err error) {
	path := f.Path()
	if path == "" {
		return s, false, nil
	}
	dir, _ := path.Split()
	since := births.now()
	fd, err := f.root.beneathAs(dir, f.exact)
	if err != nil {
		return s, false, err
	}
	d, err := dirOf(fd, since)
	if err == nil {
		s, err = d.Security()
	}
	return s, err == nil, errors.Join(err, closeAll(fd))
}

// security reads the descriptor of what a handle is of, which was looked for since a moment.
func security(x xattrs, st *unix.Statx_t, since moment) (Security, error) {
	s := Security{UID: st.Uid, GID: st.Gid, Dir: isType(st, unix.S_IFDIR)}
	var err error
	if s.Descriptor, err = readSecurity(x); s.Descriptor == nil && err == nil && births.since(since) {
		s.Descriptor, err = readSecurity(x)
	}
	return s, err
}

func readSecurity(x xattrs) ([]byte, error) {
	b, err := x.value(securityName)
	if err == unix.ENODATA || err == unix.EOPNOTSUPP {
		return nil, nil
	}
	return b, err
}

func writeSecurity(x xattrs, b []byte) error {
	err := x.set(securityName, b, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return ErrNoSecurity
	}
	return tooLarge(err, ErrSecurityFull)
}

// ChangeSecurity writes what change makes of the file's security, as one change to all who make one here.
func (f *File) ChangeSecurity(change func(Security) ([]byte, error)) error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	if err := f.statOnly(); err != nil {
		return err
	}
	lock := xattrLock(f.ID())
	lock.Lock()
	defer lock.Unlock()
	s, err := f.Security()
	if err != nil {
		return err
	}
	b, err := change(s)
	if err != nil {
		return err
	}
	return f.thoughReadOnly(func() error { return writeSecurity(f.xattrs(), b) })
}

// thoughReadOnly changes an xattr of a file that may be read-only, as of the last Stat: who may not write a file may not do that,
// unless he is root.
func (f *File) thoughReadOnly(change func() error) error {
	err := change()
	if errors.Is(err, unix.EACCES) && f.readOnlyMode() && !f.ofDir {
		mode := uint32(f.st.Mode) & 0o7777
		if err = f.chmod(mode | 0o200); err == nil {
			err = errors.Join(change(), f.chmod(mode))
		}
	}
	return err
}

// secure gives what was just made its descriptor. Where none can be kept it has none, as all others there.
func (f *File) secure(b []byte) error {
	if b == nil || !f.root.xattrs {
		return nil
	}
	if err := writeSecurity(f.xattrs(), b); !errors.Is(err, ErrNoSecurity) {
		return err
	}
	return nil
}

// unmake removes what could not be given its descriptor: anybody could use it.
func (f *File) unmake(parent int, base string) error {
	var st unix.Statx_t
	if err := statx(parent, base, &st); err != nil || idOf(&st) != f.ID() {
		return err
	}
	flags := 0
	if f.IsDir() {
		flags = unix.AT_REMOVEDIR
	}
	return unix.Unlinkat(parent, base, flags)
}

// births are the makings of files that get a descriptor. A file that has none yet is there for others, and must not be
// taken for one that never has. So who finds one without, and has begun to look for it while one was made, waits for that
// and looks again.
var births birth

type birth struct {
	mu    sync.RWMutex // held for reading from before a file is made until it has its descriptor
	under atomic.Int64
	begun atomic.Uint64
}

// moment is when somebody began to look for a file.
type moment struct {
	begun uint64
	busy  bool
}

func (b *birth) begin() {
	b.mu.RLock()
	b.under.Add(1) // before begun: who has seen this one begin sees it under way, or done
	b.begun.Add(1)
}

func (b *birth) end() {
	b.under.Add(-1)
	b.mu.RUnlock()
}

func (b *birth) now() moment {
	begun := b.begun.Load()
	return moment{begun, b.under.Load() > 0}
}

// since reports whether a file was being made at the moment or later; those that were have their descriptors now.
func (b *birth) since(m moment) bool {
	if !m.busy && b.begun.Load() == m.begun {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return true
}
