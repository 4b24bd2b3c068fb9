package smbproto

import (
	"errors"
	"strings"

	"ustack/smbproto/sd"
	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// createRoom is the greatest CREATE response: with all contexts that are answered.
const createRoom = wire.CreateResponseFixed + 32 + 56 + 80 + 32

// creation is what a CREATE asks for, after the rules on its fields.
type creation struct {
	path        vfs.Path
	stream      string // a named stream of the file, or ""
	eas         []wire.EA
	security    *sd.Descriptor // for a file that is made; nil if none was given
	desired     wire.Access    // what was asked for by name
	maximum     bool           // as much access as can be had
	access      wire.Access    // that the open gets: as far as it is known
	maximal     wire.Access    // the most that it could have
	share       wire.ShareAccess
	disposition wire.Disposition
	options     wire.CreateOptions
	attributes  wire.Attributes
	allocation  int64 // for a file that is made or cut
	asked       asked
	length      uint32      // of SMB1: how long a file is that is made or cut
	given       wire.Access // of SMB1: what the open gets besides, whatever it asks for
	outdates    bool        // of SMB1: what is to be done to the file by its name leaves nothing right that others have kept
	renames     bool        // of SMB1: it is opened to be renamed
	removes     bool        // of SMB1: it is opened to have its name taken away
	exact       bool        // of SMB1: the name is taken as it stands, as POSIX does
	link        bool        // of SMB1: it may be a symbolic link
	hasMode     bool        // of SMB1: what is made gets the permissions of mode
	mode        uint32
	wantMxAc    bool
	wantQFid    bool
	// first is of SMB1: what is done with the open before others can close it; or nil.
	first func(o *open, action wire.CreateAction) wire.Status
}

// create opens or creates a file, MS-SMB2 3.3.5.9.
func (c *Conn) create(r *request, w *reply) wire.Status {
	req := wire.CreateRequest(r.msg)
	if req.Valid() != nil {
		return wire.StatusInvalidParameter
	}
	if c.openCount() >= c.cfg.Limits.MaxOpens {
		return wire.StatusTooManyOpenedFiles
	}
	name, err := wire.UTF16ToString(req.Name())
	if err != nil {
		return wire.StatusObjectNameInvalid
	}
	if !r.tree.share.hold() {
		return wire.StatusNetworkNameDeleted
	}
	defer c.let(r.tree.share)
	d, status := c.readDurable(r, req)
	switch {
	case r.tree.isPipe():
	case status != wire.StatusOK:
		return status
	case d.reconnect:
		return c.reconnect(r, w, name, &d)
	}
	if req.ImpersonationLevel() > 3 {
		return wire.StatusBadImpersonationLevel
	}
	if r.tree.isPipe() {
		return c.createPipe(r, w, name)
	}
	if !d.named {
		return c.createFile(r, w, req, name, &d)
	}
	var before *made
	if c.again(r) {
		before = c.resumed.create
	}
	m, status := c.srv.files.beginCreate(r, d.create, before)
	switch {
	case status != wire.StatusOK:
		return status
	case m.open != nil:
		return c.replay(r, w, req, m, &d)
	}
	switch status = c.createFile(r, w, req, name, &d); status {
	case wire.StatusOK:
	case wire.StatusPending:
		c.pending[w.async].create = m
	default:
		c.srv.files.forgetCreate(m)
	}
	return status
}

// createFile opens or creates a file or directory of a share.
func (c *Conn) createFile(r *request, w *reply, req wire.CreateRequest, name string, d *durableAsk) wire.Status {
	cr, status := c.readCreate(r, req, name)
	if status != wire.StatusOK {
		return status
	}
	c.closeInstance(r, name, d.instance)
	o, action, status := c.openFile(r, w, &cr)
	if status != wire.StatusOK {
		return status
	}
	held := c.srv.files.held(o)
	o.maximal, o.durable.owner = cr.maximal, r.session.who()
	o.durable.owner.SessionKey, o.durable.owner.FullSessionKey = [16]byte{}, nil // not kept longer than its session
	c.grantDurable(o, d, req.OplockLevel(), &held)
	durable := o.durable
	if err := o.fillNew(&c.info, action, &cr); err != nil {
		return c.abandon(o, wire.StatusOf(err))
	}
	if d.named {
		o.create = d.create
	}
	if !r.session.addOpen(o) {
		return c.abandon(o, wire.StatusUserSessionDeleted)
	}
	// From here on others may close it.
	c.srv.files.setInstance(o, d.instance)
	if d.named {
		c.srv.files.created(o, action)
	}
	return c.putCreate(w, action, o.id, &cr, &held, &durable)
}

// putCreate answers a CREATE, MS-SMB2 2.2.14, of whose file c.info tells. d is nil where nothing is to be said of a durable handle.
func (c *Conn) putCreate(w *reply, action wire.CreateAction, id wire.FileID, cr *creation, held *held, d *durability) wire.Status {
	n := c.putContexts(w.msg[wire.CreateResponseFixed:], cr, held, d)
	wire.CreateResponse(w.msg).Put(action, held.level, &c.info, id, n)
	w.fileID = id
	w.n = wire.CreateResponseFixed + n
	return wire.StatusOK
}

func (c *Conn) abandon(o *open, status wire.Status) wire.Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.release(); err != nil {
		c.log.Warn("closing a file", "cause", err)
	}
	return status
}

