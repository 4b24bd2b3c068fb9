package smbproto

import (
	"fmt"
	"io"
	"strings"

	"ustack/smbproto/wire"
)

// The calls that open a file with a deny mode, of before NT (MS-CIFS 2.2.4.3).

// denyMode is how an open shares its file with others that were opened so by the same process.
type denyMode uint8

const (
	denyModes denyMode = iota // by its share mode alone
	denyDOS                   // compatibility mode
	denyFCB
)

// access modes, MS-CIFS 2.2.4.3.1.
const (
	smb1AccessRead    = 0
	smb1AccessWrite   = 1
	smb1AccessBoth    = 2
	smb1AccessExecute = 3
	smb1AccessFCB     = 0xF

	smb1DenyDOS   = 0
	smb1DenyAll   = 1
	smb1DenyWrite = 2
	smb1DenyRead  = 3
	smb1DenyNone  = 4

	smb1WriteThrough = 0x4000
)

// denied makes a creation of an access mode.
func denied(mode uint16, name string) (cr creation, desired wire.Access, deny denyMode, status wire.Status) {
	const (
		reads  = wire.AccessGenericRead
		writes = wire.AccessGenericWrite
	)
	all := wire.ShareRead | wire.ShareWrite
	access := mode & 0xF
	if mode&0xFF == 0xFF || access == smb1AccessFCB {
		desired, deny = reads|writes, denyFCB
		cr.options = wire.OptionNonDirectory
		return cr, desired, deny, wire.StatusOK
	}
	switch access {
	case smb1AccessRead:
		desired = reads
	case smb1AccessWrite:
		desired = writes
	case smb1AccessBoth:
		desired = reads | writes
	case smb1AccessExecute:
		desired = wire.AccessGenericExecute | reads
	default:
		return cr, 0, 0, wire.StatusInvalidParameter
	}
	switch mode >> 4 & 7 {
	case smb1DenyDOS:
		deny = denyDOS
		switch {
		case executable(name):
			cr.share = all
		case access == smb1AccessRead:
			cr.share = wire.ShareRead
		}
	case smb1DenyAll:
	case smb1DenyWrite:
		cr.share = wire.ShareRead
	case smb1DenyRead:
		cr.share = wire.ShareWrite
	case smb1DenyNone:
		cr.share = all
	default:
		return cr, 0, 0, wire.StatusInvalidParameter
	}
	cr.options = wire.OptionNonDirectory
	if mode&smb1WriteThrough != 0 {
		cr.options |= wire.OptionWriteThrough
	}
	return cr, desired | wire.AccessReadAttributes, deny, wire.StatusOK
}

// executable reports whether programs are what a file of the name holds: they are shared in compatibility mode too.
func executable(name string) bool {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		switch strings.ToUpper(name[i+1:]) {
		case "EXE", "DLL", "COM", "SYM":
			return true
		}
	}
	return false
}

// again reports whether what an open has open in compatibility mode, or by FCB, its process may open so once more: if it
// may write it and shares it with nobody, so that no other's share mode is passed over. A program is shared in
// compatibility mode.
func (o *open) again() bool {
	return o.smb1.deny != denyModes && o.share == 0 && o.file != nil && o.access.Has(wire.AccessWriteData)
}

// openAgain opens a file in compatibility mode, or by FCB, once more for the process that has it open so already, and
// may write it: among its own, DOS denied nothing.
func (c *Conn) openAgain(r *smb1Request, cr *creation) (*open, wire.CreateAction, wire.Status) {
	t := &c.srv.files
	how, impossible := cr.how()
	if impossible {
		return nil, 0, wire.StatusSharingViolation
	}
	how.Create, how.Guard = false, guard{r.session.token.Load(), r.tree, cr}
	t.paths.RLock()
	defer t.paths.RUnlock()
	f, _, err := r.tree.share.root.Open(cr.path, how)
	if err != nil {
		return nil, 0, wire.StatusOf(err)
	}
	for _, o := range c.smb1.files {
		if o.session != r.session || o.smb1.pid != r.pid || !o.again() || o.file.ID() != f.ID() || o.file.Stream() != f.Stream() {
			continue
		}
		also := &open{
			id: c.srv.newFileID(), session: r.session, conn: c, tree: r.tree, access: cr.access | cr.given, share: o.share,
			options: cr.options, mode: cr.options & wire.OptionsMode, named: f.Named(), file: f,
		}
		if t.join(also, o) {
			also.held = r.tree.share // which the request holds
			also.held.holders.Add(1)
			return also, wire.ActionOpened, wire.StatusOK
		}
	}
	c.shut(f)
	return nil, 0, wire.StatusSharingViolation
}

