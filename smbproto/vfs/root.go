package vfs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options of a share.
type Options struct {
	ReadOnly bool
	// FileMode and DirMode are the permissions of what clients create; 0 means
	// 0644 and 0755.
	FileMode, DirMode uint32
	// Watcher, if it is given, keeps an index of large directories true. It is closed after the root.
	Watcher func() (*Watcher, error)
	// Watched, if it is given, is the watcher that clients watch by, or nil if none does.
	Watched func() *Watcher
	// Loans is shared by roots whose files may be the same; nil means that nothing is lent.
	Loans *Loans
	// Budget is shared by roots whose files are bounded together; nil means no bound.
	Budget *Budget
}

// Root is a share's directory.
type Root struct {
	fd       int
	opts     Options
	id       ID
	where    string   // its path in the file system when it was opened, without a slash at the end
	fallback *os.Root // where openat2 is missing
	xattrs   bool     // the file system has them
	indexes  *indexes // nil without a watcher
	tunnel   tunnel
}

// OpenRoot opens a share's directory, for as long as the share exists: if the
// directory is renamed the share goes with it.
func OpenRoot(dir string, opts Options) (*Root, error) {
	if opts.FileMode == 0 {
		opts.FileMode = 0o644
	}
	if opts.DirMode == 0 {
		opts.DirMode = 0o755
	}
	if opts.Budget == nil {
		opts.Budget = NewBudget(0)
	}
	fd, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	r := &Root{fd: fd, opts: opts, tunnel: tunnel{now: time.Now}}
	if opts.Watcher != nil {
		r.indexes = &indexes{watcher: opts.Watcher, byDir: map[ID]*index{}, full: map[ID]int{}, most: mostIndexed}
	}
	var st unix.Statx_t
	if err := statx(fd, "", &st); err != nil {
		return nil, errors.Join(fmt.Errorf("vfs: share directory %q: %w", dir, err), r.Close())
	}
	r.id = idOf(&st)
	if probe, err := reopen(fd, unix.O_RDONLY|unix.O_DIRECTORY); err != nil {
		return nil, errors.Join(fmt.Errorf("vfs: share directory %q through /proc/self/fd, which must be mounted: %w", dir, err), r.Close())
	} else if err := closeAll(probe); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	where, err := os.Readlink(throughProc(fd))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("vfs: share directory %q: %w", dir, err), r.Close())
	}
	r.where = strings.TrimSuffix(where, "/")
	r.probeXattrs()
	if probe, err := r.beneath(""); errors.Is(err, unix.ENOSYS) {
		if err := r.useFallback(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	} else if err != nil {
		return nil, errors.Join(fmt.Errorf("vfs: share directory %q: %w", dir, err), r.Close())
	} else if err := closeAll(probe); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// CheckDir is an error where OpenRoot would find no directory. It opens nothing in it, and leaves nothing open.
func CheckDir(dir string) error {
	fd, err := openDir(dir)
	if err != nil {
		return err
	}
	return closeAll(fd)
}

// Elsewhere reports whether a path leads to another directory than the share's; it fails where it leads to none.
func (r *Root) Elsewhere(dir string) (bool, error) {
	fd, err := openDir(dir)
	if err != nil {
		return false, err
	}
	var st unix.Statx_t
	err = statx(fd, "", &st)
	return idOf(&st) != r.id, errors.Join(err, closeAll(fd))
}

func openDir(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("vfs: share directory %q: %w", dir, err)
	}
	return fd, nil
}

func (r *Root) useFallback() (err error) {
	r.fallback, err = os.OpenRoot(throughProc(r.fd))
	return err
}

// Close closes the directory. Files opened below it stay open; of those that are not, nothing stays mapped.
func (r *Root) Close() error {
	r.opts.Loans.forgetAll()
	r.indexes.close()
	err := closeAll(r.fd)
	r.fd = -1
	if r.fallback != nil {
		err = errors.Join(err, r.fallback.Close())
	}
	return err
}

// beneath opens the path with O_PATH, following links only as long as they stay
// in the share. It and beneathAs are the only ways from a path of more than one component to a handle.
func (r *Root) beneath(p Path) (fd int, err error) {
	if r.fallback != nil {
		return r.beneathFallback(p)
	}
	return resolve(r.fd, p.dot(), unix.OpenHow{Resolve: unix.RESOLVE_NO_MAGICLINKS})
}

// resolve opens a path with O_PATH that stays below a directory.
func resolve(dir int, path string, how unix.OpenHow) (fd int, err error) {
	how.Flags |= unix.O_PATH | unix.O_CLOEXEC
	how.Resolve |= unix.RESOLVE_BENEATH
	for range 8 {
		fd, err = unix.Openat2(dir, path, &how)
		// EAGAIN: something was renamed while the kernel resolved "..", openat2(2).
		if err != unix.EINTR && err != unix.EAGAIN {
			break
		}
	}
	if err == unix.EXDEV {
		err = ErrEscape
	}
	return fd, err
}

func (r *Root) beneathFallback(p Path) (int, error) {
	f, err := r.fallback.OpenFile(p.dot(), unix.O_PATH, 0)
	if err != nil {
		var errno unix.Errno
		if !errors.As(err, &errno) {
			err = ErrEscape // os.Root's own refusal has no errno
		}
		return -1, err
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, errors.Join(err, f.Close())
}
