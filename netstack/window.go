package netstack

import (
	"slices"
	"time"
)

// The window budget. What peers may send and nobody has read yet waits in the device's
// queues, in memory of the kernel. Eight bulk flows with a window of 4 MiB each let 32 MiB wait
// there: each byte has left the caches when it is read, and reading takes twice as long. So
// the flows that receive much at the same time share a budget. A flow alone has all
// the window that its ring allows.
//
// A window that was advertised is never taken back (RFC 9293, section 3.8.6): a flow whose
// share is less than before is advertised nothing new until the peer has used up what it has.

const (
	// shareEvery is how often shares are computed anew, at most.
	shareEvery = 5 * time.Millisecond
	// bulkTime is how long a flow counts as bulk after it has used its window.
	bulkTime = 100 * time.Millisecond
	// windowMin is the least share: two largest frames, so that one can be sent
	// while the other is read.
	windowMin = 128 << 10
	// windowFirst is the most window of a flow that has not shown yet what it receives.
	windowFirst = 1 << 20
)

// windows shares the budget out. The loop's own.
type windows struct {
	full   int // most window of one flow
	budget int // of all bulk flows together
	shared time.Time
	due    bool    // a flow has used its window since
	bulk   []*flow // that did in the last bulkTime
}

// first is the window of a new connection.
func (w *windows) first() int { return min(w.full, windowFirst) }

// received notes that n bytes of payload of f have come. A flow that has used half of its
// window without a pause is bulk: more window would let it receive more.
func (w *windows) received(f *flow, n int, now time.Time) {
	if now.Sub(f.lastIn) > bulkTime {
		f.got = 0
	}
	f.lastIn = now
	if f.got += n; f.got < f.share/2 {
		return
	}
	f.got, f.used, w.due = 0, now, true
	if !f.bulk {
		f.bulk = true
		w.bulk = append(w.bulk, f)
	}
}

// share gives each bulk flow that has used its window since the last time its share.
func (w *windows) share(now time.Time) {
	if !w.due || now.Sub(w.shared) < shareEvery {
		return
	}
	w.bulk = slices.DeleteFunc(w.bulk, func(f *flow) bool {
		f.bulk = f.ep != nil && now.Sub(f.used) <= bulkTime
		return !f.bulk
	})
	n := min(max(w.budget/max(len(w.bulk), 1), windowMin), w.full)
	for _, f := range w.bulk {
		if f.used.After(w.shared) {
			f.setWindow(n)
		}
	}
	w.shared, w.due = now, false
}

// setWindow moves the window that the flow is to be advertised to n, unless that is not
// worth it; downwards only a step: TCP drops what exceeds its buffer, which is
// twice the window, and what the peer may still send by an older window has to fit with
// half as much again for what each segment takes beside its payload.
func (f *flow) setWindow(n int) {
	if f.ep == nil {
		return
	}
	n = max(n, max(f.share, int(f.window.Load()))*3/4)
	if n > f.share-f.share/8 && n < f.share+f.share/8 {
		return
	}
	f.share = n
	f.ep.SocketOptions().SetReceiveBufferSize(int64(2*n), true) // gVisor advertises half
}
