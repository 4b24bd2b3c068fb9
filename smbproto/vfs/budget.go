package vfs

import (
	"math"
	"sync/atomic"
)

// DescriptorsPerFile is the most descriptors that a File holds: its own, and that
// of the directory that its name is in.
const DescriptorsPerFile = 2

// A Budget counts the files that are open below all roots that share it, and bounds
// them. It may be used from any goroutine.
type Budget struct {
	most atomic.Int64
	open atomic.Int64
}

// NewBudget allows most files at once; 0 means any number.
func NewBudget(most int) *Budget {
	b := new(Budget)
	b.SetMost(most)
	return b
}

// SetMost allows another number. Files beyond it that are open already stay.
func (b *Budget) SetMost(most int) {
	if most == 0 {
		most = math.MaxInt
	}
	b.most.Store(int64(most))
}

// Open is the number of files that have not been closed.
func (b *Budget) Open() int { return int(b.open.Load()) }

func (b *Budget) take() error {
	if b.open.Add(1) > b.most.Load() {
		b.give()
		return ErrTooMany
	}
	return nil
}

func (b *Budget) give() { b.open.Add(-1) }
