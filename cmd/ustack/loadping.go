package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type loadPingCmd struct {
	loadFlags
	Size     int           `help:"Bytes of a message." default:"64"`
	Requests int64         `help:"Round trips on each connection, after a tenth as many that do not count." default:"20000"`
	For      time.Duration `help:"Go on for this long, after a tenth of it that does not count, instead of a number of round trips."`
	Longest  time.Duration `help:"Give up on a round trip after this time." default:"10s"`
	holdFlag
}

// newHistogram is one of latencies up to longest, in nanoseconds, to three digits.
func newHistogram(longest time.Duration) *hdrhistogram.Histogram {
	return hdrhistogram.New(100, int64(longest), 3)
}

// phase says of the i-th round trip, which begins now, whether it is still to be
// made and whether it counts.
func (c *loadPingCmd) phase(i int64, began, now time.Time) (more, counts bool) {
	if c.For > 0 {
		since := now.Sub(began)
		return since < c.For+c.For/10, since >= c.For/10
	}
	return i < c.Requests+c.Requests/10, i >= c.Requests/10
}

func (c *loadPingCmd) Run(ctx context.Context) error {
	if c.Size < 1 || c.Requests < 1 {
		return fmt.Errorf("--size %d --requests %d: both at least 1", c.Size, c.Requests)
	}
	var (
		mu      sync.Mutex
		all     = newHistogram(c.Longest)
		carried uint64
		counted time.Duration
	)
	c.opened = func(conns []*net.TCPConn) error { return c.hold(conns, c.Size, c.Longest) }
	r, err := c.run(ctx, func(conn *net.TCPConn, began time.Time) (uint64, error) {
		h := newHistogram(c.Longest)
		trips, took, err := c.pings(conn, began, h)
		mu.Lock()
		defer mu.Unlock()
		all.Merge(h)
		carried += uint64(trips) * uint64(c.Size)
		counted = max(counted, took)
		return uint64(h.TotalCount()) * uint64(c.Size) * 2, err
	})
	if err != nil {
		return err
	}
	r.setLatencies(all)
	r.Sent, r.Received, r.Seconds = carried, carried, counted.Seconds()
	r.All = int64(carried) / int64(c.Size)
	r.Gbits = float64(r.Bytes) * 8 / 1e9 / r.Seconds
	return c.print(r)
}

// pings makes round trips on one connection, of a load that has begun on all of them at
// one time. It returns how many, those that do not
// count too, and how long those that count took together.
func (c *loadPingCmd) pings(conn *net.TCPConn, began time.Time, h *hdrhistogram.Histogram) (trips int64, took time.Duration, err error) {
	msg := make([]byte, c.Size)
	counting := began
	for ; ; trips++ {
		now := time.Now()
		more, counts := c.phase(trips, began, now)
		if !more {
			return trips, now.Sub(counting), nil
		}
		if !counts {
			counting = now
		}
		if err := roundTrip(conn, msg, now.Add(c.Longest)); err != nil {
			return trips, 0, err
		}
		if counts {
			_ = h.RecordValue(int64(time.Since(now))) // within Longest
		}
	}
}

// roundTrip sends a message and waits until as much has come back.
func roundTrip(conn *net.TCPConn, msg []byte, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, msg)
	return err
}
