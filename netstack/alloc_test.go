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

// echoRounds makes n of them, of 64 bytes each.
func echoRounds(t testing.TB, a *ioarea.Area, n int) {
	t.Helper()
	for range n {
		if err := echoRound(a, 64); err != nil {
			t.Fatal(err)
		}
	}
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

// A request costs no allocation: not in the area, the loop, placement or the ACK filter,
// and not in gVisor, at both ends together.
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
	run := func() { echoRounds(t, a, rounds) }
	run() // pools fill, tables grow
	objects, bytes := allocations(t, run)
	t.Logf("%.3f objects and %.1f bytes a request", float64(objects)/rounds, float64(bytes)/rounds)

	if share := float64(objects) / rounds; share > 0.05 {
		t.Errorf("%.3f allocations a request", share)
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
