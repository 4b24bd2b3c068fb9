// Package loantest has a file to lend to a ring, for tests of who takes loans.
package loantest

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ustack/ioarea"
)

// A File is a mapped file in memory. As an ioarea.Lender it lends all of itself.
type File struct {
	Mem      []byte // must not be read behind where Cut has cut
	Copies   atomic.Int32
	returned atomic.Int32
	fd       int
	value    byte
}

// New makes a file of size bytes, which are all of one value. At the end of the test it must have been lent and returned.
func New(t testing.TB, size int, value byte) *File {
	t.Helper()
	fd, err := unix.MemfdCreate("loantest", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{fd: fd, value: value}
	if _, err := unix.Write(fd, bytes.Repeat([]byte{value}, size)); err != nil {
		t.Fatal(err)
	}
	if f.Mem, err = unix.Mmap(fd, 0, size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := f.returned.Load(); n != 1 {
			t.Errorf("returned %d times", n)
		}
		if err := unix.Munmap(f.Mem); err != nil {
			t.Error(err)
		}
		unix.Close(fd)
	})
	return f
}

// Cut leaves size bytes of the file: the pages behind are gone.
func (f *File) Cut(size int64) error { return unix.Ftruncate(f.fd, size) }

// CopyLent implements ioarea.Lender.
func (f *File) CopyLent(dst, src []byte) {
	f.Copies.Add(1)
	n, err := unix.Pread(f.fd, dst, int64(len(f.Mem)-len(src))) // lent up to its end
	if err != nil {
		panic(err) // a file in memory
	}
	clear(dst[n:])
}

// Returned implements ioarea.Lender.
func (f *File) Returned() { f.returned.Add(1) }

// Exchange has a handler of an area say, twice, what a file holds between two bytes of its own, and its peer read that.
// The second file has been cut, as by another program after it was lent: what is missing reads as zeros.
func Exchange(t testing.TB, a *ioarea.Area, peer io.Reader) {
	t.Helper()
	const size, left = 400_000, 200_000
	files := [2]*File{New(t, size, 'x'), New(t, size, 'y')}
	if err := files[1].Cut(left); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i, f := range files {
		b, err := a.Out.Reserve(1+size+1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		b[0], b[1+size] = '<', '>'
		if !a.Out.Lend(1, f.Mem, f) {
			t.Fatal("the stream takes no loans")
		}
		a.Out.Commit(len(b))
		there := size >> i
		want = append(want, '<')
		want = append(want, bytes.Repeat([]byte{f.value}, there)...)
		want = append(want, make([]byte, size-there)...)
		want = append(want, '>')
	}
	sent := make([]byte, len(want))
	if _, err := io.ReadFull(peer, sent); err != nil {
		t.Fatal(err)
	}
	for i := range sent {
		if sent[i] != want[i] {
			t.Fatalf("byte %d is %#x, want %#x", i, sent[i], want[i])
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, f := range files { // what the peer has read the stream may not know yet
		for until := time.Now().Add(time.Minute); f.returned.Load() == 0 && time.Now().Before(until); {
			<-tick.C
		}
	}
	if files[0].Copies.Load() != 0 || files[1].Copies.Load() != 1 {
		t.Errorf("copied %d and %d times", files[0].Copies.Load(), files[1].Copies.Load())
	}
}
