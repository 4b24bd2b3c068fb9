package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTime and stopTime bound how long a server may take to be ready and to go.
const (
	startTime = 10 * time.Second
	stopTime  = 15 * time.Second
)

// A lab is what scripts/lab.sh has put up.
type lab struct {
	name string
	with []string // further flags of user-space TCP's server
	// files is where shares are made; empty: among temporary files.
	files string
}

func (l lab) namespace(side string) string { return "ustack-" + l.name + "-" + side[:1] }

// check says whether the lab is up.
func (l lab) check() error {
	for _, side := range []string{"client", "server"} {
		if _, err := os.Stat("/run/netns/" + l.namespace(side)); err != nil {
			return fmt.Errorf("the lab %q is not up (scripts/lab.sh -n %s up): %w", l.name, l.name, err)
		}
	}
	return nil
}

// command makes a command that runs in the client's or the server's namespace, on
// the given processors.
func (l lab) command(ctx context.Context, side string, cpus []int, args ...string) *exec.Cmd {
	in := []string{"netns", "exec", l.namespace(side)}
	if len(cpus) > 0 {
		in = append(in, "taskset", "-c", cpuList(cpus))
	}
	c := exec.CommandContext(ctx, "ip", append(in, args...)...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopTime
	// A parent that is killed takes its children along.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return c
}

// routeCongestion is the congestion control that a side's route to an address sets.
func (l lab) routeCongestion(ctx context.Context, side, to string) (string, error) {
	out, err := l.command(ctx, side, nil, "ip", "route", "get", to).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("route to %s: %w: %s", to, err, out)
	}
	_, rest, ok := strings.Cut(string(out), "congctl ")
	if !ok {
		return "", fmt.Errorf("the route to %s sets no congestion control: %s", to, out)
	}
	name, _, _ := strings.Cut(rest, " ")
	return strings.TrimSpace(name), nil
}

func cpuList(cpus []int) string {
	s := make([]string, len(cpus))
	for i, c := range cpus {
		s[i] = strconv.Itoa(c)
	}
	return strings.Join(s, ",")
}

// A child is a server of this program in the lab.
type child struct {
	cmd    *exec.Cmd
	socket string
	dir    string
	stderr bytes.Buffer
	exited chan error
}

// serveAt starts "ustack serve SERVICE" on a stack, in the namespace of the given side, and returns when it answers.
func (l lab) serveAt(ctx context.Context, side, addr, stack, service string, cpus []int, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ustack-")
	if err != nil {
		return nil, err
	}
	c := &child{socket: filepath.Join(dir, "control"), dir: dir, exited: make(chan error, 1)}
	all := append([]string{self, "--log-level", "warn", "serve", service, "--stack", stack, "--addr", addr, "--control", c.socket}, args...)
	c.cmd = l.command(ctx, side, cpus, all...)
	c.cmd.Stderr = &c.stderr
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { c.exited <- c.cmd.Wait() }()
	for until := time.Now().Add(startTime); ; {
		if _, err := readSnapshot(c.socket); err == nil {
			return c, nil
		}
		select {
		case err := <-c.exited:
			c.exited <- err
			return nil, fmt.Errorf("%s server on %s did not start: %w", service, stack, errors.Join(err, c.stop()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(until) {
			return nil, errors.Join(fmt.Errorf("%s server on %s was not ready in %v", service, stack, startTime), c.stop())
		}
	}
}

func (c *child) snapshot() (snapshot, error) { return readSnapshot(c.socket) }

// ended is how the server has ended, nil while it runs.
func (c *child) ended() error {
	select {
	case err := <-c.exited:
		c.exited <- err
		if err == nil {
			return errors.New("ended by itself")
		}
		return c.fate(err)
	default:
		return nil
	}
}

// fate is how the server ended, with what it said of it.
func (c *child) fate(err error) error {
	if msg := strings.TrimSpace(c.stderr.String()); msg != "" {
		return fmt.Errorf("%w: %s", err, msg)
	}
	return err
}

// stop ends the server, and returns what went wrong with it.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	var err error
	select {
	case err = <-c.exited:
	case <-time.After(stopTime):
		err = errors.Join(errors.New("server did not stop in time"), c.cmd.Process.Kill())
		<-c.exited
	}
	if err != nil {
		err = c.fate(err)
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// usage is what a server has used between two snapshots.
type usage struct {
	cpu         time.Duration // of the server and of what ran beside it
	beside      time.Duration // of the latter alone
	calls       uint64
	retransmits uint64
	in, out     uint64
	placedIn    uint64
	copiedIn    uint64
	copiedOut   uint64
}

// since is what was used after o.
func (s snapshot) since(o snapshot) usage {
	return usage{
		cpu:         time.Duration((s.UserS+s.SystemS-o.UserS-o.SystemS)*float64(time.Second)) + s.beside - o.beside,
		beside:      s.beside - o.beside,
		calls:       s.Syscalls - o.Syscalls,
		retransmits: s.Retransmits - o.Retransmits,
		in:          s.Total.BytesIn - o.Total.BytesIn,
		out:         s.Total.BytesOut - o.Total.BytesOut,
		placedIn:    s.Total.PlacedIn - o.Total.PlacedIn,
		copiedIn:    s.Total.CopiedIn - o.Total.CopiedIn,
		copiedOut:   s.Total.CopiedOut - o.Total.CopiedOut,
	}
}

// twoCPUs is where the server and its client run: on a processor each, if there
// are two.
func twoCPUs(n int) (server, client []int) {
	if n < 2 {
		return []int{0}, []int{0}
	}
	return []int{0}, []int{1}
}

// median of values, of which there is at least one.
func median(v []float64) float64 {
	s := sorted(v)
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
