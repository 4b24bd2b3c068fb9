package smbproto

import (
	"slices"
	"strings"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// Flags of NT_CREATE_ANDX, MS-CIFS 2.2.4.64.1 and MS-SMB 2.2.4.9.1.
const (
	smb1CreateOplock   = 0x02
	smb1CreateBatch    = 0x04
	smb1CreateParent   = 0x08
	smb1CreateExtended = 0x10
)

// What an open is of, MS-CIFS 2.2.4.64.2.
const (
	smb1ResourcePipe = 2 // of messages; a file is 0
	smb1PipeStatus   = 0x05FF
)

// throughDot reports whether a path leads through a directory of the name ".", which there is none of.
func throughDot(path string) bool { return strings.Contains(`\`+path, `\.\`) }

// checkSMB1 applies the rules on the fields of a creation, MS-FSA 2.1.5.1.
func (cr *creation) checkSMB1(r *smb1Request, name string, desired wire.Access) wire.Status {
	overwrites := cr.disposition != wire.Open && cr.disposition != wire.Create && cr.disposition != wire.OpenIf
	switch {
	case cr.disposition > wire.OverwriteIf,
		cr.options&wire.OptionDirectory != 0 && cr.options&wire.OptionNonDirectory != 0,
		cr.options&wire.OptionDirectory != 0 && overwrites,
		cr.options&^wire.OptionsValid != 0:
		return wire.StatusInvalidParameter
	case cr.options&(wire.OptionReserveOpfilter|wire.OptionSyncAlert|wire.OptionSyncNonAlert) != 0: // which are of a client's own
		return wire.StatusInvalidParameter
	case cr.options&wire.OptionOpenByFileID != 0:
		return wire.StatusNotSupported
	case throughDot(name):
		return wire.StatusObjectPathNotFound
	}
	if status := cr.setName(name); status != wire.StatusOK {
		return status
	}
	if cr.exact = cr.exact || r.posix(); cr.exact && cr.stream != "" {
		return wire.StatusObjectNameInvalid // POSIX knows no streams
	}
	// Whoever has a file open may read its attributes, which is what an open for nothing gets.
	cr.given = wire.AccessReadAttributes
	if desired == 0 {
		desired = wire.AccessReadAttributes
	}
	if status := cr.setAccess(desired, r.tree, r.session.token.Load()); status != wire.StatusOK {
		return status
	}
	if cr.attributes&wire.AttributeEncrypted != 0 {
		return wire.StatusAccessDenied
	}
	return wire.StatusOK
}

// maxSMB1Opens is how many opens a connection can have, so that there are FIDs left for its pipes.
const maxSMB1Opens = maxIDs - maxPipes

// openSMB1 opens what a creation says, gives it a FID, and leaves in c.info what is to be said of it.
func (c *Conn) openSMB1(r *smb1Request, cr *creation, deny denyMode) (*open, wire.CreateAction, wire.Status) {
	if len(c.smb1.files) >= min(c.cfg.Limits.MaxOpens, maxSMB1Opens) {
		return nil, 0, wire.StatusTooManyOpenedFiles
	}
	if !r.session.admits(r.tree.share) {
		return nil, 0, wire.StatusAccessDenied
	}
	o, action, status := c.openFile(&r.request, &c.smb1.rep.reply, cr)
	if status == wire.StatusSharingViolation && deny != denyModes {
		o, action, status = c.openAgain(r, cr)
	}
	c.auditCreateSMB1(r, cr, status)
	if status != wire.StatusOK {
		return nil, 0, status
	}
	if cr.first != nil {
		status = cr.first(o, action)
	}
	if status == wire.StatusOK {
		status = wire.StatusOf(o.fill(&c.info))
	}
	if status != wire.StatusOK {
		return nil, 0, c.abandon(o, status)
	}
	if !r.session.addOpen(o) {
		return nil, 0, c.abandon(o, wire.StatusSMBBadUID)
	}
	c.giveFID(r, o, deny)
	return o, action, wire.StatusOK
}

// giveFID names an open. What follows in the chain is for it.
func (c *Conn) giveFID(r *smb1Request, o *open, deny denyMode) {
	s := c.smb1
	o.smb1 = &smb1Open{fid: nextID(&s.nextFID, s.files), pid: r.pid, deny: deny}
	s.files[o.smb1.fid] = o
	r.fid, r.chain = o.smb1.fid, true
}

func (c *Conn) openPipeSMB1(r *smb1Request, name string) (*open, wire.CreateAction, wire.Status) {
	o, status := c.openPipe(&r.request, name)
	if status != wire.StatusOK {
		return nil, 0, status
	}
	c.giveFID(r, o, denyModes)
	return o, wire.ActionOpened, wire.StatusOK
}

// ntCreateAndX: MS-CIFS 2.2.4.64.
func (c *Conn) ntCreateAndX(r *smb1Request, w *smb1Reply) wire.Status {
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
	q := ntCreation{
		flags: b.U32(7), root: b.U32(11), desired: wire.Access(b.U32(15)), allocation: b.U64(19), attributes: b.U32(27),
		share: b.U32(31), disposition: b.U32(35), options: b.U32(39), impersonation: b.U32(43),
	}
	o, action, status := c.ntCreate(r, name, &q)
	if status != wire.StatusOK {
		return status
	}
	n := 34
	if q.flags&smb1CreateExtended != 0 {
		n = 50
	}
	words := w.andX(n)
	c.putCreated(words[4:], o, action)
	if q.flags&smb1CreateExtended != 0 {
		wire.PutSMB1U16(words[65:], q.status)
		c.putCreatedExtended(words[68:], o)
		w.msg[w.at] = 42 // what Windows counts, though it sends 50 (MS-SMB 2.2.4.9.2)
	}
	return wire.StatusOK
}

// ntCreation are the fields of NT_CREATE_ANDX and of NT_TRANSACT_CREATE.
type ntCreation struct {
	flags, root                                            uint32
	desired                                                wire.Access
	allocation                                             uint64
	attributes, share, disposition, options, impersonation uint32
	eas                                                    []wire.EA
	security                                               *sd.Descriptor

	status uint16 // of the answer, if flags has smb1CreateExtended: what the file does not have, MS-SMB 2.2.4.9.2, or of a pipe its status
}

// ntCreate opens or creates a file, as SMB2's CREATE does.
func (c *Conn) ntCreate(r *smb1Request, name string, q *ntCreation) (*open, wire.CreateAction, wire.Status) {
	if q.impersonation > 3 {
		return nil, 0, wire.StatusBadImpersonationLevel
	}
	if r.tree.isPipe() {
		q.status = smb1PipeStatus
		return c.openPipeSMB1(r, name)
	}
	name = r.path(name)
	if q.root != 0 {
		dir := c.smb1.files[uint16(q.root)]
		if q.root > 0xFFFF || dir == nil || dir.tree != r.tree || dir.session != r.session || dir.file == nil {
			return nil, 0, wire.StatusInvalidHandle
		}
		if !dir.file.IsDir() {
			return nil, 0, wire.StatusInvalidParameter
		}
		name = strings.Trim(r.path(dir.name())+`\`+name, `\`)
	}
	cr := creation{
		share:       wire.ShareAccess(q.share) & (wire.ShareRead | wire.ShareWrite | wire.ShareDelete),
		disposition: wire.Disposition(q.disposition),
		options:     wire.CreateOptions(q.options),
		attributes:  wire.Attributes(q.attributes) & wire.AttributesValid,
		allocation:  int64(min(q.allocation, 1<<63-1)),
		eas:         q.eas,
		security:    q.security,
	}
	cr.askOplock(q.flags&smb1CreateOplock != 0, q.flags&smb1CreateBatch != 0)
	if q.flags&smb1CreateParent != 0 { // to open the directory that the name is in
		name = name[:max(strings.LastIndexByte(name, '\\'), 0)]
		cr.disposition, cr.options = wire.Open, cr.options|wire.OptionDirectory
	}
	if status := cr.checkSMB1(r, name, q.desired); status != wire.StatusOK {
		return nil, 0, status
	}
	if q.flags&smb1CreateExtended != 0 {
		cr.first = func(o *open, _ wire.CreateAction) wire.Status {
			q.status = o.lacks()
			return wire.StatusOK
		}
	}
	return c.openSMB1(r, &cr, denyModes)
}

// putCreated writes the 64 bytes that say what was opened, from the oplock level on (MS-CIFS 2.2.4.64.2).
func (c *Conn) putCreated(b []byte, o *open, action wire.CreateAction) {
	i := &c.info
	b[0] = c.oplockSMB1(o)
	wire.PutSMB1U16(b[1:], o.smb1.fid)
	wire.PutSMB1U32(b[3:], uint32(action))
	i.PutTimes(b[7:])
	wire.PutSMB1U32(b[39:], uint32(i.Attributes))
	wire.PutSMB1U64(b[43:], i.AllocationSize)
	wire.PutSMB1U64(b[51:], i.EndOfFile)
	if o.file == nil {
		wire.PutSMB1U16(b[59:], smb1ResourcePipe)
		wire.PutSMB1U16(b[61:], smb1PipeStatus)
		return
	}
	if i.Directory() {
		b[63] = 1
	}
}

// lacks is what a file does not have, MS-SMB 2.2.4.9.2.
func (o *open) lacks() uint16 {
	const noEAs, noStreams, noReparse = 1, 2, 4
	status := uint16(noReparse)
	eas, err := sizeEAs(o)
	if err == nil && eas == 0 {
		status |= noEAs
	}
	streams, err := o.file.Streams()
	if err == nil && !slices.ContainsFunc(streams, func(s wire.StreamInfo) bool { return s.Name != wire.DefaultStream }) {
		status |= noStreams
	}
	return status
}

// putCreatedExtended writes the 32 bytes that follow if the client asks for them, MS-SMB 2.2.4.9.2.
func (c *Conn) putCreatedExtended(b []byte, o *open) {
	clear(b[:24]) // GUID of the volume and id of the file: there the byte count is where 42 words are counted
	wire.PutSMB1U32(b[24:], uint32(o.tree.access))
	wire.PutSMB1U32(b[28:], uint32(o.tree.access))
}
