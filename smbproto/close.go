package smbproto

import "ustack/smbproto/wire"

// close: MS-SMB2 3.3.5.10. The attributes are those from before the close. The handle is gone also if something of the file was lost.
func (c *Conn) close(r *request, w *reply) wire.Status {
	req := wire.CloseRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	o := r.open
	if c.waitToClose(r, w) {
		return wire.StatusPending
	}
	var info *wire.FileInfo
	if req.Flags()&wire.ClosePostQueryAttributes != 0 && o.file != nil && o.fill(&c.info) == nil {
		info = &c.info
	}
	if status := c.drop(o); status != wire.StatusOK {
		return status
	}
	wire.PutClose(w.msg, info)
	w.n = wire.CloseSize
	return wire.StatusOK
}

// drop closes an open, which is locked, and its session's handle of it. It says if its file could not be deleted, or what was
// written to it did not come to where it is kept.
func (c *Conn) drop(o *open) wire.Status {
	o.session.dropOpen(o)
	err := o.release()
	if err != nil {
		c.log.Warn("closing a file", "cause", err)
	}
	return wire.StatusOf(err)
}

// flush: MS-SMB2 3.3.5.11. What has been written is on disk when it is answered.
func (c *Conn) flush(r *request, w *reply) wire.Status {
	if wire.FlushRequest(r.msg).Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if f := r.open.file; f != nil {
		if !r.open.access.Has(wire.AccessWriteData | wire.AccessAppendData) {
			return wire.StatusAccessDenied
		}
		if err := f.Sync(); err != nil {
			return wire.StatusOf(err)
		}
	}
	wire.PutEmpty(w.msg)
	w.n = wire.EmptySize
	return wire.StatusOK
}
