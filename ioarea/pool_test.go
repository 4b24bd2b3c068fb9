package ioarea

import (
	"errors"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// areaPages is what an idle area may have resident: four pages of cursors, and a
// little for the process.
const areaPages = 6

// TestIdleAreasCostAddressSpaceAndNotMemory measures 1,000 areas with 8 MiB in
// each ring: 16 GiB of payload that nobody has written.
func TestIdleAreasCostAddressSpaceAndNotMemory(t *testing.T) {
	const areas, ring, used = 1000, 8 << 20, 256 << 10
	p := newTestPool(t, ring, ring, areas)
	shmem, anon, tables := sharedMemory(t), status(t, "RssAnon:"), status(t, "VmPTE:")
	all := make([]*Area, areas)
	for i := range all {
		all[i] = mustGet(t, p)
	}
	idle := sharedMemory(t) - shmem
	t.Logf("%d idle areas of 2 rings of %s: %s shared, %s of Go's, %s of page tables", areas, mib(ring),
		mib(idle), mib(status(t, "RssAnon:")-anon), mib(status(t, "VmPTE:")-tables))
	if idle > areas*areaPages*pageSize {
		t.Errorf("%d idle areas have %s resident", areas, mib(idle))
	}

	// Used, and idle again: Trim gives back what the ring does not need.
	for _, a := range all {
		produce(t, a.Out, used)
		a.Out.Consume(used)
	}
	busy := sharedMemory(t) - shmem - idle
	if busy < areas*used {
		t.Errorf("%s resident of %s that were written", mib(busy), mib(areas*used))
	}
	begin := time.Now()
	for _, a := range all {
		if n := a.Out.Trim(trimTo); n != used-trimTo {
			t.Fatalf("Trim(%d) freed %d bytes of %d", trimTo, n, used)
		}
	}
	took := time.Since(begin)
	kept := sharedMemory(t) - shmem - idle
	t.Logf("%s written; trimmed to %s in %v each", mib(busy), mib(kept), took/areas)
	if kept > areas*(trimTo+pageSize) {
		t.Errorf("%s resident after Trim", mib(kept))
	}
	if n := all[0].Out.Trim(trimTo); n != 0 {
		t.Errorf("a second Trim freed %d bytes", n)
	}
	for _, a := range all {
		mustPut(t, p, a)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left := sharedMemory(t) - shmem; left > 1<<20 {
		t.Errorf("%s resident after Close", mib(left))
	}
}

func TestTrimmedPagesReadAsNewAndTheRingGoesOn(t *testing.T) {
	r := newTestRing(t, 16*MinRing)
	for off := range uint64(40) {
		produce(t, r, r.Cap()-int(off))
		checkBytes(t, r.Peek(-1), r.Start())
		r.Consume(r.Len())
		r.Trim(pageSize)
		for i, b := range r.mem[pageSize:] {
			if b != 0 && i%r.Cap() < r.Cap()-pageSize {
				t.Fatalf("round %d: byte %d is still there", off, i)
			}
		}
	}
}

func TestPopulatedPagesAreThereUntilTheyAreTrimmed(t *testing.T) {
	r := newTestRing(t, 1<<20)
	there := func() (n int) {
		t.Helper()
		var resident [1 << 20 / 4096]byte
		p := unsafe.Pointer(unsafe.SliceData(r.mem))
		if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(p), uintptr(r.Cap()), uintptr(unsafe.Pointer(&resident))); e != 0 {
			t.Fatal("mincore:", e)
		}
		for i := range r.Cap() / pageSize {
			n += int(resident[i] & 1)
		}
		return n
	}
	for round := range 3 {
		r.Populate(r.End(), 3*pageSize+1)
		if n := there(); n == 0 {
			t.Skip("needs Linux 5.14 for MADV_POPULATE_WRITE")
		} else if n != 4 {
			t.Errorf("round %d: %d pages are there, want 4", round, n)
		}
		produce(t, r, 2*pageSize)
		r.Populate(r.End()+uint64(pageSize), r.Cap()) // as far as the first half goes
		if n := there(); n != r.Cap()/pageSize {
			t.Errorf("round %d: %d pages are there, want all", round, n)
		}
		checkBytes(t, r.Peek(-1), r.Start())
		r.Consume(r.Len())
		if r.Trim(0); there() != 0 {
			t.Errorf("round %d: %d pages are left", round, there())
		}
	}
}

func TestTrimKeepsWholePages(t *testing.T) {
	for _, c := range []struct{ wrote, keep, freed int }{
		{0, 0, 0}, {1, 0, 1}, {1, 1, 0}, {8, 0, 8}, {8, 1, 7}, {8, 8, 0}, {8, 100, 0}, {3, 2, 1},
	} {
		for _, odd := range []int{0, 1, pageSize - 1} {
			r := newTestRing(t, 8*pageSize)
			produce(t, r, max(0, c.wrote*pageSize-odd))
			if n := r.Trim(0); n != 0 && c.wrote > 0 {
				t.Errorf("%d bytes freed of a ring in use", n)
			}
			r.Consume(r.Len())
			if n := r.Trim(max(0, c.keep*pageSize-odd)); n != c.freed*pageSize {
				t.Errorf("%+v, less %d: %d bytes freed", c, odd, n)
			}
		}
	}
}

func TestTenThousandAreasFitTheProcess(t *testing.T) {
	const areas = 10000
	needMappings(t, areas*4+areas/16)
	p := newTestPool(t, 1<<20, 1<<20, 0)
	maps, fds, begin := mappings(t), descriptors(t), time.Now()
	all := make([]*Area, areas)
	for i := range all {
		all[i] = mustGet(t, p)
	}
	took := time.Since(begin)
	maps, fds = mappings(t)-maps, descriptors(t)-fds
	t.Logf("%d areas: %d mappings, %d descriptors, %v each", areas, maps, fds, took/areas)
	if want := areas*4 + areas*4/slabPages + 1; maps > want {
		t.Errorf("%d mappings, want at most %d", maps, want)
	}
	if fds > 0 {
		t.Errorf("%d descriptors", fds)
	}
	begin = time.Now()
	for _, a := range all {
		mustPut(t, p, a)
	}
	t.Logf("unmapped in %v each", time.Since(begin)/areas)
}

func TestClosingThePoolUnmapsAll(t *testing.T) {
	before := mappings(t)
	p := newTestPool(t, MinRing, 2*MinRing, 3)
	if in, out := p.RingSizes(); in != MinRing || out != 2*MinRing {
		t.Errorf("RingSizes: %d, %d", in, out)
	}
	var all []*Area
	for range 5 {
		all = append(all, mustGet(t, p))
	}
	for i, want := range []int{5, 5, 5, 4} { // the pool keeps three
		mustPut(t, p, all[i])
		if got := p.Made(); got != want {
			t.Fatalf("%d areas are mapped after %d came back, want %d", got, i+1, want)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.Made(); got != 1 {
		t.Fatalf("%d areas are mapped after Close, one is out", got)
	}
	if _, err := p.Get(); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	produce(t, all[4].In, 100) // the one that is out is whole
	checkBytes(t, all[4].In.Peek(-1), 0)
	mustPut(t, p, all[4])
	if err := p.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if got := mappings(t); got != before {
		t.Errorf("%d mappings, %d before", got, before)
	}
}

func TestTheNextStreamSeesNothingOfTheLast(t *testing.T) {
	p := newTestPool(t, 16*MinRing, 16*MinRing, 1)
	a := mustGet(t, p)
	place(a.In, 1000)
	produce(t, a.Out, a.Out.Cap())
	late := NewWaker(func() { t.Error("the last stream's waker was called") })
	if !a.In.ArmData(5000, late) || !a.Out.ArmRoom(1, late) {
		t.Fatal("not armed")
	}
	a.In.sleeper().wake()
	a.Close()
	mustPut(t, p, a)

	b := mustGet(t, p)
	defer mustPut(t, p, b)
	for _, r := range []*Ring{b.In, b.Out} {
		if ended, err := r.Ended(); ended || err != nil || r.Refused() != nil || r.Start() != 0 || r.Len() != 0 || r.Free() != r.Cap() {
			t.Errorf("not as new: %v %v %v, start %d, %d unread, %d free", ended, err, r.Refused(), r.Start(), r.Len(), r.Free())
		}
		for i, c := range r.mem {
			if c != 0 {
				t.Fatalf("byte %d of the last stream is there", i)
			}
		}
	}
	if b.Stream() != nil {
		t.Error("the last stream is still bound")
	}

	// A handler that does not know that it is over.
	a.Close()
	a.Abort(errors.New("late"))
	if err := p.Put(a); !errors.Is(err, ErrClosed) {
		t.Errorf("a second Put: %v", err)
	}
	place(b.In, 6000)
	b.In.Consume(6000)
	produce(t, b.Out, b.Out.Cap())
	b.Out.Consume(b.Out.Cap())
	if ended, _ := b.Out.Ended(); ended || b.In.Refused() != nil || p.Made() != 1 {
		t.Error("the last stream's handler reached the next one")
	}
}

func TestPoolIsSafeForConcurrentUse(t *testing.T) {
	p := newTestPool(t, MinRing, MinRing, 2)
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 50 {
				a, err := p.Get()
				if err != nil {
					t.Error(err)
					return
				}
				place(a.In, 100)
				checkBytes(t, a.In.Peek(-1), 0)
				if err := p.Put(a); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for range 8 {
		<-done
	}
	if n := p.Made(); n > 2 {
		t.Errorf("%d areas are mapped, the pool keeps 2", n)
	}
}

func TestBadSizesAreRefused(t *testing.T) {
	for _, c := range [][2]int{{MaxRing + 1, MinRing}, {MinRing, MaxRing + 1}} {
		if _, err := NewPool(c[0], c[1], 0); !errors.Is(err, ErrSize) {
			t.Errorf("NewPool(%d, %d): %v", c[0], c[1], err)
		}
	}
}
