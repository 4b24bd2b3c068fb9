package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cloudsoda/go-smb2"
)

type loadSMBCmd struct {
	loadFlags
	What    string        `arg:"" enum:"put,get,read,meta" help:"put: write the file in order. get: read it in order. read: read at random places. meta: create, query and close small files."`
	Share   string        `help:"Share." default:"compare"`
	User    string        `help:"User; a server that lets in guests takes any." default:"guest"`
	File    string        `help:"File." default:"load"`
	Size    byteSize      `help:"Size of the file, which is made if it is smaller." default:"256MiB"`
	Block   byteSize      `help:"Bytes of a request." default:"1MiB"`
	Depth   int           `help:"Requests at once." default:"1"`
	For     time.Duration `help:"Go on for this long." default:"1s"`
	Longest time.Duration `help:"Longest latency that is recorded as it is." default:"30s"`
}

// clientGC is by how much the client's heap may grow between two collections, percent.
const clientGC = 800

func (c *loadSMBCmd) Help() string {
	return `
SMB 2.1, one connection.

Examples:

  ustack load smb get --to 10.77.0.2:445 --share pub --depth 4
  ustack load smb read --to 10.77.0.2:445 --share pub --block 4KiB --depth 32
`
}

func (c *loadSMBCmd) Run(ctx context.Context) error {
	if c.Depth < 1 || c.Block < 1 || c.Size < c.Block {
		return fmt.Errorf("--depth %d --block %d --size %d: at least 1, and a file holds a block", c.Depth, c.Block, c.Size)
	}
	if err := c.settle(); err != nil {
		return err
	}
	// The client's collector is not what is measured: it is to run seldom.
	debug.SetGCPercent(clientGC)
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	congestion, err := congestionOf(conn)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	d := &smb2.Dialer{
		Negotiator: smb2.Negotiator{SpecifiedDialect: 0x210},
		Initiator:  &smb2.NTLMInitiator{User: c.User},
	}
	session, err := d.DialConn(ctx, conn, c.To)
	if err != nil {
		return fmt.Errorf("SMB session: %w", err)
	}
	share, err := session.Mount(c.Share)
	if err != nil {
		return fmt.Errorf("share %s: %w", c.Share, err)
	}
	r, err := c.exchange(share)
	if err := errors.Join(err, share.Umount(), session.Logoff()); err != nil {
		return err
	}
	r.Congestion, r.Conns = congestion, 1
	return c.print(r)
}

// exchange runs --depth loops at once.
func (c *loadSMBCmd) exchange(share *smb2.Share) (r loadResult, err error) {
	file, err := c.open(share)
	if err != nil {
		return r, err
	}
	defer file.Close()
	var (
		mu      sync.Mutex
		running sync.WaitGroup
		all     = newHistogram(c.Longest)
		failed  error
	)
	m := startMeter()
	began := time.Now()
	for i := range c.Depth {
		running.Go(func() {
			h := newHistogram(c.Longest)
			err := c.loop(share, file, i, began, h)
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	r.Seconds = time.Since(began).Seconds()
	m.stop(&r)
	r.setLatencies(all)
	r.All = r.Requests
	if c.What != "meta" {
		r.Bytes = uint64(r.Requests) * uint64(c.Block)
		r.Gbits = float64(r.Bytes) * 8 / 1e9 / r.Seconds
	}
	switch c.What {
	case "put":
		r.Sent = r.Bytes
	case "get", "read":
		r.Received = r.Bytes
	}
	return r, failed
}

// open opens the file, and sees to it that it is long enough: a read of a hole, or a
// write behind the end, costs something else.
func (c *loadSMBCmd) open(share *smb2.Share) (*smb2.File, error) {
	f, err := share.OpenFile(c.File, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", c.File, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	block := make([]byte, 1<<20)
	for off := fi.Size(); off < int64(c.Size) && c.What != "meta"; off += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), int64(c.Size)-off)], off); err != nil {
			return nil, errors.Join(fmt.Errorf("make file %s: %w", c.File, err), f.Close())
		}
	}
	return f, nil
}

// loop is one of --depth loops.
func (c *loadSMBCmd) loop(share *smb2.Share, file *smb2.File, loop int, began time.Time, h *hdrhistogram.Histogram) error {
	buf := make([]byte, c.Block)
	random := rand.New(rand.NewPCG(1, uint64(loop)))
	blocks := int64(c.Size / c.Block)
	for i := int64(loop); ; i += int64(c.Depth) {
		now := time.Now()
		if now.Sub(began) >= c.For {
			return nil
		}
		var err error
		switch c.What {
		case "put":
			_, err = file.WriteAt(buf, i%blocks*int64(c.Block))
		case "get":
			_, err = file.ReadAt(buf, i%blocks*int64(c.Block))
		case "read":
			_, err = file.ReadAt(buf, random.Int64N(blocks)*int64(c.Block))
		case "meta":
			err = createQueryClose(share, fmt.Sprintf("meta-%d", i%128))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.What, err)
		}
		_ = h.RecordValue(int64(min(time.Since(now), c.Longest)))
	}
}

func createQueryClose(share *smb2.Share, name string) error {
	f, err := share.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Stat()
	return errors.Join(err, f.Close())
}
