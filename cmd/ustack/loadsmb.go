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
	What     string        `arg:"" enum:"put,get,read,meta,list" help:"put: write the file in order. get: read it in order. read: read at random places. meta: create, query and close small files. list: list the directory --file whole."`
	Share    string        `help:"Share." default:"compare"`
	User     string        `help:"User; a server that lets in guests takes any." default:"guest"`
	Password string        `help:"The user's password."`
	Dialect  protocol      `help:"Dialect: SMB2_02, SMB2_10, SMB3_00, SMB3_02 or SMB3_11." default:"SMB2_10"`
	File     string        `help:"File." default:"load"`
	Size     byteSize      `help:"Size of the file, which is made if it is smaller." default:"256MiB"`
	Block    byteSize      `help:"Bytes of a request." default:"1MiB"`
	Depth    int           `help:"Requests at once." default:"1"`
	Warm     byteSize      `help:"Bytes to carry before anything counts." default:"96MiB"`
	For      time.Duration `help:"Go on for this long." default:"1s"`
	Longest  time.Duration `help:"Longest latency that is recorded as it is." default:"30s"`
}

// clientGC is by how much the client's heap may grow between two collections, percent.
const clientGC = 800

func (c *loadSMBCmd) Help() string {
	return `
One connection, by default in dialect 2.1. Messages are signed or encrypted if the server demands it.

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
		Negotiator: smb2.Negotiator{SpecifiedDialect: uint16(c.Dialect)},
		Initiator:  &smb2.NTLMInitiator{User: c.User, Password: c.Password},
	}
	session, err := d.DialConn(ctx, conn, c.To)
	if err != nil {
		return unlessCalledOff(ctx, fmt.Errorf("SMB session: %w", err))
	}
	share, err := session.Mount(c.Share)
	if err != nil {
		return unlessCalledOff(ctx, fmt.Errorf("share %s: %w", c.Share, err))
	}
	r, err := c.exchange(share)
	if err := errors.Join(err, share.Umount(), session.Logoff()); err != nil {
		return unlessCalledOff(ctx, err)
	}
	r.Congestion, r.Conns = congestion, 1
	return c.print(r)
}

// exchange runs --depth loops at once.
func (c *loadSMBCmd) exchange(share *smb2.Share) (r loadResult, err error) {
	var file *smb2.File
	if c.What != "list" {
		if file, err = c.open(share); err != nil {
			return r, err
		}
		defer file.Close()
	}
	var (
		mu      sync.Mutex
		running sync.WaitGroup
		all     = newHistogram(c.Longest)
		warmed  int64
		counted time.Duration
		failed  error
	)
	m := startMeter(c.Count)
	start := newStartLine(c.Depth)
	for i := range c.Depth {
		running.Go(func() {
			h := newHistogram(c.Longest)
			warm, took, err := c.loop(share, file, i, start, h)
			mu.Lock()
			defer mu.Unlock()
			all.Merge(h)
			warmed += warm
			counted = max(counted, took)
			failed = errors.Join(failed, err)
		})
	}
	running.Wait()
	r.Seconds = counted.Seconds()
	m.stop(&r)
	r.setLatencies(all)
	r.All = r.Requests + warmed
	if c.What != "meta" && c.What != "list" {
		r.Bytes = uint64(r.Requests) * uint64(c.Block)
		r.AllBytes = uint64(r.All) * uint64(c.Block)
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

// warmups is how many requests of each loop do not count: a client has to have touched
// the memory that it allocates from once, which on a virtual machine takes long.
func (c *loadSMBCmd) warmups() int64 {
	if c.What == "list" {
		return 1
	}
	return min(int64(c.Warm/c.Block), mostWarmups)/int64(c.Depth) + 1
}

// mostWarmups bounds them where requests are small.
const mostWarmups = 256

// loop is one of --depth loops. It returns how many requests did not count, and how
// long those that did took together. The clock of all loops begins when the last of them
// is warm: rates of windows that lie side by side only in part can't be added.
func (c *loadSMBCmd) loop(share *smb2.Share, file *smb2.File, loop int, start *startLine, h *hdrhistogram.Histogram) (warmed int64, took time.Duration, err error) {
	buf := make([]byte, c.Block)
	random := rand.New(rand.NewPCG(1, uint64(loop)))
	request := func() error {
		i := warmed*int64(c.Depth) + int64(loop)
		if err := c.request(share, file, buf, random, i+h.TotalCount()*int64(c.Depth)); err != nil {
			return fmt.Errorf("%s: %w", c.What, err)
		}
		return nil
	}
	for ; warmed < c.warmups(); warmed++ {
		if err := request(); err != nil {
			start.leave()
			return 0, 0, err
		}
	}
	began := start.await()
	for now := time.Now(); now.Sub(began) < c.For; now = time.Now() {
		if err := request(); err != nil {
			return 0, 0, err
		}
		_ = h.RecordValue(int64(min(time.Since(now), c.Longest)))
	}
	return warmed, time.Since(began), nil
}

// request makes the i-th request.
func (c *loadSMBCmd) request(share *smb2.Share, file *smb2.File, buf []byte, random *rand.Rand, i int64) (err error) {
	blocks := int64(c.Size / c.Block)
	switch c.What {
	case "put":
		_, err = file.WriteAt(buf, i%blocks*int64(c.Block))
	case "get":
		_, err = file.ReadAt(buf, i%blocks*int64(c.Block))
	case "read":
		_, err = file.ReadAt(buf, random.Int64N(blocks)*int64(c.Block))
	case "list":
		var entries []os.FileInfo
		if entries, err = share.ReadDir(c.File); err == nil && len(entries) == 0 {
			err = fmt.Errorf("%s: no entries", c.File)
		}
	case "meta":
		err = createQueryClose(share, fmt.Sprintf("meta-%d", i%metaFiles))
	}
	return err
}

// metaFiles is how many files metadata requests go round.
const metaFiles = 128

func createQueryClose(share *smb2.Share, name string) error {
	f, err := share.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Stat()
	return errors.Join(err, f.Close())
}
