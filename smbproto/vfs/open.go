package vfs

import (
	"errors"

	"golang.org/x/sys/unix"

	"ustack/smbproto/wire"
)

// How a file is opened.
type How struct {
	Read, Write bool // input, output; neither opens it for its attributes alone
	Locate      bool // it may be deleted or renamed later

	Create    bool // make it if it is missing
	Exclusive bool // fail if it is there

	Directory    bool // it must be one; a missing one is made as one
	NonDirectory bool // it must not be one

	// MayReadOnly lets Write fail quietly: the file is then open for input alone,
	// and Writable tells. It is what MAXIMUM_ALLOWED needs.
	MayReadOnly bool
	// Attributes are what a created file gets.
	Attributes wire.Attributes

	// Mode are, with HasMode, the permissions of a created file, without setuid, setgid and sticky bits.
	Mode    uint32
	HasMode bool

	// MayFill is asked, if it is given, whether the directory that a file is to be made in may get one.
	MayFill func(dir ID) error

	// Guard is asked, if it is given, before anything is done.
	Guard Guard

	// Exact takes each component of the path as it stands: neither another case of it, nor what a symbolic link of that
	// name leads to.
	Exact bool
	// Link lets it be a symbolic link, if its name is taken as it stands. It is open for its attributes alone.
	Link bool

	// Stream is the named stream to open or create, of a file of whatever type. A file that is
	// missing is made for one that is to be created.
	Stream string
}

// tries bounds how often a file may appear and vanish between two looks.
const tries = 32

// Open opens or creates a file or directory. It truncates nothing. Of one that was there the File does not know what is kept before
// a Stat.
func (r *Root) Open(p Path, how How) (f *File, created bool, err error) {
	if how.Stream != "" {
		return r.openStream(p, how)
	}
	for range tries {
		var fd int
		var real Path
		since := births.now()
		fd, real, err = r.lookupAs(p, how.Exact)
		switch {
		case err == nil && how.Exclusive:
			return nil, false, pathError("create", string(p), errors.Join(ErrExists, closeAll(fd)))
		case err == nil:
			f, err = r.openFound(fd, real, since, how)
		case errors.Is(err, ErrNotFound) && how.Create:
			created = true
			f, err = r.create(real, since, how)
		}
		if err == nil {
			if !created {
				f.loc.noteShort(p, real)
			}
			return f, created, nil
		}
		again := errors.Is(err, ErrMoved) || created && errors.Is(err, unix.EEXIST) && !how.Exclusive
		if !again {
			break
		}
		created = false
	}
	return nil, false, pathError("open", string(p), err)
}

// openFound takes over fd, an O_PATH handle.
func (r *Root) openFound(fd int, p Path, since moment, how How) (*File, error) {
	f, err := r.file(fd, p)
	if err != nil {
		return nil, err
	}
	f.since, f.exact = since, how.Exact
	if err := f.open(how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *File) open(how How) error {
	if err := f.statOnly(); err != nil {
		return err
	}
	switch {
	case f.IsDir():
		if how.NonDirectory {
			return ErrIsDirectory
		}
	case f.IsLink() && how.Link && how.Exact:
		how.Read, how.Write = false, false
	case !isType(&f.st, unix.S_IFREG):
		return ErrSpecial
	}
	if how.Directory && !f.IsDir() {
		return ErrNotDirectory
	}
	if how.Guard != nil {
		if err := how.Guard.Existing(f, false); err != nil {
			return err
		}
	}
	if how.Locate {
		if err := f.locate(&f.loc); err != nil {
			return err
		}
	} else if f.several() {
		if err := f.findEntry(); err != nil {
			return err
		}
	}
	if f.IsDir() {
		if how.Read {
			return f.promote(unix.O_RDONLY | unix.O_DIRECTORY)
		}
		return nil
	}
	if how.Write && f.refusesWrite() {
		if !how.MayReadOnly {
			return f.writeRefusal()
		}
		how.Write = false
	}
	return f.promoteFor(how)
}

func (f *File) promoteFor(how How) error {
	switch {
	case how.Read && how.Write:
		err := f.promote(unix.O_RDWR)
		if how.MayReadOnly && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) ||
			errors.Is(err, unix.EPERM) || errors.Is(err, unix.ETXTBSY)) { // immutable; being executed
			return f.promote(unix.O_RDONLY)
		}
		return err
	case how.Write:
		return f.promote(unix.O_WRONLY)
	case how.Read:
		return f.promote(unix.O_RDONLY)
	}
	return nil
}

func (f *File) refusesWrite() bool { return f.root.opts.ReadOnly || f.readOnlyMode() }

