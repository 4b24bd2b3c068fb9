package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	Push    loadPushCmd    `cmd:"" help:"Send bytes, as fast as they are taken."`
	Pull    loadPullCmd    `cmd:"" help:"Receive until the server ends the stream."`
	Ping    loadPingCmd    `cmd:"" help:"Send a message, wait until as much has come back, and again."`
	Open    loadOpenCmd    `cmd:"" help:"Send messages at a given rate, whether or not replies come; latency counts from when each was due."`
	Connect loadConnectCmd `cmd:"" help:"Connect, send a message, wait for as much, close, and again."`
	Many    loadManyCmd    `cmd:"" help:"Hold many connections open, with messages on some of them."`
	SMB     loadSMBCmd     `cmd:"" name:"smb" help:"Write, read and open files of an SMB share."`
	Frames  loadFramesCmd  `cmd:"" help:"Put 64 KiB frames into a device, without TCP."`
}

type loadFlags struct {
	To         string `help:"Server, as address:port." required:""`
	Flows      int    `help:"Connections at once." default:"1"`
	Congestion string `help:"Congestion control of the client's sockets." default:"cubic"`
	CPU        []int  `name:"cpu" help:"Run on these processors only."`
	Count      []int  `name:"count-cpu" help:"Processors whose time is told as the system's (default: all)."`
	JSON       bool   `help:"Print JSON."`

	opened func([]*net.TCPConn) error // called by run when the connections are open
}

// A loadResult is what a load has done. Durations are in seconds, latencies in
// microseconds.
type loadResult struct {
	Bytes uint64 `json:"bytes"`
	// Sent and Received are payload bytes on all connections, those of a warm-up too:
	// what the server must have counted.
	Sent     uint64  `json:"sent"`
	Received uint64  `json:"received"`
	Seconds  float64 `json:"seconds"`
	Gbits    float64 `json:"gbit_per_s"`
	Requests int64   `json:"requests,omitempty"`
	P50us    float64 `json:"p50_us,omitempty"`
	P99us    float64 `json:"p99_us,omitempty"`
	P999us   float64 `json:"p999_us,omitempty"`
	MaxUs    float64 `json:"max_us,omitempty"`
	// Conns is how many connections were open at once.
	Conns   int     `json:"connections"`
	ClientS float64 `json:"client_cpu_s"`
	// SystemS is how long the processors that count were busy meanwhile, with whatever there was;
	// All and AllBytes are how many requests and bytes were made and carried meanwhile,
	// those of a warm-up too.
	SystemS  float64 `json:"system_cpu_s"`
	All      int64   `json:"all_requests"`
	AllBytes uint64  `json:"all_bytes"`
	// Congestion is what the kernel says of the client's sockets.
	Congestion string `json:"congestion_control"`
}

// settle puts the load where it is to run.
func (f *loadFlags) settle() error {
	if len(f.CPU) == 1 {
		runtime.GOMAXPROCS(1)
	}
	return pin(f.CPU)
}

// dial opens one connection, with the congestion control that was asked for.
func (f *loadFlags) dial(ctx context.Context) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return setCongestion(c, f.Congestion)
	}}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, "tcp", f.To)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

func (f *loadFlags) connect(ctx context.Context) ([]*net.TCPConn, error) {
	if f.Flows < 1 || f.Flows > 10000 {
		return nil, fmt.Errorf("--flows %d: want 1 to 10000", f.Flows)
	}
	if err := f.settle(); err != nil {
		return nil, err
	}
	var conns []*net.TCPConn
	for range f.Flows {
		c, err := f.dial(ctx)
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func closeAll(conns []*net.TCPConn) {
	for _, c := range conns {
		c.Close()
	}
}

// unlessCalledOff is why a load has failed: that it was called off, where that has closed its connections.
func unlessCalledOff(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// run runs one for each connection at once, and measures. All of them are given the time
// at which the load began: when every connection was open, for what it takes to open many
// is no part of what they then do.
func (f *loadFlags) run(ctx context.Context, one func(conn *net.TCPConn, began time.Time) (uint64, error)) (loadResult, error) {
	conns, err := f.connect(ctx)
	if err != nil {
		return loadResult{}, err
	}
	congestion, err := congestionOf(conns[0])
	if err != nil {
		return loadResult{}, err
	}
	stop := context.AfterFunc(ctx, func() { closeAll(conns) })
	defer stop()
	if f.opened != nil {
		if err := f.opened(conns); err != nil {
			closeAll(conns)
			return loadResult{}, err
		}
	}
	var (
		running sync.WaitGroup
		total   atomic.Uint64
		failed  atomic.Pointer[error]
	)
	m := startMeter(f.Count)
	began := time.Now()
	for _, c := range conns {
		running.Go(func() {
			defer c.Close()
			n, err := one(c, began)
			total.Add(n)
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return loadResult{}, unlessCalledOff(ctx, *err)
	}
	r := loadResult{
		Bytes: total.Load(), Seconds: took.Seconds(),
		Gbits:      float64(total.Load()) * 8 / 1e9 / took.Seconds(),
		Congestion: congestion, Conns: len(conns),
	}
	m.stop(&r)
	return r, nil
}

// A meter measures CPU time, this process's and that of the machine's processors.
type meter struct {
	cpus            []int // whose time is the system's; none: all
	process, system time.Duration
}

func startMeter(cpus []int) meter {
	user, system := cpuTime()
	busy, _ := systemCPU(cpus) // where there is no /proc, 0 is what is told
	return meter{cpus, user + system, busy}
}

func (m meter) stop(r *loadResult) {
	now := startMeter(m.cpus)
	r.AllBytes = r.Bytes // where nothing is said about a warm-up
	r.ClientS, r.SystemS = (now.process - m.process).Seconds(), (now.system - m.system).Seconds()
}

// setLatencies fills in what a histogram of nanoseconds holds.
func (r *loadResult) setLatencies(h *hdrhistogram.Histogram) {
	us := func(ns int64) float64 { return float64(ns) / 1e3 }
	r.Requests = h.TotalCount()
	r.P50us, r.P99us, r.P999us = us(h.ValueAtQuantile(50)), us(h.ValueAtQuantile(99)), us(h.ValueAtQuantile(99.9))
	r.MaxUs = us(h.Max())
}

func (f *loadFlags) print(r loadResult) error {
	if f.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	if r.Requests > 0 {
		fmt.Printf("%d requests in %.2f s (%.0f/s), p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", r.Requests, r.Seconds, float64(r.Requests)/r.Seconds, r.P50us, r.P99us, r.P999us)
		return nil
	}
	fmt.Printf("%d bytes in %.2f s: %.2f Gbit/s; client CPU %.2f s\n", r.Bytes, r.Seconds, r.Gbits, r.ClientS)
	return nil
}
