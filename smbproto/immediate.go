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
