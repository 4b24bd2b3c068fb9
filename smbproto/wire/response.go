package wire

// ErrorSize is the response of a request that failed, MS-SMB2 2.2.2: eight bytes
// and one of error data, which is there even if ByteCount is 0.
const ErrorSize = HeaderSize + 9

// PutError writes the error body into m[HeaderSize:ErrorSize].
func PutError(m []byte) {
	clear(m[HeaderSize:ErrorSize])
	le.PutUint16(m[64:], 9)
}

// EmptySize is a response with nothing in it: LOGOFF, TREE_DISCONNECT, FLUSH, LOCK, ECHO.
const EmptySize = HeaderSize + 4

// PutEmpty writes the empty body into m[HeaderSize:EmptySize].
func PutEmpty(m []byte) { le.PutUint32(m[64:], 4) }

// SetInfoResponseSize is the whole response to SET_INFO, MS-SMB2 2.2.40.
const SetInfoResponseSize = HeaderSize + 2

// PutSetInfo writes the body of SET_INFO.
func PutSetInfo(m []byte) { le.PutUint16(m[64:], 2) }

// NegotiateFixed is the response without its token, MS-SMB2 2.2.4.
const NegotiateFixed = HeaderSize + 64

// NegotiateResponse is a view of at least NegotiateFixed bytes.
type NegotiateResponse []byte

// NegotiateValues are what a negotiate response says.
type NegotiateValues struct {
	SecurityMode                   uint16
	Dialect                        Dialect
	GUID                           [16]byte
	Capabilities                   uint32
	MaxTransact, MaxRead, MaxWrite uint32
	SystemTime, ServerStartTime    Filetime
	TokenLength                    int
	// ContextCount contexts stand at ContextOffset, 8 bytes aligned, from the header; in dialect 3.1.1 only.
	ContextCount, ContextOffset int
}

// Put writes the fixed body; the token follows right behind.
func (m NegotiateResponse) Put(v *NegotiateValues) {
	clear(m[HeaderSize:NegotiateFixed])
	le.PutUint16(m[64:], 65)
	le.PutUint16(m[66:], v.SecurityMode)
	le.PutUint16(m[68:], uint16(v.Dialect))
	le.PutUint16(m[70:], uint16(v.ContextCount))
	copy(m[72:88], v.GUID[:])
	le.PutUint32(m[88:], v.Capabilities)
	le.PutUint32(m[92:], v.MaxTransact)
	le.PutUint32(m[96:], v.MaxRead)
	le.PutUint32(m[100:], v.MaxWrite)
	le.PutUint64(m[104:], uint64(v.SystemTime))
	le.PutUint64(m[112:], uint64(v.ServerStartTime))
	le.PutUint16(m[120:], NegotiateFixed)
	le.PutUint16(m[122:], uint16(v.TokenLength))
	le.PutUint32(m[124:], uint32(v.ContextOffset))
}

// SessionSetupFixed is the response without its token, MS-SMB2 2.2.6.
const SessionSetupFixed = HeaderSize + 8

// Session flags.
const (
	SessionGuest     uint16 = 1
	SessionAnonymous uint16 = 2
	// SessionEncryptData: all that follows must be encrypted.
	SessionEncryptData uint16 = 4
)

// PutSessionSetup writes the fixed body; a token of n bytes follows right behind.
func PutSessionSetup(m []byte, flags uint16, n int) {
	le.PutUint16(m[64:], 9)
	le.PutUint16(m[66:], flags)
	le.PutUint16(m[68:], SessionSetupFixed)
	le.PutUint16(m[70:], uint16(n))
}

// TreeConnectSize is the whole response, MS-SMB2 2.2.10.
const TreeConnectSize = HeaderSize + 16

// Share types.
const (
	ShareDisk uint8 = 1
	SharePipe uint8 = 2
)

// ShareFlagNoCaching says that clients must not keep files for work offline.
const ShareFlagNoCaching uint32 = 0x30

// ShareFlagEncryptData says that requests for the share must be encrypted.
const ShareFlagEncryptData uint32 = 0x8000

// PutTreeConnect writes the body.
func PutTreeConnect(m []byte, kind uint8, flags uint32, access Access) {
	clear(m[HeaderSize:TreeConnectSize])
	le.PutUint16(m[64:], 16)
	m[66] = kind
	le.PutUint32(m[68:], flags)
	le.PutUint32(m[76:], uint32(access))
}

// CloseSize is the whole response, MS-SMB2 2.2.16.
const CloseSize = HeaderSize + 60

// PutClose writes the body; info is nil if no attributes were asked for.
func PutClose(m []byte, info *FileInfo) {
	clear(m[HeaderSize:CloseSize])
	le.PutUint16(m[64:], 60)
	if info == nil {
		return
	}
	le.PutUint16(m[66:], ClosePostQueryAttributes)
	info.PutTimes(m[72:])
	le.PutUint64(m[104:], info.AllocationSize)
	le.PutUint64(m[112:], info.EndOfFile)
	le.PutUint32(m[120:], uint32(info.Attributes))
}

// OutputFixed is the fixed part of QUERY_DIRECTORY and QUERY_INFO responses, which
// are alike (MS-SMB2 2.2.34, 2.2.38).
const OutputFixed = HeaderSize + 8

// PutOutput writes the fixed body for n bytes of output right behind it.
func PutOutput(m []byte, n int) {
	le.PutUint16(m[64:], 9)
	le.PutUint16(m[66:], 0)
	if n > 0 {
		le.PutUint16(m[66:], OutputFixed)
	}
	le.PutUint32(m[68:], uint32(n))
}

// IoctlFixed is the response without its output, MS-SMB2 2.2.32.
const IoctlFixed = HeaderSize + 48

// PutIoctl writes the fixed body for n bytes of output right behind it.
func PutIoctl(m []byte, code uint32, id FileID, n int) {
	clear(m[HeaderSize:IoctlFixed])
	le.PutUint16(m[64:], 49)
	le.PutUint32(m[68:], code)
	id.Put(m[72:])
	le.PutUint32(m[88:], IoctlFixed)
	le.PutUint32(m[96:], IoctlFixed)
	le.PutUint32(m[100:], uint32(n))
}

// ErrorValueSize is an error response with four bytes of error data: how large the
// buffer should have been (MS-SMB2 2.2.2).
const ErrorValueSize = HeaderSize + 12

// PutErrorValue writes such an error body.
func PutErrorValue(m []byte, v uint32) {
	clear(m[HeaderSize:ErrorValueSize])
	le.PutUint16(m[64:], 9)
	le.PutUint32(m[68:], 4)
	le.PutUint32(m[72:], v)
}
