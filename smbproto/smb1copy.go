package smbproto

import (
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// maxCopy is how much of a file is copied at a time.
const maxCopy = 1 << 20

// copyName copies a file to a name that there is not yet, with its attributes and times, as NT_RENAME can be asked to and
// COPY asks for.
func (c *Conn) copyName(r *smb1Request, from, to string, attrs uint16) wire.Status {
	return c.withPath(r, from, wire.AccessReadData|wire.AccessReadAttributes, shareEverything, wire.OptionNonDirectory, func(src *open) wire.Status {
		if err := src.fill(&c.info); err != nil {
			return wire.StatusOf(err)
		}
		was := c.info
		if !fits(was.Attributes, attrs) {
			return wire.StatusNoSuchFile
		}
		cr := creation{
			share: shareEverything, disposition: wire.Create, options: wire.OptionNonDirectory,
			attributes: was.Attributes & wire.AttributesSettable,
		}
		if status := cr.checkSMB1(r, r.path(to), wire.AccessWriteData|wire.AccessWriteAttributes); status != wire.StatusOK {
			return status
		}
		return c.with(r, &cr, func(dst *open) wire.Status {
			if status := c.copyAll(dst, src, int64(was.EndOfFile)); status != wire.StatusOK {
				return status
			}
			return setBasic(dst, wire.NewBasicInfo(0, 0, was.LastWrite, 0, was.Attributes))
		})
	})
}

// copyAll copies size bytes of what was opened just now, and nobody else has closed.
func (c *Conn) copyAll(dst, src *open, size int64) wire.Status {
	for off := int64(0); off < size; {
		n, err := vfs.Copy(dst.file, src.file, off, off, min(size-off, maxCopy))
		if err != nil {
			return wire.StatusOf(err)
		}
		if n == 0 {
			break // it was cut meanwhile
		}
		off += n
	}
	dst.modified()
	return wire.StatusOK
}
