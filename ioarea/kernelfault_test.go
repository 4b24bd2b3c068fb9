package ioarea

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where it is not what was lent that the kernel can't read, the stream ends.
func TestAFaultOfTheRingEndsTheStream(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	d, err := FileDescriptor(fds[0], "socketpair")
	if err != nil {
		t.Fatal(err)
	}
	pool := newTestPool(t, MinRing, MinRing, 0)
	ended := make(chan error, 1)
	a, err := StartKernel(pool, d, d, func(err error) { ended <- err })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Out.Reserve(10, NoWait); err != nil {
		t.Fatal(err)
	}
	mem := a.Out.mem
	if err := unix.Mprotect(mem, unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	a.Out.Commit(10)
	if err := a.In.Wait(1, 10*time.Second); err == nil || errors.Is(err, ErrTimeout) || a.Out.Refused() == nil {
		t.Errorf("the handler, which waits for a request, hears %v: it tries for ever", err)
	}
	if err := unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	a.Close()
	unix.Shutdown(fds[1], unix.SHUT_RDWR)
	if err := <-ended; !errors.Is(err, unix.EFAULT) {
		t.Errorf("it ended with %v, want EFAULT", err)
	}
}
