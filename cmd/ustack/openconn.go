package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollLoop is an openLoop's connections on kernel sockets, all on one thread:
// ppoll sleeps to the microsecond, which Go's poller does not.
type pollLoop struct {
	conns []*pollConn
	fds   []unix.PollFd
	files []*os.File
	began time.Time
}

// newPollLoop takes the connections' sockets over.
func newPollLoop(conns []*net.TCPConn, size int) (*pollLoop, error) {
	p := &pollLoop{began: time.Now()}
	for _, c := range conns {
		f, err := c.File() // a duplicate: the poller keeps the other one
		if err != nil {
			p.Close()
			return nil, err
		}
		p.files = append(p.files, f)
		fd := int(f.Fd())
		if err := unix.SetNonblock(fd, true); err != nil {
			p.Close()
			return nil, err
		}
		p.conns = append(p.conns, &pollConn{fd: fd, size: size, buf: make([]byte, 64<<10)})
		p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	// The default slack of 50 us would be the greater part of a latency.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		p.Close()
		return nil, fmt.Errorf("timer slack: %w", err)
	}
	return p, nil
}

func (p *pollLoop) Close() {
	for _, f := range p.files {
		f.Close()
	}
}

func (p *pollLoop) now() time.Duration { return time.Since(p.began) }

func (p *pollLoop) wait(until time.Duration) error {
	for i, c := range p.conns {
		p.fds[i].Events = unix.POLLIN
		if c.unsent > 0 {
			p.fds[i].Events |= unix.POLLOUT
		}
	}
	timeout := unix.NsecToTimespec(int64(max(0, until-p.now())))
	if _, err := unix.Ppoll(p.fds, &timeout, nil); err != nil && err != unix.EINTR {
		return os.NewSyscallError("ppoll", err)
	}
	for i, c := range p.conns {
		if p.fds[i].Revents&unix.POLLOUT != 0 {
			if err := c.flush(); err != nil {
				return err
			}
		}
		c.readable = p.fds[i].Revents&^unix.POLLOUT != 0
	}
	return nil
}

// A pollConn is one of them.
type pollConn struct {
	fd, size int
	buf      []byte
	readable bool
	unsent   int // bytes
	got      int // bytes of a reply that is not yet whole
	in, out  uint64
}

func (c *pollConn) send() error {
	c.unsent += c.size
	return c.flush()
}

func (c *pollConn) flush() error {
	for c.unsent > 0 {
		n, err := unix.Write(c.fd, c.buf[:min(c.unsent, len(c.buf))])
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("write", err)
		}
		c.unsent -= n
		c.out += uint64(n)
	}
	return nil
}

func (c *pollConn) replies() (int, error) {
	if !c.readable {
		return 0, nil
	}
	c.readable = false
	n, err := unix.Read(c.fd, c.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	c.in += uint64(n)
	c.got += n
	whole := c.got / c.size
	c.got %= c.size
	return whole, nil
}
