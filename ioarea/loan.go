package ioarea

import (
	"sync"
	"sync/atomic"
)

// Loans: committed bytes of a ring that lie elsewhere, in a mapped file say. A handler that answers with what a file
// holds need not bring it to the ring: it reserves as ever, says where the bytes lie, and commits; the consumer
// is given memory of both kinds, in order. What is lent can be taken back at any time, by anyone who is about to change
// it: it is copied to the place in the ring that was reserved for it, and no reader of the stream sees the difference.
//
// The memory is the lender's to the last: nobody but the kernel may read it, for a page of a file that another
// process has cut is there no more. A consumer takes loans only if it does no more with them than to hand them to
// the kernel, and says so by TakeLoans.

// A Lender has lent memory to a ring.
type Lender interface {
	// CopyLent copies src, memory that was lent, to dst, which is as long. An error says that nobody can tell any more what was lent.
	CopyLent(dst, src []byte) error
	// Returned says that the ring needs the memory no more. It is called once, on any goroutine, without a lock.
	Returned()
}

// MaxLoans is how many loans a ring has at once.
const MaxLoans = 16

type loan struct {
	off  uint64 // of its first byte in the stream
	b    []byte
	from Lender
}

func (l *loan) end() uint64 { return l.off + uint64(len(l.b)) }

// loans are a ring's. The lock is held while a consumer has what it borrowed, so that nothing is taken back
// under its hands.
type loans struct {
	taken atomic.Bool  // the consumer takes them
	n     atomic.Int32 // changed with the lock held; 0 seen by the consumer is true for what is committed
	mu    sync.Mutex
	first [MaxLoans]loan // n of them, by offset

	lost atomic.Pointer[error] // why something that was lent can't be told any more

	borrowed bool // the consumer's own: it has the lock
}

// remove takes loan i out; the lock is held.
func (l *loans) remove(i int) loan {
	n := int(l.n.Load())
	out := l.first[i]
	copy(l.first[i:], l.first[i+1:n])
	l.first[n-1] = loan{}
	l.n.Store(int32(n - 1))
	return out
}

// TakeLoans says that the consumer asks by Borrow for all that it reads, and hands it to the kernel alone. It is
// called before the handler has the ring.
func (r *Ring) TakeLoans() { r.loans.taken.Store(true) }

// MayLend reports whether Lend would succeed. The producer asks.
func (r *Ring) MayLend() bool {
	return r.loans.taken.Load() && r.loans.n.Load() < MaxLoans
}

// Lend has b stand for the len(b) reserved bytes from at on, counted from end. A Commit of them must follow at once. It returns false,
// and does nothing, unless MayLend. Offsets grow from loan to loan.
func (r *Ring) Lend(at int, b []byte, from Lender) bool {
	if !r.MayLend() || uint64(at)+uint64(len(b)) > r.reserved {
		return false
	}
	r.loans.mu.Lock()
	defer r.loans.mu.Unlock()
	n := r.loans.n.Load()
	r.loans.first[n] = loan{r.p.end.Load() + uint64(at), b, from}
	r.loans.n.Store(n + 1)
	return true
}

// Borrow appends to dst the slices that make up n committed bytes from off on. They stay as they are until Return,
// which must follow soon: who wants to take back what was lent waits for it. The consumer calls it.
func (r *Ring) Borrow(dst [][]byte, off uint64, n int) [][]byte {
	l := &r.loans
	if l.n.Load() == 0 {
		return append(dst, r.at(off, n))
	}
	l.mu.Lock()
	l.borrowed = true
	end := off + uint64(n)
	for i := range l.first[:l.n.Load()] {
		o := &l.first[i]
		if o.end() <= off || o.off >= end {
			continue
		}
		if o.off > off {
			dst = append(dst, r.at(off, int(o.off-off)))
			off = o.off
		}
		to := min(o.end(), end)
		dst = append(dst, o.b[off-o.off:to-o.off])
		off = to
	}
	if off < end {
		dst = append(dst, r.at(off, int(end-off)))
	}
	return dst
}

// Lost is why committed bytes can't be told any more, or nil: then the stream must not go on. The consumer asks when it has borrowed.
func (r *Ring) Lost() error {
	if err := r.loans.lost.Load(); err != nil {
		return *err
	}
	return nil
}

// Return gives back what Borrow gave.
func (r *Ring) Return() {
	if l := &r.loans; l.borrowed {
		l.borrowed = false
		l.mu.Unlock()
	}
}

// TakeBack copies what from has lent to its place in the ring, if it is still out. Any goroutine, also after the ring's end.
func (r *Ring) TakeBack(from Lender) {
	r.takeBack(func(o *loan) bool { return o.from == from })
}

// TakeBackRange is TakeBack of all loans that have a part in n bytes from off on: the kernel could not read one. The consumer calls it.
func (r *Ring) TakeBackRange(off uint64, n int) {
	r.takeBack(func(o *loan) bool { return o.off < off+uint64(n) && o.end() > off })
}

func (r *Ring) takeBack(which func(*loan) bool) {
	l := &r.loans
	for {
		l.mu.Lock()
		found := -1
		for i := range l.first[:l.n.Load()] {
			if which(&l.first[i]) {
				found = i
				break
			}
		}
		if found < 0 {
			l.mu.Unlock()
			return
		}
		o := &l.first[found]
		if err := o.from.CopyLent(r.at(o.off, len(o.b)), o.b); err != nil {
			l.lost.Store(&err)
		}
		out := l.remove(found)
		l.mu.Unlock()
		out.from.Returned()
	}
}

// returnLoans gives back loans that end at to or before, and of another what lies before it: its place in the ring may
// be the producer's next.
func (r *Ring) returnLoans(to uint64) {
	l := &r.loans
	for l.n.Load() > 0 {
		l.mu.Lock()
		o := &l.first[0]
		if l.n.Load() == 0 || o.end() > to {
			if l.n.Load() > 0 && o.off < to {
				o.b = o.b[to-o.off:]
				o.off = to
			}
			l.mu.Unlock()
			return
		}
		out := l.remove(0)
		l.mu.Unlock()
		out.from.Returned()
	}
}

// DropLoans gives all loans back: nobody will read the stream any more. The consumer calls it.
func (r *Ring) DropLoans() { r.returnLoans(^uint64(0)) }
