package netstack

import (
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"ustack/tap"
)

const (
	// batchFrames bounds how many frames of one queue are read before TCP and
	// the handlers run.
	batchFrames = 64
	// batchTurns bounds how often the handlers and the sender take turns in a batch. The
	// scheduler has the loop go on while more than 60 handlers still wait.
	batchTurns = 8
	// sweepEvery is the interval of what is done now and then: finding idle rings,
	// freeing rings that gVisor held on to.
	sweepEvery = time.Second
)

var errStopped = fmt.Errorf("netstack: the stack was closed: %w", net.ErrClosed)

// A loop is the single thread of control of a shard: it reads the device, moves
// what came in order into the rings (the receive thread), hands over what the
// handlers committed (the sender), and writes what TCP has queued. It is one
// goroutine; with GOMAXPROCS=1 it, gVisor's TCP processor and the handlers take
// turns on one thread, and no packet crosses to another.
//
// A batch is: read until the device is empty, or batchFrames; let TCP run; move
// In; let the handlers run; move Out; write. Nothing but an ACK that waits for a reply
// (ackfilter.go) is held when it is over.
type loop struct {
	dev       tap.Device // or the shard's part of it
	shards    []*loop    // all, this one included; never changes
	link      *link
	stk       *stack.Stack
	log       *slog.Logger
	maxQueues int
	maxConns  int
	endpoints endpointLayout
	direct    segmentTaker // TCP
	hyStart   bool
	lend      bool // payload that goes out stays in Out
	trainMax  int  // most payload of one frame; 0: what gVisor makes
	mapped    bool // the device takes what lies in mapped files
	areas     areas
	windows   budget     // of what comes in
	flights   budget     // of what goes out
	conns     *connTable // of all shards
	dead      *failure   // likewise

	// The loop's own.
	queues     []*queue
	flows      map[flowKey]*flow
	handshakes handshakes
	orphans    orphans
	now        time.Time // of this batch
	batch      []outFrame
	waiting    int        // frames of it that the device did not take last time
	heldACKs   []outFrame // ACKs that wait, while a batch is written
	acksHeld   int        // how many of the batch did
	heldFrom   time.Time
	batchNo    uint64 // from 1 on
	noTrains   uint64 // the batch in which the device refused one
	gathered   gathered
	seg        segment // of the frame that is being read
	segOut     segment // of the one that is being written
	ready      []int
	alone      bool     // it was not looked whether there are more frames
	more       bool     // there may be more frames than were read
	due        []func() // timers that wait until the device has been read
	duePasses  int
	fed        bool // TCP was handed something since it was last waited for
	running    []*flow
	spin       spinner
	leadWait   time.Duration // leadWait, but in tests
	coalesce   time.Duration // Config's
	deferred   time.Time     // until when a queue may be left alone
	trim       trimmer
	tick       *time.Ticker // of sweeps
	swept      time.Time
	announcer  announcer // on the first loop
	gone       bool      // the device is closed, or has failed
	refusing   error     // why no connection begins any more
	stopping   bool

	validated bool // the device vouches for the checksums of the frame that is being read
	c         counters

	mu       sync.Mutex // guards what follows
	txQueued []*stack.PacketBuffer
	txSpare  []*stack.PacketBuffer
	signals  []*flow  // flows with events
	calls    []func() // to be run by the loop
	timers   []func() // likewise, but when it has read the device once more
	strays   []stray  // frames of ours that another shard has read

	parked atomic.Bool
	kick   chan struct{} // wakes a parked loop
	rearm  chan struct{} // tells the watcher to wait for frames again
	done   chan struct{} // closed when the loop has ended
}

// schedule queues a flow that has events.
func (l *loop) schedule(f *flow) {
	l.mu.Lock()
	l.signals = append(l.signals, f)
	l.mu.Unlock()
	l.wake()
}

// do has the loop run f soon. It reports false if the loop has ended.
func (l *loop) do(f func()) bool { return l.post(&l.calls, f) }

// post adds f to a list of what the loop is to run. It reports false if the loop has ended.
func (l *loop) post(list *[]func(), f func()) bool {
	l.mu.Lock()
	select {
	case <-l.done:
		l.mu.Unlock()
		return false
	default:
	}
	*list = append(*list, f)
	l.mu.Unlock()
	l.wake()
	return true
}

// wake ends the loop's rest, if it rests.
func (l *loop) wake() {
	if l.parked.Load() {
		select {
		case l.kick <- struct{}{}:
		default:
		}
	}
}

// stopAll refuses further connections, and has those that there are stop. The first why is
// what they hear.
func (l *loop) stopAll(event uint32, why error) {
	if l.refusing == nil {
		l.refusing = why
	}
	for _, f := range l.flows {
		f.notify(event)
	}
}

