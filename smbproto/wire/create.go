package wire

// CreateRequest, MS-SMB2 2.2.13.
type CreateRequest []byte

// Valid checks the layout, and each create context.
func (m CreateRequest) Valid() error {
	if err := checkBody(m, 57); err != nil {
		return err
	}
	if err := checkRange(m, "name", uint64(le.Uint16(m[108:])), uint64(le.Uint16(m[110:])), HeaderSize+56); err != nil {
		return err
	}
	if err := checkRange(m, "create contexts", uint64(le.Uint32(m[112:])), uint64(le.Uint32(m[116:])), HeaderSize+56); err != nil {
		return err
	}
	return m.contexts().valid()
}

// OplockLevel asked for.
func (m CreateRequest) OplockLevel() OplockLevel { return OplockLevel(m[67]) }

// ImpersonationLevel of the client, 0 to 3.
func (m CreateRequest) ImpersonationLevel() uint32 { return le.Uint32(m[68:]) }

// DesiredAccess mask.
func (m CreateRequest) DesiredAccess() Access { return Access(le.Uint32(m[88:])) }

// FileAttributes for a new file.
func (m CreateRequest) FileAttributes() Attributes { return Attributes(le.Uint32(m[92:])) }

// ShareAccess granted to others.
func (m CreateRequest) ShareAccess() ShareAccess { return ShareAccess(le.Uint32(m[96:])) }

// Disposition says what to do if the file is or is not there.
func (m CreateRequest) Disposition() Disposition { return Disposition(le.Uint32(m[100:])) }

// Options of the create.
func (m CreateRequest) Options() CreateOptions { return CreateOptions(le.Uint32(m[104:])) }

// Name in UTF-16, in place.
func (m CreateRequest) Name() []byte {
	return cut(m, int(le.Uint16(m[108:])), int(le.Uint16(m[110:])))
}

func (m CreateRequest) contexts() createContexts {
	return createContexts(cut(m, int(le.Uint32(m[112:])), int(le.Uint32(m[116:]))))
}

// Contexts yields the name and the data of each create context, in place.
func (m CreateRequest) Contexts(yield func(name, data []byte) bool) { m.contexts().all(yield) }

// createContexts is a chain of SMB2_CREATE_CONTEXT, MS-SMB2 2.2.13.2.
type createContexts []byte

func (c createContexts) valid() error {
	for rest := []byte(c); len(rest) > 0; {
		if len(rest) < 16 {
			return malformed("create context of %d bytes", len(rest))
		}
		next := uint64(le.Uint32(rest))
		here := rest
		if next != 0 {
			if next < 16 || next%8 != 0 || next >= uint64(len(rest)) {
				return malformed("next create context at %d of %d", next, len(rest))
			}
			here = rest[:next]
		}
		nameOff, nameLen := uint64(le.Uint16(here[4:])), uint64(le.Uint16(here[6:]))
		dataOff, dataLen := uint64(le.Uint16(here[10:])), uint64(le.Uint32(here[12:]))
		if nameLen < 4 || nameOff < 16 || nameOff+nameLen > uint64(len(here)) {
			return malformed("create context name at %d, %d bytes long, of %d", nameOff, nameLen, len(here))
		}
		if dataLen > 0 && (dataOff < 16 || dataOff+dataLen > uint64(len(here))) {
			return malformed("create context data at %d, %d bytes long, of %d", dataOff, dataLen, len(here))
		}
		if next == 0 {
			return nil
		}
		rest = rest[next:]
	}
	return nil
}

func (c createContexts) all(yield func(name, data []byte) bool) {
	for rest := []byte(c); len(rest) > 0; {
		next := int(le.Uint32(rest))
		name := cut(rest, int(le.Uint16(rest[4:])), int(le.Uint16(rest[6:])))
		data := cut(rest, int(le.Uint16(rest[10:])), int(le.Uint32(rest[12:])))
		if !yield(name, data) || next == 0 {
			return
		}
		rest = rest[next:]
	}
}

// Names of create contexts, MS-SMB2 2.2.13.2.
const (
	ContextMaximalAccess  = "MxAc"
	ContextQueryOnDiskID  = "QFid"
	ContextTimewarp       = "TWrp"
	ContextEABuffer       = "ExtA"
	ContextAllocationSize = "AlSi"
	ContextLease          = "RqLs"
	ContextSecurity       = "SecD"
)

// PutContext writes a create context with a four-letter name at b and returns its
// padded length. Chain contexts with PutContextNext.
func PutContext(b []byte, name string, data int) (body []byte, n int) {
	n = alignUp(24 + data)
	clear(b[:n])
	le.PutUint16(b[4:], 16)
	le.PutUint16(b[6:], 4)
	if data > 0 {
		le.PutUint16(b[10:], 24)
	}
	le.PutUint32(b[12:], uint32(data))
	copy(b[16:20], name)
	return b[24 : 24+data], n
}

// PutContextNext links the context at b to the one n bytes behind it.
func PutContextNext(b []byte, n int) { le.PutUint32(b, uint32(n)) }

// CreateResponseFixed is the response without its contexts, MS-SMB2 2.2.14.
const CreateResponseFixed = HeaderSize + 88

// CreateResponse is a view of at least CreateResponseFixed bytes.
type CreateResponse []byte

// Put writes the fixed body; contexts of the given length follow right behind.
func (m CreateResponse) Put(action CreateAction, level OplockLevel, info *FileInfo, id FileID, contexts int) {
	clear(m[HeaderSize:CreateResponseFixed])
	le.PutUint16(m[64:], 89)
	m[66] = byte(level)
	le.PutUint32(m[68:], uint32(action))
	info.PutTimes(m[72:])
	le.PutUint64(m[104:], info.AllocationSize)
	le.PutUint64(m[112:], info.EndOfFile)
	le.PutUint32(m[120:], uint32(info.Attributes))
	id.Put(m[128:])
	if contexts > 0 {
		le.PutUint32(m[144:], CreateResponseFixed)
		le.PutUint32(m[148:], uint32(contexts))
	}
}

// PutMaximalAccess writes the 8 bytes of SMB2_CREATE_QUERY_MAXIMAL_ACCESS_RESPONSE, MS-SMB2 2.2.14.2.5.
func PutMaximalAccess(b []byte, access Access) {
	le.PutUint32(b, uint32(StatusOK))
	le.PutUint32(b[4:], uint32(access))
}

// PutOnDiskID writes the 32 bytes of SMB2_CREATE_QUERY_ON_DISK_ID, MS-SMB2 2.2.14.2.9.
func PutOnDiskID(b []byte, f *FileInfo) {
	clear(b[:32])
	le.PutUint64(b, f.FileIndex)
	le.PutUint64(b[8:], f.Volume)
}
