package smbproto

import (
	"strings"

	"ustack/smbproto/wire"
)

// path is a path of a client's, from the root of the share, as SMB2 has it: without a backslash in front, and what goes
// up taken back, as far as the path itself says where from. What leads above the root is left to be refused.
func (r *smb1Request) path(name string) string {
	var parts []string
	for p := range strings.SplitSeq(name, `\`) {
		switch n := len(parts); {
		case p == "":
		case p == ".." && n > 0 && parts[n-1] != "..":
			parts = parts[:n-1]
		default:
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, `\`)
}

// onePath is the path that a command names.
func (r *smb1Request) onePath() (string, wire.Status) {
	str := r.strings()
	name, err := str.Path()
	if err != nil {
		return "", wire.StatusObjectNameInvalid
	}
	return r.named(name)
}

// named is a name as a client writes it, with backslashes. Those of POSIX have slashes; what else has a meaning in the
// others' names, their backslashes and the colon before a stream, is not taken for that, nor can it be part of a name here.
func (r *smb1Request) named(name string) (string, wire.Status) {
	if !r.posix() {
		return name, wire.StatusOK
	}
	if strings.ContainsAny(name, `\:`) {
		return "", wire.StatusObjectNameInvalid
	}
	return strings.ReplaceAll(name, "/", `\`), wire.StatusOK
}

// posix reports whether names are those of POSIX, which count as they stand.
func (r *smb1Request) posix() bool { return r.tree != nil && r.tree.posix }

// twoPaths are the paths of a command that names two.
func (r *smb1Request) twoPaths() (from, to string, status wire.Status) {
	str := r.strings()
	from, err := str.Path()
	to, err2 := str.Path()
	if err != nil || err2 != nil {
		return "", "", wire.StatusObjectNameInvalid
	}
	if from, status = r.named(from); status == wire.StatusOK {
		to, status = r.named(to)
	}
	return from, to, status
}

// nameIn is the name that stands in the parameters of a transaction.
func (r *smb1Request) nameIn(params []byte, at int) (string, wire.Status) {
	str := wire.NewSMB1Strings(params[at:], at, r.unicode())
	name, err := str.Next()
	if err != nil {
		return "", wire.StatusObjectNameInvalid
	}
	return r.named(name)
}

// withPath opens what a path leads to, for a call that names it, and closes it again.
func (c *Conn) withPath(r *smb1Request, name string, access wire.Access, share wire.ShareAccess, options wire.CreateOptions,
	do func(o *open) wire.Status) wire.Status {
	return c.withPathFor(r, name, &creation{share: share, disposition: wire.Open, options: options}, access, do)
}

func (c *Conn) withPathFor(r *smb1Request, name string, cr *creation, access wire.Access, do func(o *open) wire.Status) wire.Status {
	if status := cr.checkSMB1(r, r.path(name), access); status != wire.StatusOK {
		return status
	}
	return c.with(r, cr, do)
}

func (c *Conn) with(r *smb1Request, cr *creation, do func(o *open) wire.Status) wire.Status {
	if !r.session.admits(r.tree.share) {
		return wire.StatusAccessDenied
	}
	o, _, status := c.openFile(&r.request, &c.smb1.rep.reply, cr)
	if cr.disposition != wire.Open {
		c.auditCreateSMB1(r, cr, status) // a directory
	}
	if status != wire.StatusOK {
		return status
	}
	if do != nil {
		status = do(o)
	}
	return c.abandon(o, status)
}

// removePath is withPathFor to delete what a path leads to, with a line in the audit log if that is refused.
func (c *Conn) removePath(r *smb1Request, name string, cr *creation, do func(o *open) wire.Status) wire.Status {
	status := c.withPathFor(r, name, cr, wire.AccessDelete, do)
	c.auditRefusal("delete", &r.request, `\`+r.path(name), status)
	return status
}

const shareEverything = wire.ShareRead | wire.ShareWrite | wire.ShareDelete

// createDirectory: MS-CIFS 2.2.4.1.
func (c *Conn) createDirectory(r *smb1Request, _ *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	return c.mkdir(r, name, nil)
}

// mkdir makes a directory, for CREATE_DIRECTORY and TRANS2_CREATE_DIRECTORY.
func (c *Conn) mkdir(r *smb1Request, name string, eas []wire.EA) wire.Status {
	cr := creation{
		share: shareEverything, disposition: wire.Create, options: wire.OptionDirectory, eas: eas,
	}
	return c.withPathFor(r, name, &cr, wire.AccessReadAttributes, nil)
}

// deleteDirectory: MS-CIFS 2.2.4.2. Who has the directory open and lets it be deleted is no hindrance.
func (c *Conn) deleteDirectory(r *smb1Request, _ *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	cr := creation{share: shareEverything, disposition: wire.Open, options: wire.OptionDirectory, removes: true}
	return c.removePath(r, name, &cr, c.doom)
}

// checkDirectory: MS-CIFS 2.2.4.17.
func (c *Conn) checkDirectory(r *smb1Request, _ *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	status = c.withPath(r, name, wire.AccessReadAttributes, shareEverything, 0, func(o *open) wire.Status {
		if !o.file.IsDir() {
			return wire.StatusNotADirectory
		}
		return wire.StatusOK
	})
	// What is missing, or no name, is a path to a client of DOS's codes, MS-CIFS 3.3.5.19; Windows tells others that it is the last name.
	if (status == wire.StatusObjectNameNotFound || status == wire.StatusObjectNameInvalid) && !r.header().Has(wire.SMB1Flags2NTStatus) {
		return wire.StatusObjectPathNotFound
	}
	return status
}

// queryInformation: MS-CIFS 2.2.4.9.
func (c *Conn) queryInformation(r *smb1Request, w *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	status = c.withPath(r, name, wire.AccessReadAttributes, shareEverything, 0, func(o *open) wire.Status {
		return wire.StatusOf(o.fill(&c.info))
	})
	if status != wire.StatusOK {
		return status
	}
	c.info.PutSMB1Core(w.words(10))
	return wire.StatusOK
}

// setInformation: MS-CIFS 2.2.4.10.
func (c *Conn) setInformation(r *smb1Request, _ *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	a := wire.Attributes(r.block.Word(0))
	write := wire.UTime(r.block.U32(2)).Filetime()
	return c.withPath(r, name, wire.AccessWriteAttributes, shareEverything, 0, func(o *open) wire.Status {
		if a&wire.AttributeDirectory != 0 && !o.file.IsDir() {
			return wire.StatusInvalidParameter
		}
		if a == wire.AttributeNormal {
			a = 0 // leaves them as they are
		} else if a &= wire.AttributesSettable; a == 0 {
			a = wire.AttributeNormal // there is none
		}
		return setBasic(o, wire.NewBasicInfo(0, 0, write, 0, a))
	})
}

// queryInformation2: MS-CIFS 2.2.4.31.
func (c *Conn) queryInformation2(r *smb1Request, w *smb1Reply) wire.Status {
	if r.open.file == nil {
		return wire.StatusInvalidDeviceRequest
	}
	if err := r.open.fill(&c.info); err != nil {
		return wire.StatusOf(err)
	}
	c.info.PutSMB1Standard(w.words(11))
	return wire.StatusOK
}

// setInformation2: MS-CIFS 2.2.4.30.
func (c *Conn) setInformation2(r *smb1Request, _ *smb1Reply) wire.Status {
	o := r.open
	if o.file == nil {
		return wire.StatusInvalidDeviceRequest
	}
	return setTimes(o, r.block.Words[2:])
}

// setTimes sets three times, each a date and a time of DOS's: of creation, of the last access and of the last write.
func setTimes(o *open, b []byte) wire.Status {
	if !o.access.Has(wire.AccessWriteAttributes) {
		return wire.StatusAccessDenied
	}
	t := func(at int) wire.Filetime { return wire.ReadDOSTime(b[at:]).Filetime() }
	return setBasic(o, wire.NewBasicInfo(t(0), t(4), t(8), 0, 0))
}

// queryDisk: MS-CIFS 2.2.4.57. What is larger than the words hold is told in larger units, and then as the most they hold.
func (c *Conn) queryDisk(r *smb1Request, w *smb1Reply) wire.Status {
	if !r.session.admits(r.tree.share) {
		return wire.StatusAccessDenied
	}
	v, status := c.volume(r.tree.share, r.tree.share.root)
	if status != wire.StatusOK {
		return status
	}
	unit, total, free := uint64(v.UnitSize), v.Total, v.Free
	for total > 0xFFFF && unit < 512<<15 {
		unit, total, free = unit*2, total/2, free/2
	}
	words := w.words(5)
	wire.PutSMB1U16(words, uint16(min(total, 0xFFFF)))
	wire.PutSMB1U16(words[2:], uint16(min(unit/512, 0xFFFF)))
	wire.PutSMB1U16(words[4:], 512)
	wire.PutSMB1U16(words[6:], uint16(min(free, 0xFFFF)))
	return wire.StatusOK
}
