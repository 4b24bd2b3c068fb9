package vfs

import (
	"os"
	"path/filepath"
	"testing"
)

// Room can be reserved in a file that is another's, of which the server may not set times.
func TestRoomIsReservedInAnothersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user for a while")
	}
	both(t, func(t *testing.T, dir string, r *Root) {
		must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644))
		f, _, err := r.Open("file", How{Read: true, Write: true})
		must(t, err)
		for _, size := range []int64{1 << 20, int64(len("content"))} {
			if _, err := asNobody(func() (struct{}, error) { return struct{}{}, f.Allocate(size) }); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		must(t, f.Close())
	})
}
