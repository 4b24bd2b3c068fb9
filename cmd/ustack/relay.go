package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/vishvananda/netns"

	"ustack/tap"
)

type relayCmd struct {
	TAP      string   `name:"tap" help:"TAP device here." default:"relay0"`
	HostAddr []string `help:"Prefix to put on it. May be repeated."`
	Far      string   `help:"Network namespace of the other TAP device, as 'ip netns' names it." required:""`
	FarTAP   string   `name:"far-tap" help:"TAP device there." default:"relay0"`
	FarAddr  []string `help:"Prefix to put on it. May be repeated."`
	CPU      []int    `name:"cpu" help:"Run on these processors only."`
}

func (c *relayCmd) Help() string {
	return `
Joins two TAP devices, and does nothing but move frames with their virtio-net headers
from one to the other. A server on kernel TCP behind it costs what kernel TCP costs
and the crossing of a TAP besides, which every byte to user-space TCP makes too.

Example, with a lab that is up:

  ./scripts/lab.sh exec client ustack relay --host-addr 10.81.0.1/24 --far ustack-lab-s --far-addr 10.81.0.2/24
`
}

func (c *relayCmd) Run(ctx context.Context, log *slog.Logger) error {
	runtime.GOMAXPROCS(1)
	if err := pin(c.CPU); err != nil {
		return err
	}
	near, err := openTAP(c.TAP, "--host-addr", c.HostAddr)
	if err != nil {
		return err
	}
	defer near.Close()
	var far tap.Device
	if err := inNamespace(c.Far, func() error {
		far, err = openTAP(c.FarTAP, "--far-addr", c.FarAddr)
		return err
	}); err != nil {
		return fmt.Errorf("namespace %s: %w", c.Far, err)
	}
	defer far.Close()
	a, err := near.AttachQueue()
	if err != nil {
		return err
	}
	b, err := far.AttachQueue()
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- moveFrames(near, a, b) }()
	go func() { ended <- moveFrames(far, b, a) }()
	log.Info("relaying", "tap", near.Name(), "far", c.Far, "far_tap", far.Name())
	fmt.Println(readyLine)
	select {
	case <-ctx.Done():
		err = errors.Join(near.Close(), far.Close(), <-ended)
	case err = <-ended:
		err = errors.Join(err, near.Close(), far.Close())
	}
	return errors.Join(err, <-ended)
}

// readyLine is what a program that has no control socket says when it is ready.
const readyLine = "ready"

// openTAP opens a TAP of one queue in the namespace of the calling thread.
func openTAP(name, flag string, addrs []string) (tap.Device, error) {
	host, err := prefixes(flag, addrs)
	if err != nil {
		return nil, err
	}
	dev, err := tap.Open(tap.Config{Name: name, Queues: 1, HostAddrs: host, Up: true})
	return dev, tapError(err)
}

// inNamespace calls f on a thread that is in the named network namespace.
func inNamespace(name string, f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	there, err := netns.GetFromName(name)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := netns.Set(home); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// moveFrames moves frames from one queue to another until the device is closed.
// What finds the other queue full waits, as on a link.
func moveFrames(dev tap.Device, from, to tap.Queue) error {
	buf := make([]byte, tap.HdrLen+tap.MaxFrame)
	in, out := [][]byte{buf}, [][]byte{nil}
	for {
		n, err := from.Readv(in)
		switch {
		case errors.Is(err, tap.ErrWouldBlock):
			if err := dev.Wait(); err != nil {
				return closedIsNoError(err)
			}
			continue
		case err != nil:
			return closedIsNoError(err)
		}
		out[0] = buf[:n]
		for {
			_, err := to.Writev(out)
			if errors.Is(err, tap.ErrWouldBlock) {
				runtime.Gosched()
				continue
			}
			if err != nil && !errors.Is(err, tap.ErrDown) && !errors.Is(err, tap.ErrBadFrame) {
				return closedIsNoError(err)
			}
			break
		}
	}
}

func closedIsNoError(err error) error {
	if errors.Is(err, tap.ErrClosed) {
		return nil
	}
	return err
}
