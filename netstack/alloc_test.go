package netstack

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

// allocations is what f allocates in the whole process: objects and bytes. The
// garbage collector rests meanwhile, which would empty gVisor's pools.
func allocations(t testing.TB, f func()) (objects, bytes uint64) {
	t.Helper()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// An echoRound sends a message of n bytes and takes the reply.
func echoRound(a *ioarea.Area, n int) error {
	out, err := a.Out.Reserve(n, patience)
	if err != nil {
		return err
	}
	for i := range out {
		out[i] = byte(i)
	}
	a.Out.Commit(n)
	if err := a.In.Wait(n, patience); err != nil {
		return err
	}
	a.In.Consume(n)
	return nil
}

// ownAllocations sums what this module's functions have allocated, by a profile of
// every allocation: what is allocated by gVisor on our behalf has its own name.
func ownAllocations(before, after map[[32]uintptr]int64) (n int64, where map[string]int64) {
	where = map[string]int64{}
	for stack, count := range after {
		if count -= before[stack]; count <= 0 {
			continue
		}
		frames := runtime.CallersFrames(trimmed(stack))
		for {
			fr, more := frames.Next()
			if name := fr.Function; !isRuntime(name) {
				where[name] += count
				if isOurs(name) {
					n += count
				}
				break
			}
			if !more {
				break
			}
		}
	}
	return n, where
}

func trimmed(stack [32]uintptr) []uintptr {
	for i, pc := range stack {
		if pc == 0 {
			return stack[:i]
		}
	}
	return stack[:]
}

func isRuntime(name string) bool {
	for _, p := range []string{"runtime.", "sync.", "internal/", "time.", "slices.", "maps."} {
		if len(name) > len(p) && name[:len(p)] == p {
			return true
		}
	}
	return false
}

func isOurs(name string) bool { return len(name) > 7 && name[:7] == "ustack/" }

// profile is the number of objects allocated so far, by stack.
func profile() map[[32]uintptr]int64 {
	runtime.GC() // a profile shows what was allocated before the last collection
	runtime.GC()
	n, _ := runtime.MemProfile(nil, true)
	records := make([]runtime.MemProfileRecord, n+1000)
	n, ok := runtime.MemProfile(records, true)
	if !ok {
		return nil
	}
	m := make(map[[32]uintptr]int64, n)
	for _, r := range records[:n] {
		m[r.Stack0] += r.AllocObjects
	}
	return m
}

// A request costs no allocation of ours: not in the area, not in the loop, not in
// placement or the ACK filter.
func TestNothingIsAllocatedForARequest(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and lets sync.Pool drop things at random")
	}
	const rounds = 4000
	h := newHosts(t, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 7)
	serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
	a := dial(t, h.a, to)
	defer a.Close()
	run := func() {
		for range rounds {
			if err := echoRound(a, 64); err != nil {
				t.Error(err)
				return
			}
		}
	}
	run() // pools fill, tables grow
	objects, bytes := allocations(t, run)
	t.Logf("all: %.3f objects and %.1f bytes a request", float64(objects)/rounds, float64(bytes)/rounds)

	old := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = old }()
	before := profile()
	gc := debug.SetGCPercent(-1)
	run()
	debug.SetGCPercent(gc)
	ours, where := ownAllocations(before, profile())
	for name, n := range where {
		if n > rounds/100 {
			t.Logf("%6.3f a request: %s", float64(n)/rounds, name)
		}
	}
	if share := float64(ours) / rounds; share > 0.05 {
		t.Errorf("%.3f allocations of ours a request", share)
	}
}

// What a bulk stream allocates does not grow with its bytes: less than a
// hundredth of them, for what gVisor keeps for each segment.
func TestNothingIsAllocatedForAPayloadByte(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and lets sync.Pool drop things at random")
	}
	size := uint64(scaled(256 << 20))
	h := newHosts(t, nil, nil, nil)
	client, server := acceptOne(t, h.a, h.b, netip.AddrPortFrom(h.addrB, 7))
	defer client.Close()
	defer server.Close()
	run := func() {
		sent := make(chan error, 1)
		go func() { sent <- push(client, size, 1) }()
		for got := uint64(0); got < size; {
			mustWait(t, server, 1)
			n := server.In.Len()
			server.In.Consume(n)
			got += uint64(n)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
	run()
	objects, bytes := allocations(t, run)
	share := float64(bytes) / float64(size)
	t.Logf("%.5f bytes a payload byte, %.1f objects a megabyte", share, float64(objects)/float64(size>>20))
	if share > 0.05 {
		t.Errorf("%.4f bytes allocated for each byte of payload", share)
	}
}

func BenchmarkEcho(b *testing.B) {
	h := newHosts(b, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 7)
	serve(b, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
	a := dial(b, h.a, to)
	defer a.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := echoRound(a, 64); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBulk(b *testing.B) {
	h := newHosts(b, nil, nil, nil)
	to := netip.AddrPortFrom(h.addrB, 9)
	const chunk = 64 << 10
	serve(b, h.b, to, func() ioarea.Handler { return &handlers.Source{Bytes: 1 << 62} })
	a := dial(b, h.a, to)
	defer a.Abort(nil)
	b.SetBytes(chunk)
	b.ReportAllocs()
	for b.Loop() {
		mustWait(b, a, chunk)
		a.In.Consume(chunk)
	}
	b.StopTimer()
	b.ReportMetric(placedShare(a.Stream().Stats()), "in-place")
}
