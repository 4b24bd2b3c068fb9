package main

import (
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A calm keeps Go's monitor calm while there are connections. The runtime's monitor thread (sysmon) goes to sleep whenever
// no goroutine runs, as after each reply whose client has yet to ask again; the next system call wakes it, and it
// then looks around every 20 us for a millisecond, and gives the processor to another thread if it finds that call
// again, which has it look for longer: where calls take long, as writes of large files do, for good. On a server that answers one
// request at a time that was a third of what a request cost.
// A monitor that never sleeps comes to look around once in 10 ms instead. So a calm has Go have one more processor, and occupies that, by a
// system call that the scheduler is not told of and that does nothing but wait.
//
// It lets the first connection after a rest wait until the monitor has calmed down: once it meets long calls, it does not.
// On a virtual machine all this costs nearly a hundredth of a processor while a connection is open, whatever that does. Where nobody
// stops goroutines by signals (canCalm) each collection, and timers, would wait for calmTurn, so there is no calm.
type calm struct {
	procs int // processors that others have

	mu      sync.Mutex
	change  sync.Cond // of what follows
	conns   int
	gone    time.Time // when the last one left
	closed  bool
	settled chan struct{} // closed when it goes on for long enough, or not at all any more; another one after each rest

	done chan struct{}
}

const (
	// calmTurn is how long it waits at a time, at most: the monitor stops who runs for more than 10 ms, and the collector the world, by
	// a signal, which ends the call.
	calmTurn = 100 * time.Millisecond
	// calmSettles is how long the monitor takes: 50 looks, and then nine that are each twice as far apart.
	calmSettles = 30 * time.Millisecond
	// calmStays is how long it goes on when there is no connection any more: many are made one after the other.
	calmStays = 10 * time.Second
)

// canCalm reports whether the runtime, with these settings of GODEBUG, sends signals to stop goroutines. The last setting counts.
func canCalm(godebug string) bool {
	can := true
	for setting := range strings.SplitSeq(godebug, ",") {
		if value, ok := strings.CutPrefix(setting, "asyncpreemptoff="); ok {
			can = value == "0"
		}
	}
	return can
}

// newCalm returns a calm beside procs processors.
func newCalm(procs int) *calm {
	c := &calm{procs: procs, settled: make(chan struct{}), done: make(chan struct{})}
	c.change.L = &c.mu
	go c.run()
	return c
}

// join counts a connection, and returns when the monitor is calm. leave must follow. nil does nothing.
func (c *calm) join() {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.conns++
	settled := c.settled
	c.change.Signal()
	c.mu.Unlock()
	<-settled
}

func (c *calm) leave() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns--
	c.gone = time.Now()
}

// close returns when its goroutine has ended, within calmTurn. nil has none.
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
	// Else it and who was queued for its processor take each other's, and more than one thread has work: with CREATE, query and CLOSE
	// down to a tenth of the rate.
	runtime.LockOSThread()
	for c.begin() {
		runtime.GOMAXPROCS(c.procs + 1)
		settled := false
		for began := time.Now(); c.goesOn(); {
			turn := unix.NsecToTimespec(calmTurn.Nanoseconds())
			if !settled { // somebody waits
				turn = unix.NsecToTimespec((calmSettles / 3).Nanoseconds())
			}
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&turn)), 0, 0)
			runtime.Gosched() // whoever was queued for this processor
			if !settled && time.Since(began) > calmSettles {
				settled = true
				close(c.settled)
			}
		}
		runtime.GOMAXPROCS(c.procs)
		c.rest(settled)
	}
	close(c.settled)
}

// begin waits for a connection, and reports false if none will come any more.
func (c *calm) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.conns == 0 && !c.closed {
		c.change.Wait()
	}
	return !c.closed
}

func (c *calm) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && (c.conns > 0 || time.Since(c.gone) < calmStays)
}

// rest has who comes next wait again, unless those who have come wait yet.
func (c *calm) rest(settled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if settled {
		c.settled = make(chan struct{})
	}
}
