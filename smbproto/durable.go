package smbproto

import (
	"time"

	"ustack/smbproto/auth"
	"ustack/smbproto/wire"
)

// durability is what lets an open outlast its connection, MS-SMB2 3.3.1.10. What the CREATE has granted does not change;
// resilient and timeout are set under the open's lock by FSCTL_LMR_REQUEST_RESILIENCY.
type durability struct {
	durable   bool // while it has a batch oplock, or a lease that lets its client keep handles
	v2        bool
	resilient bool // whatever it has
	timeout   time.Duration
	owner     auth.Identity // who may come back for it
}

// durableAsk is what the create contexts of durable handles ask for.
type durableAsk struct {
	request, reconnect     bool
	v2                     bool // of either
	persistent             bool // of a reconnect: the handle that it is for is not
	id                     wire.FileID
	timeout                time.Duration
	create                 createID
	instance               wire.GUID // of an application; zero for none
	named                  bool      // the request names its create, whether it can be durable or not
	lease                  bool      // a lease is named, too
	leaseV2                bool
	leaseKey               wire.LeaseKey
	wantMxAc, wantQFid     bool
	dhnq, dhnc, dh2q, dh2c bool
}

// readDurable reads the create contexts of durable handles: what they must be and which exclude others, MS-SMB2 3.3.5.9.6,
// 3.3.5.9.7, 3.3.5.9.10 and 3.3.5.9.12.
func (c *Conn) readDurable(r *request, req wire.CreateRequest) (d durableAsk, status wire.Status) {
	d.create.client = r.session.client
	for name, data := range req.Contexts {
		var err error
		switch string(name) {
		case wire.ContextDurableRequest:
			d.dhnq = true
			if len(data) != wire.DurableRequestSize {
				return d, wire.StatusInvalidParameter
			}
		case wire.ContextDurableReconnect:
			b := wire.DurableReconnect(data)
			if err = b.Valid(); err == nil {
				d.dhnc, d.id = true, b.FileID()
			}
		case wire.ContextDurableRequestV2:
			b := wire.DurableRequestV2(data)
			if err = b.Valid(); err == nil && c.dialect >= wire.Dialect300 {
				d.dh2q, d.named = true, true
				d.timeout, d.create.guid = b.Timeout(), b.CreateGUID()
			}
		case wire.ContextDurableReconnectV2:
			b := wire.DurableReconnectV2(data)
			if err = b.Valid(); err == nil && c.dialect >= wire.Dialect300 {
				d.dh2c, d.persistent = true, b.Flags()&wire.DurablePersistent != 0
				d.id, d.create.guid = b.FileID(), b.CreateGUID()
			}
		case wire.ContextAppInstanceID:
			b := wire.AppInstanceID(data)
			if err = b.Valid(); err == nil && c.dialect >= wire.Dialect300 {
				d.instance = b.ID()
			}
		case wire.ContextLease:
			b := wire.LeaseContext(data)
			if err = b.Valid(); err == nil {
				d.lease, d.leaseV2, d.leaseKey = true, b.V2(), b.Key()
			}
		case wire.ContextMaximalAccess:
			d.wantMxAc = true
		case wire.ContextQueryOnDiskID:
			d.wantQFid = true
		}
		if err != nil {
			return d, wire.StatusInvalidParameter
		}
	}
	switch {
	case d.dhnc && (d.dh2q || d.dh2c), d.dh2c && (d.dhnq || d.dh2q), d.dh2q && d.dhnq:
		return d, wire.StatusInvalidParameter
	}
	d.reconnect = d.dhnc || d.dh2c
	d.request = !d.reconnect && (d.dhnq || d.dh2q)
	d.v2 = d.dh2q || d.dh2c
	return d, wire.StatusOK
}

// grantDurable makes an open durable, if that was asked for with what a durable one needs and has been granted: MS-SMB2 3.3.5.9.6 and
// 3.3.5.9.10. No handle is persistent here.
func (c *Conn) grantDurable(o *open, d *durableAsk, asks wire.OplockLevel, held *held) {
	handles := asks == wire.OplockBatch && held.level == wire.OplockBatch ||
		held.level == wire.OplockLease && o.asked.state&held.state&wire.LeaseHandle != 0
	if !d.request || !handles || o.file.IsDir() {
		return
	}
	l := &c.cfg.Limits
	o.durable.durable, o.durable.v2 = true, d.v2
	o.durable.timeout = durableTimeout(l, d.timeout)
}

// durableTimeout is how long an open is kept whose client asks for a time: 0 is none.
func durableTimeout(l *Limits, asks time.Duration) time.Duration {
	if asks == 0 {
		return l.DurableTimeout
	}
	return min(asks, l.MaxDurableTimeout)
}

// requestResiliency: MS-SMB2 3.3.5.15.9. The open, which is locked, outlasts its connection with whatever it has.
func (c *Conn) requestResiliency(o *open, in wire.ResiliencyRequest) wire.Status {
	switch {
	case c.dialect < wire.Dialect210:
		return wire.StatusInvalidDeviceRequest
	case in.Valid() != nil, in.Timeout() > c.cfg.Limits.MaxDurableTimeout:
		return wire.StatusInvalidParameter
	case o.file.IsDir():
		return wire.StatusNotSupported
	}
	o.durable.durable, o.durable.resilient = false, true
	o.durable.timeout = durableTimeout(&c.cfg.Limits, in.Timeout())
	return wire.StatusOK
}
