package tap

import "fmt"

// nonEmpty counts the buffers that have bytes.
func nonEmpty(bufs [][]byte) (n int) {
	for _, b := range bufs {
		if len(b) > 0 {
			n++
		}
	}
	return n
}

// checkWrite returns the length of the frame in bufs, its virtio-net header
// included, or ErrBadFrame where the kernel would refuse it too.
func checkWrite(bufs [][]byte) (total int, err error) {
	for _, b := range bufs {
		total += len(b)
	}
	if total < HdrLen+ethHdrLen || total > HdrLen+MaxFrame {
		return 0, fmt.Errorf("%w: %d bytes, must be %d to %d", ErrBadFrame, total, HdrLen+ethHdrLen, HdrLen+MaxFrame)
	}
	if n := nonEmpty(bufs); n > MaxWriteBufs {
		return 0, fmt.Errorf("%w: %d buffers to write from, at most %d", ErrBadFrame, n, MaxWriteBufs)
	}
	return total, nil
}

// gather copies bufs, one after the other, to f, which is just as long.
func gather(f []byte, bufs [][]byte) {
	for _, b := range bufs {
		f = f[copy(f, b):]
	}
}

// scatter copies f to bufs, one after the other, as far as they reach, and
// returns the number of bytes.
func scatter(bufs [][]byte, f []byte) (n int) {
	for _, b := range bufs {
		n += copy(b, f[n:])
	}
	return n
}

// A framePool keeps the memory of frames that nobody holds any more, in two sizes.
type framePool struct {
	small, large [][]byte
}

const smallFrame = 2048

func (p *framePool) get(n int) []byte {
	list, size := p.list(n)
	if last := len(*list) - 1; last >= 0 {
		b := (*list)[last]
		*list = (*list)[:last]
		return b[:n]
	}
	return make([]byte, n, size)
}

func (p *framePool) put(b []byte) {
	list, _ := p.list(cap(b))
	*list = append(*list, b)
}

func (p *framePool) list(n int) (*[][]byte, int) {
	if n <= smallFrame {
		return &p.small, smallFrame
	}
	return &p.large, HdrLen + MaxFrame
}

// A frameRing is a queue of frames that grows as needed; its user bounds it.
type frameRing struct {
	slots   [][]byte // a power of two of them
	head, n int
}

func (r *frameRing) len() int { return r.n }

func (r *frameRing) push(f []byte) {
	if r.n == len(r.slots) {
		r.grow()
	}
	r.slots[(r.head+r.n)&(len(r.slots)-1)] = f
	r.n++
}

func (r *frameRing) pop() []byte {
	f := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) & (len(r.slots) - 1)
	r.n--
	return f
}

func (r *frameRing) grow() {
	slots := make([][]byte, max(16, 2*len(r.slots)))
	k := copy(slots, r.slots[r.head:])
	copy(slots[k:], r.slots[:r.head])
	r.slots, r.head = slots, 0
}