func (c *Conn) openCount() (n int) {
	for _, s := range c.sessions {
		s.mu.Lock()
		n += len(s.opens)
		s.mu.Unlock()
	}
	return n
}

// readCreate applies the rules on the fields, MS-SMB2 3.3.5.9 and MS-FSA 2.1.5.1.
func (c *Conn) readCreate(r *request, req wire.CreateRequest, name string) (creation, wire.Status) {
	cr := creation{
		share:       req.ShareAccess() & (wire.ShareRead | wire.ShareWrite | wire.ShareDelete),
		disposition: req.Disposition(),
		options:     req.Options(),
		attributes:  req.FileAttributes(),
	}
	overwrites := cr.disposition != wire.Open && cr.disposition != wire.Create && cr.disposition != wire.OpenIf
	switch {
	case strings.HasPrefix(name, `\`),
		cr.disposition > wire.OverwriteIf,
		cr.options&wire.OptionDirectory != 0 && cr.options&wire.OptionNonDirectory != 0,
		cr.options&wire.OptionDirectory != 0 && overwrites,
		cr.options&^wire.OptionsValid != 0:
		return cr, wire.StatusInvalidParameter
	case cr.options&(wire.OptionOpenByFileID|wire.OptionTreeConnection|wire.OptionReserveOpfilter) != 0:
		return cr, wire.StatusNotSupported
	case cr.options&wire.OptionNonDirectory != 0 && strings.HasSuffix(name, `\`): // it is a directory's name, MS-FSA 2.1.5.1
		return cr, wire.StatusObjectNameInvalid
	}
	if status := cr.setName(name); status != wire.StatusOK {
		return cr, status
	}
	if status := cr.setAccess(req.DesiredAccess(), r.tree, r.session.token.Load()); status != wire.StatusOK {
		return cr, status
	}
	switch {
	case cr.attributes&^wire.AttributesValid != 0,
		cr.options&wire.OptionDirectory != 0 && cr.attributes&wire.AttributeTemporary != 0:
		return cr, wire.StatusInvalidParameter
	case cr.attributes&wire.AttributeEncrypted != 0:
		return cr, wire.StatusAccessDenied // nothing is encrypted on disk here
	}
	cr.asked.state = req.OplockLevel().State()
	for name, data := range req.Contexts {
		switch string(name) {
		case wire.ContextMaximalAccess:
			cr.wantMxAc = true
		case wire.ContextQueryOnDiskID:
			cr.wantQFid = true
		case wire.ContextEABuffer:
			var status wire.Status
			if cr.eas, status = readEAs(data, r.tree.share.root); status != wire.StatusOK {
				return cr, status
			}
		case wire.ContextSecurity:
			var status wire.Status
			if cr.security, status = readSecurity(data, r.session.token.Load()); status != wire.StatusOK {
				return cr, status
			}
		case wire.ContextAllocationSize:
			size := wire.SizeInfo(data)
			if size.Valid() != nil {
				return cr, wire.StatusInvalidParameter
			}
			cr.allocation = size.Size()
		case wire.ContextLease:
			lease := wire.LeaseContext(data)
			if lease.Valid() != nil {
				return cr, wire.StatusInvalidParameter
			}
			if req.OplockLevel() == wire.OplockLease {
				cr.asked.askLease(c, r.session, lease)
			}
		case wire.ContextTimewarp:
			return cr, wire.StatusObjectNameNotFound // there are no snapshots
		}
	}
	return cr, wire.StatusOK
}

// how translates a creation for the file system. impossible says that the file may only be
// opened: one that is made read-only can't be deleted on close (MS-FSA 2.1.5.1.1).
func (cr *creation) how() (h vfs.How, impossible bool) {
	h = vfs.How{
		Read:         cr.access.Has(wire.AccessReadData | wire.AccessExecute),
		Write:        cr.access.Has(wire.AccessWriteData | wire.AccessAppendData),
		Locate:       cr.access.Has(wire.AccessDelete) || cr.takenBack(),
		Directory:    cr.options&wire.OptionDirectory != 0,
		NonDirectory: cr.options&wire.OptionNonDirectory != 0,
		MayReadOnly:  cr.maximum,
		Attributes:   cr.attributes & wire.AttributesSettable,
		Stream:       cr.stream,
		Exact:        cr.exact,
		Link:         cr.link,
		Mode:         cr.mode,
		HasMode:      cr.hasMode,
	}
	if !h.Directory {
		h.Attributes |= wire.AttributeArchive // a new file has not been archived, MS-FSA 2.1.5.1.1
	}
	switch cr.disposition {
	case wire.Create:
		h.Create, h.Exclusive = true, true
	case wire.OpenIf:
		h.Create = true
	case wire.Overwrite:
		h.Write, h.NonDirectory = true, true
	case wire.OverwriteIf, wire.Supersede:
		h.Create, h.Write, h.NonDirectory = true, true, true
	}
	if h.Write && cr.disposition != wire.Open && cr.disposition != wire.OpenIf {
		h.MayReadOnly = false // to cut it, or make it, it must be writable
	}
	if h.Create && h.Attributes&wire.AttributeReadOnly != 0 && cr.options&wire.OptionDeleteOnClose != 0 {
		h.Create, impossible = false, true
	}
	return h, impossible
}

// takenBack reports whether a file that is made may have to go again: one that can't have its EAs, or the room that it is to have.
func (cr *creation) takenBack() bool { return len(cr.eas) > 0 || cr.allocation != 0 || cr.length > 0 }

// openFile opens the file, enters the open with its share mode, and only then cuts
// the file if that was asked for: nothing of another's is lost to a conflict.
func (c *Conn) openFile(r *request, w *reply, cr *creation) (*open, wire.CreateAction, wire.Status) {
	if r.tree.share.ReadOnly && cr.disposition != wire.Open && cr.disposition != wire.OpenIf {
		return nil, 0, wire.StatusMediaWriteProtected
	}
	if cr.stream != "" && len(cr.eas) > 0 && cr.disposition != wire.Open {
		return nil, 0, wire.StatusInvalidParameter // EAs are the file's, and who may make a stream need not be one who may set them
	}
	cuts := cr.disposition != wire.Open && cr.disposition != wire.OpenIf
	o, created, status := c.admit(r, w, cr, cuts)
	if status != wire.StatusOK {
		return nil, 0, status
	}
	f, deletes := o.file, cr.options&wire.OptionDeleteOnClose != 0
	if created {
		defer c.srv.files.entryChanged(o, f.Path())
		if status := o.reserve(cr); status != wire.StatusOK {
			o.deleteOnClose = true
			return nil, 0, c.abandon(o, status)
		}
		o.deleteOnClose = deletes
		if err := o.setNewEAs(cr.eas); err != nil {
			o.deleteOnClose = true
			return nil, 0, c.abandon(o, wire.StatusOf(err))
		}
		o.state.archive.Store(f.Kept()&wire.AttributeArchive != 0)
		return o, wire.ActionCreated, wire.StatusOK
	}
	if deletes {
		// A directory with entries may be opened so; it stays if it has some when it is closed.
		if s := wire.StatusOf(f.CanRemove()); s != wire.StatusOK && s != wire.StatusDirectoryNotEmpty {
			return nil, 0, c.abandon(o, s)
		}
	}
	if cuts {
		defer c.srv.files.entryChanged(o, f.Path())
		if err := c.overwrite(o, cr); err != nil {
			return nil, 0, c.abandon(o, wire.StatusOf(err))
		}
		if status := o.reserve(cr); status != wire.StatusOK {
			return nil, 0, c.abandon(o, status)
		}
	}
	o.deleteOnClose = deletes
	o.state.archive.Store(f.Kept()&wire.AttributeArchive != 0)
	switch {
	case !cuts:
		return o, wire.ActionOpened, wire.StatusOK
	case cr.disposition == wire.Supersede:
		return o, wire.ActionSuperseded, wire.StatusOK
	}
	return o, wire.ActionOverwritten, wire.StatusOK
}

// overwrite cuts the file, MS-FSA 2.1.5.1.2: a file that supersedes another has the attributes that it is made
// with, one that is overwritten keeps its own too. A file loses its EAs and named streams; those that are open when
// they are closed. A named stream that is cut is a change of its file, which keeps all that it has.
func (c *Conn) overwrite(o *open, cr *creation) error {
	if cr.allocation > 0 { // what it has is not lost for nothing
		if err := o.file.MayAllocate(cr.allocation); err != nil {
			return err
		}
	}
	if err := o.file.Truncate(0); err != nil {
		return err
	}
	c.srv.files.cut(o)
	if o.named {
		return o.file.SetAttributes(o.file.Kept() | wire.AttributeArchive)
	}
	if err := o.file.DropXattrs(c.srv.files.doomStreams(o)); err != nil {
		return err
	}
	if err := o.setNewEAs(cr.eas); err != nil {
		return err
	}
	a := cr.attributes | wire.AttributeArchive
	if cr.disposition != wire.Supersede {
		a |= o.file.Kept()
	}
	return o.file.SetAttributes(a)
}

// reserve gives a file that is empty the room that it is to have, MS-SMB2 3.3.5.9.1, or the length, MS-CIFS 2.2.4.41.1.
func (o *open) reserve(cr *creation) wire.Status {
	switch {
	case o.file.IsDir():
		return wire.StatusOK
	case cr.length > 0:
		return wire.StatusOf(o.file.Truncate(int64(cr.length)))
	case cr.allocation == 0:
		return wire.StatusOK
	}
	return wire.StatusOf(o.file.Allocate(cr.allocation))
}

// admit opens the file and enters its open in the table of files. cuts says that a file that is
// there will be cut: to others' share modes that is to write it. Opens that are kept for clients to come back make room.
func (c *Conn) admit(r *request, w *reply, cr *creation, cuts bool) (o *open, created bool, status wire.Status) {
	for {
		var evicted bool
		o, created, evicted, status = c.tryAdmit(r, w, cr, cuts)
		switch {
		case status == wire.StatusDeletePending && evicted: // it was to be deleted on close, and now it is
		case status == wire.StatusTooManyOpenedFiles && c.srv.files.evictOldest():
		default:
			return o, created, status
		}
	}
}

func (c *Conn) tryAdmit(r *request, w *reply, cr *creation, cuts bool) (o *open, created, evicted bool, status wire.Status) {
	c.srv.files.paths.RLock()
	defer c.srv.files.paths.RUnlock()
	how, impossible := cr.how()
	how.MayFill, how.Guard = c.srv.files.mayFill, guard{r.session.token.Load(), r.tree, cr}
	// A key that has a lease is another file's than one that would be made, MS-SMB2 3.3.5.9.8.
	leased := how.Create && c.srv.files.leased(&cr.asked)
	if leased {
		how.Create = false
	}
	since := c.srv.files.renames.Load()
	f, created, err := r.tree.share.root.Open(cr.path, how)
	switch {
	case leased && errors.Is(err, vfs.ErrNotFound):
		return nil, false, false, wire.StatusInvalidParameter
	case leased && how.Exclusive && err == nil:
		c.shut(f)
		return nil, false, false, wire.StatusObjectNameCollision
	case impossible && errors.Is(err, vfs.ErrNotFound):
		return nil, false, false, wire.StatusCannotDelete
	case errors.Is(err, vfs.ErrLeased):
		return nil, false, false, c.waitForOthersLease(r, w)
	case err != nil:
		return nil, false, false, wire.StatusOf(err)
	}
	if cuts && !created && !f.Named() {
		// What is hidden, or the system's, is only overwritten by who says that it is, MS-FSA 2.1.5.1.2: but its named streams.
		const must = wire.AttributeHidden | wire.AttributeSystem
		if f.KeptNow()&must&^cr.attributes != 0 {
			c.shut(f)
			return nil, false, false, wire.StatusAccessDenied
		}
	}
	if cr.maximum && how.Write && !f.IsDir() && !f.Writable() {
		cr.access &^= wire.AccessWriteData | wire.AccessAppendData
	}
	o = &open{
		id: c.srv.newFileID(), session: r.session, conn: c, tree: r.tree, access: cr.access | cr.given, share: cr.share,
		options: cr.options, mode: cr.options & wire.OptionsMode, named: f.Named(), file: f, asked: cr.asked,
		sequence: sequence{number: r.header().ChannelSequence()},
	}
	e := admission{since: since, again: w.async != 0, park: func(st *fileState) wire.Status { return c.waitForOplock(r, w, st) }}
	if cuts && !created {
		e.also, e.overwrites = wire.AccessWriteData, true
	}
	e.overwrites = e.overwrites || cr.outdates
	e.renames, e.removes = cr.renames, cr.removes
	var path vfs.Path
	if created {
		path = f.Path()
	}
	if status = c.enter(o, &e); created && status != wire.StatusOK {
		c.srv.files.entryChanged(o, path) // it was made all the same
	}
	return o, created, e.evicted, status
}

// enter admits an open, or closes it. Its file was opened before, so it may have been
// removed up to here; from here on, others wait for it to be closed.
func (c *Conn) enter(o *open, e *admission) wire.Status {
	if status := c.srv.files.admit(o, e); status != wire.StatusOK {
		c.shut(o.file)
		return status
	}
	o.tree.share.holders.Add(1) // the CREATE holds it too
	o.held = o.tree.share
	switch gone, err := o.file.Gone(); {
	case err != nil:
		return c.abandon(o, wire.StatusOf(err))
	case gone:
		return c.abandon(o, wire.StatusDeletePending)
	}
	return wire.StatusOK
}

func (c *Conn) shut(f *vfs.File) {
	if err := f.Close(); err != nil {
		c.log.Warn("closing a file", "cause", err)
	}
}

// putContexts answers the create contexts that were asked for, MS-SMB2 2.2.14.2.
func (c *Conn) putContexts(b []byte, cr *creation, held *held, d *durability) (n int) {
	last := -1
	add := func(name string, data int) []byte {
		if last >= 0 {
			wire.PutContextNext(b[last:], n-last)
		}
		body, size := wire.PutContext(b[n:], name, data)
		last, n = n, n+size
		return body
	}
	if cr.wantMxAc {
		wire.PutMaximalAccess(add(wire.ContextMaximalAccess, 8), cr.maximal)
	}
	if cr.wantQFid {
		wire.PutOnDiskID(add(wire.ContextQueryOnDiskID, 32), &c.info)
	}
	if held.level == wire.OplockLease {
		held.put(add(wire.ContextLease, held.size()))
	}
	switch {
	case d == nil || !d.durable:
	case d.v2:
		wire.PutDurableResponseV2(add(wire.ContextDurableRequestV2, wire.DurableResponseV2Size), d.timeout)
	default:
		clear(add(wire.ContextDurableRequest, wire.DurableResponseSize))
	}
	return n
}
