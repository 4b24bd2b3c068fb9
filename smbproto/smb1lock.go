package smbproto

import (
	"time"

	"ustack/smbproto/wire"
)

// Kinds of LOCKING_ANDX, MS-CIFS 2.2.4.32.1.
const (
	smb1LockShared       = 0x01
	smb1LockOplockBreak  = 0x02
	smb1LockChangeType   = 0x04
	smb1LockCancel       = 0x08
	smb1LockLargeOffsets = 0x10
)

// lockingAndX: MS-CIFS 3.3.5.30.
func (c *Conn) lockingAndX(r *smb1Request, w *smb1Reply) wire.Status {
	b, o := &r.block, r.open
	kind := b.Byte(6)
	timeout, unlocks, locks := b.U32(8), int(b.Word(6)), int(b.Word(7))
	large := kind&smb1LockLargeOffsets != 0
	size := 10
	if large {
		size = 20
	}
	switch {
	case unlocks+locks > maxLockElements*4, len(b.Bytes) < (unlocks+locks)*size:
		return wire.StatusInvalidParameter
	case o.file == nil || o.file.IsDir():
		return wire.StatusInvalidDeviceRequest
	case kind&smb1LockOplockBreak != 0:
		c.acknowledgeSMB1(o, b.Byte(7))
		if unlocks+locks == 0 {
			w.silent = true // an acknowledgment has no answer
			return wire.StatusOK
		}
	}
	switch {
	case kind&smb1LockChangeType != 0:
		return wire.StatusAtomicLocks
	case kind&smb1LockCancel != 0 && locks == 0:
		return wire.StatusInvalidParameter
	}
	element := func(i int) (l byteRange, ok bool) {
		l.owner, l.exclusive = o, kind&smb1LockShared == 0
		l.pid, l.off, l.length, ok = wire.SMB1LockRange(b.Bytes[i*size:], large)
		return l, ok
	}
	t := &c.srv.files
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range unlocks {
		l, ok := element(i)
		if !ok {
			return wire.StatusInvalidParameter
		}
		if status := o.state.unlock(o, l.pid, l.off, l.length); status != wire.StatusOK {
			o.state.grant()
			return status
		}
	}
	if unlocks > 0 {
		o.state.grant()
	}
	var asked []byteRange
	for i := range locks {
		l, ok := element(unlocks + i)
		if !ok {
			return wire.StatusInvalidParameter
		}
		if l.length > 0 && l.off+l.length-1 < l.off {
			return wire.StatusInvalidLockRange
		}
		asked = append(asked, l)
	}
	switch {
	case kind&smb1LockCancel != 0:
		if !o.state.cancelLock(asked[0], large) {
			return wire.StatusCancelFailed
		}
	case len(asked) > 0:
		if status := c.lockSMB1(r, w, asked, large, timeout); status != wire.StatusOK {
			return status
		}
	}
	w.andX(2)
	return wire.StatusOK
}

// lockSMB1 gets all of the locks, or has them wait for as many milliseconds (all ones: for ever). The table's lock is held.
func (c *Conn) lockSMB1(r *smb1Request, w *smb1Reply, asked []byteRange, large bool, timeout uint32) wire.Status {
	o := r.open
	if len(asked) > 0 && !o.mayLock() {
		return wire.StatusAccessDenied
	}
	st := o.state
	status, got := wire.StatusOK, 0
	for got < len(asked) {
		if status = st.tryLock(asked[got]); status != wire.StatusOK {
			break
		}
		got++
	}
	if status == wire.StatusOK {
		c.srv.files.outdates(o, true)
		return status
	}
	switch {
	case status != wire.StatusLockNotGranted:
	case timeout != 0 && r.last:
		status = c.waitForLock(&r.request, &w.reply, waitingLock{byteRange: asked[got], more: asked[got+1:], got: asked[:got:got], large: large})
	default:
		status = o.smb1.refuse(asked[got])
	}
	if status != wire.StatusPending {
		st.dropLast(got)
		return status
	}
	if timeout != 1<<32-1 {
		p, q := c.pending[w.async], lockQueue{&c.srv.files, st}
		p.smb1.timer = time.AfterFunc(time.Duration(timeout)*time.Millisecond, func() { q.expire(p) })
	}
	return status
}

// refuse says how a lock is refused: where one has been refused before, as one that conflicts, and so are those of
// high offsets. Windows does so, and old clients tell the two apart.
func (o *smb1Open) refuse(l byteRange) wire.Status {
	const high = 0xEF000000
	again := o.conflicts && o.conflict == l.off
	o.conflicts, o.conflict = true, l.off
	if again || l.off >= high && l.off>>63 == 0 {
		return wire.StatusFileLockConflict
	}
	return wire.StatusLockNotGranted
}

// expire ends the waiting of a lock whose time is over. The table's lock is held over all of it, so that the
// connection, which needs it to close its opens, is there as long.
func (q lockQueue) expire(p *pending) {
	q.t.mu.Lock()
	defer q.t.mu.Unlock()
	q.st.stopWaiting(func(l *waitingLock) bool {
		if l.p != p {
			return false
		}
		l.owner.smb1.refuse(l.byteRange)
		p.settle(wire.StatusFileLockConflict, nil)
		return true
	})
}

// cancelLock ends the waiting of a lock that the client names by its range, in the form in which it has asked for it;
// false if there is none.
func (s *fileState) cancelLock(of byteRange, large bool) (found bool) {
	s.stopWaiting(func(l *waitingLock) bool {
		if found || l.large != large || !l.owned(of.owner, of.pid) || l.off != of.off || l.length != of.length {
			return false
		}
		found = true
		l.p.settle(wire.StatusFileLockConflict, nil)
		return true
	})
	return found
}

// lockCore gets one lock of the process, which does not wait.
func (c *Conn) lockCore(r *smb1Request, off, length uint64) wire.Status {
	o := r.open
	if o.file == nil || o.file.IsDir() {
		return wire.StatusInvalidDeviceRequest
	}
	if !o.mayLock() {
		return wire.StatusAccessDenied
	}
	t := &c.srv.files
	defer t.sweep()
	t.mu.Lock()
	defer t.mu.Unlock()
	l := byteRange{owner: o, pid: r.pid, off: off, length: length, exclusive: true}
	status := o.state.tryLock(l)
	if status == wire.StatusOK {
		t.outdates(o, true)
	}
	if status != wire.StatusLockNotGranted {
		return status
	}
	return o.smb1.refuse(l)
}

func (c *Conn) unlockCore(r *smb1Request, off, length uint64) wire.Status {
	o := r.open
	if o.file == nil || o.file.IsDir() {
		return wire.StatusInvalidDeviceRequest
	}
	t := &c.srv.files
	t.mu.Lock()
	defer t.mu.Unlock()
	defer o.state.grant()
	return o.state.unlock(o, r.pid, off, length)
}

// lockByteRange: MS-CIFS 2.2.4.13 and 2.2.4.14, LOCK_BYTE_RANGE and UNLOCK_BYTE_RANGE.
func (c *Conn) lockByteRange(r *smb1Request, _ *smb1Reply) wire.Status {
	length, off := uint64(r.block.U32(2)), uint64(r.block.U32(6))
	do := c.lockCore
	if r.code == wire.SMB1UnlockByteRange {
		do = c.unlockCore
	}
	return do(r, off, length)
}
