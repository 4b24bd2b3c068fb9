package smbproto

import "ustack/smbproto/wire"

// queryUnix says of an open what a level of the UNIX extensions asks for; c.info is filled.
func (c *Conn) queryUnix(o *open, level uint16, out *transOut) wire.Status {
	if o.file == nil {
		return wire.StatusInvalidLevel
	}
	switch level {
	case wire.SMB1InfoUnixBasic:
		if len(out.data) < wire.UnixBasicSize {
			return wire.StatusInfoLengthMismatch
		}
		out.nd = c.info.PutUnixBasic(out.data)
		return wire.StatusOK
	case wire.SMB1InfoUnixInfo2:
		if len(out.data) < wire.UnixInfo2Size {
			return wire.StatusInfoLengthMismatch
		}
		out.nd = c.info.PutUnixInfo2(out.data)
		return wire.StatusOK
	}
	return wire.StatusInvalidLevel
}

// setUnixPath sets of a path what a level of the UNIX extensions says.
func (c *Conn) setUnixPath(*smb1Request, string, uint16, *transaction, *transOut) wire.Status {
	return wire.StatusInvalidLevel
}

// setUnixOpen sets of an open what a level of the UNIX extensions says.
func (c *Conn) setUnixOpen(*open, uint16, []byte) wire.Status {
	return wire.StatusInvalidLevel
}
