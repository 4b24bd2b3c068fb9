package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// cancelWithin is how soon an open loop sees that it is to end.
const cancelWithin = 100 * time.Millisecond

type loadOpenCmd struct {
	loadFlags
	Size    int           `help:"Bytes of a message." default:"64"`
	Rate    float64       `help:"Messages a second, over all connections." default:"10000"`
	For     time.Duration `help:"Go on for this long, after a tenth of it that does not count." default:"1s"`
	Longest time.Duration `help:"Give up when the last replies take longer than this." default:"10s"`
	holdFlag
}

func (c *loadOpenCmd) Help() string {
	return `
Messages are due at even intervals. The latency of each is from the time at which it
was due until its whole reply is there, also when it could not be sent in time.

Example:

  ustack load open --to 10.77.0.2:7 --rate 20000 --flows 16 --for 5s
`
}

func (c *loadOpenCmd) Run(ctx context.Context) error {
	if c.Size < 1 || c.Rate <= 0 || c.For <= 0 {
		return fmt.Errorf("--size %d --rate %g --for %v: each must be more than 0", c.Size, c.Rate, c.For)
	}
	conns, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	congestion, err := congestionOf(conns[0])
	if err != nil {
		return err
	}
	if err := c.hold(conns, c.Size, c.Longest); err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := newPollLoop(conns, c.Size)
	if err != nil {
		return err
	}
	defer p.Close()
	h := newHistogram(2 * c.Longest)
	warm := int(c.Rate * c.For.Seconds() / 10)
	o := &openLoop{
		every: time.Duration(float64(time.Second) / c.Rate), total: max(1, int(c.Rate*c.For.Seconds())) + warm,
		now: p.now, patience: c.Longest,
		wait: func(until time.Duration) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return p.wait(min(until, p.now()+cancelWithin))
		},
		record: func(i int, latency time.Duration) {
			if i >= warm {
				_ = h.RecordValue(int64(min(latency, 2*c.Longest)))
			}
		},
	}
	r := loadResult{Congestion: congestion, Conns: len(conns)}
	for _, pc := range p.conns {
		o.conns = append(o.conns, pc)
	}
	m := startMeter(c.Count)
	began := p.now()
	if err := o.run(); err != nil {
		return err
	}
	r.Seconds = (p.now() - began).Seconds() * float64(o.total-warm) / float64(o.total)
	m.stop(&r)
	r.All = int64(o.total)
	r.setLatencies(h)
	for _, pc := range p.conns {
		r.Sent += pc.out
		r.Received += pc.in
	}
	r.Bytes = r.Sent + r.Received
	return c.print(r)
}
