package smbproto

import (
	"bytes"
	"fmt"
	"math"

	"ustack/smbproto/wire"
)

// ioctlRoom is what an IOCTL lets its response grow by.
func ioctlRoom(msg []byte) int {
	return int(min(wire.IoctlRequest(msg).MaxOutput(), maxIoctlOutput))
}

// maxIoctlOutput is more than any control that there is gives back at once; the
// rest of a pipe's message is read.
const maxIoctlOutput = 64 << 10

// ioctl: MS-SMB2 3.3.5.15.
func (c *Conn) ioctl(r *request, w *reply) wire.Status {
	req := wire.IoctlRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if !req.IsFsctl() {
		return wire.StatusNotSupported
	}
	if req.MaxOutput() > math.MaxInt32 || int(req.MaxOutput()) > c.maxTransact || len(req.Input()) > c.maxTransact ||
		!c.paid(r, max(int(req.MaxOutput()), len(req.Input()))) {
		return wire.StatusInvalidParameter
	}
	out := w.msg[wire.IoctlFixed:]
	out = out[:min(len(out), int(req.MaxOutput()))]
	switch req.Code() {
	case wire.FsctlDFSGetReferrals, wire.FsctlDFSGetReferralsEx:
		return wire.StatusFSDriverRequired // MS-SMB2 3.3.5.15.2: no DFS here
	case wire.FsctlValidateNegotiateInfo:
		n, status := c.validateNegotiate(r, req.Input(), out)
		return c.ioctlDone(w, req, n, status)
	case wire.FsctlQueryNetworkInterfaces:
		n, status := c.networkInterfaces(req, out)
		return c.ioctlDone(w, req, n, status)
	case wire.FsctlPipeWait:
		return wire.StatusInvalidDeviceRequest // of no open
	}
	if status := c.resolveOpen(r, req.FileID()); status != wire.StatusOK {
		return status
	}
	r.open.mu.Lock()
	defer r.open.mu.Unlock()
	if r.open.closed {
		return wire.StatusFileClosed
	}
	if status := c.checkSequence(r); status != wire.StatusOK {
		return status
	}
	n, status := c.control(r.open, req.Code(), req.Input(), out)
	return c.ioctlDone(w, req, n, status)
}

// control carries out a control of an open, which is locked. With an error, too, the first n bytes of out
// are an answer (MS-SMB2 3.3.4.4): that of FSCTL_SRV_COPYCHUNK.
func (c *Conn) control(o *open, code uint32, in, out []byte) (n int, status wire.Status) {
	if o.file == nil {
		if code == wire.FsctlPipeTransceive {
			return c.transceive(o, in, out)
		}
		return 0, wire.StatusInvalidDeviceRequest
	}
	switch code {
	case wire.FsctlGetReparsePoint:
		return 0, wire.StatusNotAReparsePoint // links are followed here, and look like what they lead to
	case wire.FsctlGetCompression:
		if len(out) < wire.CompressionSize {
			return 0, wire.StatusInvalidParameter
		}
		return wire.PutCompression(out, wire.CompressionNone), wire.StatusOK
	case wire.FsctlSetCompression:
		return 0, setCompression(o, wire.Compression(in))
	case wire.FsctlCreateOrGetObjectID, wire.FsctlGetObjectID:
		return c.objectID(o, out)
	case wire.FsctlRequestResiliency:
		return 0, c.requestResiliency(o, wire.ResiliencyRequest(in))
	case wire.FsctlRequestResumeKey:
		if len(out) < wire.ResumeKeySize {
			return 0, wire.StatusInvalidParameter
		}
		return wire.PutResumeKey(out, o.id), wire.StatusOK
	case wire.FsctlCopyChunk, wire.FsctlCopyChunkWrite:
		return c.copyChunks(o, in, out, code == wire.FsctlCopyChunk)
	case wire.FsctlSetSparse:
		return 0, setSparse(o, in)
	case wire.FsctlSetZeroData:
		return 0, c.setZeroData(o, in)
	case wire.FsctlQueryAllocatedRanges:
		return queryAllocatedRanges(o, in, out)
	}
	return 0, wire.StatusInvalidDeviceRequest
}

// setCompression lets a client say that a file is not compressed, for none is.
func setCompression(o *open, in wire.Compression) wire.Status {
	switch {
	case in.Valid() != nil:
		return wire.StatusInvalidParameter
	case !o.access.Has(wire.AccessWriteData):
		return wire.StatusAccessDenied
	case in.Format() != wire.CompressionNone:
		return wire.StatusNotSupported
	}
	return wire.StatusOK
}

// objectID: MS-FSA 2.1.5.10, FSCTL_CREATE_OR_GET_OBJECT_ID and FSCTL_GET_OBJECT_ID. A file has the id that the file system knows it by, and so no other can be set.
func (c *Conn) objectID(o *open, out []byte) (int, wire.Status) {
	if len(out) < wire.ObjectIDSize {
		return 0, wire.StatusInvalidParameter
	}
	if err := o.fill(&c.info); err != nil {
		return 0, wire.StatusOf(err)
	}
	return wire.PutObjectID(out, &c.info, c.srv.cfg.GUID), wire.StatusOK
}

func (c *Conn) ioctlDone(w *reply, req wire.IoctlRequest, n int, status wire.Status) wire.Status {
	if status == wire.StatusOK || status == wire.StatusBufferOverflow || n > 0 {
		wire.PutIoctl(w.msg, req.Code(), req.FileID(), n)
		w.n = wire.IoctlFixed + n
	}
	return status
}

// validateNegotiate lets a client find out whether somebody changed the negotiation,
// MS-SMB2 3.3.5.15.12. If so, the connection ends. Dialect 3.1.1 has the preauth integrity hash for that,
// and no client of it asks.
func (c *Conn) validateNegotiate(r *request, in, out []byte) (int, wire.Status) {
	if c.dialect >= wire.Dialect311 {
		c.hangUp = fmt.Errorf("%w: FSCTL_VALIDATE_NEGOTIATE_INFO in dialect %v", wire.ErrMalformed, c.dialect)
		return 0, wire.StatusAccessDenied
	}
	req := wire.ValidateNegotiate(in)
	if req.Valid() != nil || len(out) < 24 {
		return 0, wire.StatusInvalidParameter
	}
	if best := c.cfg.bestDialect(req.DialectCount(), req.Dialect); best != c.dialect ||
		req.Capabilities() != c.clientCaps || req.SecurityMode() != c.clientMode ||
		!bytes.Equal(req.GUID(), c.clientGUID[:]) {
		c.hangUp = fmt.Errorf("%w: the negotiation was changed on its way", wire.ErrMalformed)
		return 0, wire.StatusAccessDenied
	}
	return wire.PutValidateNegotiate(out, c.capabilities(), c.srv.cfg.GUID, c.securityMode(), c.dialect), wire.StatusOK
}
