package main

import (
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A calm keeps Go's monitor calm while there is work. The runtime's monitor thread (sysmon) goes to sleep whenever
// no goroutine runs, as after each reply whose client has yet to ask again; the next system call wakes it, and it
// then looks around every 20 us for a millisecond, and gives the processor to another thread if it finds that call
// again. On a server that answers one request at a time that was a third of what a request cost.
// A monitor that never sleeps looks around once in 10 ms instead, and only if it finds calls that take so long does it
// hurry. So a calm occupies one of Go's processors (GOMAXPROCS must have one for it), by a system call that the
// scheduler is not told of and that does nothing but wait: of the machine's time it takes none.
//
// The collector stops it by its signal, which ends the call, and in calmTurn at the latest.
type calm struct {
	mu     sync.Mutex
	change sync.Cond // of what follows
	work   int       // reasons to be calm
	closed bool
	done   chan struct{}
}

// calmTurn bounds how long the monitor stays calm after the last reason has gone, and how long close takes.
const calmTurn = 100e6 // ns

func newCalm() *calm {
	c := &calm{done: make(chan struct{})}
	c.change.L = &c.mu
	go c.run()
	return c
}

// add adds n reasons, or takes them away.
func (c *calm) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work += n
	c.change.Signal()
}

// close returns when its goroutine has ended. nil has none.
func (c *calm) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.closed = true
	c.change.Signal()
	c.mu.Unlock()
	<-c.done
}

func (c *calm) run() {
	defer close(c.done)
	runtime.LockOSThread()
	for c.needed() {
		turn := unix.Timespec{Nsec: calmTurn}
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&turn)), 0, 0)
		runtime.Gosched() // here the collector may come in, and whoever was queued for this processor
	}
}

// needed waits for a reason, and reports false if none will come any more.
func (c *calm) needed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.work == 0 && !c.closed {
		c.change.Wait()
	}
	return !c.closed
}
