package wire

// The levels of TRANS2_QUERY_PATH_INFORMATION and its like, MS-CIFS 2.2.8. Those from SMB1Passthru on are a class of
// FSCC's with this added (MS-SMB 2.2.2.3.5).
const (
	SMB1InfoStandard  = 0x0001
	SMB1InfoEASize    = 0x0002
	SMB1InfoEAList    = 0x0003
	SMB1InfoAllEAs    = 0x0004
	SMB1InfoNameValid = 0x0006

	SMB1InfoEndOfFile = 0x0104 // to be set

	SMB1Passthru = 1000
)

// smb1Classes are the classes of FSCC that levels of NT's are alike with.
var smb1Classes = map[uint16]FileInfoClass{
	0x0101: FileBasicInformation,
	0x0102: FileStandardInformation,
	0x0103: FileEAInformation,
	0x0104: FileNameInformation,
	0x0107: FileAllInformation,
	0x0108: FileAlternateNameInformation,
	0x0109: FileStreamInformation,
	0x010B: FileCompressionInformation,
}

// passthru is the class that a level of those from SMB1Passthru on names; 0 and false for the others.
func passthru(level uint16) (class uint8, ok bool) {
	if level > SMB1Passthru && level < SMB1Passthru+0x100 {
		return uint8(level - SMB1Passthru), true
	}
	return 0, false
}

// SMB1QueryClass is the class of FSCC that a level asks for; false if there is none.
func SMB1QueryClass(level uint16) (FileInfoClass, bool) {
	if c, ok := passthru(level); ok {
		return FileInfoClass(c), true
	}
	c, ok := smb1Classes[level]
	return c, ok
}

// SMB1SetClass is the class of FSCC that a level sets, MS-CIFS 2.2.8.4.
func SMB1SetClass(level uint16) (FileInfoClass, bool) {
	switch level {
	case 0x0101:
		return FileBasicInformation, true
	case 0x0102:
		return FileDispositionInformation, true
	case 0x0103:
		return FileAllocationInformation, true
	case 0x0104:
		return FileEndOfFileInformation, true
	}
	c, ok := passthru(level)
	return FileInfoClass(c), ok
}

// PutSMB1Core writes what the calls of the core protocol say of a file, 10 bytes: attributes, the time of the last write and
// the size (MS-CIFS 2.2.4.9.2).
func (f *FileInfo) PutSMB1Core(b []byte) {
	le.PutUint16(b, uint16(f.Attributes.SMB1()))
	le.PutUint32(b[2:], uint32(UTimeOf(f.LastWrite)))
	le.PutUint32(b[6:], uint32(min(f.EndOfFile, 1<<32-1)))
}

// PutSMB1Standard writes the 22 bytes of SMB_INFO_STANDARD, MS-CIFS 2.2.8.3.1.
func (f *FileInfo) PutSMB1Standard(b []byte) {
	DOSTimeOf(f.Creation).Put(b)
	DOSTimeOf(f.LastAccess).Put(b[4:])
	DOSTimeOf(f.LastWrite).Put(b[8:])
	le.PutUint32(b[12:], uint32(min(f.EndOfFile, 1<<32-1)))
	le.PutUint32(b[16:], uint32(min(f.AllocationSize, 1<<32-1)))
	le.PutUint16(b[20:], uint16(f.Attributes.SMB1()))
}

// PutSMB1FileInfo writes what a level of the older ones says, or one that SMB1 has in another form than SMB2; known is
// false for any other. Names are in Unicode here, whatever the client's other strings are (MS-CIFS 2.2.8.3.9).
func PutSMB1FileInfo(b []byte, level uint16, f *FileInfo) (n int, status Status, known bool) {
	switch level {
	case SMB1InfoStandard, SMB1InfoEASize:
		if len(b) < 26 {
			return 0, StatusInfoLengthMismatch, true
		}
		f.PutSMB1Standard(b)
		if level == SMB1InfoStandard {
			return 22, StatusOK, true
		}
		le.PutUint32(b[22:], f.EASize)
		return 26, StatusOK, true
	}
	class, _ := SMB1QueryClass(level)
	switch class {
	case FileAllInformation: // MS-CIFS 2.2.8.3.9: without what SMB2 has between EA size and name
		const fixed = 40 + 24 + 4
		if len(b) < fixed+4 {
			return 0, StatusInfoLengthMismatch, true
		}
		n = f.putBasic(b)
		n += f.putStandard(b[n:])
		le.PutUint32(b[n:], f.EASize)
		n += 4
		m, status := f.putName(b[n:], f.Name)
		return n + m, status, true
	case FileNameInformation:
		if len(b) < 4 {
			return 0, StatusInfoLengthMismatch, true
		}
		n, status = f.putName(b, f.Name)
		return n, status, true
	}
	return 0, StatusOK, false
}

// The levels of TRANS2_QUERY_FS_INFORMATION, MS-CIFS 2.2.8.2.
const (
	SMB1FsAllocation = 0x0001
	SMB1FsVolume     = 0x0002
)

// SMB1FsClass is the class of FSCC that a level asks for.
func SMB1FsClass(level uint16) (FsInfoClass, bool) {
	switch level {
	case 0x0102:
		return FsVolumeInformation, true
	case 0x0103:
		return FsSizeInformation, true
	case 0x0104:
		return FsDeviceInformation, true
	case 0x0105:
		return FsAttributeInformation, true
	}
	c, ok := passthru(level)
	return FsInfoClass(c), ok
}

// PutSMB1FsInfo writes what one of the older levels says of a volume.
func PutSMB1FsInfo(b []byte, level uint16, f *FsInfo, unicode bool) (n int, status Status) {
	switch level {
	case SMB1FsAllocation: // MS-CIFS 2.2.8.2.1
		if len(b) < 18 {
			return 0, StatusInfoLengthMismatch
		}
		le.PutUint32(b, f.Serial)
		le.PutUint32(b[4:], f.UnitSize/sectorSize)
		le.PutUint32(b[8:], uint32(min(f.Total, 1<<32-1)))
		le.PutUint32(b[12:], uint32(min(f.Free, 1<<32-1)))
		le.PutUint16(b[16:], sectorSize)
		return 18, StatusOK
	case SMB1FsVolume: // 2.2.8.2.2
		if len(b) < 5+SMB1StringSize(f.Label) {
			return 0, StatusInfoLengthMismatch
		}
		le.PutUint32(b, f.Serial)
		b[4] = byte(SMB1CharsLen(f.Label, unicode))
		return 5 + PutSMB1String(b[5:], 0, f.Label, unicode), StatusOK
	}
	return 0, StatusInvalidLevel
}
