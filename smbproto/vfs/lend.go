package vfs

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Lending: a large READ need not copy what the file holds; the pages of the page cache are mapped, and whoever sends
// them has the kernel read them there. What makes that as good as a copy: before anything of this process changes what a file
// holds, all that is lent of the range is taken back, which copies it. Another process that writes there is seen or not seen,
// as by a read that it overlaps, until the bytes have been sent. If it cuts the file, what is missing reads as zeros. What the disk does not
// give any more can't be told: whoever has borrowed it gets an error.
//
// Nobody in this process ever touches the mapped bytes: a page that is there no more would end it. CopyLent has the kernel copy them.

// LendLeast is from how many bytes on lending pays: it costs three system calls, and more where something is to be mapped.
const LendLeast = 64 << 10

// A Borrower is whom something was lent to.
type Borrower interface {
	// TakeBack copies what a loan says to memory of the borrower's own, calls Returned, and returns then. If the borrower does not have
	// it any more, or not yet, it does nothing; so who was asked, for whatever, between his call of Lend and when he has what
	// that returned, returns it, and reads. Any goroutine calls it.
	TakeBack(*Loan)
}

// Loans are those of all roots that share it. It may be used from any goroutine.
type Loans struct {
	out     atomic.Int64 // loans that were not returned
	changes [64]changes  // by ID; of some files together

	mu       sync.Mutex
	byFile   map[ID]*Loan // the last one of a file
	number   uint64
	spare    *Loan
	windows  windows
	byID     map[ID]*window // one of a file's
	sweeping *time.Timer    // nil while no window is unused

	unmapping sync.WaitGroup
}

// NewLoans returns nil where the system lacks what lending takes.
func NewLoans() *Loans {
	if math.MaxInt < 1<<40 || !copiesFromItself() {
		return nil
	}
	return &Loans{byFile: map[ID]*Loan{}, byID: map[ID]*window{}}
}

// Close returns when nothing is mapped any more. All files have been closed, and all loans returned.
func (ls *Loans) Close() {
	if ls == nil {
		return
	}
	ls.forgetAll()
	ls.mu.Lock()
	if ls.sweeping != nil && ls.sweeping.Stop() {
		ls.sweeping = nil
	}
	ls.mu.Unlock()
	ls.unmapping.Wait()
}

// Out is the number of loans that were not returned.
func (ls *Loans) Out() int {
	if ls == nil {
		return 0
	}
	return int(ls.out.Load())
}

// A Loan is a range of a file, as memory that only the kernel may read. It is an ioarea.Lender.
type Loan struct {
	loans *Loans
	b     []byte
	win   *window
	to    Borrower

	// Guarded by the lock of loans.
	id          ID
	from, until int64
	number      uint64
	prev, next  *Loan // of the same file; next is older
}

// Bytes are what is lent. They must not be read but by the kernel.
func (l *Loan) Bytes() []byte { return l.b }

// CopyLent copies memory of a loan to dst, or says why the disk does not give it any more.
func (l *Loan) CopyLent(dst, src []byte) error { return l.win.copy(dst, src) }

// Returned ends the loan: nobody may use its bytes any more. It must be called once.
func (l *Loan) Returned() {
	ls := l.loans
	ls.mu.Lock()
	if l.prev != nil {
		l.prev.next = l.next
	} else if l.next != nil {
		ls.byFile[l.id] = l.next
	} else {
		delete(ls.byFile, l.id)
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	win := l.win
	l.b, l.win, l.to, l.prev = nil, nil, nil, nil
	l.next, ls.spare = ls.spare, l
	ls.out.Add(-1)
	ls.letGo(win)
	ls.mu.Unlock()
}

// Lend lends up to n bytes at off to a borrower, less only at the end of the file. It returns nil where less than LendLeast
// is there, the file can't be lent, or the page cache does not have all of it: then ReadAt says what there is. So nobody has to wait for
// a disk who sends the bytes, and what comes from a disk is read ahead as ever.
func (f *File) Lend(off int64, n int, to Borrower) *Loan {
	ls := f.root.opts.Loans
	if ls == nil || f.noLoans || f.named || f.pathOnly || f.IsDir() {
		return nil
	}
	begun, underway := ls.changesOf(f.ID()).look()
	if underway {
		return nil
	}
	var st unix.Stat_t
	if retry(func() error { return unix.Fstat(f.fd, &st) }) != nil {
		return nil
	}
	if n = int(min(int64(n), st.Size-off)); n < LendLeast {
		return nil
	}
	if !f.mayLoan {
		if !takesInput(f.fd) || !mayAskForPages(f.fd, &st) || !pagesAreTheFile(f.fd) {
			f.noLoans = true
			return nil
		}
		f.mayLoan = true
	}
	w := f.window(ls, off, n, st.Size)
	if w == nil {
		return nil
	}
	at := int(off - w.off)
	var l *Loan
	if cachedPages(w.mem, at, n) {
		// So that the file has been accessed: it is read, whoever reads it.
		if _, err := unix.Pread(f.fd, f.first[:], off); err == nil {
			l = ls.lend(f, w, at, n, to, begun)
		}
	}
	if l == nil {
		ls.mu.Lock()
		ls.letGo(w)
		ls.mu.Unlock()
	}
	return l
}

// lend makes the loan that takes over the caller's hold of the window, or returns nil if the file has begun to change since look
// has said begun.
func (ls *Loans) lend(f *File, w *window, at, n int, to Borrower, begun uint64) *Loan {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.out.Add(1) // before it looks: who changes the file says so before he looks here
	if ls.changesOf(f.ID()).begun.Load() != begun {
		ls.out.Add(-1)
		return nil
	}
	l := ls.spare
	if l == nil {
		l = &Loan{loans: ls}
	} else {
		ls.spare = l.next
	}
	l.b, l.win, l.to = w.mem[at:at+n:at+n], w, to
	if w.until == 0 {
		w.from = at
	}
	w.from, w.until = min(w.from, at), max(w.until, at+n)
	l.id, l.from = f.ID(), w.off+int64(at)
	l.until = l.from + int64(n)
	ls.number++
	l.number = ls.number
	l.prev, l.next = nil, ls.byFile[l.id]
	if l.next != nil {
		l.next.prev = l
	}
	ls.byFile[l.id] = l
	return l
}
