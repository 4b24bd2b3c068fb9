package main

import (
	"sync"
	"time"
)

// A startLine has all loops of a load begin at one time, when the last of them is ready.
type startLine struct {
	mu     sync.Mutex
	absent int
	gone   chan struct{} // closed when none is, with began set before
	began  time.Time
}

func newStartLine(loops int) *startLine {
	return &startLine{absent: loops, gone: make(chan struct{})}
}

// await waits for the others, and returns the time at which all begin.
func (s *startLine) await() time.Time {
	s.leave()
	<-s.gone
	return s.began
}

// leave is for a loop that has failed before: nobody shall wait for it.
func (s *startLine) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent--; s.absent == 0 {
		s.began = time.Now()
		close(s.gone)
	}
}
