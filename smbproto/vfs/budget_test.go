package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestABudgetIsGivenBackByWhateverEndsAFile(t *testing.T) {
	dir := t.TempDir()
	b := NewBudget(1)
	r, err := OpenRoot(dir, Options{Budget: b})
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	before := handles(t)
	for _, how := range []How{
		{Create: true, Exclusive: true, Locate: true},
		{Create: true, Exclusive: true}, // it is there
		{Read: true, Directory: true},   // it is a file
		{Read: true},
	} {
		f, _, err := r.Open("file", how)
		if err == nil {
			if _, _, err := r.Open("dir", How{}); !errors.Is(err, ErrTooMany) {
				t.Errorf("a second file: %v", err)
			}
			must(t, errors.Join(f.Close(), f.Close()))
		}
		if n := b.Open(); n != 0 {
			t.Errorf("%+v: %d files are open", how, n)
		}
	}
	if after := handles(t); after != before {
		t.Errorf("%d handles open, before %d", after, before)
	}
	must(t, r.Close())
}
