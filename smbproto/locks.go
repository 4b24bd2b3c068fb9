package smbproto

import (
	"slices"

	"ustack/smbproto/wire"
)

// byteRange is a lock of [off, off+length), MS-FSA 2.1.5.8. One of length 0 lies
// between two bytes.
type byteRange struct {
	owner       *open
	pid         uint32 // of SMB1: the client's process, which owns the lock with the open; 0 in SMB2
	off, length uint64
	exclusive   bool
}

func (b *byteRange) overlaps(off, length uint64) bool {
	if b.length == 0 || length == 0 {
		// An empty range conflicts only strictly inside of another.
		switch {
		case b.length == 0 && length == 0:
			return false
		case b.length == 0:
			return b.off > off && b.off-off < length
		default:
			return off > b.off && off-b.off < b.length
		}
	}
	// In differences, for the sums may overflow.
	if b.off <= off {
		return off-b.off < b.length
	}
	return b.off-off < length
}

func (b *byteRange) owned(o *open, pid uint32) bool { return b.owner == o && b.pid == pid }

// keepsOff reports whether the lock is in the way of reading or writing its range.
func (b *byteRange) keepsOff(o *open, write bool) bool {
	if b.owned(o, o.pid) {
		return write && !b.exclusive
	}
	return write || b.exclusive
}

// maxLocks bounds the locks of one file, maxLockElements those of one request, and maxWaiting those that wait for a
// file's: together, how long a request can hold the table of files. maxConnLocks bounds what a connection's
// locks cost.
const (
	maxLocks        = 4096
	maxLockElements = 64
	maxWaiting      = 64
	maxConnLocks    = 4 * maxLocks
)

// addLocks counts an open's locks with its connection, while it has one. The table's lock guards the count.
func (o *open) addLocks(n int) {
	if o.away == nil {
		o.conn.locks += n
	}
}

func (s *fileState) locksOf(o *open) (n int) {
	for i := range s.locks {
		if s.locks[i].owner == o {
			n++
		}
	}
	return n
}

func (s *fileState) dropLocks(o *open) {
	kept := s.locks[:0]
	for _, l := range s.locks {
		if l.owner != o {
			kept = append(kept, l)
		}
	}
	o.addLocks(len(kept) - len(s.locks))
	s.setLocks(kept)
	s.dropWaiting(o)
	s.grant()
}

// dropWaiting refuses an open's locks that wait.
func (s *fileState) dropWaiting(o *open) {
	s.stopWaiting(func(l *waitingLock) bool {
		if l.owner == o {
			l.p.settle(wire.StatusRangeNotLocked, nil)
		}
		return l.owner == o
	})
}

// waitingLock is a lock that was asked for and is in another's way.
type waitingLock struct {
	byteRange
	p     *pending
	id    lockID
	more  []byteRange // of SMB1: others that the request asks for, in this order
	got   []byteRange // likewise: those that it has got, and gives back if it does not get the others
	large bool        // likewise: it was asked for in the form of 64 bits, in which alone it is cancelled
}

// asked counts the locks that wait.
func (s *fileState) asked() (n int) {
	for i := range s.waiting {
		n += 1 + len(s.waiting[i].more)
	}
	return n
}

// lockQueue is where the locks of one file wait.
type lockQueue struct {
	t  *fileTable
	st *fileState
}

func (q lockQueue) withdraw(p *pending) bool {
	q.t.mu.Lock()
	defer q.t.mu.Unlock()
	return q.st.stopWaiting(func(l *waitingLock) bool { return l.p == p }) > 0
}

// grant gives those who wait what they can have now, the first first.
func (s *fileState) grant() {
	for i := range s.waiting {
		l := &s.waiting[i]
		status := s.tryLock(l.byteRange)
		for status == wire.StatusOK && len(l.more) > 0 {
			l.got, l.byteRange, l.more = append(l.got, l.byteRange), l.more[0], l.more[1:]
			status = s.tryLock(l.byteRange)
		}
		if status == wire.StatusLockNotGranted {
			continue
		}
		if status != wire.StatusOK {
			s.giveBack(l)
		}
		if status == wire.StatusOK {
			l.owner.succeeds(l.id)
		}
		l.p.settle(status, nil)
		l.p = nil
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(l waitingLock) bool { return l.p == nil })
}

// giveBack takes back what a request has got that does not get the rest.
func (s *fileState) giveBack(l *waitingLock) {
	for _, g := range l.got {
		s.unlock(g.owner, g.pid, g.off, g.length)
	}
	l.got = nil
}

// stopWaiting takes those who wait out that are meant, and says how many.
func (s *fileState) stopWaiting(meant func(l *waitingLock) bool) (n int) {
	gave := false
	s.waiting = slices.DeleteFunc(s.waiting, func(l waitingLock) bool {
		if !meant(&l) {
			return false
		}
		gave = gave || len(l.got) > 0
		s.giveBack(&l)
		n++
		return true
	})
	if gave {
		s.grant()
	}
	return n
}

func (s *fileState) setLocks(l []byteRange) {
	if len(l) < cap(l)/4 {
		l = slices.Clone(l) // the room of many is not kept for few
	}
	s.locks = l
	s.locked.Store(int32(len(l)))
}

