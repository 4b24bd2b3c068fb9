package auth

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// A stamp tells whether a file is another one, or has another text, than before.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func stampOf(fi fs.FileInfo, err error) (stamp, error) {
	if err != nil {
		return stamp{}, err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return stamp{st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim}, nil
}

// lockUserFile waits until no other program changes the file. The lock ends when what is
// returned is closed.
func lockUserFile(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		if err := flock(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		// A save puts another file in its place: a lock on the old one is none.
		current, err := isAt(file, path)
		if current {
			return file, nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
}

func flock(file *os.File) error {
	for {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

func isAt(file *os.File, path string) (bool, error) {
	mine, err := file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return os.SameFile(mine, there), nil
}
