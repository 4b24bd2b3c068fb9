package wire

// The UNIX extensions of SMB1, as SNIA's CIFS technical reference and Samba's "UNIX extensions" describe them.

// Bits of the capabilities.
const (
	UnixCapFcntl     uint64 = 0x01 // POSIX byte-range locks
	UnixCapPosixACL  uint64 = 0x02
	UnixCapXattr     uint64 = 0x04
	UnixCapExtattr   uint64 = 0x08
	UnixCapPathnames uint64 = 0x10 // paths with slashes
	UnixCapPosixPath uint64 = 0x20 // open, mkdir and unlink as POSIX has them

	// UnixCapabilities are what this server has of them.
	UnixCapabilities = UnixCapPathnames | UnixCapPosixPath
)

// UnixInfo is what the extensions say of a file besides.
type UnixInfo struct {
	UID, GID     uint32
	Links        uint32
	Mode         uint32 // of stat, with the type
	Major, Minor uint32
}

// Sizes of SMB_QUERY_FILE_UNIX_BASIC and SMB_QUERY_FILE_UNIX_INFO2.
const (
	UnixBasicSize = 100
	UnixInfo2Size = 116
)

// unixType is the type of a file in the extensions.
func unixType(mode uint32) uint32 {
	switch mode & 0o170000 {
	case 0o040000:
		return 1
	case 0o120000:
		return 2
	case 0o020000:
		return 3
	case 0o060000:
		return 4
	case 0o010000:
		return 5
	case 0o140000:
		return 6
	}
	return 0
}

// PutUnixBasic writes SMB_QUERY_FILE_UNIX_BASIC, 100 bytes.
func (f *FileInfo) PutUnixBasic(b []byte) int {
	u := &f.Unix
	le.PutUint64(b, f.EndOfFile)
	le.PutUint64(b[8:], f.AllocationSize)
	le.PutUint64(b[16:], uint64(f.Change))
	le.PutUint64(b[24:], uint64(f.LastAccess))
	le.PutUint64(b[32:], uint64(f.LastWrite))
	le.PutUint64(b[40:], uint64(u.UID))
	le.PutUint64(b[48:], uint64(u.GID))
	le.PutUint32(b[56:], unixType(u.Mode))
	le.PutUint64(b[60:], uint64(u.Major))
	le.PutUint64(b[68:], uint64(u.Minor))
	le.PutUint64(b[76:], f.FileIndex)
	le.PutUint64(b[84:], uint64(u.Mode&0o7777))
	le.PutUint64(b[92:], uint64(u.Links))
	return UnixBasicSize
}

// PutUnixInfo2 writes SMB_QUERY_FILE_UNIX_INFO2, 116 bytes.
func (f *FileInfo) PutUnixInfo2(b []byte) int {
	f.PutUnixBasic(b)
	le.PutUint64(b[100:], uint64(f.Creation))
	le.PutUint32(b[108:], 0) // no flags
	le.PutUint32(b[112:], 0)
	return UnixInfo2Size
}
