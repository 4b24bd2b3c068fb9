package handlers

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/ioarea"
)

// connect serves one end of a Unix socket pair with h, and returns the other. The
// channel tells how Serve ended.
func connect(t testing.TB, h ioarea.Handler) (net.Conn, <-chan error) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := ioarea.NewPool(64<<10, 64<<10, 1)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ioarea.FileDescriptor(fds[0], "served end")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	a, err := ioarea.StartKernel(pool, d, d, func(err error) { gone <- err })
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "client end")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ioarea.Serve(a, h) }()
	t.Cleanup(func() {
		c.Close()
		<-gone
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, served
}

func TestEchoSendsBackWhatComes(t *testing.T) {
	c, served := connect(t, Echo{})
	msg := make([]byte, 300_000) // more than both rings
	Fill(msg, 1, 0)
	go func() {
		_, _ = c.Write(msg)
		_ = c.(*net.UnixConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, msg) {
		t.Errorf("%d bytes came back, %v", len(got), err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestSinkReadsEachByteWhenAsked(t *testing.T) {
	for _, check := range []bool{false, true} {
		t.Run(fmt.Sprint(check), func(t *testing.T) {
			s := &Sink{Check: check}
			c, served := connect(t, s)
			msg := make([]byte, 200_001)
			Fill(msg, 2, 0)
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err != nil {
				t.Fatal(err)
			}
			if s.Bytes() != uint64(len(msg)) {
				t.Errorf("%d bytes, want %d", s.Bytes(), len(msg))
			}
			want := uint32(0)
			if check {
				want = crc32.Checksum(msg, castagnoli)
			}
			if s.Sum() != want {
				t.Errorf("sum %08x, want %08x", s.Sum(), want)
			}
		})
	}
}

func TestSourceSendsItsStream(t *testing.T) {
	s := &Source{Bytes: 1_000_003, Fill: true, Seed: 7}
	c, served := connect(t, s)
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	want := make([]byte, s.Bytes)
	Fill(want, 7, 0)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, not those of the stream", len(got))
	}
	if s.Sum() != crc32.Checksum(want, castagnoli) {
		t.Error("Sum is not that of what was sent")
	}
}

func TestFillDependsOnPlaceAlone(t *testing.T) {
	whole := make([]byte, 200)
	Fill(whole, 9, 1000)
	for from := range 40 {
		for n := range 60 {
			part := make([]byte, n)
			Fill(part, 9, uint64(1000+from))
			if !bytes.Equal(part, whole[from:from+n]) {
				t.Fatalf("%d bytes from %d on differ from the same bytes of a larger fill", n, from)
			}
		}
	}
	other := make([]byte, 200)
	Fill(other, 10, 1000)
	if bytes.Equal(whole, other) {
		t.Error("two seeds, one stream")
	}
}

func TestEchoAllocatesNothingForARequest(t *testing.T) {
	c, _ := connect(t, Echo{})
	msg := make([]byte, 64)
	round := func() {
		if _, err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, msg); err != nil {
			t.Fatal(err)
		}
	}
	round()
	if n := testing.AllocsPerRun(500, round); n > 0 {
		t.Errorf("%.2f allocations for a request", n)
	}
}

func BenchmarkEcho64(b *testing.B) {
	c, _ := connect(b, Echo{})
	msg := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(msg); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, msg); err != nil {
			b.Fatal(err)
		}
	}
}
