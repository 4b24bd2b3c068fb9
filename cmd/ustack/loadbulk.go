package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// loadChunk is how much a bulk load hands to the kernel, or takes from it, at once.
const loadChunk = 256 << 10

type loadPushCmd struct {
	loadFlags
	Bytes byteSize      `help:"Bytes to send on each connection." default:"1GiB"`
	For   time.Duration `help:"Send for this long, instead of a number of bytes."`
}

// left is how many bytes are still to be sent, at least, of a load that has sent
// done bytes since began. However short its time is, each connection sends something:
// one that had its turn too late is a flow too.
func (c *loadPushCmd) left(done uint64, began time.Time) uint64 {
	if c.For > 0 {
		if done == 0 || time.Since(began) < c.For {
			return loadChunk
		}
		return 0
	}
	return uint64(c.Bytes) - done
}

func (c *loadPushCmd) Run(ctx context.Context) error {
	r, err := c.run(ctx, func(conn *net.TCPConn, began time.Time) (uint64, error) {
		buf := make([]byte, loadChunk)
		done := uint64(0)
		for left := c.left(done, began); left > 0; left = c.left(done, began) {
			n, err := conn.Write(buf[:min(left, loadChunk)])
			done += uint64(n)
			if err != nil {
				return done, err
			}
		}
		// All has arrived when the server has seen our end and ended too.
		if err := conn.CloseWrite(); err != nil {
			return done, err
		}
		_, err := io.Copy(io.Discard, conn)
		return done, err
	})
	if err != nil {
		return err
	}
	r.Sent = r.Bytes
	return c.print(r)
}

// errEndedEarly: the server has ended a stream that was to go on.
var errEndedEarly = errors.New("the server has ended the stream too early (serve source --until-closed goes on)")

type loadPullCmd struct {
	loadFlags
	For time.Duration `help:"Close our side after this time, which ends the stream of a source that serves --until-closed."`
}

func (c *loadPullCmd) Run(ctx context.Context) error {
	r, err := c.run(ctx, func(conn *net.TCPConn, began time.Time) (uint64, error) {
		var over atomic.Bool
		if c.For > 0 {
			end := time.AfterFunc(time.Until(began.Add(c.For)), func() {
				over.Store(true)
				_ = conn.CloseWrite()
			})
			defer end.Stop()
		}
		buf := make([]byte, loadChunk)
		total := uint64(0)
		for {
			n, err := conn.Read(buf)
			total += uint64(n)
			if err == io.EOF {
				if c.For > 0 && !over.Load() {
					return total, fmt.Errorf("%w: after %v of %v, and %d bytes", errEndedEarly, time.Since(began), c.For, total)
				}
				return total, nil
			}
			if err != nil {
				return total, err
			}
		}
	})
	if err != nil {
		return err
	}
	r.Received = r.Bytes
	return c.print(r)
}
