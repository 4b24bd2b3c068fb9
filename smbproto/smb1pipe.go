package smbproto

import "ustack/smbproto/wire"

// What a TRANSACTION may ask of a named pipe, by the first setup word (MS-CIFS 2.2.5).
var pipeFunctions = map[uint16]*transFunction{
	0x01: {name: "SET_NMPIPE_STATE", needs: needOpen, fid: 2, run: (*Conn).pipeSetState},
	0x21: {name: "QUERY_NMPIPE_STATE", needs: needOpen, fid: 2, run: (*Conn).pipeState},
	0x22: {name: "QUERY_NMPIPE_INFO", needs: needOpen, fid: 2, run: (*Conn).pipeInfo},
	0x23: {name: "PEEK_NMPIPE", needs: needOpen, fid: 2, run: (*Conn).pipePeek},
	0x26: {name: "TRANSACT_NMPIPE", needs: needOpen, fid: 2, run: (*Conn).pipeTransact},
	0x36: {name: "READ_NMPIPE", needs: needOpen, fid: 2, run: (*Conn).pipeRead},
	0x37: {name: "WRITE_NMPIPE", needs: needOpen, fid: 2, run: (*Conn).pipeWrite},
	0x53: {name: "WAIT_NMPIPE", run: (*Conn).pipeWait},
}

// pipeSetState: the state is always that of messages, read as messages.
func (c *Conn) pipeSetState(r *smb1Request, t *transaction, _ *transOut) wire.Status {
	if r.open.pipe == nil || len(t.params) < 2 {
		return wire.StatusInvalidParameter
	}
	return wire.StatusOK
}

func (c *Conn) pipeState(r *smb1Request, _ *transaction, out *transOut) wire.Status {
	if r.open.pipe == nil {
		return wire.StatusInvalidParameter
	}
	wire.PutSMB1U16(out.params, smb1PipeStatus)
	out.np = 2
	return wire.StatusOK
}

// pipeInfo: MS-CIFS 2.2.5.4.2.
func (c *Conn) pipeInfo(r *smb1Request, _ *transaction, out *transOut) wire.Status {
	if r.open.pipe == nil {
		return wire.StatusInvalidParameter
	}
	name := r.open.pipe.Name()
	if len(out.data) < 8+wire.SMB1StringSize(name) {
		return wire.StatusBufferTooSmall
	}
	b := out.data
	wire.PutSMB1U16(b, 0xFFFF) // out and in buffers of any size
	wire.PutSMB1U16(b[2:], 0xFFFF)
	b[4], b[5] = 255, 1 // instances
	b[6] = byte(wire.SMB1CharsLen(name, r.unicode()))
	b[7] = 0
	out.nd = 8 + wire.PutSMB1String(b[8:], 0, name, r.unicode())
	return wire.StatusOK
}

// pipePeek: MS-CIFS 2.2.5.5. Nothing is shown: how much there is, is.
func (c *Conn) pipePeek(r *smb1Request, _ *transaction, out *transOut) wire.Status {
	if r.open.pipe == nil {
		return wire.StatusInvalidParameter
	}
	n := uint16(min(r.open.pipe.Pending(), 0xFFFF))
	wire.PutSMB1U16(out.params, n)
	wire.PutSMB1U16(out.params[2:], n)
	wire.PutSMB1U16(out.params[4:], 3) // connected
	out.np = 6
	return wire.StatusOK
}

// pipeTransact: MS-CIFS 2.2.5.6.
func (c *Conn) pipeTransact(r *smb1Request, t *transaction, out *transOut) (status wire.Status) {
	out.nd, status = c.transceive(r.open, t.data, out.data)
	return status
}

func (c *Conn) pipeRead(r *smb1Request, _ *transaction, out *transOut) (status wire.Status) {
	if r.open.pipe == nil {
		return wire.StatusInvalidParameter
	}
	out.nd, status = c.readSMB1(r, r.open, out.data, 0)
	return status
}

func (c *Conn) pipeWrite(r *smb1Request, t *transaction, out *transOut) wire.Status {
	if r.open.pipe == nil {
		return wire.StatusInvalidParameter
	}
	wire.PutSMB1U16(out.params, uint16(len(t.data)))
	out.np = 2
	return c.writePipe(r.open, t.data)
}

// pipeWait: a pipe that there is can be opened at once.
func (c *Conn) pipeWait(_ *smb1Request, t *transaction, _ *transOut) wire.Status {
	if c.srv.wholePipe(t.name) == nil {
		return wire.StatusObjectNameNotFound
	}
	return wire.StatusOK
}

// lanman refuses the remote administration protocol (MS-RAP) in its own words: clients ask srvsvc then.
func (c *Conn) lanman(_ *smb1Request, _ *transaction, out *transOut) wire.Status {
	const notSupported = 50
	wire.PutSMB1U16(out.params, notSupported)
	wire.PutSMB1U16(out.params[2:], 0)
	wire.PutSMB1U16(out.params[4:], 0)
	wire.PutSMB1U16(out.params[6:], 0)
	out.np = 8
	return wire.StatusOK
}
