package wire

// The UNIX extensions of SMB1, as Samba and Linux's cifs speak them: levels of TRANSACTION2 that say and set what POSIX
// knows of a file. They are in no specification of Microsoft's.

// Levels of TRANS2_QUERY_FS_INFORMATION and TRANS2_SET_FS_INFORMATION.
const (
	SMB1FsUnix  = 0x0200 // which version, and what can be done
	SMB1FsPosix = 0x0201 // what statfs says
	SMB1FsWho   = 0x0202 // who the client is to the server
)

// Levels of TRANS2_QUERY_PATH_INFORMATION, TRANS2_SET_PATH_INFORMATION and their like.
const (
	SMB1InfoUnixBasic = 0x0200
	SMB1InfoUnixLink  = 0x0201 // the text of a symbolic link
	SMB1InfoUnixInfo2 = 0x020B
)

// What SMB1FsUnix tells can be done.
const (
	SMB1UnixPathnames uint64 = 0x10 // components of names are separated by a slash
)

// SMB1UnixNames reports whether a level is one that says or sets something of a name, and not of what a link by that
// name leads to.
func SMB1UnixNames(level uint16) bool {
	return level == SMB1InfoUnixBasic || level == SMB1InfoUnixLink || level == SMB1InfoUnixInfo2
}

// UnixInfo is what POSIX knows of a file besides. The time of the last access and of the last write are as elsewhere.
type UnixInfo struct {
	Size, Allocated uint64 // bytes; the room of a file is as elsewhere
	Changed         Filetime
	Mode            uint32 // type and permissions, as stat(2) has them
	UID, GID        uint32
	Major, Minor    uint32 // of a device
	Links           uint32
}

// The types of files as the extensions count them, by the highest four bits of a mode.
var unixTypes = map[uint32]uint32{0x8: 0, 0x4: 1, 0xA: 2, 0x2: 3, 0x6: 4, 0x1: 5, 0xC: 6}

// Sizes of what the levels say.
const (
	SMB1UnixFsSize    = 12
	SMB1PosixFsSize   = 56
	SMB1UnixBasicSize = 100
	SMB1UnixInfo2Size = 116
)

// PutSMB1Unix writes the information of SMB1InfoUnixBasic, or what SMB1InfoUnixInfo2 says: that, when the file was made, and
// which of the flags are set and which there are: none.
func (f *FileInfo) PutSMB1Unix(b []byte, level uint16) (n int, status Status) {
	n = SMB1UnixBasicSize
	if level == SMB1InfoUnixInfo2 {
		n = SMB1UnixInfo2Size
	}
	if len(b) < n {
		return 0, StatusInfoLengthMismatch
	}
	u, kind := &f.Unix, unixTypes[f.Unix.Mode>>12&0xF]
	clear(b[:n])
	le.PutUint64(b, u.Size)
	le.PutUint64(b[8:], u.Allocated)
	if kind == 0 { // as other levels say
		le.PutUint64(b[8:], f.AllocationSize)
	}
	le.PutUint64(b[16:], uint64(u.Changed))
	le.PutUint64(b[24:], uint64(f.LastAccess))
	le.PutUint64(b[32:], uint64(f.LastWrite))
	le.PutUint64(b[40:], uint64(u.UID))
	le.PutUint64(b[48:], uint64(u.GID))
	le.PutUint32(b[56:], kind)
	le.PutUint64(b[60:], uint64(u.Major))
	le.PutUint64(b[68:], uint64(u.Minor))
	le.PutUint64(b[76:], f.FileIndex)
	le.PutUint64(b[84:], uint64(u.Mode&0o7777))
	le.PutUint64(b[92:], uint64(u.Links))
	if level == SMB1InfoUnixInfo2 {
		le.PutUint64(b[100:], uint64(f.Creation))
	}
	return n, StatusOK
}

// PutSMB1Text writes the text of a symbolic link.
func PutSMB1Text(b []byte, text string, unicode bool) (n int, status Status) {
	if SMB1StringSize(text) > len(b) {
		return 0, StatusInfoLengthMismatch
	}
	return PutSMB1String(b, 0, text, unicode), StatusOK
}

// PutSMB1UnixFs says that the extensions are of version 1.0, and what can be done by them.
func PutSMB1UnixFs(b []byte, capabilities uint64) (n int, status Status) {
	if len(b) < SMB1UnixFsSize {
		return 0, StatusInfoLengthMismatch
	}
	le.PutUint16(b, 1)
	le.PutUint16(b[2:], 0)
	le.PutUint64(b[4:], capabilities)
	return SMB1UnixFsSize, StatusOK
}

// SMB1UnixFs reads of which version a client's extensions are, and which of them it uses.
func SMB1UnixFs(b []byte) (major uint16, capabilities uint64, err error) {
	if len(b) < SMB1UnixFsSize {
		return 0, 0, malformed("SMB1 UNIX capabilities of %d bytes, expected %d", len(b), SMB1UnixFsSize)
	}
	return le.Uint16(b), le.Uint64(b[4:]), nil
}

// PutSMB1PosixFs writes what statfs says of a volume.
func (f *FsInfo) PutSMB1PosixFs(b []byte) (n int, status Status) {
	if len(b) < SMB1PosixFsSize {
		return 0, StatusInfoLengthMismatch
	}
	le.PutUint32(b, f.UnitSize)
	le.PutUint32(b[4:], f.UnitSize)
	le.PutUint64(b[8:], f.Total)
	le.PutUint64(b[16:], f.ActuallyFree)
	le.PutUint64(b[24:], f.Free)
	le.PutUint64(b[32:], f.Files)
	le.PutUint64(b[40:], f.FreeFiles)
	le.PutUint64(b[48:], uint64(f.Serial))
	return SMB1PosixFsSize, StatusOK
}

// PutSMB1Who writes who a client is: a guest or not, the user and group of Linux's that what it does is done as, no other
// groups, and its SIDs, of its user first, each in the form of MS-DTYP 2.4.2.2. Without room for those there are none.
func PutSMB1Who(b []byte, guest bool, uid, gid uint32, sids []string) (n int, status Status) {
	const fixed = 40
	if len(b) < fixed {
		return 0, StatusInfoLengthMismatch
	}
	clear(b[:fixed])
	if guest {
		b[0] = 1
	}
	b[4] = 1 // that it can be told
	le.PutUint64(b[8:], uint64(uid))
	le.PutUint64(b[16:], uint64(gid))
	size := 0
	for _, s := range sids {
		size += len(s)
	}
	if fixed+size > len(b) {
		return fixed, StatusOK
	}
	le.PutUint32(b[28:], uint32(len(sids)))
	le.PutUint32(b[32:], uint32(size))
	n = fixed
	for _, s := range sids {
		n += copy(b[n:], s)
	}
	return n, StatusOK
}
