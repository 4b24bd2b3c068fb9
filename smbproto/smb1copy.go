package smbproto

import (
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

const (
	// maxCopy is how much of a file is copied at a time.
	maxCopy = 1 << 20
	// maxCopied is how much one request may copy, of one file or of many: nothing ends it before it is done.
	maxCopied = 256 << 20
)

// copyCore: MS-CIFS 2.2.4.37, COPY: of files, into a directory where the target is one. What is there already is left, if the
// client does not say that it is to be replaced; nothing is appended to.
func (c *Conn) copyCore(r *smb1Request, w *smb1Reply) wire.Status {
	function := r.block.Word(1)
	if r.block.Word(0) != uint16(r.tree.id) && r.block.Word(0) != 1<<16-1 {
		return wire.StatusNotSupported // from one share to another
	}
	if function&3 == 1 {
		return wire.StatusNotSupported
	}
	from, to, status := r.twoPaths()
	if status != wire.StatusOK {
		return status
	}
	from, to = r.path(from), r.path(to)
	into := false
	status = c.withPath(r, to, wire.AccessReadAttributes, shareEverything, 0, func(o *open) wire.Status {
		into = o.file.IsDir()
		return wire.StatusOK
	})
	if status == wire.StatusPending {
		return status
	}
	const findable = uint16(wire.AttributeHidden | wire.AttributeSystem)
	count := 0
	one := func(path string) wire.Status {
		target := to
		if into {
			target += `\` + lastOf(path)
		}
		d := wire.Create
		if function&3 == 2 {
			d = wire.OverwriteIf
		}
		s := c.copyName(r, path, target, findable, d)
		if s == wire.StatusOK {
			count++
		}
		return s
	}
	if r.hasWildcards(from) {
		status = c.namesOf(r, from, findable, one)
	} else {
		status = one(from)
	}
	if status != wire.StatusOK {
		return status
	}
	wire.PutSMB1U16(w.words(1), uint16(count))
	return wire.StatusOK
}

// copyName copies a file to a name, with its attributes and times, as NT_RENAME can be asked to and COPY asks for.
func (c *Conn) copyName(r *smb1Request, from, to string, attrs uint16, d wire.Disposition) wire.Status {
	return c.withPath(r, from, wire.AccessReadData|wire.AccessReadAttributes, shareEverything, wire.OptionNonDirectory, func(src *open) wire.Status {
		if status := c.fillFitting(src, attrs); status != wire.StatusOK {
			return status
		}
		was := c.info
		if was.EndOfFile > maxCopied-r.copied {
			return wire.StatusInsufficientResources
		}
		if status := c.mayRead(src, 0, int(was.EndOfFile)); status != wire.StatusOK {
			return status
		}
		r.copied += was.EndOfFile
		cr := creation{
			share: shareEverything, disposition: d, options: wire.OptionNonDirectory,
			attributes: was.Attributes & wire.AttributesSettable,
		}
		if status := cr.checkSMB1(r, r.path(to), wire.AccessWriteData|wire.AccessWriteAttributes); status != wire.StatusOK {
			return status
		}
		if id, err := r.tree.share.root.Identify(cr.path, cr.exact); err == nil && id == src.file.ID() {
			return wire.StatusAccessDenied // onto itself: it would be cut first
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
