// Package loantest has a file to lend to a ring, for tests of who takes loans.
package loantest

import (
	"bytes"
	"errors"
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
	broken   atomic.Bool
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
func (f *File) CopyLent(dst, src []byte) error {
	f.Copies.Add(1)
	n, err := unix.Pread(f.fd, dst, int64(len(f.Mem)-len(src))) // lent up to its end
	if err == nil && f.broken.Load() {
		err = ErrBroken
	}
	clear(dst[max(n, 0):])
	return err
}

// ErrBroken is what a broken file says.
var ErrBroken = errors.New("loantest: broken")

// Break has what is missing of the file be an error.
func (f *File) Break() { f.broken.Store(true) }

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

// Lose has a handler of an area say what a broken file holds, which ends the stream: its peer gets all that came before, and nothing else.
func Lose(t testing.TB, a *ioarea.Area, peer io.Reader) {
	t.Helper()
	const size = 400_000
	f := New(t, size, 'x')
	f.Break()
	if err := f.Cut(0); err != nil {
		t.Fatal(err)
	}
	b, err := a.Out.Reserve(1+size, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	b[0] = '<'
	if !a.Out.Lend(1, f.Mem, f) {
		t.Fatal("the stream takes no loans")
	}
	a.Out.Commit(len(b))
	if err := a.In.Wait(1, time.Minute); err == nil || errors.Is(err, ioarea.ErrTimeout) {
		t.Fatalf("the handler, which waits for a request, hears %v", err)
	}
	if a.Out.Refused() == nil {
		t.Error("the handler is not told that nothing more can be said")
	}
	a.Close()
	if got, err := io.ReadAll(peer); err == nil || len(got) > 1 {
		t.Errorf("the peer reads %d bytes, and %v, want a stream that breaks", len(got), err)
	}
}
