package wire

import "strconv"

// Status is an NTSTATUS, MS-ERREF 2.3.
type Status uint32

// The statuses that this server gives.
const (
	StatusOK                     Status = 0x00000000
	StatusPending                Status = 0x00000103
	StatusNotifyCleanup          Status = 0x0000010B
	StatusNotifyEnumDir          Status = 0x0000010C
	StatusBufferOverflow         Status = 0x80000005
	StatusNoMoreFiles            Status = 0x80000006
	StatusNoMoreEAs              Status = 0x80000012
	StatusInvalidEAName          Status = 0x80000013
	StatusEAListInconsistent     Status = 0x80000014
	StatusStoppedOnSymlink       Status = 0x8000002D
	StatusUnsuccessful           Status = 0xC0000001
	StatusNotImplemented         Status = 0xC0000002
	StatusInvalidInfoClass       Status = 0xC0000003
	StatusInfoLengthMismatch     Status = 0xC0000004
	StatusInvalidHandle          Status = 0xC0000008
	StatusInvalidParameter       Status = 0xC000000D
	StatusNoSuchFile             Status = 0xC000000F
	StatusInvalidDeviceRequest   Status = 0xC0000010
	StatusEndOfFile              Status = 0xC0000011
	StatusMoreProcessingRequired Status = 0xC0000016
	StatusNoMemory               Status = 0xC0000017
	StatusInvalidViewSize        Status = 0xC000001F
	StatusAccessDenied           Status = 0xC0000022
	StatusBufferTooSmall         Status = 0xC0000023
	StatusObjectTypeMismatch     Status = 0xC0000024
	StatusObjectNameInvalid      Status = 0xC0000033
	StatusObjectNameNotFound     Status = 0xC0000034
	StatusObjectNameCollision    Status = 0xC0000035
	StatusObjectPathInvalid      Status = 0xC0000039
	StatusObjectPathNotFound     Status = 0xC000003A
	StatusObjectPathSyntaxBad    Status = 0xC000003B
	StatusSharingViolation       Status = 0xC0000043
	StatusEATooLarge             Status = 0xC0000050
	StatusNonexistentEAEntry     Status = 0xC0000051
	StatusNoEASOnFile            Status = 0xC0000052
	StatusBadImpersonationLevel  Status = 0xC00000A5
	StatusPipeBroken             Status = 0xC000014B
	StatusEASNotSupported        Status = 0xC000004F
	StatusFileLockConflict       Status = 0xC0000054
	StatusLockNotGranted         Status = 0xC0000055
	StatusDeletePending          Status = 0xC0000056
	StatusPrivilegeNotHeld       Status = 0xC0000061
	StatusInvalidOwner           Status = 0xC000005A
	StatusInvalidPrimaryGroup    Status = 0xC000005B
	StatusInvalidSecurityDescr   Status = 0xC0000079
	StatusBadInheritanceACL      Status = 0xC000007D
	StatusFileCorrupt            Status = 0xC0000102
	StatusWrongPassword          Status = 0xC000006A
	StatusLogonFailure           Status = 0xC000006D
	StatusAccountRestriction     Status = 0xC000006E
	StatusPasswordExpired        Status = 0xC0000071
	StatusAccountDisabled        Status = 0xC0000072
	StatusRangeNotLocked         Status = 0xC000007E
	StatusDiskFull               Status = 0xC000007F
	StatusInsufficientResources  Status = 0xC000009A
	StatusMediaWriteProtected    Status = 0xC00000A2
	StatusPipeNotAvailable       Status = 0xC00000AC
	StatusInvalidPipeState       Status = 0xC00000AD
	StatusPipeBusy               Status = 0xC00000AE
	StatusPipeDisconnected       Status = 0xC00000B0
	StatusPipeEmpty              Status = 0xC00000D9
	StatusIOTimeout              Status = 0xC00000B5
	StatusFileIsADirectory       Status = 0xC00000BA
	StatusNotSupported           Status = 0xC00000BB
	StatusNetworkNameDeleted     Status = 0xC00000C9
	StatusBadDeviceType          Status = 0xC00000CB
	StatusBadNetworkName         Status = 0xC00000CC
	StatusRequestNotAccepted     Status = 0xC00000D0
	StatusNotSameDevice          Status = 0xC00000D4
	StatusFileRenamed            Status = 0xC00000D5
	StatusInvalidOplockProtocol  Status = 0xC00000E3
	StatusInternalError          Status = 0xC00000E5
	StatusUnexpectedIOError      Status = 0xC00000E9
	StatusDirectoryNotEmpty      Status = 0xC0000101
	StatusNotADirectory          Status = 0xC0000103
	StatusNameTooLong            Status = 0xC0000106
	StatusTooManyOpenedFiles     Status = 0xC000011F
	StatusCancelled              Status = 0xC0000120
	StatusCannotDelete           Status = 0xC0000121
	StatusFileDeleted            Status = 0xC0000123
	StatusFileClosed             Status = 0xC0000128
	StatusInvalidLevel           Status = 0xC0000148
	StatusFSDriverRequired       Status = 0xC000019C
	StatusUserSessionDeleted     Status = 0xC0000203
	StatusInsuffServerResources  Status = 0xC0000205
	StatusDuplicateObjectID      Status = 0xC000022A
	StatusNotFound               Status = 0xC0000225
	StatusNotAReparsePoint       Status = 0xC0000275
	StatusNetworkSessionExpired  Status = 0xC000035C
	StatusInvalidLockRange       Status = 0xC00001A1
	StatusRequestOutOfSequence   Status = 0xC000042A
	StatusTooManyLinks           Status = 0xC0000265
	StatusFileNotAvailable       Status = 0xC0000467
	StatusNoPreauthHashOverlap   Status = 0xC05D0000
	StatusSMBBadTID              Status = 0x00050002
)

// IsError reports whether the severity says that the request failed, so that the
// response has an error body (MS-SMB2 2.2.2) unless a command says otherwise.
func (s Status) IsError() bool { return s>>30 == 3 }

// String is the name of MS-ERREF, or the number.
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return "0x" + strconv.FormatUint(uint64(s), 16)
}

// Error makes a status usable as the error of a function that has nothing to add.
func (s Status) Error() string { return s.String() }
