package smbproto

import (
	"math"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// checkWrite applies the rules of MS-SMB2 3.3.5.13 that need no data. The open is locked.
func (c *Conn) checkWrite(r *request, total int) wire.Status {
	req := wire.WriteRequest(r.msg)
	if req.Valid(total) != nil || c.byChannel(req.Channel()) {
		return wire.StatusInvalidParameter
	}
	n := int(min(req.Length(), math.MaxInt32))
	if n > c.maxWrite || !c.paid(r, n) {
		return wire.StatusInvalidParameter
	}
	return c.mayWrite(r.open, req.Offset(), n)
}

// byChannel reports whether a READ or WRITE goes by RDMA, which there is none of on TCP. SMB 2.0.2 and 2.1 know no channels, and ignore
// what stands there (MS-SMB2 2.2.19, 2.2.21).
func (c *Conn) byChannel(channel uint32) bool { return channel != 0 && c.dialect >= wire.Dialect300 }

// mayWrite says whether n bytes may be written at off through an open, which is locked.
func (c *Conn) mayWrite(o *open, off uint64, n int) wire.Status {
	if !o.access.Has(wire.AccessWriteData | wire.AccessAppendData) {
		return wire.StatusAccessDenied
	}
	if o.file == nil {
		return wire.StatusOK
	}
	switch {
	case o.file.IsDir():
		return wire.StatusInvalidDeviceRequest
	case off > math.MaxInt64-uint64(n):
		return wire.StatusInvalidParameter
	case !o.file.Holds(off, n):
		return wire.StatusDiskFull
	case !c.srv.files.mayAccess(o, off, n, true):
		return wire.StatusFileLockConflict
	case !o.access.Has(wire.AccessWriteData):
		return mayAppend(o.file, off)
	}
	return wire.StatusOK
}

// mayAppend says whether a write at off leaves what the file has, as FILE_APPEND_DATA alone
// demands (MS-SMB2 3.3.5.13).
func mayAppend(f *vfs.File, off uint64) wire.Status {
	if err := f.Stat(); err != nil {
		return wire.StatusOf(err)
	}
	if off < uint64(f.Size()) {
		return wire.StatusAccessDenied
	}
	return wire.StatusOK
}

// write handles a WRITE that had to arrive as a whole: it is signed, part of a
// compound, or for a pipe. Its data goes from the ring to the file all the same.
func (c *Conn) write(r *request, w *reply) wire.Status {
	if status := c.checkWrite(r, len(r.msg)); status != wire.StatusOK {
		return status
	}
	req := wire.WriteRequest(r.msg)
	o := r.open
	if o.file == nil {
		if status := c.writePipe(o, req.Data()); status != wire.StatusOK {
			return status
		}
	} else if err := o.writeAt(req.Data(), req.Offset()); err != nil {
		return wire.StatusOf(err)
	} else if err := c.writeDone(o, req); err != nil {
		return wire.StatusOf(err)
	}
	wire.WriteResponse(w.msg).Put(req.Length())
	w.n = wire.WriteResponseSize
	return wire.StatusOK
}

// writeAt writes to the file. Of what fails midway, what is in the file has changed it; the rest is wrote's to note.
func (o *open) writeAt(data []byte, off uint64) error {
	n, err := o.file.WriteAt(data, int64(off))
	if err != nil && n > 0 {
		o.modified()
	}
	return err
}

// writeDone notes a WRITE whose data has gone to its file, and puts it on disk if
// that was asked for.
func (c *Conn) writeDone(o *open, req wire.WriteRequest) error {
	return c.wrote(o, req.Offset(), int(req.Length()), req.Flags()&wire.WriteThrough != 0)
}

// wrote notes that n bytes have been written at off. A WRITE of none has done nothing, MS-FSA 2.1.5.4.
func (c *Conn) wrote(o *open, off uint64, n int, through bool) error {
	if n == 0 {
		return nil
	}
	o.position = off + uint64(n)
	c.srv.counters.bytesWritten.Add(uint64(n))
	o.modified()
	return o.settle(through)
}

// settle puts what was changed through the open on disk, if that was asked for with the request or with the open.
func (o *open) settle(through bool) error {
	if through || o.mode&wire.OptionWriteThrough != 0 {
		return o.file.Sync()
	}
	return nil
}

// modified notes that the file has been changed through the open, MS-FSA 2.1.4.17. The times are Linux's,
// unless the client has said that this one is to stay. The change has been made: what can't be noted
// does not make it fail.
func (o *open) modified() {
	o.session.srv.files.changes(o)
	o.wrote = true
	if o.frozen != 0 {
		if err := o.file.SetTimes(0, o.frozen); err != nil {
			o.conn.log.Debug("keeping the time of the last write", "cause", err)
		}
	}
	o.toArchive()
}

// toArchive sets the archive attribute of the open's file, if it has not that already.
func (o *open) toArchive() {
	if o.state.archive.Load() {
		return
	}
	o.state.archive.Store(true)
	if err := o.file.MarkArchive(); err != nil {
		o.conn.log.Debug("setting the archive attribute", "cause", err)
	}
}
