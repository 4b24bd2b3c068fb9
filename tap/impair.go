package tap

import (
	"net"
	"slices"
	"sync"
	"time"
)

// An Impairment says what an impaired device does to frames.
type Impairment struct {
	// Seed fixes all that is random. Each queue and direction draws from a
	// sequence of its own, so goroutines do not disturb each other's.
	Seed uint64
	// In is for frames that are read, Out for frames that are written.
	In, Out Faults
	// AfterFunc runs f in a goroutine of its own after d; nil is time.AfterFunc.
	AfterFunc func(d time.Duration, f func()) Timer
}

// A Timer is what Impairment.AfterFunc returns; a *time.Timer is one.
type Timer interface{ Stop() bool }

// An Impaired device does harm to the frames of the device below.
type Impaired struct {
	dev Device
	im  Impairment

	wake    chan struct{} // one slot: a frame held back can be read now
	waited  chan error    // one slot: how the wait below ended
	waiting bool          // one is under way; of the goroutine in Wait
	waiters sync.WaitGroup

	mu     sync.Mutex // guards what follows
	queues []*impairedQueue
	closed bool
}

// Impair wraps dev, which belongs to the wrapper from then on: close that. Frames
// are copied, so this is for tests and experiments.
//
// No frame is lost but by Drop (and Corrupt, at its receiver): what is held back is delivered when
// later frames have passed, or after HoldTime; and a frame for which the device below
// has no room is written again after HoldTime, or before the next frame, which gets
// ErrWouldBlock as long as there is no room.
func Impair(dev Device, im Impairment) *Impaired {
	if im.AfterFunc == nil {
		im.AfterFunc = func(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
	}
	return &Impaired{dev: dev, im: im, wake: make(chan struct{}, 1), waited: make(chan error, 1)}
}

func (d *Impaired) Name() string                   { return d.dev.Name() }
func (d *Impaired) MTU() int                       { return d.dev.MTU() }
func (d *Impaired) HardwareAddr() net.HardwareAddr { return d.dev.HardwareAddr() }

func (d *Impaired) AttachQueue() (Queue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	inner, err := d.dev.AttachQueue()
	if err != nil {
		return nil, err
	}
	q := newImpairedQueue(d, inner, uint64(len(d.queues)))
	d.queues = append(d.queues, q)
	return q, nil
}

func (d *Impaired) Ready(dst []int) []int {
	from := len(dst)
	dst = d.dev.Ready(dst)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, q := range d.queues {
		if q.hasFrame() && !slices.Contains(dst[from:], i) {
			dst = append(dst, i)
		}
	}
	return dst
}

func (d *Impaired) hasFrame() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.queues, (*impairedQueue).hasFrame)
}

// Wait waits for the device below and for frames held back, which need a second
// goroutine.
func (d *Impaired) Wait() error {
	for {
		if d.hasFrame() {
			return nil
		}
		if d.im.In.Reorder.none() {
			return d.dev.Wait()
		}
		if !d.waiting {
			if !d.startWait() {
				return ErrClosed
			}
		}
		select {
		case err := <-d.waited:
			d.waiting = false
			return err
		case <-d.wake:
		}
	}
}

func (d *Impaired) startWait() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.waiting = true
	d.waiters.Go(func() { d.waited <- d.dev.Wait() })
	return true
}

func (d *Impaired) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Close loses what is held back.
func (d *Impaired) Close() error {
	d.mu.Lock()
	d.closed = true
	queues := d.queues
	d.mu.Unlock()
	for _, q := range queues {
		q.stop()
	}
	err := d.dev.Close()
	d.waiters.Wait()
	return err
}

// Faults returns what happened so far to the frames that were read and written.
func (d *Impaired) Faults() (in, out FaultCounts) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.queues {
		i, o := q.faults()
		in.add(i)
		out.add(o)
	}
	return in, out
}

// Stats returns the counts of the device below.
func (d *Impaired) Stats() Stats { return statsOf(d.dev) }
