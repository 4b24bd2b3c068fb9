package smbproto

import (
	"testing"
	"time"

	"ustack/smbproto/wire"
)

func TestTimesAreCountedInTheirBuckets(t *testing.T) {
	var l latencies
	for _, d := range []time.Duration{-time.Second, 0, 7 * time.Microsecond, 8 * time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		l.add(wire.CommandRead, d)
	}
	got := l.stats()["READ"]
	byBound := got.Cumulative()
	for bound, want := range map[time.Duration]uint64{
		8 * time.Microsecond: 3, 16 * time.Microsecond: 4, 512 * time.Microsecond: 4, 1024 * time.Microsecond: 5, 1 << 20 * time.Microsecond: 6,
	} {
		if n := byBound[bound.Seconds()]; n != want {
			t.Errorf("%d took less than %v, want %d", n, bound, want)
		}
	}
	if got.Count() != 7 || len(byBound) != len(LatencyBounds()) || len(l.stats()) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTimersAllocateNothing(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Latency = true }).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(64<<10))), wire.StatusOK)
	for name, msg := range map[string]func() []byte{
		"READ": func() []byte { return p.readMsg(id, 0, 64<<10) }, "WRITE": func() []byte { return p.writeMsg(id, 0, pattern(64<<10)) },
	} {
		s := newSteady(p, msg())
		p.message--
		if n := testing.AllocsPerRun(50, func() { s.once(t, 16<<10) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if n := p.srv.Stats().Latency[name]; n.Count() < 50 {
			t.Errorf("%d times of %s", n.Count(), name)
		}
	}
}

// A client may send any number of command: none ends the server, and all that there are not count as one.
func TestCommandsThatThereAreNot(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Latency = true })
	p.want(p.negotiateMsg(0x0210), wire.StatusOK)
	for _, cmd := range []wire.Command{wire.CommandCount, wire.CommandCount + 1, 0x7fff, 0xffff} {
		p.want(p.request(cmd, 4, nil), wire.StatusInvalidParameter)
	}
	if st := p.srv.Stats(); len(st.Answers) != 2 {
		t.Errorf("answers to NEGOTIATE and to %d kinds of commands that there are not: %v", len(st.Answers)-1, st.Answers)
	}
}
