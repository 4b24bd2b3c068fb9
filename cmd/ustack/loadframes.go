package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

type loadFramesCmd struct {
	Device string        `help:"Network device." required:""`
	For    time.Duration `help:"Go on for this long." default:"1s"`
	CPU    []int         `name:"cpu" help:"Run on these processors only."`
	JSON   bool          `help:"Print JSON."`
}

func (c *loadFramesCmd) Help() string {
	return `
The frames are trains of TCP segments of a connection that does not exist, with
virtio-net headers, through a packet socket: what a TAP device can carry when nobody
does TCP. 'ustack ceiling read' takes them.

Example:

  ustack load frames --device ustack0 --for 2s
`
}

func (c *loadFramesCmd) Run(ctx context.Context) error {
	f := loadFlags{CPU: c.CPU, JSON: c.JSON}
	if err := f.settle(); err != nil {
		return err
	}
	dev, err := net.InterfaceByName(c.Device)
	if err != nil {
		return fmt.Errorf("--device %s: %w", c.Device, err)
	}
	fd, err := packetSocket(dev.Index)
	if err != nil {
		return fmt.Errorf("packet socket on %s (needs CAP_NET_RAW): %w", c.Device, err)
	}
	defer unix.Close(fd)
	frame, err := gsoFrame(dev.HardwareAddr, net.HardwareAddr{2, 0, 0, 0, 0, 1})
	if err != nil {
		return err
	}
	r := loadResult{}
	m := startMeter(nil)
	began := time.Now()
	for time.Since(began) < c.For && ctx.Err() == nil {
		_, err := unix.Write(fd, frame)
		switch {
		case err == unix.ENOBUFS: // the device's queue is full: it is the reader's turn
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 1); err != nil && err != unix.EINTR {
				return os.NewSyscallError("poll", err)
			}
			continue
		case err != nil:
			return os.NewSyscallError("write", err)
		}
		r.Sent += gsoPayload
	}
	r.Seconds = time.Since(began).Seconds()
	m.stop(&r)
	r.Bytes, r.Gbits = r.Sent, float64(r.Sent)*8/1e9/r.Seconds
	return f.print(r)
}

// packetSocket sends frames with virtio-net headers to a device. It holds a few of
// them at a time: the queue of a socket is no part of what is measured.
func packetSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for _, set := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20) },
		func() error { return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}) },
	} {
		if err := set(); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}
