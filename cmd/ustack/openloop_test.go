package main

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A stubServer answers in virtual time: each request after its service time, one after
// another, and none while it stalls.
type stubServer struct {
	now     time.Duration
	service time.Duration
	stall   [2]time.Duration // from, until
	free    time.Duration    // when it is done with what it has
	done    []time.Duration  // when replies that have not been taken are there
	silent  bool             // never replies
}

func (s *stubServer) send() error {
	if s.silent {
		return nil
	}
	begin := max(s.now, s.free)
	if begin >= s.stall[0] && begin < s.stall[1] {
		begin = s.stall[1]
	}
	s.free = begin + s.service
	s.done = append(s.done, s.free)
	return nil
}

func (s *stubServer) replies() (n int, err error) {
	for n < len(s.done) && s.done[n] <= s.now {
		n++
	}
	s.done = s.done[n:]
	return n, nil
}

// loop is an open loop against the server, on its clock.
func (s *stubServer) loop(every time.Duration, total int, record func(int, time.Duration)) *openLoop {
	return &openLoop{
		every: every, total: total, conns: []openConn{s}, record: record, patience: time.Second,
		now: func() time.Duration { return s.now },
		wait: func(until time.Duration) error {
			if len(s.done) > 0 {
				until = min(until, s.done[0])
			}
			s.now = max(s.now+1, until) // time always goes on
			return nil
		},
	}
}

func TestAnOpenLoopMeasuresFromWhenARequestWasDue(t *testing.T) {
	const ms = time.Millisecond
	// A request each millisecond, answered in 100 us, but for a stall of 100 ms. Each
	// request that falls due in it waits until it is over, and for those before it.
	s := &stubServer{service: ms / 10, stall: [2]time.Duration{200 * ms, 300 * ms}}
	h := newHistogram(10 * time.Second)
	var latencies []time.Duration
	if err := s.loop(ms, 1000, func(i int, d time.Duration) {
		latencies = append(latencies, d)
		_ = h.RecordValue(int64(d))
	}).run(); err != nil {
		t.Fatal(err)
	}
	if len(latencies) != 1000 {
		t.Fatalf("%d latencies of 1000 requests", len(latencies))
	}
	slow := 0
	for _, d := range latencies {
		if d > ms {
			slow++
		}
	}
	// 100 fall due in the stall, and 10 more are served for each 9 that it takes to
	// catch up. A closed loop would have seen one.
	if slow < 100 || slow > 115 {
		t.Errorf("%d requests were slow, want the 100 and some that fell into the stall", slow)
	}
	if got := latencies[200]; got < 100*ms || got > 101*ms {
		t.Errorf("the first of them took %v, want the whole stall", got)
	}
	if got := latencies[250]; got < 50*ms || got > 60*ms {
		t.Errorf("one in the middle took %v, want half of it and the queue", got)
	}
	if p99 := time.Duration(h.ValueAtQuantile(99)); p99 < 80*ms {
		t.Errorf("p99 is %v: the stall does not show", p99)
	}
}

func TestAnOpenLoopKeepsToItsSchedule(t *testing.T) {
	var got []int
	s := &stubServer{service: 10}
	if err := s.loop(100, 50, func(i int, d time.Duration) {
		got = append(got, i)
		if d != 10 {
			t.Errorf("request %d took %v, want 10ns", i, d)
		}
	}).run(); err != nil {
		t.Fatal(err)
	}
	want := make([]int, 50)
	for i := range want {
		want[i] = i
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s.now != 49*100+10 {
		t.Errorf("it took %v, want as long as the schedule and one reply", s.now)
	}
}

func TestAnOpenLoopGivesUpOnASilentServer(t *testing.T) {
	s := &stubServer{silent: true}
	err := s.loop(time.Millisecond, 10, func(int, time.Duration) { t.Error("a reply") }).run()
	if !errors.Is(err, errNoReply) {
		t.Errorf("%v, want %v", err, errNoReply)
	}
}
