package vfs

import (
	"math"
	"sync/atomic"
)

// changes counts what changes a file. What is lent while that goes on could be neither what the file held before nor what it
// holds then: of a file that is cut, zeros. So nothing is.
type changes struct{ begun, ended atomic.Uint64 }

func (ls *Loans) changesOf(id ID) *changes {
	return &ls.changes[(id.Ino^id.Dev)%uint64(len(ls.changes))]
}

// look reports whether a change is under way, and how many have begun.
func (c *changes) look() (begun uint64, underway bool) {
	ended := c.ended.Load() // first: it never overtakes begun
	begun = c.begun.Load()
	return begun, begun != ended
}

// changing takes back what is lent of [from, until) of the file, which is about to change, and returns when that has been copied,
// whoever has begun it. Nothing more is lent of the file until changed, which must follow.
func (f *File) changing(from, until int64) {
	ls := f.root.opts.Loans
	if ls == nil {
		return
	}
	ls.changesOf(f.ID()).begun.Add(1)
	if ls.out.Load() == 0 {
		return
	}
	before := uint64(math.MaxUint64)
	for l, to := ls.find(f.ID(), from, until, &before); l != nil; l, to = ls.find(f.ID(), from, until, &before) {
		to.TakeBack(l)
	}
}

// changed ends what changing has begun.
func (f *File) changed() {
	if ls := f.root.opts.Loans; ls != nil {
		ls.changesOf(f.ID()).ended.Add(1)
	}
}

// find finds the last loan of a range with a number below before, and makes that its number.
func (ls *Loans) find(id ID, from, until int64, before *uint64) (*Loan, Borrower) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := ls.byFile[id]; l != nil; l = l.next {
		if l.number < *before && l.from < until && l.until > from {
			*before = l.number
			return l, l.to
		}
	}
	return nil, nil
}