func (f *File) writeRefusal() error {
	if f.root.opts.ReadOnly {
		return ErrReadOnly
	}
	return ErrReadOnlyFile
}

// promote replaces the O_PATH handle by one for input or output on the same file.
func (f *File) promote(flags int) error {
	fd, err := reopen(f.fd, flags)
	if err != nil {
		return err
	}
	err = closeAll(f.fd)
	f.fd, f.pathOnly = fd, false
	f.writable = flags&unix.O_ACCMODE != unix.O_RDONLY
	return err
}

// create makes a file or directory that lookup did not find.
func (r *Root) create(p Path, since moment, how How) (*File, error) {
	if r.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	dir, base := p.Split()
	parent, err := r.beneathAs(dir, how.Exact)
	if err != nil {
		return nil, err
	}
	in, err := dirOf(parent, since)
	var descriptor []byte
	if err == nil {
		descriptor, err = how.ask(in)
	}
	if err == nil && !how.Directory && !how.Exact {
		base = r.tunnel.recall(in.ID(), base)
		p = dir.Join(base)
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(parent))
	}
	f, err := r.file(-1, p)
	if err != nil {
		return nil, errors.Join(err, closeAll(parent))
	}
	f.pathOnly, f.since, f.exact = false, since, how.Exact
	err = f.make(in, base, how, descriptor)
	if err == nil && how.Locate {
		f.loc.parent, f.loc.dir, f.loc.base = parent, in.ID(), base
	} else {
		err = errors.Join(err, closeAll(parent))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ask asks whether a file may be made in a directory, and for its descriptor.
func (how *How) ask(in *Dir) (descriptor []byte, err error) {
	if how.MayFill != nil {
		err = how.MayFill(in.ID())
	}
	if err == nil && how.Guard != nil {
		descriptor, err = how.Guard.New(in, how.Directory)
	}
	return descriptor, err
}

// make makes the file, with its descriptor and its attributes.
func (f *File) make(in *Dir, base string, how How, descriptor []byte) error {
	if descriptor != nil && f.root.opts.Watched != nil {
		defer f.root.opts.Watched().quiet(in.ID(), base)()
	}
	if err := f.bear(in, base, how, descriptor); err != nil {
		return err
	}
	f.loc.entry = f.ID()
	if err := f.SetAttributes(how.Attributes); err != nil || !how.HasMode {
		return err
	}
	err := f.SetMode(how.Mode&permissions | specialBits) // with what the directory has given it
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // the file system has no modes
	}
	return err
}

// bear makes the file, with its descriptor. It takes no lock of xattrs: who has one may wait for what is under way here.
func (f *File) bear(in *Dir, base string, how How, descriptor []byte) (err error) {
	if descriptor != nil {
		births.begin()
		defer births.end()
	}
	if how.Directory {
		if err := unix.Mkdirat(in.fd, base, how.firstMode(f.root.opts.DirMode, 0o700)); err != nil {
			return err
		}
		if f.fd, err = openat(in.fd, base, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil { // EMFILE
			err = errors.Join(err, unix.Unlinkat(in.fd, base, unix.AT_REMOVEDIR))
		}
	} else {
		flags := unix.O_RDWR
		if !how.Read {
			flags = unix.O_WRONLY
		}
		f.writable = true
		f.fd, err = openat(in.fd, base, flags|unix.O_CREAT|unix.O_EXCL, how.firstMode(f.root.opts.FileMode, 0o600))
	}
	if err != nil {
		f.fd = -1
		return err
	}
	if err := f.statOnly(); err != nil {
		return err
	}
	f.kept = keptOf(&f.st)
	if err := f.secure(descriptor); err != nil {
		return errors.Join(err, f.unmake(in.fd, base))
	}
	return nil
}

// Hold opens what a path leads to, of whatever type, for nothing but its identity: as
// long as it is open, no other file gets the same. exact is as How.Exact.
func (r *Root) Hold(p Path, exact bool) (*File, error) {
	fd, real, err := r.lookupAs(p, exact)
	if err != nil {
		return nil, err
	}
	f, err := r.file(fd, real)
	if err != nil {
		return nil, err
	}
	f.exact = exact
	if err := f.Stat(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Identify says which file a path leads to now. The answer may be old at once: it
// is good for asking whether a file that is held open is meant.
func (r *Root) Identify(p Path, exact bool) (ID, error) {
	fd, _, err := r.lookupAs(p, exact)
	if err != nil {
		return ID{}, err
	}
	var st unix.Statx_t
	err = statx(fd, "", &st)
	return idOf(&st), errors.Join(err, closeAll(fd))
}
