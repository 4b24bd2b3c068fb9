package smbproto

import (
	"math"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// What one FSCTL_SRV_COPYCHUNK may copy, MS-SMB2 3.3.3: what clients expect that know of no other limits.
const (
	maxChunks     = 256     // ServerSideCopyMaxNumberofChunks
	maxChunk      = 1 << 20 // ServerSideCopyMaxChunkSize
	maxChunkTotal = 16 << 20
)

// copyChunks copies from one open of the session to another, MS-SMB2 3.3.5.15.6. The target o is locked. reads says that it
// must also be readable: what is asked for by FSCTL_SRV_COPYCHUNK_WRITE need not.
func (c *Conn) copyChunks(o *open, in, out []byte, reads bool) (n int, status wire.Status) {
	req := wire.CopyChunks(in)
	if len(out) < wire.CopyChunkResponseSize || req.Valid() != nil {
		return 0, wire.StatusInvalidParameter
	}
	src, status := c.copySource(o, req)
	if status != wire.StatusOK {
		return 0, status
	}
	if src != o {
		if !o.lockAlso(src) {
			return 0, wire.StatusFileClosed
		}
		defer src.mu.Unlock()
		if src.closed || src.file == nil {
			return 0, wire.StatusObjectNameNotFound
		}
	}
	switch {
	case !src.access.Has(shareReads), reads && !o.access.Has(wire.AccessReadData),
		!o.access.Has(wire.AccessWriteData | wire.AccessAppendData):
		return 0, wire.StatusAccessDenied
	case src.file.IsDir(), o.file.IsDir():
		return 0, wire.StatusInvalidDeviceRequest
	case !withinCopyLimits(req):
		return wire.PutCopyChunk(out, maxChunks, maxChunk, maxChunkTotal), wire.StatusInvalidParameter
	}
	var chunks, total uint32
	changed := false
	for chunks < req.Count() && status == wire.StatusOK {
		from, to, length := req.Chunk(int(chunks))
		var written int64
		written, status = c.copyChunk(o, src, from, to, length)
		changed = changed || written > 0
		if status == wire.StatusOK {
			chunks, total = chunks+1, total+length
		}
	}
	if changed {
		o.modified()
		if err := o.settle(false); err != nil {
			status = wire.StatusOf(err)
		}
	}
	return wire.PutCopyChunk(out, chunks, 0, total), status
}

// lockAlso locks a second open besides o, which is locked. Another channel of the session may copy the other way, so the
// one that was opened first is locked first; o is given up for that where it has to be, and false says that it was closed
// meanwhile: then only o is locked.
func (o *open) lockAlso(other *open) bool {
	if o.id.Volatile < other.id.Volatile {
		other.mu.Lock()
		return true
	}
	if other.mu.TryLock() {
		return true
	}
	o.mu.Unlock()
	other.mu.Lock()
	o.mu.Lock()
	if o.closed {
		other.mu.Unlock()
		return false
	}
	return true
}

// copySource finds the open that a key is of. The session's own is known already.
func (c *Conn) copySource(o *open, req wire.CopyChunks) (*open, wire.Status) {
	id, ok := req.Source()
	if !ok {
		return nil, wire.StatusObjectNameNotFound
	}
	if src := o.session.open(id); src != nil {
		return src, wire.StatusOK
	}
	return nil, wire.StatusObjectNameNotFound
}

func withinCopyLimits(req wire.CopyChunks) bool {
	if req.Count() > maxChunks {
		return false
	}
	total := 0
	for i := range int(req.Count()) {
		_, _, length := req.Chunk(i)
		if length == 0 || length > maxChunk {
			return false
		}
		total += int(length)
	}
	return total <= maxChunkTotal
}

// copyChunk copies one chunk. Of one that fails midway some is written.
func (c *Conn) copyChunk(dst, src *open, from, to uint64, length uint32) (written int64, status wire.Status) {
	n := int64(length)
	if to > math.MaxInt64-uint64(n) {
		return 0, wire.StatusDiskFull // StatusInvalidParameter is for the limits alone
	}
	if err := src.file.Stat(); err != nil {
		return 0, wire.StatusOf(err)
	}
	switch {
	case from > math.MaxInt64-uint64(n), int64(from)+n > src.file.Size():
		return 0, wire.StatusInvalidViewSize
	case !c.srv.files.mayAccess(src, from, int(n), false), !c.srv.files.mayAccess(dst, to, int(n), true):
		return 0, wire.StatusFileLockConflict
	case !dst.access.Has(wire.AccessWriteData):
		if status := mayAppend(dst.file, to); status != wire.StatusOK {
			return 0, status
		}
	}
	written, err := vfs.Copy(dst.file, src.file, int64(to), int64(from), n)
	switch {
	case err != nil:
		return written, wire.StatusOf(err)
	case written < n:
		return written, wire.StatusInvalidViewSize
	}
	return written, wire.StatusOK
}
