package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const userFileMode = 0o600

// saveUserFile replaces the file at once: whoever opens path, also after a
// crash, finds the old text or the new one, and never a mixture. old is the file that is there,
// whose owner stays the owner.
func saveUserFile(old *os.File, path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	// CreateTemp makes the file with mode 0600, less what the umask takes.
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if err := errors.Join(writeAndSync(tmp, old, text), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	// The rename is done, and an error of the directory's fsync does not undo it.
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

func writeAndSync(file, old *os.File, text []byte) error {
	_, err := file.Write(text)
	if err == nil {
		err = file.Chmod(userFileMode)
	}
	if err == nil {
		err = sameOwner(file, old)
	}
	if err == nil {
		err = file.Sync()
	}
	return err
}

// sameOwner gives a file the owner of another: its server could not read it otherwise.
func sameOwner(file, as *os.File) error {
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	want, err := as.Stat()
	if err != nil {
		return err
	}
	m, w := mine.Sys().(*syscall.Stat_t), want.Sys().(*syscall.Stat_t)
	if m.Uid == w.Uid && m.Gid == w.Gid {
		return nil
	}
	if err := file.Chown(int(w.Uid), int(w.Gid)); err != nil {
		return fmt.Errorf("keep the owner: %w", err)
	}
	return nil
}
