package smbproto

import "ustack/smbproto/wire"

// lockSequence remembers which LOCK requests of an open have succeeded, MS-SMB2 3.3.1.10: a client whose connection was lost may send
// one again. The table's lock guards it. An entry is 0, or the number of the last request of its index, and 1.
type lockSequence [64]uint8

// lockID names a LOCK request; the zero value is none.
type lockID struct{ index, number uint8 }

// lockIDOf is the name that counts: of opens that a request may come again for, after the connection or over another channel.
func (c *Conn) lockIDOf(o *open, req wire.LockRequest) lockID {
	index, number := req.Sequence()
	switch {
	case c.dialect == wire.Dialect202, index == 0, index > uint32(len(lockSequence{})):
		return lockID{}
	case !o.durable.durable && !o.durable.resilient && (c.dialect < wire.Dialect300 || c.cfg.Limits.MaxChannels == 1):
		return lockID{}
	}
	return lockID{uint8(index), number}
}

// repeats reports whether a LOCK request has succeeded before, under the table's lock. If not, its index is for it.
func (o *open) repeats(id lockID) bool {
	if id == (lockID{}) || o.locked == nil {
		return false
	}
	entry := &o.locked[id.index-1]
	if *entry == id.number+1 {
		return true
	}
	*entry = 0
	return false
}

// succeeds notes that a LOCK request has, under the table's lock.
func (o *open) succeeds(id lockID) {
	if id == (lockID{}) {
		return
	}
	if o.locked == nil {
		o.locked = new(lockSequence)
	}
	o.locked[id.index-1] = id.number + 1
}
