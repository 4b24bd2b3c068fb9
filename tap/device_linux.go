package tap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An iface is what the parts of a device have in common.
type iface struct {
	claim claim // to the interface, until the last part is closed
	multi bool

	mu         sync.Mutex // guards what follows, and the queues of the parts
	parts      int        // that are not closed
	first      *queue     // attached by Open, given out by the first AttachQueue
	attached   []*queue   // by any part
	unattached []int      // descriptors for further queues
}

// A device is a TAP interface of the kernel, or a part of one. Ready and Wait look at one epoll
// descriptor over its queues; that descriptor is itself registered with Go's poller.
type device struct {
	*iface
	name string
	mtu  int
	mac  net.HardwareAddr

	epoll  *os.File
	epfd   int
	gate   gate              // for epfd, in Ready
	events []unix.EpollEvent // of the goroutine in Ready

	// Of the goroutine in Wait.
	raw       syscall.RawConn
	pollWait  func(fd uintptr) bool // made once, so that Wait allocates nothing
	waitEvent [1]unix.EpollEvent
	waited    bool

	// Guarded by mu.
	queues []*queue
	closed bool
}

func newDevice(name string, first int, multi bool) (*device, error) {
	return newPart(&iface{claim: -1, multi: multi, first: &queue{fd: first}}, name)
}

// newPart makes a device of the queues that it will attach.
func newPart(shared *iface, name string) (*device, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("tap: epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("tap: epoll descriptor: %w", err)
	}
	d := &device{iface: shared, name: name, epfd: epfd, epoll: os.NewFile(uintptr(epfd), "epoll of "+name)}
	n := 1
	if shared.multi {
		n = MaxQueues
	}
	d.events = make([]unix.EpollEvent, n)
	d.pollWait = func(fd uintptr) bool {
		if d.waited { // woken: who reads will see
			return true
		}
		d.waited = true
		return pollNow(int(fd), d.waitEvent[:]) > 0
	}
	if d.raw, err = d.epoll.SyscallConn(); err == nil {
		// Only a file that Go's poller has accepted can be closed under a
		// goroutine that waits, and that is what can have a deadline.
		err = d.epoll.SetReadDeadline(time.Time{})
	}
	if err != nil {
		d.epoll.Close()
		return nil, fmt.Errorf("tap: Go's poller refuses an epoll descriptor: %w", err)
	}
	shared.parts++
	return d, nil
}

// Split implements Splitter.
func (d *device) Split() (Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	part, err := newPart(d.iface, d.name)
	if err != nil {
		return nil, err
	}
	part.mtu, part.mac = d.mtu, d.mac
	return part, nil
}

func (d *device) Name() string { return d.name }

// MTU is that of the interface at Open.
func (d *device) MTU() int { return d.mtu }

func (d *device) HardwareAddr() net.HardwareAddr { return slices.Clone(d.mac) }

func (d *device) AttachQueue() (Queue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	q, err := d.nextQueue()
	if err != nil {
		return nil, err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(len(d.queues))}
	if err := unix.EpollCtl(d.epfd, unix.EPOLL_CTL_ADD, q.fd, &ev); err != nil {
		q.Close()
		return nil, fmt.Errorf("tap: queue %d of %s: epoll_ctl: %w", len(d.queues), d.name, err)
	}
	d.queues = append(d.queues, q)
	d.attached = append(d.attached, q)
	return q, nil
}

func (d *device) nextQueue() (*queue, error) {
	if q := d.first; q != nil {
		d.first = nil
		return q, nil
	}
	if len(d.unattached) == 0 {
		return nil, fmt.Errorf("%w: %s was opened for %d", ErrNoQueue, d.name, len(d.attached))
	}
	if !slices.ContainsFunc(d.attached, (*queue).alive) {
		// Attaching would create a new interface of that name.
		return nil, fmt.Errorf("%w: no queue of %s is left to join", ErrGone, d.name)
	}
	fd := d.unattached[0]
	d.unattached = d.unattached[1:]
	if err := attach(fd, d.name, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &queue{fd: fd}, nil
}

func (d *device) Ready(dst []int) []int {
	if d.gate.enter() {
		n := pollNow(d.epfd, d.events)
		for i := range d.events[:n] {
			dst = append(dst, int(d.events[i].Fd))
		}
	}
	d.leave()
	return dst
}

func (d *device) leave() {
	if d.gate.leave() {
		d.epoll.Close()
	}
}

func (d *device) Wait() error {
	d.waited = false
	err := d.raw.Read(d.pollWait)
	if err == nil {
		return nil
	}
	if d.gate.isShut() { // the error of a closed os.File is not one for errors.Is
		return ErrClosed
	}
	return fmt.Errorf("tap: wait for a frame on %s: %w", d.name, err)
}

// Close returns at once, and leaves other parts as they are; a call on a queue that runs meanwhile ends first, and
// the queue is detached when it has.
func (d *device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	var errs []error
	for _, q := range d.queues {
		errs = append(errs, q.Close())
	}
	if d.parts--; d.parts == 0 {
		if d.first != nil {
			errs = append(errs, d.first.Close())
		}
		for _, fd := range d.unattached {
			errs = append(errs, unix.Close(fd))
		}
		d.unattached = nil
		errs = append(errs, d.claim.release())
	}
	d.mu.Unlock()

	if d.gate.shut() {
		errs = append(errs, d.epoll.Close())
	}
	return errors.Join(errs...)
}

// Stats returns the counts of all queues together.
func (d *device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	var s Stats
	for _, q := range d.queues {
		s.add(q.Stats())
	}
	return s
}
