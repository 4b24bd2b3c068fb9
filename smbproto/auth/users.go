package auth

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// ErrUserFile: the file of users, or a name or password for it, is not
// acceptable. What the operating system says about the file is wrapped too, so that
// errors.Is(err, fs.ErrNotExist) works.
var ErrUserFile = errors.New("user file")

const (
	maxUserFile = 16 << 20 // bytes; some 200,000 users
	maxUserName = 256      // bytes of UTF-8
	maxPassword = 256      // UTF-16 units, what Windows takes
)

// UserFile is the accounts in a text file. A line is "name:hash", with NTHash
// in 32 hexadecimal digits; an empty line, and one that begins with #, says nothing and is
// kept. Names differ by more than case.
//
// A hash is as good as the password, so a file that group or others may
// access in any way is not read. It may be used from many goroutines, and changed by
// several programs at a time: each takes the file's lock, and changes what it finds then.
type UserFile struct {
	path string // without symbolic links: the rename of a save must not replace one

	reading sync.Mutex // one reads or changes the file at a time; comes before mu
	seen    stamp      // of the file that was read last; guarded by reading
	// unread: it could not be read the last time, as it was then. Guarded by reading.
	unread   bool
	unreadAt stamp

	mu    sync.RWMutex
	table userTable
}

// OpenUserFile reads the accounts. It fails if there is no such file; see CreateUserFile.
func OpenUserFile(path string) (*UserFile, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	f := &UserFile{path: real}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// CreateUserFile makes a file without accounts, of mode 0600. It fails if there is one already.
func CreateUserFile(path string) (*UserFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, userFileMode)
	if err != nil {
		return nil, fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	return OpenUserFile(path)
}

// Reload reads the file again. After an error the accounts are the same as before.
func (f *UserFile) Reload() error {
	f.reading.Lock()
	defer f.reading.Unlock()
	table, err := f.read()
	if err != nil {
		return err
	}
	f.set(table)
	return nil
}

// Refresh is Reload if the file has changed since it was last read. What is wrong with
// its text is told once for each change; a file that can't be read is tried again each time, and
// told of once until it can.
func (f *UserFile) Refresh() error {
	f.reading.Lock()
	defer f.reading.Unlock()
	now, err := stampOf(os.Stat(f.path))
	if err == nil && now == f.seen {
		return nil
	}
	table, err := f.read()
	unread := err != nil && f.seen != now
	told := unread && f.unread && f.unreadAt == now
	f.unread, f.unreadAt = unread, now
	switch {
	case told:
		return nil
	case err != nil:
		return err
	}
	f.set(table)
	return nil
}

// read reads the file as it is. The caller holds reading.
func (f *UserFile) read() (userTable, error) {
	text, st, err := readUserFile(f.path)
	if err != nil {
		return userTable{}, fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	f.seen = st
	table, err := parseUsers(string(text))
	if err != nil {
		return userTable{}, fmt.Errorf("auth: %w: %s: %w", ErrUserFile, f.path, err)
	}
	return table, nil
}

func (f *UserFile) set(t userTable) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.table = t
}

// Lookup implements Users.
func (f *UserFile) Lookup(name string) (ntHash [16]byte, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.table.lookup(name)
}

// Names returns the names as written, in the file's order.
func (f *UserFile) Names() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.table.names()
}

// CheckUser says why Add would not take a name and a password.
func CheckUser(name, password string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	if err := checkPassword(password); err != nil {
		return fmt.Errorf("auth: %w: user %q: %w", ErrUserFile, name, err)
	}
	return nil
}

// Add makes an account, or gives the one of this name a new password, and
// saves the file. After an error the accounts are the same as before.
func (f *UserFile) Add(name, password string) error {
	if err := CheckUser(name, password); err != nil {
		return err
	}
	return f.change(func(t *userTable) error {
		if other, ok := t.sharesRID(name); ok {
			return fmt.Errorf("auth: %w: users %q and %q would have the same SID, choose another name", ErrUserFile, name, other)
		}
		t.set(name, NTHash(password))
		return nil
	})
}

// Remove takes an account away and saves the file. It is an error if there is none.
func (f *UserFile) Remove(name string) error {
	return f.change(func(t *userTable) error {
		if !t.remove(name) {
			return fmt.Errorf("auth: %w: no user %q", ErrUserFile, name)
		}
		return nil
	})
}

// change edits what the file says now, which may be more than this program has read.
func (f *UserFile) change(edit func(*userTable) error) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	locked, err := lockUserFile(f.path)
	if err != nil {
		return fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	defer locked.Close()
	t, err := f.read()
	if err != nil {
		return err
	}
	if err := edit(&t); err != nil {
		return err
	}
	if err := saveUserFile(locked, f.path, []byte(t.text())); err != nil {
		return fmt.Errorf("auth: %w: %w", ErrUserFile, err)
	}
	f.set(t)
	return nil
}

// readUserFile checks and reads one and the same open file, of users or a keytab.
func readUserFile(path string) ([]byte, stamp, error) {
	// O_NONBLOCK: a FIFO at this path must not hold the server up.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, stamp{}, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, stamp{}, err
	}
	if !st.Mode().IsRegular() {
		return nil, stamp{}, fmt.Errorf("%s is not a regular file", path)
	}
	if perm := st.Mode().Perm(); perm&0o077 != 0 {
		return nil, stamp{}, fmt.Errorf("%s has mode %#o, which lets others than its owner at the secrets in it: chmod 600 it: %w",
			path, perm, fs.ErrPermission)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxUserFile+1))
	if err != nil {
		return nil, stamp{}, err
	}
	if len(text) > maxUserFile {
		return nil, stamp{}, fmt.Errorf("%s is larger than %d bytes", path, maxUserFile)
	}
	seen, err := stampOf(st, nil)
	return text, seen, err
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("empty user name")
	case len(name) > maxUserName:
		return fmt.Errorf("user name of %d bytes, want at most %d", len(name), maxUserName)
	case !utf8.ValidString(name):
		return fmt.Errorf("user name %q is not UTF-8", name)
	case strings.ContainsRune(name, ':'):
		return fmt.Errorf("user name %q contains a colon", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("user name %q contains a control character", name)
	case name != strings.TrimSpace(name):
		return fmt.Errorf("user name %q begins or ends with a space", name)
	case name[0] == '#':
		return fmt.Errorf("user name %q begins with #, as a comment does", name)
	}
	return nil
}

func checkPassword(password string) error {
	switch n := len(utf16le(password)) / 2; {
	case n == 0:
		return errors.New("empty password")
	case n > maxPassword:
		return fmt.Errorf("password of %d UTF-16 units, want at most %d", n, maxPassword)
	case !utf8.ValidString(password):
		return errors.New("password is not UTF-8")
	}
	return nil
}
