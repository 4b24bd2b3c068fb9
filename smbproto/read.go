package smbproto

import (
	"io"
	"math"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// readRoom is what a READ adds to its response; what is more than a frame holds
// is refused by read.
func readRoom(msg []byte) int {
	return int(min(wire.ReadRequest(msg).Length(), math.MaxInt32))
}

// read: MS-SMB2 3.3.5.12. The file is read into the out ring, at the place from
// which it is sent.
func (c *Conn) read(r *request, w *reply) wire.Status {
	req := wire.ReadRequest(r.msg)
	if req.Valid() != nil || c.byChannel(req.Channel()) {
		return wire.StatusInvalidParameter
	}
	n := int(min(req.Length(), math.MaxInt32))
	if n > c.maxRead || !c.paid(r, n) {
		return wire.StatusInvalidParameter
	}
	o := r.open
	if !o.access.Has(wire.AccessReadData | wire.AccessExecute) {
		return wire.StatusAccessDenied
	}
	dst := w.msg[wire.ReadResponseData:]
	dst = dst[:min(n, len(dst))]
	if o.file == nil {
		n, status := o.readPipe(dst)
		if !status.IsError() { // what is longer than dst is a warning
			wire.ReadResponse(w.msg).Put(n)
			w.n = wire.ReadResponseData + n
		}
		return status
	}
	m, status := c.lend(r, o, len(dst), req)
	if m == 0 && status == wire.StatusOK {
		m, status = c.readAt(o, dst, req.Offset(), n)
	}
	if status != wire.StatusOK {
		return status
	}
	if m < int(min(req.MinimumCount(), math.MaxInt32)) {
		return wire.StatusEndOfFile
	}
	c.haveRead(o, req.Offset(), m)
	wire.ReadResponse(w.msg).Put(m)
	w.n = wire.ReadResponseData + m
	return wire.StatusOK
}

// readAt reads from the file of an open, which is locked, into dst: as much as that holds of the n bytes at off that
// the client asks for.
func (c *Conn) readAt(o *open, dst []byte, off uint64, n int) (m int, status wire.Status) {
	if status := c.mayRead(o, off, n); status != wire.StatusOK {
		return 0, status
	}
	if len(dst) > 0 {
		var err error
		if m, err = o.file.ReadAt(dst, int64(off)); err == io.EOF {
			return 0, wire.StatusEndOfFile
		} else if err != nil {
			return 0, wire.StatusOf(err)
		}
	}
	return m, wire.StatusOK
}

// mayRead says why the n bytes at off of an open can't be read, if they can't.
func (c *Conn) mayRead(o *open, off uint64, n int) wire.Status {
	switch {
	case o.file.IsDir():
		return wire.StatusInvalidDeviceRequest
	case off > math.MaxInt64-uint64(n):
		return wire.StatusInvalidParameter
	case !c.srv.files.mayAccess(o, off, n, false):
		return wire.StatusFileLockConflict
	}
	return wire.StatusOK
}

// lend has the file lend what a READ asks for, up to room bytes, to the out ring, where nobody has to read it but the kernel that
// sends it: in a frame of its own that is neither signed nor encrypted. The answer must be committed then. It says how much that is; 0,
// without an error: it is to be read.
func (c *Conn) lend(r *request, o *open, room int, req wire.ReadRequest) (m int, status wire.Status) {
	if room < vfs.LendLeast || !r.alone || r.signed || c.sealing != nil || !c.out.MayLend() {
		return 0, wire.StatusOK
	}
	off, n := req.Offset(), int(min(req.Length(), math.MaxInt32))
	if status := c.mayRead(o, off, n); status != wire.StatusOK {
		return 0, status
	}
	asked := c.askedBack.Load()
	l := o.file.Lend(int64(off), min(n, room), c)
	if l == nil {
		return 0, wire.StatusOK
	}
	if m = len(l.Bytes()); m < int(min(req.MinimumCount(), math.MaxInt32)) {
		l.Returned()
		return 0, wire.StatusOK
	}
	if !c.out.Lend(wire.FrameHeaderSize+wire.ReadResponseData, l.Bytes(), l) {
		panic("smbproto: a loan that the out ring does not take") // it said that it would, and nobody else lends to it
	}
	if c.askedBack.Load() != asked { // perhaps for this one, while it was neither here nor there
		c.out.TakeBack(l)
		return 0, wire.StatusOK
	}
	return m, wire.StatusOK
}

// TakeBack implements vfs.Borrower.
func (c *Conn) TakeBack(l *vfs.Loan) {
	c.askedBack.Add(1) // first: see lend
	c.out.TakeBack(l)
}

// haveRead notes that n bytes at off have been read.
func (c *Conn) haveRead(o *open, off uint64, n int) {
	o.position = off + uint64(n)
	c.srv.counters.bytesRead.Add(uint64(n))
}