// join enters an open beside another of the same file, without a look at their share modes; false if that is closed.
func (t *fileTable) join(o, beside *open) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := beside.state
	if st == nil {
		return false
	}
	st.opens = append(st.opens, o)
	o.state = st
	return true
}

// Flags of OPEN_ANDX, and the bit of its answer's result that says that an oplock was granted (MS-CIFS 2.2.4.41).
const (
	openOplock   = 0x02
	openBatch    = 0x04
	openExtended = 0x10

	openGotOplock = 0x8000
)

// openAndX: MS-CIFS 2.2.4.41.
func (c *Conn) openAndX(r *smb1Request, w *smb1Reply) wire.Status {
	b := &r.block
	str := r.strings()
	name, err := str.Next()
	if err != nil {
		return wire.StatusObjectNameInvalid
	}
	name, status := r.named(name)
	if status != wire.StatusOK {
		return status
	}
	flags, mode, attrs, function := b.Word(2), b.Word(3), b.Word(5), b.Word(8)
	var o *open
	var action wire.CreateAction
	if r.tree.isPipe() {
		o, action, status = c.openPipeSMB1(r, name)
	} else {
		cr, desired, deny, bad := denied(mode, name)
		if bad != wire.StatusOK {
			return bad
		}
		if cr.disposition, status = openFunction(function, mode); status != wire.StatusOK {
			return status
		}
		cr.attributes, cr.length = wire.Attributes(attrs)&wire.AttributesSettable, b.U32(18)
		cr.askOplock(flags&openOplock != 0, flags&openBatch != 0)
		cr.first = func(o *open, action wire.CreateAction) wire.Status {
			if action != wire.ActionOpened {
				c.setWriteTime(o, wire.UTime(b.U32(12)))
			}
			return wire.StatusOK
		}
		o, action, status = c.openLegacy(r, &cr, name, desired, deny)
	}
	if status != wire.StatusOK {
		return status
	}
	n := 15
	if flags&openExtended != 0 {
		n = 19
	}
	words := w.andX(n)
	wire.PutSMB1U16(words[4:], o.smb1.fid)
	c.info.PutSMB1Core(words[6:])
	wire.PutSMB1U16(words[16:], granted(o.access))
	if o.file == nil {
		wire.PutSMB1U16(words[18:], smb1ResourcePipe)
		wire.PutSMB1U16(words[20:], smb1PipeStatus)
	}
	result := openResult(action)
	if c.hasOplock(o) {
		result |= openGotOplock
	}
	wire.PutSMB1U16(words[22:], result)
	if n == 19 {
		const standard = 0x001F0000
		wire.PutSMB1U32(words[30:], standard)
	}
	return wire.StatusOK
}

// openFunction is what to do if the file is or is not there, MS-CIFS 2.2.4.41.1.
func openFunction(function, mode uint16) (wire.Disposition, wire.Status) {
	switch function & 0x13 {
	case 0x01:
		return wire.Open, wire.StatusOK
	case 0x10:
		return wire.Create, wire.StatusOK
	case 0x11:
		return wire.OpenIf, wire.StatusOK
	case 0x02:
		return wire.Overwrite, wire.StatusOK
	case 0x12:
		return wire.OverwriteIf, wire.StatusOK
	}
	if mode&0xF == smb1AccessExecute {
		return wire.Create, wire.StatusOK
	}
	return 0, wire.StatusBadAccess // to fail if it is there, and if it is not
}

// openResult is what an open has done, MS-CIFS 2.2.4.41.2.
func openResult(a wire.CreateAction) uint16 {
	switch a {
	case wire.ActionOpened:
		return 1
	case wire.ActionCreated:
		return 2
	}
	return 3 // cut
}

// granted is the access mode that an open has.
func granted(a wire.Access) uint16 {
	switch r, w := a.Has(wire.AccessReadData), a.Has(wire.AccessWriteData); {
	case r && w:
		return smb1AccessBoth
	case w:
		return smb1AccessWrite
	}
	return smb1AccessRead
}

// openLegacy opens what a creation says, whose name and access are not set yet.
func (c *Conn) openLegacy(r *smb1Request, cr *creation, name string, desired wire.Access, deny denyMode) (*open, wire.CreateAction, wire.Status) {
	if status := cr.checkSMB1(r, r.path(name), desired); status != wire.StatusOK {
		return nil, 0, status
	}
	return c.openSMB1(r, cr, deny)
}

