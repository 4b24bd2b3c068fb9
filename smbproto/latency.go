package smbproto

import (
	"math/bits"
	"sync/atomic"
	"time"

	"ustack/smbproto/wire"
)

// Times are counted in buckets of powers of two, from 8 µs to 1 s: the last bucket has what took longer.
const (
	leastBucket = 3
	mostBucket  = 20
	buckets     = mostBucket - leastBucket + 2
)

// LatencyBounds are the upper bounds of Latency.Within, without the last, which has none.
func LatencyBounds() (bounds []time.Duration) {
	for i := leastBucket; i <= mostBucket; i++ {
		bounds = append(bounds, time.Microsecond<<i)
	}
	return bounds
}

// Latency is how long requests of a command took, from when they were there to when their answer was. One that waits has two
// turns, and not what lies between; a WRITE whose data goes to the file while it arrives counts from when the first of it was there.
type Latency struct {
	Within []uint64      `json:"within"` // requests in each bucket, one more than LatencyBounds
	Sum    time.Duration `json:"sum_ns"`
}

type latencies [wire.CommandCount]struct {
	sum atomic.Int64 // ns
	in  [buckets]atomic.Uint64
}

func (l *latencies) add(cmd wire.Command, d time.Duration) {
	l[cmd].sum.Add(int64(d))
	l[cmd].in[bucketOf(d)].Add(1)
}

func bucketOf(d time.Duration) int {
	i := bits.Len64(uint64(max(d, 0) / time.Microsecond))
	return min(max(i, leastBucket), mostBucket+1) - leastBucket
}

func (l *latencies) stats() map[string]Latency {
	all := map[string]Latency{}
	for cmd := range l {
		total := uint64(0)
		lat := Latency{Sum: time.Duration(l[cmd].sum.Load())}
		for i := range l[cmd].in {
			n := l[cmd].in[i].Load()
			lat.Within = append(lat.Within, n)
			total += n
		}
		if total > 0 {
			all[wire.Command(cmd).String()] = lat
		}
	}
	return all
}

// startTimer is the time of now if times are counted, and zero if they are not.
func (s *Server) startTimer() (t time.Time) {
	if s.cfg.Latency {
		t = s.cfg.Now()
	}
	return t
}

func (s *Server) stopTimer(cmd wire.Command, began time.Time) {
	if s.cfg.Latency && cmd < wire.CommandCount { // one that there is not has no time
		s.counters.latency.add(cmd, s.cfg.Now().Sub(began))
	}
}

// Count is the number of requests.
func (l Latency) Count() (n uint64) {
	for _, in := range l.Within {
		n += in
	}
	return n
}

// Cumulative tells, by upper bounds in seconds, how many requests took no longer.
func (l Latency) Cumulative() map[float64]uint64 {
	all, n := map[float64]uint64{}, uint64(0)
	for i, bound := range LatencyBounds() {
		n += l.Within[i]
		all[bound.Seconds()] = n
	}
	return all
}
