package wire

// Statuses that SMB1 alone has: a class and a code as they stand in the header, MS-CIFS 2.2.2.4.
const (
	StatusInvalidSMB    Status = 0x00010002 // ERRSRV, ERRerror
	StatusSMBBadUID     Status = 0x005B0002 // ERRSRV, ERRbaduid
	StatusSMBBadCommand Status = 0x00160002 // ERRSRV, ERRunknownsmb
	StatusBadAccess     Status = 0x000C0001 // ERRDOS, ERRbadaccess
	StatusAtomicLocks   Status = 0x00AE0001 // ERRDOS, ERROR_ATOMIC_LOCKS_NOT_SUPPORTED
	StatusCancelFailed  Status = 0x00AD0001 // ERRDOS, ERROR_CANCEL_VIOLATION
)

// Classes of errors.
const (
	classDOS      = 1
	classServer   = 2
	classHardware = 3
)

func dosError(class uint8, code uint16) Status { return Status(class) | Status(code)<<16 }

// IsDOS reports whether the status is a class and a code already. No NTSTATUS of this server's looks like one.
func (s Status) IsDOS() bool {
	return s != 0 && s < 0x01000000 && s&0xFF00 == 0 && s&0xFF <= classHardware
}

// DOS gives the status as a class and a code, MS-CIFS 2.2.2.4.
func (s Status) DOS() Status {
	if s.IsDOS() || s == StatusOK {
		return s
	}
	if d, ok := dosErrors[s]; ok {
		return d
	}
	return dosError(classHardware, 31) // ERRgeneral
}

var dosErrors = map[Status]Status{
	StatusNotImplemented:         dosError(classDOS, 1),
	StatusInvalidDeviceRequest:   dosError(classDOS, 1),
	StatusObjectNameNotFound:     dosError(classDOS, 2),
	StatusNoSuchFile:             dosError(classDOS, 2),
	StatusObjectPathNotFound:     dosError(classDOS, 3),
	StatusObjectPathInvalid:      dosError(classDOS, 3),
	StatusObjectPathSyntaxBad:    dosError(classDOS, 3),
	StatusNotADirectory:          dosError(classDOS, 3),
	StatusTooManyOpenedFiles:     dosError(classDOS, 4),
	StatusAccessDenied:           dosError(classDOS, 5),
	StatusPrivilegeNotHeld:       dosError(classDOS, 5),
	StatusFileIsADirectory:       dosError(classDOS, 5),
	StatusDeletePending:          dosError(classDOS, 5),
	StatusCannotDelete:           dosError(classDOS, 5),
	StatusFileDeleted:            dosError(classDOS, 5),
	StatusInvalidHandle:          dosError(classDOS, 6),
	StatusFileClosed:             dosError(classDOS, 6),
	StatusObjectTypeMismatch:     dosError(classDOS, 6),
	StatusNoMemory:               dosError(classDOS, 8),
	StatusInsufficientResources:  dosError(classDOS, 8),
	StatusEAListInconsistent:     dosError(classDOS, 255),
	StatusDirectoryNotEmpty:      dosError(classDOS, 145),
	StatusNotSameDevice:          dosError(classDOS, 17),
	StatusNoMoreFiles:            dosError(classDOS, 18),
	StatusMediaWriteProtected:    dosError(classHardware, 19),
	StatusSharingViolation:       dosError(classDOS, 32),
	StatusFileLockConflict:       dosError(classDOS, 33),
	StatusLockNotGranted:         dosError(classDOS, 33),
	StatusEndOfFile:              dosError(classDOS, 38),
	StatusNotSupported:           dosError(classDOS, 50),
	StatusBadNetworkName:         dosError(classServer, 6),
	StatusBadDeviceType:          dosError(classServer, 7),
	StatusNetworkNameDeleted:     dosError(classDOS, 64),
	StatusObjectNameCollision:    dosError(classDOS, 80),
	StatusInvalidParameter:       dosError(classDOS, 87),
	StatusInfoLengthMismatch:     dosError(classDOS, 24),
	StatusDiskFull:               dosError(classDOS, 112),
	StatusBufferTooSmall:         dosError(classDOS, 122),
	StatusObjectNameInvalid:      dosError(classDOS, 123),
	StatusInvalidInfoClass:       dosError(classDOS, 87),
	StatusInvalidLevel:           dosError(classDOS, 124),
	StatusRangeNotLocked:         dosError(classDOS, 158),
	StatusInvalidLockRange:       dosError(classDOS, 307),
	StatusPipeNotAvailable:       dosError(classDOS, 231),
	StatusPipeBusy:               dosError(classDOS, 231),
	StatusInvalidPipeState:       dosError(classDOS, 230),
	StatusPipeDisconnected:       dosError(classDOS, 233),
	StatusPipeBroken:             dosError(classDOS, 109),
	StatusBufferOverflow:         dosError(classDOS, 234),
	StatusPipeEmpty:              dosError(classDOS, 232),
	StatusEASNotSupported:        dosError(classDOS, 282),
	StatusNoEASOnFile:            dosError(classDOS, 1087),
	StatusEATooLarge:             dosError(classDOS, 255),
	StatusInvalidEAName:          dosError(classDOS, 254),
	StatusNotifyEnumDir:          dosError(classDOS, 1022),
	StatusCancelled:              dosError(classDOS, 995),
	StatusLogonFailure:           dosError(classServer, 2),
	StatusWrongPassword:          dosError(classServer, 2),
	StatusAccountRestriction:     dosError(classServer, 2241),
	StatusAccountDisabled:        dosError(classServer, 2239),
	StatusPasswordExpired:        dosError(classServer, 2242),
	StatusUserSessionDeleted:     dosError(classServer, 91),
	StatusRequestNotAccepted:     dosError(classServer, 89),
	StatusInsuffServerResources:  dosError(classServer, 89),
	StatusMoreProcessingRequired: dosError(classDOS, 234),
	StatusUnexpectedIOError:      dosError(classHardware, 31),
	StatusNotFound:               dosError(classDOS, 1168),
	StatusIOTimeout:              dosError(classDOS, 121),
}