// openCore: MS-CIFS 2.2.4.3, the OPEN of the core protocol.
func (c *Conn) openCore(r *smb1Request, w *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	cr, desired, deny, status := denied(r.block.Word(0), name)
	if status != wire.StatusOK {
		return status
	}
	cr.disposition = wire.Open
	cr.askOplockOf(r)
	o, _, status := c.openLegacy(r, &cr, name, desired, deny)
	if status != wire.StatusOK {
		return status
	}
	c.tellOplock(r, w, o)
	words := w.words(7)
	wire.PutSMB1U16(words, o.smb1.fid)
	c.info.PutSMB1Core(words[2:])
	wire.PutSMB1U16(words[12:], r.block.Word(0)) // with how it is shared
	return wire.StatusOK
}

// createCore: MS-CIFS 2.2.4.4 and 2.2.4.16, CREATE and CREATE_NEW.
func (c *Conn) createCore(r *smb1Request, w *smb1Reply) wire.Status {
	name, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	d := wire.OverwriteIf
	if r.code == wire.SMB1CreateNew {
		d = wire.Create
	}
	o, status := c.createNamed(r, name, d)
	if status != wire.StatusOK {
		return status
	}
	c.tellOplock(r, w, o)
	wire.PutSMB1U16(w.words(1), o.smb1.fid)
	return wire.StatusOK
}

// askOplockOf has a creation ask for the oplock that a header does, in the calls that have no other place for it.
func (cr *creation) askOplockOf(r *smb1Request) {
	f := r.header().Flags()
	cr.askOplock(f&wire.SMB1FlagOplock != 0, f&wire.SMB1FlagOplock != 0 && f&wire.SMB1FlagBatch != 0)
}

// tellOplock has the header of the answer say whether it was granted.
func (c *Conn) tellOplock(r *smb1Request, w *smb1Reply, o *open) {
	if c.hasOplock(o) {
		w.flags = r.header().Flags() & (wire.SMB1FlagOplock | wire.SMB1FlagBatch)
	}
}

// createNamed creates a file in compatibility mode, with the attributes and the time of the words.
func (c *Conn) createNamed(r *smb1Request, name string, d wire.Disposition) (*open, wire.Status) {
	cr := creation{
		disposition: d, options: wire.OptionNonDirectory,
		attributes: wire.Attributes(r.block.Word(0)) & wire.AttributesSettable,
	}
	if r.block.Word(0)&0x08 != 0 {
		return nil, wire.StatusAccessDenied // a volume's label
	}
	if executable(name) {
		cr.share = wire.ShareRead | wire.ShareWrite
	}
	cr.askOplockOf(r)
	cr.first = func(o *open, _ wire.CreateAction) wire.Status {
		c.setWriteTime(o, wire.UTime(r.block.U32(2)))
		return wire.StatusOK
	}
	o, _, status := c.openLegacy(r, &cr, name, wire.AccessGenericRead|wire.AccessGenericWrite, denyDOS)
	return o, status
}

// createTemporary: MS-CIFS 2.2.4.15. The name is the server's. No format stands in front of it, whatever is said there: neither
// does Windows send one nor do clients expect it.
func (c *Conn) createTemporary(r *smb1Request, w *smb1Reply) wire.Status {
	dir, status := r.onePath()
	if status != wire.StatusOK {
		return status
	}
	dir = r.path(dir)
	if dir != "" {
		dir += `\`
	}
	for range 100 {
		var b [4]byte
		if _, err := io.ReadFull(c.srv.cfg.Rand, b[:]); err != nil {
			c.log.Error("name of a temporary file", "cause", err)
			return wire.StatusInsufficientResources
		}
		base := fmt.Sprintf("TMP%X", b)[:8]
		o, status := c.createNamed(r, dir+base, wire.Create)
		if status == wire.StatusObjectNameCollision {
			continue
		}
		if status != wire.StatusOK {
			return status
		}
		wire.PutSMB1U16(w.words(1), o.smb1.fid)
		w.grow(wire.PutSMB1String(w.room(), 0, base, false))
		return wire.StatusOK
	}
	return wire.StatusObjectNameCollision
}

// setTimeOfClose sets the time of the last write that a client closes a file with, if it could have made that write.
func (c *Conn) setTimeOfClose(o *open, at wire.UTime) {
	if o.file != nil && o.access.Has(wire.AccessWriteData|wire.AccessAppendData|wire.AccessWriteAttributes) {
		c.setWriteTime(o, at)
	}
}

// setWriteTime sets the time of the last write, if one is given; it stays so while the open changes the file.
func (c *Conn) setWriteTime(o *open, at wire.UTime) {
	t := at.Filetime()
	if t == 0 {
		return
	}
	if err := o.file.SetTimes(0, t); err != nil {
		c.log.Debug("setting the time of the last write", "cause", err)
		return
	}
	o.frozen = t
}
