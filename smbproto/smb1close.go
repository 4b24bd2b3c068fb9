package smbproto

import (
	"math"

	"ustack/smbproto/wire"
)

// closeCore: MS-CIFS 2.2.4.5.
func (c *Conn) closeCore(r *smb1Request, w *smb1Reply) wire.Status {
	o := r.open
	if c.waitToClose(&r.request, &w.reply) {
		return wire.StatusPending
	}
	c.setTimeOfClose(o, wire.UTime(r.block.U32(2)))
	return c.releaseSMB1(o.smb1.fid, o)
}

// flushSMB1: MS-CIFS 2.2.4.6. FID 0xFFFF stands for all that the process has open.
func (c *Conn) flushSMB1(r *smb1Request, _ *smb1Reply) wire.Status {
	if fid := r.block.Word(0); fid != math.MaxUint16 {
		if status := c.resolveFID(r, fid); status != wire.StatusOK {
			return status
		}
		if status := c.flushOpen(r.open); status != wire.StatusOK {
			return status
		}
	} else {
		for _, o := range c.smb1.files {
			if o.session == r.session && o.smb1.pid == r.pid {
				if status := c.flushOpen(o); status != wire.StatusOK {
					return status
				}
			}
		}
	}
	return wire.StatusOK
}

func (c *Conn) flushOpen(o *open) wire.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return wire.StatusInvalidHandle
	}
	if o.file == nil {
		return wire.StatusOK
	}
	return wire.StatusOf(o.file.Sync())
}

// seek: MS-CIFS 2.2.4.19. The position counts for nothing else.
func (c *Conn) seek(r *smb1Request, w *smb1Reply) wire.Status {
	b, o := &r.block, r.open
	if o.file == nil {
		return wire.StatusInvalidDeviceRequest
	}
	base := int64(0)
	switch b.Word(1) {
	case 0:
	case 1:
		base = int64(o.smb1.seek)
	case 2:
		if err := o.file.Stat(); err != nil {
			return wire.StatusOf(err)
		}
		base = o.file.Size()
	default:
		return wire.StatusInvalidParameter
	}
	off := int64(int32(b.U32(4)))
	if b.Word(1) == 0 {
		off = int64(b.U32(4))
	}
	o.smb1.seek = uint64(max(base+off, 0))
	wire.PutSMB1U32(w.words(2), uint32(o.smb1.seek))
	return wire.StatusOK
}

// noDevice: there are no printers here, nor other devices.
func (c *Conn) noDevice(*smb1Request, *smb1Reply) wire.Status { return wire.StatusInvalidSMB }
