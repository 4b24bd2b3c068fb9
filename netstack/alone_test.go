package netstack

import (
	"net/netip"
	"sync/atomic"
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

// A readCounter counts the reads of a device.
type readCounter struct {
	tap.Device
	n atomic.Int64
}

type countedQueue struct {
	tap.Queue
	n *atomic.Int64
}

func (d *readCounter) AttachQueue() (tap.Queue, error) {
	q, err := d.Device.AttachQueue()
	return countedQueue{q, &d.n}, err
}

func (q countedQueue) Readv(bufs [][]byte) (int, error) {
	q.n.Add(1)
	return q.Queue.Readv(bufs)
}

// A request whose sender waits for the reply costs one read, but for a look now and
// then whether more has come.
func TestARequestThatComesAloneIsOneRead(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has goroutines take turns in another order")
	}
	withProcs(t, 1, requestsThatComeAlone)
}

func requestsThatComeAlone(t *testing.T) {
	const rounds = 2000
	reads := new(readCounter)
	h := newHosts(t, nil, func(d tap.Device) tap.Device { reads.Device = d; return reads }, func(c *Config) { c.Spin = -1 })
	to := netip.AddrPortFrom(h.addrB, 7)
	serve(t, h.b, to, func() ioarea.Handler { return handlers.Echo{} })
	a := dial(t, h.a, to)
	defer a.Close()
	echoRounds(t, a, rounds)
	before := reads.n.Load()
	echoRounds(t, a, rounds)
	n := float64(reads.n.Load()-before) / rounds
	if t.Logf("%.2f reads a request", n); n > 1.9 {
		t.Error("want one, and a look now and then")
	}
}