// tryLock adds a lock, or says what is in the way.
func (s *fileState) tryLock(l byteRange) wire.Status {
	for i := range s.locks {
		have := &s.locks[i]
		// One's own exclusive lock does not keep a shared one off, MS-FSA 2.1.4.10.
		conflicts := l.exclusive || have.exclusive && !have.owned(l.owner, l.pid)
		if conflicts && have.overlaps(l.off, l.length) {
			return wire.StatusLockNotGranted
		}
	}
	if len(s.locks) >= maxLocks || l.owner.conn.locks >= maxConnLocks {
		return wire.StatusInsufficientResources
	}
	l.owner.addLocks(1)
	s.setLocks(append(s.locks, l))
	return wire.StatusOK
}

// unlock takes a lock back: of two of the same range, the exclusive one, as Windows does.
func (s *fileState) unlock(o *open, pid uint32, off, length uint64) wire.Status {
	at := -1
	for i, l := range s.locks {
		if l.owned(o, pid) && l.off == off && l.length == length && (at < 0 || l.exclusive && !s.locks[at].exclusive) {
			at = i
		}
	}
	if at < 0 {
		return wire.StatusRangeNotLocked
	}
	o.addLocks(-1)
	s.setLocks(append(s.locks[:at], s.locks[at+1:]...))
	return wire.StatusOK
}

// mayAccess reports whether no other's lock forbids to read or write a range
// (MS-FSA 2.1.4.10). Files without locks, nearly all, cost one atomic load.
func (t *fileTable) mayAccess(o *open, off uint64, n int, write bool) bool {
	if o.state.locked.Load() == 0 || n == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range o.state.locks {
		l := &o.state.locks[i]
		if l.overlaps(off, uint64(n)) && l.keepsOff(o, write) {
			return false
		}
	}
	return true
}

// mayLock reports whether an open may lock ranges of its file: who can neither read nor write it keeps nobody else from that. Windows
// and Samba refuse it too.
func (o *open) mayLock() bool {
	return o.access.Has(wire.AccessReadData | wire.AccessExecute | wire.AccessWriteData | wire.AccessAppendData)
}

// lock: MS-SMB2 3.3.5.14. A lock that is in another's way waits, if the client will.
func (c *Conn) lock(r *request, w *reply) wire.Status {
	req := wire.LockRequest(r.msg)
	o := r.open
	switch {
	case req.Valid() != nil, req.Count() == 0, req.Count() > maxLockElements:
		return wire.StatusInvalidParameter
	case o.file == nil || o.file.IsDir():
		return wire.StatusInvalidDeviceRequest
	}
	t := &c.srv.files
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	id := c.lockIDOf(o, req)
	if o.repeats(id) {
		wire.PutEmpty(w.msg)
		w.n = wire.EmptySize
		return wire.StatusOK
	}
	_, _, first := req.Element(0)
	switch {
	case first == wire.LockUnlock:
		defer o.state.grant() // once, however many are unlocked
	case r.session.expired():
		return wire.StatusNetworkSessionExpired // nothing is locked any more, MS-SMB2 3.3.5.2.9
	case !o.mayLock():
		return wire.StatusAccessDenied
	}
	for i := range req.Count() {
		off, length, flags := req.Element(i)
		status := wire.StatusInvalidParameter // all lock or all unlock
		waits := flags&wire.LockFailImmediately == 0
		switch {
		case (flags^first)&wire.LockUnlock != 0:
		case flags == wire.LockUnlock:
			status = o.state.unlock(o, 0, off, length)
		case flags&^wire.LockFailImmediately == wire.LockShared, flags&^wire.LockFailImmediately == wire.LockExclusive:
			if length > 0 && off+length-1 < off {
				status = wire.StatusInvalidLockRange
				break
			}
			if waits && req.Count() > 1 {
				status = wire.StatusInvalidParameter // only one can be waited for, 3.3.5.14.2
				break
			}
			if i == 0 { // what can be no lock takes nothing away from others
				t.outdates(o, true)
			}
			l := byteRange{owner: o, off: off, length: length, exclusive: flags&wire.LockExclusive != 0}
			if status = o.state.tryLock(l); status == wire.StatusLockNotGranted && waits {
				status = c.waitForLock(r, w, waitingLock{byteRange: l, id: id})
			}
		}
		if status != wire.StatusOK {
			if first != wire.LockUnlock { // unlocks stay done
				o.state.dropLast(i)
			}
			return status
		}
	}
	o.succeeds(id)
	wire.PutEmpty(w.msg)
	w.n = wire.EmptySize
	return wire.StatusOK
}

// waitForLock has a lock wait, under the table's lock, and with it the others of its request: as many as that has, if they
// are the only ones.
func (c *Conn) waitForLock(r *request, w *reply, l waitingLock) wire.Status {
	st := l.owner.state
	if n := st.asked(); n > 0 && n+1+len(l.more) > maxWaiting {
		return wire.StatusInsufficientResources
	}
	p, status := c.park(r, w, lockQueue{&c.srv.files, st})
	if status != wire.StatusOK {
		return status
	}
	l.p = p
	st.waiting = append(st.waiting, l)
	return wire.StatusPending
}

// dropLast takes back the last n locks, which a request that failed has added: an older one may have the same range.
func (s *fileState) dropLast(n int) {
	kept := len(s.locks) - n
	for _, l := range s.locks[kept:] {
		l.owner.addLocks(-1)
	}
	s.setLocks(s.locks[:kept])
}
