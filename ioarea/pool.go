package ioarea

import (
	"errors"
	"fmt"
	"sync"
)

// keepPages is how much of each ring's memory a pooled area keeps, in bytes.
const keepPages = 16 << 10

// A Pool makes areas of one size and takes them back for the next stream. It is
// safe for concurrent use. Mapping a ring costs some ten microseconds and page
// faults; a pooled one costs neither.
type Pool struct {
	in, out int
	keep    int

	mu     sync.Mutex
	free   []*Area
	slabs  cursorSlabs
	made   int
	closed bool
}

// NewPool makes a pool of areas with rings of at least in and out bytes, rounded
// up to powers of two, of which keep idle ones stay mapped for reuse.
func NewPool(in, out, keep int) (*Pool, error) {
	in, err := RoundSize(in)
	if err != nil {
		return nil, err
	}
	if out, err = RoundSize(out); err != nil {
		return nil, err
	}
	return &Pool{in: in, out: out, keep: keep}, nil
}

// RingSizes are the sizes of the rings that Get gives, in bytes.
func (p *Pool) RingSizes() (in, out int) { return p.in, p.out }

// Get returns an empty area without a stream.
func (p *Pool) Get() (*Area, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("%w: the pool", ErrClosed)
	}
	if n := len(p.free); n > 0 {
		a := p.free[n-1]
		p.free = p.free[:n-1]
		return a, nil
	}
	a := new(Area)
	var err error
	if a.In, err = p.newRing(p.in); err != nil {
		return nil, err
	}
	if a.Out, err = p.newRing(p.out); err != nil {
		return nil, errors.Join(err, p.freeRing(a.In))
	}
	p.made++
	return a, nil
}

// Put takes an area back. Nobody may hold it, or a slice of its rings, any more:
// its memory goes to the next stream under another Area, so that closing the old
// one again does nothing, and any other use of it panics and harms nobody else.
// Putting it back a second time is an error.
func (p *Pool) Put(a *Area) error {
	a.done.Store(true)
	if a.In.mem == nil {
		return fmt.Errorf("%w: the area was put back before", ErrClosed)
	}
	next := &Area{In: a.In.renew(keepPages), Out: a.Out.renew(keepPages)}

	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(p.free) < p.keep {
		p.free = append(p.free, next)
		return nil
	}
	return p.unmap(next)
}

// Close unmaps what lies idle in the pool. Areas that are still out are unmapped
// when they are put back.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var err error
	for _, a := range p.free {
		err = errors.Join(err, p.unmap(a))
	}
	p.free = nil
	if p.made == 0 {
		err = errors.Join(err, p.slabs.close())
	}
	return err
}

// Made is the number of areas that are mapped now, in use or idle.
func (p *Pool) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

func (p *Pool) unmap(a *Area) error {
	err := errors.Join(p.freeRing(a.In), p.freeRing(a.Out))
	p.made--
	if p.closed && p.made == 0 {
		err = errors.Join(err, p.slabs.close())
	}
	return err
}

func (p *Pool) newRing(size int) (*Ring, error) {
	mem, err := mapMirrored(size)
	if err != nil {
		return nil, err
	}
	prod, cons, err := p.slabs.get()
	if err != nil {
		return nil, errors.Join(err, unmap(mem))
	}
	return newRing(mem, prod, cons, 0), nil
}

func (p *Pool) freeRing(r *Ring) error {
	p.slabs.put(r.p, r.c)
	mem := r.mem
	r.mem, r.p, r.c = nil, nil, nil
	return unmap(mem)
}
