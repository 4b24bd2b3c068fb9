package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"ustack/cmd/ustack/compare"
)

// A seat is where in the lab a contender's server runs, and where it is found.
type seat struct {
	stack string // what it is asked to run on, and must say that it runs on
	side  string
	serve string // for --addr
	at    string // where the client finds it
	args  []string
	// beside is what has to run beside the server, in the client's namespace.
	beside []string
}

// seats of the contenders that serve areas. Each has addresses of its own, so that
// the servers of a round can stand side by side.
func (l lab) seats() map[string]seat {
	far := l.namespace("server")
	return map[string]seat{
		compare.Ustack:    {stack: "netstack", side: "client", serve: "10.77.0.2/24", at: "10.77.0.2"},
		compare.Veth:      {stack: "kernel", side: "server", serve: "10.78.0.2", at: "10.78.0.2"},
		compare.VethPlain: {stack: "kernel", side: "server", serve: "10.80.0.2", at: "10.80.0.2"},
		compare.Loopback:  {stack: "kernel", side: "client", serve: "127.0.0.1", at: "127.0.0.1"},
		compare.Relay: {stack: "kernel", side: "server", serve: "10.81.0.2", at: "10.81.0.2", beside: []string{
			"relay", "--tap", "relay0", "--host-addr", "10.81.0.1/24", "--far", far, "--far-tap", "relay0", "--far-addr", "10.81.0.2/24",
		}},
		compare.Copy: {
			stack: "netstack", side: "client", serve: "10.84.0.2/24", at: "10.84.0.2",
			args: []string{"--tap", "copy0", "--host-addr", "10.84.0.1/24", "--copy-all"},
		},
		compare.Stock: {
			stack: "stock", side: "client", serve: "10.82.0.2/24", at: "10.82.0.2",
			args: []string{"--tap", "stock0", "--host-addr", "10.82.0.1/24"},
		},
	}
}

// missing says why a contender cannot take part; empty if it can.
func (l lab) missing(ctx context.Context, contender string) string {
	switch contender {
	case compare.VethPlain:
		if err := l.command(ctx, "client", nil, "ip", "link", "show", "veth1").Run(); err != nil {
			return "the lab has no veth pair without offloads: install ethtool, and put the lab up again"
		}
	case compare.Smbd:
		if _, err := exec.LookPath("smbd"); err != nil {
			return "Samba's smbd is not installed (Debian: apt-get install samba)"
		}
	}
	return ""
}

// placed is which processors server and client run on.
func placed(placement string) (server, client []int) {
	server, client = twoCPUs(runtime.NumCPU())
	if placement == compare.OneCPU {
		client = server
	}
	return server, client
}

// counted is whose time is the system's: what other processors do is nobody's here.
func counted(placement string) []int {
	server, client := placed(placement)
	if slices.Equal(server, client) {
		return server
	}
	return slices.Concat(server, client)
}

// A failure is an error with who failed.
type failure struct {
	who string
	err error
}

func (f *failure) Error() string { return f.who + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// partyOf is who failed, if an error says so.
func partyOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.who
	}
	return ""
}

// blame says who failed when a run has: a namespace that is gone takes all in it along,
// and a server that is gone its client and its control socket.
func (l lab) blame(err error, c contestant) error {
	if err == nil {
		return nil
	}
	if gone := l.check(); gone != nil {
		return &failure{"namespace", errors.Join(gone, err)}
	}
	if c != nil {
		if name, dead := deathOf(c); dead != nil {
			return &failure{name, fmt.Errorf("ended while it was measured: %w; then: %w", dead, err)}
		}
	}
	if _, known := errors.AsType[*failure](err); known {
		return err
	}
	return &failure{"client", err}
}

// noticeTime is how much later than its sockets a process's end may be told.
const noticeTime = 500 * time.Millisecond

// deathOf tells which program of a contestant has ended.
func deathOf(c contestant) (name string, err error) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for until := time.Now().Add(noticeTime); time.Now().Before(until); <-again.C {
		if name, err = c.died(); err != nil {
			return name, err
		}
	}
	return "", nil
}
