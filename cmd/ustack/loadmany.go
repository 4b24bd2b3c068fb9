package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

type loadManyCmd struct {
	loadFlags
	Active  int           `help:"Connections of --flows that carry messages; the others are idle." default:"1"`
	Size    int           `help:"Bytes of a message." default:"64"`
	For     time.Duration `help:"Exchange messages for this long." default:"1s"`
	Longest time.Duration `help:"Give up on a round trip after this time." default:"10s"`
	holdFlag
}

func (c *loadManyCmd) Help() string {
	return `
Every connection carries one message first, so that the server has all of them in
hand. The active ones then do what 'load ping' does.

Example:

  ustack load many --to 10.77.0.2:7 --flows 10000 --active 100 --for 5s
`
}

func (c *loadManyCmd) Run(ctx context.Context) error {
	if c.Active < 1 || c.Active > c.Flows || c.Size < 1 {
		return fmt.Errorf("--active %d --size %d: want 1 to --flows (%d), and at least 1", c.Active, c.Size, c.Flows)
	}
	conns, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	stop := context.AfterFunc(ctx, func() { closeAll(conns) })
	defer stop()
	congestion, err := congestionOf(conns[0])
	if err != nil {
		return err
	}
	if !c.Hold {
		err = firstMessages(conns, c.Size, c.Longest)
	}
	if err := errors.Join(err, c.hold(conns, c.Size, c.Longest)); err != nil {
		return unlessCalledOff(ctx, err)
	}
	r, trips, err := c.exchange(conns[:c.Active])
	if err != nil {
		return unlessCalledOff(ctx, err)
	}
	r.Congestion, r.Conns = congestion, len(conns)
	r.All, r.Sent = trips, uint64(trips)*uint64(c.Size)
	if !c.Hold { // who holds begins to count when all are open
		r.Sent += uint64(len(conns)) * uint64(c.Size)
	}
	r.Received, r.Bytes = r.Sent, 2*r.Sent
	return c.print(r)
}

// exchange has messages go to and fro on the active connections. It returns how many
// did, those that do not count too.
func (c *loadManyCmd) exchange(active []*net.TCPConn) (r loadResult, trips int64, err error) {
	p := loadPingCmd{Size: c.Size, For: c.For, Longest: c.Longest}
	all := newHistogram(c.Longest)
	var (
		mu      sync.Mutex
		running sync.WaitGroup
	)
	m := startMeter(c.Count)
	began := time.Now()
	for _, conn := range active {
		running.Go(func() {
			h := newHistogram(c.Longest)
			n, took, e := p.pings(conn, began, h)
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			trips += n
			r.Seconds = max(r.Seconds, took.Seconds())
			err = errors.Join(err, e)
		})
	}
	running.Wait()
	m.stop(&r)
	r.setLatencies(all)
	return r, trips, err
}
