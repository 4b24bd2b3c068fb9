package ioarea

import (
	"os"
	"sync/atomic"
	"unsafe"
)

// A producerPage is the page that only a ring's producer writes.
type producerPage struct {
	// end is the stream offset up to which bytes have been received (In) or
	// committed (Out).
	end atomic.Uint64
	// base is the stream offset that lies at the ring's first byte. It moves
	// only while the ring is empty (see Ring.Rewind), before end does.
	base atomic.Uint64
}

// A consumerPage is the page that only a ring's consumer writes.
type consumerPage struct {
	// start is the stream offset up to which bytes have been consumed.
	start atomic.Uint64
}

// slabPages is the number of cursor pages in one mapping. Cursors come from
// slabs so that ten thousand areas need a few hundred mappings for them and not
// forty thousand.
const slabPages = 128

// cursorSlabs hands out pages for cursors, one cursor a page, so that a side
// that may not move a cursor can be given its page read-only. Not safe for
// concurrent use: its Pool holds a lock.
type cursorSlabs struct {
	slabs [][]byte
	free  []unsafe.Pointer
}

// get returns the pages of a ring.
func (s *cursorSlabs) get() (*producerPage, *consumerPage, error) {
	if len(s.free) == 0 { // there is an even number of them, always
		slab, err := mapPages(slabPages)
		if err != nil {
			return nil, nil, err
		}
		s.slabs = append(s.slabs, slab)
		for i := slabPages - 1; i >= 0; i-- {
			s.free = append(s.free, unsafe.Pointer(&slab[i*os.Getpagesize()]))
		}
	}
	n := len(s.free) - 2
	p, c := s.free[n], s.free[n+1]
	s.free = s.free[:n]
	return (*producerPage)(p), (*consumerPage)(c), nil
}

// put takes the pages of a ring back. Those of a slab stay mapped until close.
func (s *cursorSlabs) put(p *producerPage, c *consumerPage) {
	s.free = append(s.free, unsafe.Pointer(p), unsafe.Pointer(c))
}

func (s *cursorSlabs) close() (err error) {
	for _, slab := range s.slabs {
		if e := unmap(slab); e != nil && err == nil {
			err = e
		}
	}
	s.slabs, s.free = nil, nil
	return err
}
