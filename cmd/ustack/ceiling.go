package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"ustack/tap"
)

type ceilingCmd struct {
	Read  ceilingReadCmd  `cmd:"" help:"Read frames, and throw them away."`
	Write ceilingWriteCmd `cmd:"" help:"Write frames that the other side throws away."`
}

type ceilingFlags struct {
	TAP      string        `name:"tap" help:"TAP device." default:"ceiling0"`
	HostAddr []string      `help:"Prefix to put on the kernel's side of it."`
	For      time.Duration `help:"Go on for this long; a reader from the first frame on." default:"1s"`
	CPU      []int         `name:"cpu" help:"Run on these processors only."`
	Count    []int         `name:"count-cpu" help:"Processors whose time is told as the system's (default: all)."`
}

func (ceilingFlags) Help() string {
	return `
What a TAP device carries when nobody does TCP: the ceiling of anything behind one.
A result in JSON is printed.

Example, in the client's namespace of a lab:

  ustack ceiling read --for 2s & ustack load frames --device ceiling0 --for 3s; wait
`
}

// open opens the device and one queue of it.
func (c *ceilingFlags) open(ctx context.Context) (tap.Device, tap.Queue, error) {
	runtime.GOMAXPROCS(1)
	if err := pin(c.CPU); err != nil {
		return nil, nil, err
	}
	dev, err := openTAP(c.TAP, "--host-addr", c.HostAddr)
	if err != nil {
		return nil, nil, err
	}
	q, err := dev.AttachQueue()
	if err != nil {
		return nil, nil, errors.Join(err, dev.Close())
	}
	context.AfterFunc(ctx, func() { dev.Close() })
	return dev, q, nil
}

// print prints what was carried, as a load does.
func (c *ceilingFlags) print(bytes uint64, took time.Duration, m meter) error {
	r := loadResult{Bytes: bytes, Seconds: took.Seconds(), Gbits: float64(bytes) * 8 / 1e9 / took.Seconds()}
	m.stop(&r)
	return json.NewEncoder(os.Stdout).Encode(r)
}

type ceilingReadCmd struct{ ceilingFlags }

func (c *ceilingReadCmd) Run(ctx context.Context) error {
	dev, q, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Println(readyLine)
	buf := [][]byte{make([]byte, tap.HdrLen+tap.MaxFrame)}
	var (
		bytes uint64
		began time.Time
		m     meter
	)
	for began.IsZero() || time.Since(began) < c.For {
		n, err := q.Readv(buf)
		if errors.Is(err, tap.ErrWouldBlock) {
			if err := dev.Wait(); err != nil {
				return fmt.Errorf("read frames: %w", errors.Join(err, ctx.Err()))
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read frames: %w", errors.Join(err, ctx.Err()))
		}
		if n < gsoPayload {
			continue // the kernel's own: neighbour discovery
		}
		if began.IsZero() {
			began, m = time.Now(), startMeter(c.Count)
		}
		bytes += gsoPayload
	}
	return c.print(bytes, time.Since(began), m)
}

type ceilingWriteCmd struct{ ceilingFlags }

func (c *ceilingWriteCmd) Run(ctx context.Context) error {
	dev, q, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer dev.Close()
	// To a hardware address that is nobody's: the kernel looks at it, and that is all.
	frame, err := gsoFrame(net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2})
	if err != nil {
		return err
	}
	m := startMeter(c.Count)
	bytes, began := uint64(0), time.Now()
	for time.Since(began) < c.For {
		_, err := q.Writev([][]byte{frame})
		if errors.Is(err, tap.ErrWouldBlock) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write frames: %w", errors.Join(err, ctx.Err()))
		}
		bytes += gsoPayload
	}
	return c.print(bytes, time.Since(began), m)
}
