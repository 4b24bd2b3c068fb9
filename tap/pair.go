package tap

import (
	"fmt"
	"net"
	"slices"
	"sync"
)

// A PairConfig describes a link in memory. The zero value is a good one.
type PairConfig struct {
	A, B PairEnd
	// Queues is how many queues each end may attach, 1 to MaxQueues; 0 is DefaultQueues.
	Queues int
	// Depth is how many frames a queue holds before a writer gets ErrWouldBlock; 0 is 1024.
	Depth int
	// MTU in bytes; 0 is 1500. It is not enforced.
	MTU int
}

// A PairEnd is one end of the link.
type PairEnd struct {
	// Name is what the end's Device.Name returns; empty is "pairA" or "pairB".
	Name string
	// HardwareAddr is this end's address, which the Device of the *other* end
	// tells. Nil is 02:00:00:00:00:0a or :0b.
	HardwareAddr net.HardwareAddr
}

// NewPair returns both ends of a link in memory: what is written to one can be read
// from the other, unchanged and with its virtio-net header, as if two TAP devices
// were joined back to back. No frame is lost without an error: a full queue is
// ErrWouldBlock for its writer, and that writer's Device.Wait returns when there is room
// again; after Close of one end, writes to the other are ErrDown.
//
// An end takes frames from the beginning: until its first AttachQueue they
// wait in queue 0. It panics if the configuration is out of bounds.
func NewPair(c PairConfig) (a, b Device) {
	c.defaults()
	link := new(pairLink)
	sa := newPairSide(link, &c, c.A.Name, c.B.HardwareAddr)
	sb := newPairSide(link, &c, c.B.Name, c.A.HardwareAddr)
	sa.peer, sb.peer = sb, sa
	return sa.part(), sb.part()
}

func (c *PairConfig) defaults() {
	if c.Queues == 0 {
		c.Queues = DefaultQueues
	}
	if c.Depth == 0 {
		c.Depth = 1024
	}
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.Queues < 1 || c.Queues > MaxQueues || c.Depth < 1 || c.MTU < 1 {
		panic(fmt.Sprintf("tap: NewPair: %d queues of %d frames, MTU %d", c.Queues, c.Depth, c.MTU))
	}
	c.A.defaults("pairA", 0x0a)
	c.B.defaults("pairB", 0x0b)
}

func (e *PairEnd) defaults(name string, last byte) {
	if e.Name == "" {
		e.Name = name
	}
	if e.HardwareAddr == nil {
		e.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, last}
	}
}

// A pairLink is what both ends share: one lock for all, and frames' memory.
type pairLink struct {
	mu   sync.Mutex // guards both ends and all their queues
	pool framePool
}

// A pairSide is one end.
type pairSide struct {
	name      string
	mtu       int
	peerAddr  net.HardwareAddr
	depth     int
	maxQueues int
	link      *pairLink
	peer      *pairSide

	// Guarded by link.mu.
	queues   []*pairQueue // never empty; those from attached on only take frames
	attached int
	flows    steering
	parts    []*pairDevice // that are not closed
}

// A pairDevice is an end, or a part of one.
type pairDevice struct {
	*pairSide
	wake chan struct{} // one slot: something has changed for Wait
	gone chan struct{} // closed by Close

	// Guarded by link.mu.
	mine     []*pairQueue // in order of AttachQueue
	wantRoom bool         // a writer here found the peer's queue full
	roomBack bool         // the peer has read since
	closed   bool
}

func newPairSide(link *pairLink, c *PairConfig, name string, peerAddr net.HardwareAddr) *pairSide {
	s := &pairSide{
		name: name, mtu: c.MTU, peerAddr: slices.Clone(peerAddr),
		depth: c.Depth, maxQueues: c.Queues, link: link,
		flows: make(steering),
	}
	s.queues = []*pairQueue{{side: s}}
	return s
}

// part makes a device of the queues that it will attach.
func (s *pairSide) part() *pairDevice {
	d := &pairDevice{pairSide: s, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	s.parts = append(s.parts, d)
	return d
}

// Split implements Splitter.
func (d *pairDevice) Split() (Device, error) {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	return d.part(), nil
}

func (d *pairDevice) Name() string                   { return d.name }
func (d *pairDevice) MTU() int                       { return d.mtu }
func (d *pairDevice) HardwareAddr() net.HardwareAddr { return slices.Clone(d.peerAddr) }

func (d *pairDevice) AttachQueue() (Queue, error) {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	if d.attached == d.maxQueues {
		return nil, fmt.Errorf("%w: %s was made for %d", ErrNoQueue, d.name, d.maxQueues)
	}
	if d.attached == len(d.queues) {
		d.queues = append(d.queues, &pairQueue{side: d.pairSide, index: d.attached})
	}
	q := d.queues[d.attached]
	q.part = d
	d.mine = append(d.mine, q)
	d.attached++
	return q, nil
}

func (d *pairDevice) Ready(dst []int) []int {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	for i, q := range d.mine {
		if q.frames.len() > 0 {
			dst = append(dst, i)
		}
	}
	return dst
}

func (d *pairDevice) Wait() error {
	for {
		if done, err := d.waitOver(); done {
			return err
		}
		select {
		case <-d.wake:
		case <-d.gone:
		}
	}
}

func (d *pairDevice) waitOver() (bool, error) {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if d.closed {
		return true, ErrClosed
	}
	if d.roomBack {
		d.roomBack = false
		return true, nil
	}
	hasFrame := func(q *pairQueue) bool { return q.frames.len() > 0 }
	return slices.ContainsFunc(d.mine, hasFrame), nil
}

func (d *pairDevice) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// arrival picks the queue for a frame that comes to this end; nil if there is none.
func (s *pairSide) arrival(k flowKey, known bool) *pairQueue {
	i := 0
	if known {
		i = s.flows.queue(k, len(s.queues))
	}
	for range s.queues {
		if q := s.queues[i%len(s.queues)]; !q.closed {
			return q
		}
		i++
	}
	return nil
}

func (d *pairDevice) Close() error {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	for _, q := range d.mine {
		q.drop()
	}
	d.parts = slices.DeleteFunc(d.parts, func(p *pairDevice) bool { return p == d })
	if len(d.parts) == 0 {
		for _, q := range d.queues {
			q.drop()
		}
	}
	close(d.gone)
	return nil
}

// closed reports whether nobody is at this end any more.
func (s *pairSide) closed() bool { return len(s.parts) == 0 }

// Stats returns the counts of its queues together.
func (d *pairDevice) Stats() Stats {
	d.link.mu.Lock()
	defer d.link.mu.Unlock()
	var s Stats
	for _, q := range d.mine {
		s.add(q.Stats())
	}
	return s
}
