package smbproto

import (
	"sync"
	"time"

	"ustack/smbproto/wire"
)

// Another program on this machine may have a lease of a file, F_SETLEASE of fcntl(2). To open the file tells that program to give it up,
// for which Linux gives it 45 seconds. An open that waited for that in the call would hold what others need; so it is refused there at
// once, and tried again now and then: Linux tells nobody when the lease has gone.

const (
	othersLeaseSoon = 5 * time.Millisecond
	othersLeaseLate = 500 * time.Millisecond
)

// othersLease is where one request waits for it.
type othersLease struct {
	mu sync.Mutex
	p  *pending
}

func (l *othersLease) withdraw(p *pending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	waits := l.p == p
	l.p = nil
	return waits
}

// waitForOthersLease has a request tried again after a while, that is longer the longer it has waited; for as long as an oplock is waited
// for.
func (c *Conn) waitForOthersLease(r *request, w *reply) wire.Status {
	now := time.Now()
	since := now
	if c.again(r) && !c.resumed.othersLease.IsZero() {
		since = c.resumed.othersLease
	}
	waited := now.Sub(since)
	if waited > oplockTimeout {
		return wire.StatusSharingViolation
	}
	l := new(othersLease)
	l.mu.Lock()
	defer l.mu.Unlock()
	p, status := c.parkAgain(r, w, l)
	if status != wire.StatusOK {
		return status
	}
	p.othersLease, l.p = since, p
	time.AfterFunc(min(max(waited/4, othersLeaseSoon), othersLeaseLate), l.over)
	return wire.StatusPending
}

// over has the request tried again, if it still waits. It is settled under the lock: who finds that it waits no more finds it settled, or
// takes it for one that is being cancelled (leaveCreates).
func (l *othersLease) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p != nil {
		l.p.settle(wire.StatusOK, nil)
		l.p = nil
	}
}
