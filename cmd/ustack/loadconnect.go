package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

type loadConnectCmd struct {
	loadFlags
	Size    int           `help:"Bytes of a message." default:"64"`
	For     time.Duration `help:"Go on for this long." default:"1s"`
	Longest time.Duration `help:"Give up on a connection after this time." default:"10s"`
}

func (c *loadConnectCmd) Help() string {
	return `
Each of --flows loops connects, sends one message, waits until as much has come back,
closes its side, and waits for the server's end. The kernel keeps an ended connection
for a minute: give it ports enough (net.ipv4.ip_local_port_range, net.ipv4.tcp_tw_reuse),
as scripts/lab.sh does.

Example:

  ustack load connect --to 10.77.0.2:7 --flows 4 --for 5s
`
}

func (c *loadConnectCmd) Run(ctx context.Context) error {
	if c.Size < 1 || c.Flows < 1 {
		return fmt.Errorf("--size %d --flows %d: both at least 1", c.Size, c.Flows)
	}
	if err := c.settle(); err != nil {
		return err
	}
	var (
		mu      sync.Mutex
		all     = newHistogram(c.Longest)
		running sync.WaitGroup
		failed  error
		r       = loadResult{Conns: c.Flows}
	)
	m := startMeter(c.Count)
	began := time.Now()
	for range c.Flows {
		running.Go(func() {
			h := newHistogram(c.Longest)
			congestion, err := c.loop(ctx, began, func(d time.Duration) { _ = h.RecordValue(int64(d)) })
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			r.Congestion = congestion
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	if failed != nil {
		return failed
	}
	r.Seconds = time.Since(began).Seconds()
	m.stop(&r)
	r.setLatencies(all)
	r.All = r.Requests
	r.Sent = uint64(r.Requests) * uint64(c.Size)
	r.Received, r.Bytes = r.Sent, 2*r.Sent
	return c.print(r)
}

func (c *loadConnectCmd) loop(ctx context.Context, began time.Time, record func(time.Duration)) (congestion string, err error) {
	msg := make([]byte, c.Size)
	for now := time.Now(); now.Sub(began) < c.For; now = time.Now() {
		conn, err := c.dial(ctx)
		if err != nil {
			return congestion, err
		}
		if congestion == "" {
			congestion, err = congestionOf(conn)
		}
		if err := errors.Join(err, c.whole(conn, msg, now.Add(c.Longest)), conn.Close()); err != nil {
			return congestion, err
		}
		record(time.Since(now))
	}
	return congestion, nil
}

// whole is all that happens on one connection.
func (c *loadConnectCmd) whole(conn *net.TCPConn, msg []byte, deadline time.Time) error {
	if err := roundTrip(conn, msg, deadline); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	return err
}
