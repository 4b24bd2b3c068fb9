package smbproto

import (
	"errors"
	"slices"
	"time"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// An open whose session has ended may be kept for its client to come back for it: with its file, oplock, share mode and locks, but
// for those that wait (MS-SMB2 3.3.7.1). From then on requests find it closed, and the lock of the table of files guards all that
// it has. It ends there in one of three ways, each under that lock: it is taken over by an open of the client's new session
// (reconnect.go), its time is over, or it is evicted, as somebody else needs what nobody can be asked to give up.

// absence is an open's that is kept so.
type absence struct {
	timer *time.Timer
	locks int // byte-range locks that it has
}

// maxAbsentLocks bounds the byte-range locks of all opens that are kept.
const maxAbsentLocks = 16 * maxLocks

// part ends what a session has in an open, which is locked: the open is kept, or closed.
func (o *open) part() error {
	if !o.closed && o.file != nil && o.session.srv.files.keep(o) {
		return nil
	}
	return o.release()
}

// keep keeps an open, which is locked, if it is one that outlasts its session; false if not.
func (t *fileTable) keep(o *open) bool {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !o.outlasts() {
		return false
	}
	t.endCreate(o)
	o.closed = true
	o.state.dropWaiting(o)
	away := &absence{locks: o.state.locksOf(o)}
	o.addLocks(-away.locks)
	o.away = away
	t.absent = append(t.absent, o)
	t.absentLocks += away.locks
	away.timer = time.AfterFunc(o.durable.timeout, func() { t.expire(o) })
	if h := o.oplock; h != nil {
		t.tellOthers(h, o)
	}
	t.bound(o)
	return true
}

// outlasts reports whether an open is to be kept when its session ends, MS-SMB2 3.3.7.1: a durable one while nobody wants
// its oplock. Of a share that is gone nothing is kept: who closes what was kept of it may have looked before.
func (o *open) outlasts() bool {
	if o.held.gone.Load() {
		return false
	}
	h := o.oplock
	return o.durable.resilient || o.durable.durable && h != nil && h.state&wire.LeaseHandle != 0 && !h.breaking
}

// bound evicts what is kept above the limits, the oldest first: of the client of o, and of all.
func (t *fileTable) bound(o *open) {
	l := &o.conn.cfg.Limits
	ofClient := 0
	for _, other := range t.absent {
		if other.session.client == o.session.client {
			ofClient++
		}
	}
	for _, other := range slices.Clone(t.absent) {
		switch same := other.session.client == o.session.client; {
		case same && ofClient > l.MaxClientDisconnected:
			ofClient--
		case len(t.absent) <= l.MaxDisconnected && t.absentLocks <= maxAbsentLocks:
			continue
		case same:
			ofClient--
		}
		t.evict(other)
	}
}

// expire ends an open whose client has not come back in time.
func (t *fileTable) expire(o *open) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.away != nil {
		o.conn.log.Info("a disconnected file was not reclaimed", "file", o.file.Path().Backslashed(), "after", o.durable.timeout)
		t.evict(o)
	}
}

// evict closes an open that is kept, under the table's lock: at once for all others, while what takes longer is left to sweep.
func (t *fileTable) evict(o *open) {
	t.comeBack(o)
	t.evictions++
	if o.deleteOnClose && o.file.CanRemoveAtClose() == nil {
		o.doomed = true
	}
	renamed := o.renamed && !o.state.deletePending(o.entry)
	shut, last := t.leaveLocked(o)
	o.away = nil
	t.left = append(t.left, leftover{o, shut, last, renamed})
	t.littered.Store(true)
}

// comeBack takes an open out of those that are kept; its resources are the caller's.
func (t *fileTable) comeBack(o *open) {
	o.away.timer.Stop()
	t.absent = slices.DeleteFunc(t.absent, func(other *open) bool { return other == o })
	t.absentLocks -= o.away.locks
}

// evictAll closes the opens that are kept and meet a condition.
func (t *fileTable) evictAll(which func(o *open) bool) {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range slices.Clone(t.absent) {
		if which(o) {
			t.evict(o)
		}
	}
}

// evictOldest makes room; false if nothing is kept.
func (t *fileTable) evictOldest() bool {
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.absent) == 0 {
		return false
	}
	t.evict(t.absent[0])
	return true
}

// evictFrom closes the opens of a file, or a stream, that are kept and can't be asked to let others have it. Resilient ones stay.
func (t *fileTable) evictFrom(st *fileState) { t.evictUnheard(st.opens) }

func (t *fileTable) evictUnheard(opens []*open) {
	for _, o := range slices.Clone(opens) {
		if o.away != nil && !o.durable.resilient {
			t.evict(o)
		}
	}
}

// unheard does what a break would ask for where nobody can be told of it, MS-SMB2 3.3.4.6 and 3.3.4.7: opens that are kept are
// closed where their clients could not keep handles any more, and where no other client's open has the oplock; resilient ones lose
// what it lets them cache. It reports whether nobody is left to be told.
func (t *fileTable) unheard(h *oplock, to wire.LeaseState) bool {
	if h.present() != nil && to&wire.LeaseHandle != 0 {
		return false
	}
	t.evictUnheard(h.opens)
	if h.present() != nil {
		return false
	}
	h.setState(h.state & to)
	return true
}

// present is an open of the oplock that a client has.
func (h *oplock) present() *open {
	for _, o := range h.opens {
		if o.away == nil {
			return o
		}
	}
	return nil
}

// leftover is what an open that was evicted leaves to be closed, or removed.
type leftover struct {
	open    *open
	shut    *vfs.File
	last    *removal
	renamed bool
}

// sweep closes what evicted opens have left. It is called without the table's lock, by whoever had it and may have evicted.
func (t *fileTable) sweep() {
	if !t.littered.Load() {
		return
	}
	t.sweeping.Lock() // who closes the server waits for who sweeps
	defer t.sweeping.Unlock()
	t.mu.Lock()
	left := t.left
	t.left = nil
	t.littered.Store(false)
	t.mu.Unlock()
	for _, l := range left {
		var errs []error
		if l.renamed && l.shut != nil {
			l.open.session.srv.tellRenamed(l.shut)
		}
		if l.open.wrote && l.shut != nil {
			t.breakDirectory(l.open, l.shut.Path())
		}
		if l.last != nil {
			errs = append(errs, t.remove(l.last, func(d doomed, err error) {
				l.open.auditRemoval(d.file, err)
				if err == nil {
					t.breakDirectory(l.open, d.file.Path(), d.asked)
				}
			}))
		}
		if l.shut != nil {
			errs = append(errs, l.shut.Close())
		}
		if l.open.held != nil {
			errs = append(errs, l.open.held.drop())
		}
		if err := errors.Join(errs...); err != nil {
			t.log.Warn("closing a disconnected file", "cause", err)
		}
	}
}
