package ioarea

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTestPool is a pool that must be whole when the test ends: each area back,
// each mapping gone.
func newTestPool(t testing.TB, in, out, keep int) *Pool {
	t.Helper()
	p, err := NewPool(in, out, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if n := p.Made(); n != 0 {
			t.Errorf("%d areas are still mapped after Close", n)
		}
	})
	return p
}

// newTestArea is an area without a stream: the test plays the stream.
func newTestArea(t testing.TB, size int) *Area {
	t.Helper()
	p := newTestPool(t, size, size, 0)
	a := mustGet(t, p)
	t.Cleanup(func() { mustPut(t, p, a) })
	return a
}

func newTestRing(t testing.TB, size int) *Ring { return newTestArea(t, size).In }

func mustGet(t testing.TB, p *Pool) *Area {
	t.Helper()
	a, err := p.Get()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustPut(t testing.TB, p *Pool, a *Area) {
	t.Helper()
	if err := p.Put(a); err != nil {
		t.Error(err)
	}
}

// byteAt is the test stream's byte at offset off: it repeats with no power of
// two, so a byte in a wrong place shows.
func byteAt(off uint64) byte { return byte(off%251 ^ off>>12) }

func fill(b []byte, off uint64) {
	for i := range b {
		b[i] = byteAt(off + uint64(i))
	}
}

func checkBytes(t testing.TB, b []byte, off uint64) {
	t.Helper()
	for i := range b {
		if want := byteAt(off + uint64(i)); b[i] != want {
			t.Fatalf("byte at offset %d is %#x, want %#x", off+uint64(i), b[i], want)
		}
	}
}

// produce reserves, fills and commits n bytes.
func produce(t testing.TB, r *Ring, n int) {
	t.Helper()
	off := r.End()
	b, err := r.Reserve(n, NoWait)
	if err != nil {
		t.Fatalf("Reserve(%d) with %d free: %v", n, r.Free(), err)
	}
	fill(b, off)
	r.Commit(n)
}

// place is produce as a stack does it: it never rewinds.
func place(r *Ring, n int) {
	fill(r.Tail(r.End(), n), r.End())
	r.Advance(n)
}

// eventually polls for what another goroutine, or the kernel, will make true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("did not come true in time: %s", what)
		}
	}
}

// mappings is the number of this package's mappings in the process.
func mappings(t testing.TB) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.Contains(s.Text(), "/memfd:ioarea") {
			n++
		}
	}
	return n
}

func descriptors(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	return len(d)
}

// sharedMemory is what the process has resident of shared mappings, in bytes: a
// page that is seen through both halves of a ring counts twice.
func sharedMemory(t testing.TB) int { return status(t, "RssShmem:") }

func status(t testing.TB, field string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Skipf("no %s in /proc/self/status", field)
	return 0
}

// needMappings skips a test that needs more mappings than the system allows.
func needMappings(t testing.TB, n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	if limit, _ := strconv.Atoi(strings.TrimSpace(string(b))); limit < n+1000 {
		t.Skipf("vm.max_map_count is %d, the test needs %d", limit, n+1000)
	}
}

var pageSize = os.Getpagesize()

func mib(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