// run is the loop's goroutine.
func (l *loop) run() {
	defer func() {
		l.tick.Stop()
		close(l.rearm)
		l.mu.Lock()
		close(l.done) // under the lock: see post
		rest := slices.Concat(l.calls, l.due, l.timers)
		l.mu.Unlock()
		for _, f := range rest { // post has promised it
			f()
		}
	}()
	go l.watch()
	for !l.stopping {
		l.now = time.Now()
		work := l.readAll()
		if work {
			runtime.Gosched() // TCP
		}
		if l.runDue() {
			work = true
		}
		for range batchTurns { // what the handlers commit goes out in this batch
			if !l.runSignals() {
				break
			}
			work = true
			runtime.Gosched() // the handlers, and TCP again
		}
		if l.flush(l.acksHeld == 0 || l.now.Sub(l.heldFrom) < ackDelay) {
			work = true
		}
		l.windows.share(l.now)
		l.flights.share(l.now)
		if l.now.Sub(l.swept) > sweepEvery {
			l.sweep()
		}
		switch {
		case work:
			l.spin.worked(l.now)
			l.trim.stepWhenBusy(l.now)
			if l.alone && !l.spin.wanted() {
				l.park() // looks once more
			}
		case l.deferring():
			l.spin.spinning = true // for what gathers
			runtime.Gosched()
		case l.spin.again():
			runtime.Gosched()
		case l.trim.step(l.now):
		default:
			l.park()
		}
	}
}

// readAll reads what the device has, up to a batch, and reports whether there
// was anything.
func (l *loop) readAll() bool {
	l.alone, l.more = false, false
	defer l.handGathered()
	strays := l.takeStrays()
	if l.gone {
		return strays
	}
	if len(l.queues) == 1 {
		return !l.leftAlone(0) && l.queues[0].take() > 0 || strays
	}
	l.c.polls.Add(1)
	l.ready = l.dev.Ready(l.ready[:0])
	if l.now.Before(l.deferred) {
		l.ready = slices.DeleteFunc(l.ready, l.leftAlone)
	}
	n := 0
	for _, i := range l.ready {
		n += l.queues[i].take()
	}
	return n > 0 || strays
}

// leftAlone reports whether queue i is left alone for now, and counts it once.
func (l *loop) leftAlone(i int) bool {
	q := l.queues[i]
	if !q.defers() {
		return false
	}
	if !q.coalescer.held {
		q.coalescer.held = true
		l.c.coalesced.Add(1)
	}
	return true
}

// deferring reports whether any queue is left alone for now.
func (l *loop) deferring() bool {
	return l.now.Before(l.deferred) && slices.ContainsFunc(l.queues, (*queue).defers)
}

// sweep does what is due now and then: rings that gVisor has let go of are freed,
// and idle rings are found, and acknowledgements that placement could not read, in
// fragments or behind extension headers of IPv6. Neighbours are told of the stack.
func (l *loop) sweep() {
	l.swept = l.now
	l.announce()
	l.c.limbo.Store(int64(l.areas.sweep()))
	l.orphans.sweep()
	for _, f := range l.flows {
		if f.detached || f.handed > f.area.Out.Start() {
			f.notify(evAcked)
		}
	}
	l.trim.find(l.flows, l.now)
}

// forget takes a flow out of the tables. An ACK of it that waits is followed by nothing
// that it could go with, and must not come behind what TCP still says.
func (l *loop) forget(f *flow) {
	f.yield()
	f.ackPending = -1
	l.expectNone(f.key)
	if l.flows[f.key] == f {
		delete(l.flows, f.key)
	}
	l.conns.remove(f)
}

// expectNone has the next frame of a connection be looked up.
func (l *loop) expectNone(key flowKey) {
	for _, q := range l.queues {
		if q.expect != nil && q.expect.key == key {
			q.expect = nil
		}
	}
}

// runSignals does what was signalled since it was last called.
func (l *loop) runSignals() bool {
	l.mu.Lock()
	l.takeDue()
	if len(l.signals) == 0 && len(l.calls) == 0 {
		l.mu.Unlock()
		return false
	}
	flows, calls := l.signals, l.calls
	l.signals, l.calls = l.running[:0], nil
	l.mu.Unlock()
	for _, f := range flows {
		f.run()
	}
	clear(flows)
	l.running = flows
	for _, f := range calls {
		f()
	}
	return true
}

// park rests until a frame comes or somebody signals.
func (l *loop) park() {
	if l.acksHeld > 0 {
		l.flush(false)
	}
	select {
	case <-l.kick: // for a rest that is over
	default:
	}
	l.parked.Store(true)
	defer l.parked.Store(false)
	// Signals that came before parked was set have kicked nobody.
	l.mu.Lock()
	idle := len(l.signals) == 0 && len(l.calls) == 0 && len(l.timers) == 0 && len(l.due) == 0 && len(l.txQueued) == 0 && len(l.strays) == 0
	l.mu.Unlock()
	if !idle {
		return
	}
	if !l.gone { // or the watcher would come back at once
		select {
		case l.rearm <- struct{}{}:
		default: // the watcher will look once more
		}
	}
	var retry <-chan time.Time
	if l.waiting > 0 { // the device took no more
		t := time.NewTimer(100 * time.Microsecond)
		defer t.Stop()
		retry = t.C
	}
	select {
	case <-l.kick:
	case <-l.tick.C:
	case <-retry:
	}
	l.c.parks.Add(1)
	l.spin.rested()
}

// watch waits for frames in Go's poller while the loop rests. It ends when the
// device is closed or the loop has ended.
func (l *loop) watch() {
	for range l.rearm {
		if err := l.dev.Wait(); err != nil {
			l.fail(err)
			return
		}
		l.wake()
	}
}
