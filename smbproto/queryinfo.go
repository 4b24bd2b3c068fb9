package smbproto

import (
	"math"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

func queryInfoRoom(msg []byte) int {
	return int(min(wire.QueryInfoRequest(msg).OutputLength(), maxInfo))
}

// maxInfo is more than any information that there is.
const maxInfo = 64 << 10

// queryInfo: MS-SMB2 3.3.5.20.
func (c *Conn) queryInfo(r *request, w *reply) wire.Status {
	req := wire.QueryInfoRequest(r.msg)
	if req.Valid() != nil || req.OutputLength() > math.MaxInt32 || int(req.OutputLength()) > c.maxTransact ||
		!c.paid(r, int(req.OutputLength())) {
		return wire.StatusInvalidParameter
	}
	out := w.msg[wire.OutputFixed:]
	out = out[:min(len(out), int(req.OutputLength()))]
	var n int
	status := wire.StatusNotSupported
	switch req.Type() {
	case wire.InfoFile:
		n, status = c.queryFile(r.open, req, out, wire.FileInfoClass(req.Class()))
	case wire.InfoFilesystem:
		n, status = c.queryVolume(r.open, out, wire.FsInfoClass(req.Class()))
	case wire.InfoSecurity:
		if n, status = querySecurity(r.open, out, sd.Parts(req.Additional())); status == wire.StatusBufferTooSmall {
			wire.PutErrorValue(w.msg, uint32(n))
			w.n = wire.ErrorValueSize
			return status
		}
	case wire.InfoQuota:
	default:
		status = wire.StatusInvalidParameter
	}
	if status == wire.StatusOK || status == wire.StatusBufferOverflow {
		wire.PutOutput(w.msg, n)
		w.n = wire.OutputFixed + n
	}
	return status
}

func (c *Conn) queryFile(o *open, req wire.QueryInfoRequest, out []byte, class wire.FileInfoClass) (int, wire.Status) {
	switch class {
	case wire.FileBasicInformation, wire.FileAllInformation, wire.FileNetworkOpenInformation, wire.FileAttributeTagInformation:
		if !o.access.Has(wire.AccessReadAttributes) { // MS-FSA 2.1.5.12
			return 0, wire.StatusAccessDenied
		}
	case wire.FileNormalizedNameInformation:
		if c.dialect < wire.Dialect311 { // MS-SMB2 3.3.5.20.1
			return 0, wire.StatusNotSupported
		}
	case wire.FileFullEAInformation:
		return o.queryEAs(req, out)
	case wire.FileStreamInformation:
		if o.file != nil {
			return o.queryStreams(out)
		}
	}
	var err error
	switch {
	case o.file == nil:
		c.info = o.pipeInfo()
	case class.HasEASize():
		err = o.fillWithEAs(&c.info)
	default:
		err = o.fill(&c.info)
	}
	if err != nil {
		return 0, wire.StatusOf(err)
	}
	return wire.PutFileInfo(out, class, &c.info)
}

// volume is what there is to be said of a share's file system, or of that which is mounted where one of its files is.
func (c *Conn) volume(sh *share, of interface{ Volume(*wire.FsInfo) error }) (wire.FsInfo, wire.Status) {
	info := wire.FsInfo{Label: sh.Name, ObjectID: c.srv.cfg.GUID}
	err := of.Volume(&info)
	return info, wire.StatusOf(err)
}

func (c *Conn) queryVolume(o *open, out []byte, class wire.FsInfoClass) (int, wire.Status) {
	if o.file == nil {
		return 0, wire.StatusInvalidDeviceRequest
	}
	info, status := c.volume(o.tree.share, o.file)
	if status != wire.StatusOK {
		return 0, status
	}
	return wire.PutFsInfo(out, class, &info)
}
