package wire

// What the UNIX extensions have TRANS2_SET_PATH_INFORMATION and TRANS2_SET_FILE_INFORMATION do.
const (
	SMB1InfoUnixHardLink = 0x0203
	SMB1InfoPosixOpen    = 0x0209
	SMB1InfoPosixUnlink  = 0x020A
)

// SMB1UnixPathOps says, of what can be done, that files are opened, made and removed by the extensions.
const SMB1UnixPathOps uint64 = 0x20

// SMB1UnixSets reports whether a level is one by which the extensions change something.
func SMB1UnixSets(level uint16) bool {
	switch level {
	case SMB1InfoUnixBasic, SMB1InfoUnixInfo2, SMB1InfoUnixLink, SMB1InfoUnixHardLink, SMB1InfoPosixOpen, SMB1InfoPosixUnlink:
		return true
	}
	return false
}

// UnixNoChange is the value of a mode, of an owner and of a group that are left as they are.
const UnixNoChange = 1<<32 - 1

// SMB1UnixChange is what a client sets by SMB1InfoUnixBasic or SMB1InfoUnixInfo2.
type SMB1UnixChange struct {
	Size                            uint64
	HasSize                         bool
	Creation, LastAccess, LastWrite Filetime // 0: stays
	UID, GID, Mode                  uint32   // UnixNoChange: stays
	Device                          bool     // it is to be a device, a FIFO or a socket
	Flags                           bool     // flags are to be changed, of which there are none
}

// ReadSMB1UnixChange reads it in the layout of PutSMB1Unix.
func ReadSMB1UnixChange(b []byte, level uint16) (c SMB1UnixChange, err error) {
	n := SMB1UnixBasicSize
	if level == SMB1InfoUnixInfo2 {
		n = SMB1UnixInfo2Size
	}
	if len(b) < n {
		return c, malformed("SMB1 UNIX information of %d bytes, expected %d", len(b), n)
	}
	if c.Size = le.Uint64(b); c.Size != 1<<64-1 {
		if c.HasSize = true; c.Size > 1<<63-1 {
			return c, malformed("SMB1 UNIX size %d", c.Size)
		}
	}
	c.LastAccess, c.LastWrite = readSetTime(b[24:]), readSetTime(b[32:])
	c.UID, c.GID, c.Mode = le.Uint32(b[40:]), le.Uint32(b[48:]), le.Uint32(b[84:])
	kind := le.Uint32(b[56:])
	c.Device = kind > 2 && kind != UnixNoChange
	if level == SMB1InfoUnixInfo2 {
		c.Creation = readSetTime(b[100:])
		c.Flags = le.Uint32(b[112:]) != 0
	}
	return c, nil
}

// readSetTime reads a time, or 0 for one that is to stay.
func readSetTime(b []byte) Filetime {
	if t := Filetime(le.Uint64(b)); t.Sets() {
		return t
	}
	return 0
}

// Flags of SMB1PosixOpen.
const (
	SMB1PosixReadOnly  uint32 = 0x01
	SMB1PosixWriteOnly uint32 = 0x02
	SMB1PosixReadWrite uint32 = 0x04
	SMB1PosixCreate    uint32 = 0x10
	SMB1PosixExclusive uint32 = 0x20
	SMB1PosixTruncate  uint32 = 0x40
	SMB1PosixSync      uint32 = 0x100
	SMB1PosixDirectory uint32 = 0x200
)

// SMB1PosixOpen is what SMB1InfoPosixOpen asks for.
type SMB1PosixOpen struct {
	Oplock uint32 // as in NT_CREATE_ANDX
	Flags  uint32
	Mode   uint32 // of a file that is made
	Level  uint16 // what is to be said of the file
}

// Sizes of the request, and of the answer without what it says of the file.
const (
	smb1PosixOpenSize      = 18
	SMB1PosixOpenReplySize = 12
)

// ReadSMB1PosixOpen reads it.
func ReadSMB1PosixOpen(b []byte) (o SMB1PosixOpen, err error) {
	if len(b) < smb1PosixOpenSize {
		return o, malformed("SMB1 POSIX open of %d bytes, expected %d", len(b), smb1PosixOpenSize)
	}
	return SMB1PosixOpen{le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint16(b[16:])}, nil
}

// ReplySize is what the answer takes.
func (o *SMB1PosixOpen) ReplySize() int {
	switch o.Level {
	case SMB1InfoUnixBasic:
		return SMB1PosixOpenReplySize + SMB1UnixBasicSize
	case SMB1InfoUnixInfo2:
		return SMB1PosixOpenReplySize + SMB1UnixInfo2Size
	}
	return SMB1PosixOpenReplySize
}

// PutReply writes the answer, of ReplySize.
func (o *SMB1PosixOpen) PutReply(b []byte, oplock uint8, fid uint16, action CreateAction, f *FileInfo) int {
	le.PutUint16(b, uint16(oplock))
	le.PutUint16(b[2:], fid)
	le.PutUint32(b[4:], uint32(action))
	le.PutUint32(b[8:], 0xFFFF) // nothing is said
	n := o.ReplySize()
	if n > SMB1PosixOpenReplySize {
		le.PutUint32(b[8:], uint32(o.Level))
		_, _ = f.PutSMB1Unix(b[SMB1PosixOpenReplySize:], o.Level)
	}
	return n
}
