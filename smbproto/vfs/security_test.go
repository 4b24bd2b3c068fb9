package vfs

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"ustack/smbproto/wire"
)

// described is a Guard that refuses nothing, and gives files a descriptor.
type described struct{}

func (described) Existing(*File, bool) error     { return nil }
func (described) New(*Dir, bool) ([]byte, error) { return []byte("descriptor"), nil }

// Who has the lock of xattrs that a new file's attributes wait for does not wait, itself, for that file when it asks for the
// security of one that has no descriptor.
func TestAFileIsBornWithoutALock(t *testing.T) {
	r, err := OpenRoot(t.TempDir(), Options{})
	must(t, err)
	defer r.Close()
	if !r.HasXattrs() {
		t.Skip("no xattrs here")
	}
	for i := range xattrLocks {
		xattrLocks[i].Lock()
	}
	unlock := sync.OnceFunc(func() {
		for i := range xattrLocks {
			xattrLocks[i].Unlock()
		}
	})
	defer unlock()
	before := births.now()
	made := make(chan error, 1)
	go func() {
		f, _, err := r.Open("file", How{Create: true, Attributes: wire.AttributeHidden, Guard: described{}})
		if err == nil {
			err = f.Close()
		}
		made <- err
	}()
	for births.begun.Load() == before.begun {
		runtime.Gosched()
	}
	asked := make(chan bool, 1)
	go func() { asked <- births.since(before) }()
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Error("the file waits for a lock, and others for the file")
	}
	unlock()
	must(t, <-made)
}
