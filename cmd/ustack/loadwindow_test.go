package main

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"ustack/cmd/ustack/compare"
)

// accepting is the address of a listener that accepts, and does nothing more.
func accepting(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return ln.Addr().String()
}

func TestALoadBeginsWhenAllItsConnectionsAreOpen(t *testing.T) {
	var open time.Time
	f := loadFlags{To: accepting(t), Flows: 5, Congestion: "cubic"}
	f.opened = func([]*net.TCPConn) error { open = time.Now(); return nil }
	begins := make(chan time.Time, f.Flows)
	if _, err := f.run(t.Context(), func(_ *net.TCPConn, began time.Time) (uint64, error) {
		begins <- began
		return 1, nil
	}); err != nil {
		t.Fatal(err)
	}
	first := <-begins
	if first.Before(open) {
		t.Errorf("began %v before all connections were open", open.Sub(first))
	}
	for range f.Flows - 1 {
		if other := <-begins; !other.Equal(first) {
			t.Errorf("one connection began %v after another", other.Sub(first))
		}
	}
}

func TestEveryFlowOfATimedLoadSends(t *testing.T) {
	r, s := loaded(t, []string{"sink"}, []string{"push", "--for", "1ns", "--flows", "3"})
	if want := uint64(3 * loadChunk); r.Bytes != want || s.Total.BytesIn != want {
		t.Errorf("sent %d bytes, the server has counted %d, want %d", r.Bytes, s.Total.BytesIn, want)
	}
}

func TestAStreamThatEndsEarlyIsNoMeasurement(t *testing.T) {
	socket, _ := started(t, kernelServer("source", "--bytes", "1MiB")...)
	port := portOf(t, socket)
	out, err := program(t.Context(), "load", "pull", "--to", "127.0.0.1:"+port, "--for", "1h", "--json").Output()
	if err = withStderr(err); err == nil || !strings.Contains(err.Error(), errEndedEarly.Error()) {
		t.Errorf("%v, want %v; it printed %s", err, errEndedEarly, out)
	}
}

func TestALoadWithoutSubstanceIsNoMeasurement(t *testing.T) {
	for _, c := range []struct {
		name string
		r    loadResult
		want string // part of the error, empty: none
	}{
		{"bytes", loadResult{Bytes: 1, Seconds: 1}, ""},
		{"requests without payload", loadResult{Requests: 1, Seconds: 1}, ""},
		{"nothing", loadResult{Seconds: 1}, "carried nothing"},
		{"too short", loadResult{Bytes: 1, Seconds: 0.5}, "has lasted"},
	} {
		err := c.r.enough(time.Second)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestNoRequestHasNoLatency(t *testing.T) {
	latencies := []string{compare.P50, compare.P99, compare.P999}
	none, one := stretch{load: loadResult{Seconds: 1}}, stretch{load: loadResult{Seconds: 1, Requests: 1, P50us: 2, P99us: 3, P999us: 4}}
	for _, name := range latencies {
		if v, ok := none.values(compare.GroupRequest)[name]; ok {
			t.Errorf("%s of no request is %v", name, v)
		}
		if _, ok := one.values(compare.GroupRequest)[name]; !ok {
			t.Errorf("one request without %s", name)
		}
	}
}

func TestLoopsBeginTogether(t *testing.T) {
	s := newStartLine(4)
	begins := make(chan time.Time, 3)
	for range 2 {
		go func() { begins <- s.await() }()
	}
	s.leave() // one has failed, and one is still to come
	select {
	case <-s.gone:
		t.Fatal("they began before the last was ready")
	default:
	}
	ready := time.Now()
	begins <- s.await()
	first := <-begins
	for range 2 {
		if other := <-begins; !other.Equal(first) || other.Before(ready) {
			t.Errorf("began at %v and %v, the last was ready at %v", first, other, ready)
		}
	}
}

func TestALoadAgainstNobodyFails(t *testing.T) {
	f := loadFlags{To: "127.0.0.1:1", Flows: 1, Congestion: "cubic"}
	if _, err := f.run(t.Context(), func(*net.TCPConn, time.Time) (uint64, error) { return 0, errors.New("ran") }); err == nil || err.Error() == "ran" {
		t.Errorf("%v", err)
	}
}
