package wire

// QueryDirectoryRequest, MS-SMB2 2.2.33.
type QueryDirectoryRequest []byte

// Valid checks the layout.
func (m QueryDirectoryRequest) Valid() error {
	if err := checkBody(m, 33); err != nil {
		return err
	}
	return checkRange(m, "pattern", uint64(le.Uint16(m[88:])), uint64(le.Uint16(m[90:])), HeaderSize+32)
}

// InfoClass of the entries.
func (m QueryDirectoryRequest) InfoClass() FileInfoClass { return FileInfoClass(m[66]) }

// Flags of the query.
func (m QueryDirectoryRequest) Flags() uint8 { return m[67] }

// Pattern in UTF-16, in place.
func (m QueryDirectoryRequest) Pattern() []byte {
	return cut(m, int(le.Uint16(m[88:])), int(le.Uint16(m[90:])))
}

// OutputLength is the most the client takes.
func (m QueryDirectoryRequest) OutputLength() uint32 { return le.Uint32(m[92:]) }

// Flags of QUERY_DIRECTORY.
const (
	RestartScans      uint8 = 0x01
	ReturnSingleEntry uint8 = 0x02
	IndexSpecified    uint8 = 0x04
	ReopenDirectory   uint8 = 0x10
)

// InfoType says which family a query or set info is of, MS-SMB2 2.2.37.
type InfoType uint8

// Info types.
const (
	InfoFile InfoType = iota + 1
	InfoFilesystem
	InfoSecurity
	InfoQuota
)

// QueryInfoRequest, MS-SMB2 2.2.37.
type QueryInfoRequest []byte

// Valid checks the layout.
func (m QueryInfoRequest) Valid() error {
	if err := checkBody(m, 41); err != nil {
		return err
	}
	return checkRange(m, "input buffer", uint64(le.Uint16(m[72:])), uint64(le.Uint32(m[76:])), HeaderSize+40)
}

// Type of the information.
func (m QueryInfoRequest) Type() InfoType { return InfoType(m[66]) }

// Class within the type.
func (m QueryInfoRequest) Class() uint8 { return m[67] }

// OutputLength is the most the client takes.
func (m QueryInfoRequest) OutputLength() uint32 { return le.Uint32(m[68:]) }

// Input in place: of FileFullEaInformation, which EAs are asked for.
func (m QueryInfoRequest) Input() []byte {
	return cut(m, int(le.Uint16(m[72:])), int(le.Uint32(m[76:])))
}

// Flags of the query, of which only FileFullEaInformation has some.
func (m QueryInfoRequest) Flags() uint32 { return le.Uint32(m[84:]) }

// Additional says which parts of a security descriptor.
func (m QueryInfoRequest) Additional() uint32 { return le.Uint32(m[80:]) }

// Flags of QUERY_INFO. With QueryIndexSpecified, Additional is the number of an EA.
const (
	QueryRestartScan       uint32 = 0x00000001
	QueryReturnSingleEntry uint32 = 0x00000002
	QueryIndexSpecified    uint32 = 0x00000004
)

// SetInfoRequest, MS-SMB2 2.2.39.
type SetInfoRequest []byte

// Valid checks the layout.
func (m SetInfoRequest) Valid() error {
	if err := checkBody(m, 33); err != nil {
		return err
	}
	return checkRange(m, "buffer", uint64(le.Uint16(m[72:])), uint64(le.Uint32(m[68:])), HeaderSize+32)
}

// Type of the information.
func (m SetInfoRequest) Type() InfoType { return InfoType(m[66]) }

// Class within the type.
func (m SetInfoRequest) Class() uint8 { return m[67] }

// Additional says which parts of a security descriptor.
func (m SetInfoRequest) Additional() uint32 { return le.Uint32(m[76:]) }

// Buffer in place.
func (m SetInfoRequest) Buffer() []byte {
	return cut(m, int(le.Uint16(m[72:])), int(le.Uint32(m[68:])))
}

// IoctlRequest, MS-SMB2 2.2.31.
type IoctlRequest []byte

// Valid checks the layout.
func (m IoctlRequest) Valid() error {
	if err := checkBody(m, 57); err != nil {
		return err
	}
	return checkRange(m, "input", uint64(le.Uint32(m[88:])), uint64(le.Uint32(m[92:])), HeaderSize+56)
}

// Code of the control.
func (m IoctlRequest) Code() uint32 { return le.Uint32(m[68:]) }

// FileID of the open.
func (m IoctlRequest) FileID() FileID { return ReadFileID(m[72:]) }

// Input in place.
func (m IoctlRequest) Input() []byte {
	return cut(m, int(le.Uint32(m[88:])), int(le.Uint32(m[92:])))
}

// MaxOutput is the most the client takes.
func (m IoctlRequest) MaxOutput() uint32 { return le.Uint32(m[108:]) }

// IsFsctl reports whether the code is a file system control, the only kind that there is.
func (m IoctlRequest) IsFsctl() bool { return le.Uint32(m[112:]) == 1 }

// ValidateNegotiate is the input of FSCTL_VALIDATE_NEGOTIATE_INFO, MS-SMB2 2.2.31.4.
type ValidateNegotiate []byte

// Valid checks the layout.
func (m ValidateNegotiate) Valid() error {
	if len(m) < 24 || len(m) < 24+2*m.DialectCount() {
		return malformed("validate negotiate of %d bytes", len(m))
	}
	return nil
}

// Capabilities that the client sent.
func (m ValidateNegotiate) Capabilities() uint32 { return le.Uint32(m) }

// GUID that the client sent.
func (m ValidateNegotiate) GUID() []byte { return m[4:20] }

// SecurityMode that the client sent.
func (m ValidateNegotiate) SecurityMode() uint16 { return le.Uint16(m[20:]) }

// DialectCount is the number of dialects.
func (m ValidateNegotiate) DialectCount() int { return int(le.Uint16(m[22:])) }

// Dialect at i.
func (m ValidateNegotiate) Dialect(i int) Dialect { return Dialect(le.Uint16(m[24+2*i:])) }

// PutValidateNegotiate writes the 24 bytes of the answer, MS-SMB2 2.2.32.6.
func PutValidateNegotiate(b []byte, capabilities uint32, guid [16]byte, mode uint16, d Dialect) int {
	le.PutUint32(b, capabilities)
	copy(b[4:20], guid[:])
	le.PutUint16(b[20:], mode)
	le.PutUint16(b[22:], uint16(d))
	return 24
}
