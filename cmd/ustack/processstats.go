package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// processStats are what a server tells about its process, since it began.
type processStats struct {
	// RSS is the memory that lies in pages now, that of rings included.
	RSS uint64 `json:"rss_bytes"`
	// Rings is the part of it that the rings and their cursors have. A page of a ring counts
	// twice when it was touched through both of its mappings.
	Rings uint64 `json:"ring_rss_bytes"`
	// Voluntary counts how often a thread rested until something woke it.
	Voluntary   uint64 `json:"voluntary_switches"`
	Involuntary uint64 `json:"involuntary_switches"`
	// Allocs and AllocBytes are of Go's heap.
	Allocs     uint64 `json:"allocs"`
	AllocBytes uint64 `json:"alloc_bytes"`
	// GCCPU is the collector's part of the CPU time, in seconds, without what ran on
	// processors that had nothing else to do. Go's runtime brings it up to date at the
	// end of each collection.
	GCCPU float64 `json:"gc_cpu_s"`
}

func readProcessStats() (p processStats) {
	p.RSS, p.Rings = residentBytes()
	var ru unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &ru) == nil {
		p.Voluntary, p.Involuntary = uint64(ru.Nvcsw), uint64(ru.Nivcsw)
	}
	// Each of Go's processors counts what it allocates in a cache, and adds it up late: by
	// hundreds, at some time after. ReadMemStats stops the world and takes the caches in,
	// runtime/metrics does neither, and leaves out objects that share a block of 16 bytes.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.Allocs, p.AllocBytes = m.Mallocs, m.TotalAlloc
	samples := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/idle:cpu-seconds"}}
	metrics.Read(samples)
	seconds := func(i int) float64 {
		if samples[i].Value.Kind() != metrics.KindFloat64 {
			return 0
		}
		return samples[i].Value.Float64()
	}
	p.GCCPU = seconds(0) - seconds(1)
	return p
}

// residentBytes are VmRSS and RssShmem of /proc/self/status, 0 if it can't be read. Rings are
// what the process has of shared memory.
func residentBytes() (all, shared uint64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			all = kib << 10
		case "RssShmem":
			shared = kib << 10
		}
	}
	return all, shared
}
