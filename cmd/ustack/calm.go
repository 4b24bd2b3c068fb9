package main

import (
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A calm keeps Go's monitor calm while there is work. The runtime's monitor thread (sysmon) goes to sleep whenever
// no goroutine runs, as after each reply whose client has yet to ask again; the next system call wakes it, and it
// then looks around every 20 us for a millisecond, and gives the processor to another thread if it finds that call
// again. On a server that answers one request at a time that was a third of what a request cost.
// A monitor that never sleeps looks around once in 10 ms instead, and only if it finds calls that take so long does it
// hurry. So a calm occupies one of Go's processors (GOMAXPROCS must have one for it), by a system call that the
// scheduler is not told of and that does nothing but wait.
//
// That costs nearly a hundredth of a processor, so it is done only while there are connections, and the process has
// used more than that of late. The collector stops it by a signal, which ends the call; where there are none (canCalm) each
// collection, and timers, would wait for calmTurn, so there is no calm.
type calm struct {
	mu     sync.Mutex
	change sync.Cond // of what follows
	conns  int
	closed bool
	done   chan struct{}

	// Its goroutine's own.
	looked time.Time
	used   time.Duration // by the process, until then
	busy   bool
}

const (
	// calmTurn is how long it goes on before it looks whether it is needed.
	calmTurn = 100 * time.Millisecond
	// calmShare is of what part of a processor the process has to use more.
	calmShare = 1. / 32
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

func newCalm() *calm {
	c := &calm{done: make(chan struct{})}
	c.change.L = &c.mu
	go c.run()
	return c
}

// add adds n connections. nil counts none.
func (c *calm) add(n int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns += n
	c.change.Signal()
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
	runtime.LockOSThread()
	for c.needed() {
		if c.look(time.Now()); !c.busy {
			time.Sleep(calmTurn)
			continue
		}
		turn := unix.NsecToTimespec(calmTurn.Nanoseconds())
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&turn)), 0, 0)
		runtime.Gosched() // here the collector may come in, and whoever was queued for this processor
	}
}

// needed waits for a connection, and reports false if none will come any more.
func (c *calm) needed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.conns == 0 && !c.closed {
		c.change.Wait()
		c.busy = true // who has come has something to say
		c.looked, c.used = time.Now(), processTime()
	}
	return !c.closed
}

// look finds out whether the process is busy, once in a turn.
func (c *calm) look(now time.Time) {
	passed := now.Sub(c.looked)
	if passed < calmTurn {
		return
	}
	used := processTime()
	c.busy = float64(used-c.used) > calmShare*float64(passed)
	c.looked, c.used = now, used
}

// processTime is what the process has used of processors so far. Go's scheduler is not told of the call, either.
func processTime() time.Duration {
	var t unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_PROCESS_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}
