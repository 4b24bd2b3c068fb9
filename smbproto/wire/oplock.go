package wire

// OplockLevel of an opportunistic lock, MS-SMB2 2.2.13.
type OplockLevel uint8

// Levels of oplocks. OplockLease says that a create context asks for a lease instead.
const (
	OplockNone      OplockLevel = 0x00
	OplockII        OplockLevel = 0x01
	OplockExclusive OplockLevel = 0x08
	OplockBatch     OplockLevel = 0x09
	OplockLease     OplockLevel = 0xff
)

// LeaseState is what a client may keep of a file, MS-SMB2 2.2.13.2.8: what it has read, that it has the file open when
// its applications have closed it, and what they have written.
type LeaseState uint32

// States of leases. An oplock of level II keeps what was read, an exclusive one what is written too, and a batch
// oplock all.
const (
	LeaseRead   LeaseState = 1
	LeaseHandle LeaseState = 2
	LeaseWrite  LeaseState = 4

	LeaseAll = LeaseRead | LeaseHandle | LeaseWrite
)

// State is what an oplock of this level lets a client keep.
func (l OplockLevel) State() LeaseState {
	switch l {
	case OplockII:
		return LeaseRead
	case OplockExclusive:
		return LeaseRead | LeaseWrite
	case OplockBatch:
		return LeaseAll
	}
	return 0
}

// Level is the greatest oplock that keeps no more than the state.
func (s LeaseState) Level() OplockLevel {
	switch {
	case s&LeaseAll == LeaseAll:
		return OplockBatch
	case s&(LeaseRead|LeaseWrite) == LeaseRead|LeaseWrite:
		return OplockExclusive
	case s&LeaseRead != 0:
		return OplockII
	}
	return OplockNone
}

// LeaseKey is the client's name of a lease.
type LeaseKey [16]byte

// Flags of a lease, MS-SMB2 2.2.13.2.10 and 2.2.14.2.10.
const (
	LeaseBreakInProgress uint32 = 2
	LeaseParentKeySet    uint32 = 4
)

// Sizes of the data of a lease's create context, the same in requests and responses.
const (
	LeaseContextSize   = 32 // MS-SMB2 2.2.13.2.8
	LeaseV2ContextSize = 52 // MS-SMB2 2.2.13.2.10
)

// LeaseContext is the data of SMB2_CREATE_REQUEST_LEASE, of either version, or of the response.
type LeaseContext []byte

// Valid tells that the data is of one of the two versions.
func (b LeaseContext) Valid() error {
	if len(b) != LeaseContextSize && len(b) != LeaseV2ContextSize {
		return malformed("lease context of %d bytes", len(b))
	}
	return nil
}

// V2 tells that it is of the second version, with a parent's key and an epoch.
func (b LeaseContext) V2() bool { return len(b) == LeaseV2ContextSize }

// Key of the lease.
func (b LeaseContext) Key() LeaseKey { return LeaseKey(b[:16]) }

// State that is asked for, or given.
func (b LeaseContext) State() LeaseState { return LeaseState(le.Uint32(b[16:])) }

// Flags of the lease.
func (b LeaseContext) Flags() uint32 { return le.Uint32(b[20:]) }

// Parent is the key of the directory's lease, in version 2 if LeaseParentKeySet.
func (b LeaseContext) Parent() LeaseKey { return LeaseKey(b[32:48]) }

// Epoch counts the changes of the lease, in version 2.
func (b LeaseContext) Epoch() uint16 { return le.Uint16(b[48:]) }

// Put writes what is common to both versions, and clears the rest.
func (b LeaseContext) Put(key LeaseKey, state LeaseState, flags uint32) {
	clear(b)
	copy(b, key[:])
	le.PutUint32(b[16:], uint32(state))
	le.PutUint32(b[20:], flags)
}

// PutV2 writes what version 2 adds.
func (b LeaseContext) PutV2(parent LeaseKey, epoch uint16) {
	copy(b[32:], parent[:])
	le.PutUint16(b[48:], epoch)
}

// OplockBreakSize is a whole OPLOCK_BREAK for an oplock: the notification (MS-SMB2 2.2.23.1), its acknowledgment
// (2.2.24.1), and the response to that (2.2.25.1) look alike.
const OplockBreakSize = HeaderSize + 24

// OplockBreak is a view of OplockBreakSize bytes.
type OplockBreak []byte

// Valid checks the size; that of a lease's break differs, see LeaseAck.
func (m OplockBreak) Valid() error { return checkBody(m, 24) }

// Level that the oplock comes to.
func (m OplockBreak) Level() OplockLevel { return OplockLevel(m[66]) }

// FileID of the open whose oplock it is.
func (m OplockBreak) FileID() FileID { return ReadFileID(m[72:]) }

// Put writes the body.
func (m OplockBreak) Put(level OplockLevel, id FileID) {
	clear(m[HeaderSize:OplockBreakSize])
	le.PutUint16(m[64:], 24)
	m[66] = byte(level)
	id.Put(m[72:])
}

// LeaseBreakSize is a whole notification that a lease breaks, MS-SMB2 2.2.23.2.
const LeaseBreakSize = HeaderSize + 44

// LeaseBreak is a view of LeaseBreakSize bytes.
type LeaseBreak []byte

// Put writes the body. ack says that the client has to acknowledge; epoch is 0 in version 1.
func (m LeaseBreak) Put(key LeaseKey, from, to LeaseState, epoch uint16, ack bool) {
	clear(m[HeaderSize:LeaseBreakSize])
	le.PutUint16(m[64:], 44)
	le.PutUint16(m[66:], epoch)
	if ack {
		le.PutUint32(m[68:], 1)
	}
	copy(m[72:], key[:])
	le.PutUint32(m[88:], uint32(from))
	le.PutUint32(m[92:], uint32(to))
}

// LeaseAckSize is a whole acknowledgment of a lease's break, MS-SMB2 2.2.24.2, and the response to it (2.2.25.2).
const LeaseAckSize = HeaderSize + 36

// LeaseAck is a view of LeaseAckSize bytes.
type LeaseAck []byte

// Is tells an acknowledgment of a lease's break from one of an oplock's, by its StructureSize.
func (m LeaseAck) Is() bool { return len(m) >= HeaderSize+2 && le.Uint16(m[HeaderSize:]) == 36 }

// Valid checks the size.
func (m LeaseAck) Valid() error { return checkBody(m, 36) }

// Key of the lease.
func (m LeaseAck) Key() LeaseKey { return LeaseKey(m[72:88]) }

// State that the lease comes to.
func (m LeaseAck) State() LeaseState { return LeaseState(le.Uint32(m[88:])) }

// Put writes the body.
func (m LeaseAck) Put(key LeaseKey, state LeaseState) {
	clear(m[HeaderSize:LeaseAckSize])
	le.PutUint16(m[64:], 36)
	copy(m[72:], key[:])
	le.PutUint32(m[88:], uint32(state))
}

// PutUnasked writes the header of a message that answers no request: the notification of a break, MS-SMB2 3.3.4.6.
func PutUnasked(m []byte, cmd Command) {
	clear(m[:HeaderSize])
	copy(m, "\xfeSMB")
	le.PutUint16(m[4:], HeaderSize)
	le.PutUint16(m[12:], uint16(cmd))
	le.PutUint32(m[16:], FlagServerToClient)
	le.PutUint64(m[24:], ^uint64(0))
}
