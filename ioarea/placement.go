package ioarea

// InPlace reports whether p begins where the byte at stream offset off has its
// place: then it need not be copied there. A producer asks.
func (r *Ring) InPlace(off uint64, p []byte) bool {
	if len(p) == 0 {
		return true
	}
	i := (off - r.p.base.Load()) & (r.size - 1)
	return &p[0] == &r.mem[i] || &p[0] == &r.mem[i+r.size]
}

// Committed returns n bytes from stream offset off on, all of which are committed
// and not yet consumed: a consumer that has looked ahead of start asks.
func (r *Ring) Committed(off uint64, n int) []byte {
	if off < r.c.start.Load() || off+uint64(n) > r.p.end.Load() {
		return nil
	}
	return r.at(off, n)
}

// Index is the place of stream offset off in Memory. It is below Cap, and Cap
// bytes from there on are contiguous.
func (r *Ring) Index(off uint64) int {
	return int((off - r.p.base.Load()) & (r.size - 1))
}

// Memory is the ring's whole mapping, twice Cap bytes. What may be done with
// which part of it, and when, is what Tail, Peek and Reserve say.
func (r *Ring) Memory() []byte { return r.mem }

// Touched is how many bytes from the ring's first on may hold pages. A producer
// asks, before it trims.
func (r *Ring) Touched() int { return int(r.touched) }

// Wanting reports whether the consumer waits for more than is there. A producer
// that holds bytes back while the ring is well filled must not do so then.
func (r *Ring) Wanting() bool {
	m := r.data.mark.Load()
	return m != noMark && m > r.p.end.Load()
}
