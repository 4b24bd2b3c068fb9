package auth

import (
	"errors"
	"os"
	"path/filepath"
)

const userFileMode = 0o600

// saveUserFile replaces the file at once: whoever opens path, also after a
// crash, finds the old text or the new one, and never a mixture.
func saveUserFile(path string, text []byte) (err error) {
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
	if err := writeAndSync(tmp, text); err != nil {
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

func writeAndSync(file *os.File, text []byte) error {
	_, err := file.Write(text)
	if err == nil {
		err = file.Chmod(userFileMode)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
