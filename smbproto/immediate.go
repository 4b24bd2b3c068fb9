package smbproto

import "ustack/smbproto/wire"

// echo: MS-SMB2 3.3.5.17.
func (c *Conn) echo(r *request, w *reply) wire.Status {
	if wire.EmptyRequest(r.msg).Valid() != nil {
		return wire.StatusInvalidParameter
	}
	wire.PutEmpty(w.msg)
	w.n = wire.EmptySize
	return wire.StatusOK
}

// oplockBreak: no oplock is ever given, so none can be acknowledged, MS-SMB2 3.3.5.22.
func (c *Conn) oplockBreak(r *request, _ *reply) wire.Status {
	if wire.OplockBreakRequest(r.msg).Valid() != nil {
		return wire.StatusInvalidParameter
	}
	return wire.StatusInvalidOplockProtocol
}
