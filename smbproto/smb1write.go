package smbproto

import "ustack/smbproto/wire"

// writeAndX: MS-CIFS 2.2.4.43. The data goes from the ring to the file.
func (c *Conn) writeAndX(r *smb1Request, w *smb1Reply) wire.Status {
	b := &r.block
	off := uint64(b.U32(6))
	if b.HasWords(14) {
		off |= uint64(b.U32(24)) << 32
	}
	n := int(b.Word(10)) | int(b.Word(9))<<16
	data, ok := r.header().Tail(int(b.Word(11)), n)
	if !ok || n > c.maxWrite {
		return wire.StatusInvalidParameter
	}
	if status := c.writeSMB1(r.open, data, off, b.Word(7)&1 != 0); status != wire.StatusOK {
		return status
	}
	words := w.andX(6)
	wire.PutSMB1U16(words[4:], uint16(n))
	wire.PutSMB1U16(words[8:], uint16(n>>16))
	return wire.StatusOK
}

// writeSMB1 writes to a file or a pipe; through says that it must be on disk then.
func (c *Conn) writeSMB1(o *open, data []byte, off uint64, through bool) wire.Status {
	if status := c.mayWrite(o, off, len(data)); status != wire.StatusOK {
		return status
	}
	if o.file == nil {
		return c.writePipe(o, data)
	}
	if err := o.writeAt(data, off); err != nil {
		return wire.StatusOf(err)
	}
	position := o.position // which only a read moves, in SMB1
	err := c.wrote(o, off, len(data), through)
	o.position, o.smb1.seek = position, off+uint64(len(data))
	return wire.StatusOf(err)
}

// writeCore: MS-CIFS 2.2.4.12, WRITE; WRITE_AND_UNLOCK, 2.2.4.21; WRITE_AND_CLOSE, 2.2.4.40. A WRITE of nothing cuts
// the file or makes it longer.
func (c *Conn) writeCore(r *smb1Request, w *smb1Reply) wire.Status {
	b, o := &r.block, r.open
	n, off := int(b.Word(1)), uint64(b.U32(4))
	var data []byte
	if r.code == wire.SMB1WriteAndClose { // a byte of padding, then the data
		if len(r.block.Bytes) < 1+n {
			return wire.StatusInvalidParameter
		}
		data = r.block.Bytes[1 : 1+n]
	} else {
		str := r.strings()
		var ok bool
		if str.Format(wire.SMB1FormatData) != nil {
			return wire.StatusInvalidParameter
		}
		if _, ok = str.Take(2); !ok {
			return wire.StatusInvalidParameter
		}
		if data, ok = str.Take(n); !ok {
			return wire.StatusInvalidParameter
		}
	}
	status := wire.StatusOK
	switch {
	case n > 0:
		status = c.writeSMB1(o, data, off, false)
	case r.code == wire.SMB1Write && o.file != nil:
		status = c.cut(o, off)
	}
	if status != wire.StatusOK {
		return status
	}
	switch r.code {
	case wire.SMB1WriteAndUnlock:
		if n > 0 {
			if status := c.unlockCore(r, off, uint64(n)); status != wire.StatusOK {
				return status
			}
		}
	case wire.SMB1WriteAndClose:
		c.setTimeOfClose(o, wire.UTime(b.U32(8)))
		if n > 0 { // of nothing, the file stays open
			if status := c.releaseSMB1(o.smb1.fid, o); status != wire.StatusOK {
				return status
			}
		}
	}
	wire.PutSMB1U16(w.words(1), uint16(n))
	return wire.StatusOK
}

// cut sets the size of a file.
func (c *Conn) cut(o *open, size uint64) wire.Status {
	if !o.access.Has(wire.AccessWriteData) {
		return wire.StatusAccessDenied
	}
	if o.file.IsDir() {
		return wire.StatusInvalidDeviceRequest
	}
	if err := o.file.Truncate(int64(size)); err != nil {
		return wire.StatusOf(err)
	}
	o.modified()
	return wire.StatusOf(o.settle(false))
}
