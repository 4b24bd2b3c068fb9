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

func (s *cursorSlabs) get() (unsafe.Pointer, error) {
	if len(s.free) == 0 {
		slab, err := mapPages(slabPages)
		if err != nil {
			return nil, err
		}
		s.slabs = append(s.slabs, slab)
		for i := slabPages - 1; i >= 0; i-- {
			s.free = append(s.free, unsafe.Pointer(&slab[i*os.Getpagesize()]))
		}
	}
	p := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return p, nil
}

// put takes a page back. The pages of a slab stay mapped until close.
func (s *cursorSlabs) put(p unsafe.Pointer) { s.free = append(s.free, p) }

func (s *cursorSlabs) close() (err error) {
	for _, slab := range s.slabs {
		if e := unmap(slab); e != nil && err == nil {
			err = e
		}
	}
	s.slabs, s.free = nil, nil
	return err
}
