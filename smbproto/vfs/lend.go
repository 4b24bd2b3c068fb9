package vfs

import (
	"math"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Lending: a large READ need not copy what the file holds; the pages of the page cache are mapped, and whoever sends
// them has the kernel read them there. What makes that as good as a copy: before anything of this process changes what a file
// holds, all that is lent of the range is taken back, which copies it. Another process that writes there is seen or not seen,
// as by a read that it overlaps, until the bytes have been sent. If it cuts the file, what is missing reads as zeros.
//
// Nobody in this process ever touches the mapped bytes: a page that is there no more would end it. CopyLent has the kernel copy them.

const (
	// LendLeast is from how many bytes on lending pays: it costs two system calls, and a read one.
	LendLeast = 64 << 10
	// windowSize is how much of a file is mapped at once, bytes, and windowAlign what its beginning is a multiple of.
	windowSize  = 256 << 20
	windowAlign = 2 << 20
	// mostWindows bounds the mappings of all files. Where all of one was read, its page tables take 512 KiB.
	mostWindows = 256
)

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

	mu      sync.Mutex
	byFile  map[ID]*Loan // the last one of a file
	number  uint64
	spare   *Loan
	windows int
}

// NewLoans returns nil where the system lacks what lending takes.
func NewLoans() *Loans {
	if math.MaxInt < 1<<40 || !copiesFromItself() {
		return nil
	}
	return &Loans{byFile: map[ID]*Loan{}}
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

// CopyLent copies memory of a loan to dst.
func (l *Loan) CopyLent(dst, src []byte) { copyMapped(dst, src) }

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
	last := ls.letGo(win)
	ls.out.Add(-1)
	ls.mu.Unlock()
	if last {
		win.unmap()
	}
}

// A window is a mapped part of a file. Its fields never change, but for refs, which the lock of Loans guards.
type window struct {
	mem  []byte
	off  int64
	refs int
}

func (w *window) holds(off int64, n int) bool {
	return w != nil && off >= w.off && off+int64(n) <= w.off+int64(len(w.mem))
}

func (w *window) unmap() { _ = unix.Munmap(w.mem) } // a mapping that stays costs address space

// letGo reports whether nobody has the window any more; the lock is held.
func (ls *Loans) letGo(w *window) bool {
	w.refs--
	if w.refs > 0 {
		return false
	}
	ls.windows--
	return true
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
	if f.win == nil && !(mayAskForPages(f.fd, &st) && pagesAreTheFile(f.fd)) {
		f.noLoans = true
		return nil
	}
	if !f.win.holds(off, n) && !f.moveWindow(ls, off, n) {
		return nil
	}
	at := int(off - f.win.off)
	if !cachedPages(f.win.mem, at, n) {
		return nil
	}
	return ls.lend(f, f.win, at, n, to, begun)
}

// lend returns nil if the file has begun to change since look has said begun.
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
	w.refs++
	l.b, l.win, l.to = w.mem[at:at+n:at+n], w, to
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

// moveWindow maps the part of the file that begins at off or before.
func (f *File) moveWindow(ls *Loans, off int64, n int) bool {
	f.closeWindow()
	ls.mu.Lock()
	full := ls.windows >= mostWindows
	if !full {
		ls.windows++
	}
	ls.mu.Unlock()
	if full {
		return false
	}
	w := &window{off: off &^ (windowAlign - 1), refs: 1}
	var err error
	w.mem, err = unix.Mmap(f.fd, w.off, max(windowSize, n+windowAlign), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		f.noLoans = true // the file system does not map
		ls.mu.Lock()
		ls.windows--
		ls.mu.Unlock()
		return false
	}
	f.win = w
	return true
}

// closeWindow gives the file's window up; what is lent of it keeps it.
func (f *File) closeWindow() {
	w := f.win
	if w == nil {
		return
	}
	f.win = nil
	ls := f.root.opts.Loans
	ls.mu.Lock()
	last := ls.letGo(w)
	ls.mu.Unlock()
	if last {
		w.unmap()
	}
}
