package smbproto

import (
	"io"
	"math"

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
	if req.Valid() != nil || req.Channel() != 0 {
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
		return c.readPipe(o, w, dst)
	}
	switch {
	case o.file.IsDir():
		return wire.StatusInvalidDeviceRequest
	case req.Offset() > math.MaxInt64-uint64(n):
		return wire.StatusInvalidParameter
	case !c.srv.files.mayAccess(o, req.Offset(), n, false):
		return wire.StatusFileLockConflict
	}
	m := 0
	if len(dst) > 0 {
		var err error
		if m, err = o.file.ReadAt(dst, int64(req.Offset())); err == io.EOF {
			return wire.StatusEndOfFile
		} else if err != nil {
			return wire.StatusOf(err)
		}
	}
	if m < int(min(req.MinimumCount(), math.MaxInt32)) {
		return wire.StatusEndOfFile
	}
	o.position = req.Offset() + uint64(m)
	c.srv.counters.bytesRead.Add(uint64(m))
	wire.ReadResponse(w.msg).Put(m)
	w.n = wire.ReadResponseData + m
	return wire.StatusOK
}
