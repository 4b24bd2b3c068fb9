package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type loadCmd struct {
	Push loadPushCmd `cmd:"" help:"Send bytes, as fast as they are taken."`
	Pull loadPullCmd `cmd:"" help:"Receive until the server ends the stream."`
	Ping loadPingCmd `cmd:"" help:"Send a message, wait until as much has come back, and again."`
}

type loadFlags struct {
	To         string `help:"Server, as address:port." required:""`
	Flows      int    `help:"Connections at once." default:"1"`
	Congestion string `help:"Congestion control of the client's sockets." default:"cubic"`
	CPU        []int  `name:"cpu" help:"Run on these processors only."`
	JSON       bool   `help:"Print JSON."`
}

// A loadResult is what a load has done. Durations are in seconds, latencies in
// microseconds.
type loadResult struct {
	Bytes    uint64  `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Gbits    float64 `json:"gbit_per_s"`
	Requests int64   `json:"requests,omitempty"`
	P50us    float64 `json:"p50_us,omitempty"`
	P99us    float64 `json:"p99_us,omitempty"`
	P999us   float64 `json:"p999_us,omitempty"`
	ClientS  float64 `json:"client_cpu_s"`
	// Congestion is what the kernel says of the client's sockets.
	Congestion string `json:"congestion_control"`
}

func (f *loadFlags) connect(ctx context.Context) ([]*net.TCPConn, error) {
	if f.Flows < 1 || f.Flows > 10000 {
		return nil, fmt.Errorf("--flows %d: want 1 to 10000", f.Flows)
	}
	if err := pin(f.CPU); err != nil {
		return nil, err
	}
	if len(f.CPU) == 1 {
		runtime.GOMAXPROCS(1)
	}
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return setCongestion(c, f.Congestion)
	}}
	d.SetMultipathTCP(false)
	var conns []*net.TCPConn
	for range f.Flows {
		c, err := d.DialContext(ctx, "tcp", f.To)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, err
		}
		conns = append(conns, c.(*net.TCPConn))
	}
	return conns, nil
}

// run runs one for each connection at once, and measures.
func (f *loadFlags) run(ctx context.Context, one func(*net.TCPConn) (uint64, error)) (loadResult, error) {
	conns, err := f.connect(ctx)
	if err != nil {
		return loadResult{}, err
	}
	congestion, err := congestionOf(conns[0])
	if err != nil {
		return loadResult{}, err
	}
	stop := context.AfterFunc(ctx, func() {
		for _, c := range conns {
			c.Close()
		}
	})
	defer stop()
	var (
		running sync.WaitGroup
		total   atomic.Uint64
		failed  atomic.Pointer[error]
	)
	u0, s0 := cpuTime()
	began := time.Now()
	for _, c := range conns {
		running.Go(func() {
			defer c.Close()
			n, err := one(c)
			total.Add(n)
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	u1, s1 := cpuTime()
	if err := failed.Load(); err != nil {
		return loadResult{}, *err
	}
	return loadResult{
		Bytes: total.Load(), Seconds: took.Seconds(),
		Gbits:   float64(total.Load()) * 8 / 1e9 / took.Seconds(),
		ClientS: (u1 + s1 - u0 - s0).Seconds(), Congestion: congestion,
	}, nil
}

func (f *loadFlags) print(r loadResult) error {
	if f.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	if r.Requests > 0 {
		fmt.Printf("%d requests in %.2f s, p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", r.Requests, r.Seconds, r.P50us, r.P99us, r.P999us)
		return nil
	}
	fmt.Printf("%d bytes in %.2f s: %.2f Gbit/s; client CPU %.2f s\n", r.Bytes, r.Seconds, r.Gbits, r.ClientS)
	return nil
}

type loadPushCmd struct {
	loadFlags
	Bytes byteSize `help:"Bytes to send on each connection." default:"1GiB"`
}

func (c *loadPushCmd) Run(ctx context.Context) error {
	r, err := c.run(ctx, func(conn *net.TCPConn) (uint64, error) {
		buf := make([]byte, 256<<10)
		left := uint64(c.Bytes)
		for left > 0 {
			n, err := conn.Write(buf[:min(left, uint64(len(buf)))])
			left -= uint64(n)
			if err != nil {
				return uint64(c.Bytes) - left, err
			}
		}
		// All has arrived when the server has seen our end and ended too.
		if err := conn.CloseWrite(); err != nil {
			return uint64(c.Bytes), err
		}
		_, err := io.Copy(io.Discard, conn)
		return uint64(c.Bytes), err
	})
	if err != nil {
		return err
	}
	return c.print(r)
}

type loadPullCmd struct{ loadFlags }

func (c *loadPullCmd) Run(ctx context.Context) error {
	r, err := c.run(ctx, func(conn *net.TCPConn) (uint64, error) {
		buf := make([]byte, 256<<10)
		total := uint64(0)
		for {
			n, err := conn.Read(buf)
			total += uint64(n)
			if err == io.EOF {
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
	return c.print(r)
}

type loadPingCmd struct {
	loadFlags
	Size     int           `help:"Bytes of a message." default:"64"`
	Requests int64         `help:"Round trips on each connection, after a tenth as many that do not count." default:"20000"`
	Longest  time.Duration `help:"Give up on a round trip after this time." default:"10s"`
}

func (c *loadPingCmd) Run(ctx context.Context) error {
	if c.Size < 1 || c.Requests < 1 {
		return fmt.Errorf("--size %d --requests %d: both at least 1", c.Size, c.Requests)
	}
	var mu sync.Mutex
	all := hdrhistogram.New(100, int64(c.Longest), 3)
	r, err := c.run(ctx, func(conn *net.TCPConn) (uint64, error) {
		h := hdrhistogram.New(100, int64(c.Longest), 3)
		msg := make([]byte, c.Size)
		for i := range c.Requests + c.Requests/10 {
			began := time.Now()
			_ = conn.SetDeadline(began.Add(c.Longest))
			if _, err := conn.Write(msg); err != nil {
				return 0, err
			}
			if _, err := io.ReadFull(conn, msg); err != nil {
				return 0, err
			}
			if i >= c.Requests/10 {
				_ = h.RecordValue(int64(time.Since(began))) // within Longest
			}
		}
		mu.Lock()
		all.Merge(h)
		mu.Unlock()
		return uint64(c.Requests) * uint64(c.Size) * 2, nil
	})
	if err != nil {
		return err
	}
	r.Requests = all.TotalCount()
	r.P50us = float64(all.ValueAtQuantile(50)) / 1e3
	r.P99us = float64(all.ValueAtQuantile(99)) / 1e3
	r.P999us = float64(all.ValueAtQuantile(99.9)) / 1e3
	return c.print(r)
}
