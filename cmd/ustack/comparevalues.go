package main

import (
	"fmt"
	"time"

	"ustack/cmd/ustack/compare"
)

// A stretch is what was measured between two samples of a server.
type stretch struct {
	before, after snapshot
	// sampling is what one sample costs the server itself, samples how many were taken since
	// before, after among them.
	sampling snapshot
	samples  int
	load     loadResult
	// memory and rings are what connections have taken besides rings and in them, bytes, if that was measured.
	memory, rings float64
}

// grown is by how much a size has become more.
func grown(before, after uint64) float64 { return max(0, float64(after)-float64(before)) }

// own is what a counter has counted of the load, without what the samples have cost. Where
// they cost a little more or less than one did when all was idle, it misses to either side,
// below 0 too: to cut off one side would shift the median to the other.
func (s *stretch) own(counter func(*snapshot) uint64) float64 {
	return float64(counter(&s.after)) - float64(counter(&s.before)) - float64(s.samples)*float64(counter(&s.sampling))
}

func calls(s *snapshot) uint64   { return s.Syscalls }
func wakeups(s *snapshot) uint64 { return s.Process.Voluntary }
func allocs(s *snapshot) uint64  { return s.Process.Allocs }

// values are the metrics of a run of a group's workload.
func (s *stretch) values(group string) map[string]float64 {
	r, u := s.load, s.after.since(s.before)
	v := map[string]float64{
		compare.Goodput:     r.Gbits,
		compare.Retransmits: float64(u.retransmits),
		compare.CopiesIn:    share(u.copiedIn, u.in),
		compare.CopiesOut:   share(u.copiedOut, u.out),
		compare.InPlace:     share(u.placedIn, u.in),
	}
	if r.Requests > 0 { // no request has no latency, not one of 0
		v[compare.P50], v[compare.P99], v[compare.P999] = r.P50us, r.P99us, r.P999us
	}
	if r.Seconds > 0 {
		v[compare.Requests] = float64(r.Requests) / r.Seconds
	}
	if r.Seconds > 0 && group == compare.GroupBulk {
		v[compare.ServerBusy] = u.cpu.Seconds() / r.Seconds
	}
	if s.memory+s.rings > 0 && r.Conns > 0 {
		v[compare.Memory], v[compare.RingMemory] = s.memory/float64(r.Conns), s.rings/float64(r.Conns)
	}
	// CPU time by gigabyte in seconds, or by request in microseconds; what is counted by
	// megabyte or by request.
	units, cpuUnits := float64(r.AllBytes)/1e6, float64(r.AllBytes)/1e9
	if group != compare.GroupBulk && group != compare.GroupFiles {
		units, cpuUnits = float64(r.All), float64(r.All)/1e6
	}
	if units > 0 {
		v[compare.SystemCPU] = r.SystemS / cpuUnits
		v[compare.ServerCPU] = u.cpu.Seconds() / cpuUnits
		v[compare.Calls] = s.own(calls) / units
		v[compare.Wakeups] = s.own(wakeups) / units
		v[compare.Allocs] = s.own(allocs) / units
	}
	if s.after.Stack == compare.Smbd {
		// Its process tells CPU time, and nothing of the rest: of its calls the kernel counts reads and writes, not those by
		// which it receives and sends.
		for _, name := range []string{compare.Calls, compare.Wakeups, compare.Allocs, compare.CopiesIn, compare.CopiesOut, compare.InPlace, compare.Retransmits} {
			delete(v, name)
		}
		return v
	}
	if server := u.cpu - u.beside; server > 0 {
		v[compare.GCShare] = (s.after.Process.GCCPU - s.before.Process.GCCPU) / server.Seconds()
	}
	return v
}

// Bounds of how much more than a run's own processes all may have used.
const (
	otherShare = 1.3
	otherTime  = 20 * time.Millisecond // two ticks of /proc/stat
)

// otherLoad says that processors did more than the run's processes account for.
func (s *stretch) otherLoad() string {
	own := s.after.since(s.before).cpu.Seconds() + s.load.ClientS
	if s.load.SystemS <= otherShare*own || s.load.SystemS-own <= otherTime.Seconds() {
		return ""
	}
	return fmt.Sprintf("other load: %.3f s of system CPU, %.3f s of it the run's processes'", s.load.SystemS, own)
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// costOf is what a server has counted between two samples that nothing happened between.
func costOf(first, second snapshot) snapshot {
	return snapshot{
		Syscalls: second.Syscalls - first.Syscalls,
		Process: processStats{
			Voluntary: second.Process.Voluntary - first.Process.Voluntary,
			Allocs:    second.Process.Allocs - first.Process.Allocs,
		},
	}
}
