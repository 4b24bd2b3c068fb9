package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What xattrs there are is the same to a handle of O_PATH and to one for input or output, and so it is for values and lists
// that are longer than what is made ready for them.
func TestXattrsOfAnyLengthAreReadByAnyHandle(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	r, err := OpenRoot(dir, Options{})
	must(t, err)
	defer func() { must(t, r.Close()) }()
	if !r.HasXattrs() {
		t.Skip("the file system has no xattrs")
	}
	for _, how := range []How{{}, {Read: true}, {Write: true}, {Read: true, Write: true}} {
		f, _, err := r.Open("file", how)
		must(t, err)
		x := f.xattrs()
		if byHandle := x.path == ""; byHandle == f.pathOnly {
			t.Errorf("%+v: asked by its handle: %v", how, byHandle)
		}
		if _, err := x.value("user.none"); err != unix.ENODATA {
			t.Errorf("a value that is not there: %v", err)
		}
		for _, n := range []int{0, 1, commonValue - 1, commonValue, commonValue + 1, 2000} {
			want := bytes.Repeat([]byte{'v'}, n)
			must(t, x.set("user.value", want, 0))
			if got, err := x.value("user.value"); err != nil || got == nil || !bytes.Equal(got, want) {
				t.Errorf("%+v: %d bytes of %d, %v", how, len(got), n, err)
			}
		}
		must(t, x.remove("user.value"))
		testLists(t, x)
		must(t, f.Close())
	}
}

// testLists lists up to more names than are made ready for.
func testLists(t *testing.T, x xattrs) {
	t.Helper()
	var want []string
	for i := range commonNames/100 + 2 {
		name := fmt.Sprintf("%s%0100d", "name.", i)
		if err := x.set("user."+name, nil, 0); errors.Is(err, unix.ENOSPC) {
			break // there is a block for all of them
		} else {
			must(t, err)
		}
		want = append(want, name)
		if got, err := x.names("user."); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
	if len(want) < commonNames/100 {
		t.Errorf("only %d names could be set", len(want))
	}
	for _, name := range want {
		must(t, x.remove("user."+name))
	}
}
