package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A directory that is made is there before it is opened. One that can't be must not stay: it has no descriptor, and so is everybody's.
func TestADirectoryThatCanNotBeOpenedIsNotMade(t *testing.T) {
	both(t, func(t *testing.T, dir string, r *Root) {
		var limit unix.Rlimit
		must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
		defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
		for n := uint64(0); ; n++ { // of descriptors, until they are enough
			must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: limit.Max}))
			f, _, err := r.Open("dir", How{Create: true, Exclusive: true, Directory: true, Exact: true})
			if err == nil {
				must(t, f.Close())
				return
			}
			if _, there := os.Lstat(filepath.Join(dir, "dir")); !errors.Is(err, unix.EMFILE) || there == nil {
				t.Fatalf("with %d descriptors: %v, and it is there: %v", n, err, there == nil)
			}
		}
	})
}
