package wire

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// errnoStatus is the one place where the errors of the operating system become
// statuses of the protocol.
var errnoStatus = map[syscall.Errno]Status{
	syscall.EPERM:        StatusAccessDenied,
	syscall.EACCES:       StatusAccessDenied,
	syscall.ENOENT:       StatusObjectNameNotFound,
	syscall.ENOTDIR:      StatusObjectPathNotFound,
	syscall.EISDIR:       StatusFileIsADirectory,
	syscall.EEXIST:       StatusObjectNameCollision,
	syscall.ENOTEMPTY:    StatusDirectoryNotEmpty,
	syscall.EBUSY:        StatusSharingViolation,
	syscall.ETXTBSY:      StatusSharingViolation,
	syscall.EINVAL:       StatusInvalidParameter,
	syscall.ENAMETOOLONG: StatusObjectNameInvalid,
	syscall.ELOOP:        StatusObjectPathNotFound,
	syscall.EXDEV:        StatusNotSameDevice,
	syscall.EROFS:        StatusMediaWriteProtected,
	syscall.ENOSPC:       StatusDiskFull,
	syscall.EDQUOT:       StatusDiskFull,
	syscall.EFBIG:        StatusDiskFull, // as in MS-CIFS 2.2.4.12.2, and as smbd says it: cifs makes EIO of STATUS_FILE_TOO_LARGE
	syscall.EMLINK:       StatusTooManyLinks,
	syscall.EBADF:        StatusInvalidHandle,
	syscall.EMFILE:       StatusTooManyOpenedFiles,
	syscall.ENFILE:       StatusTooManyOpenedFiles,
	syscall.ENOMEM:       StatusInsufficientResources,
	syscall.EIO:          StatusUnexpectedIOError,
	syscall.ENOSYS:       StatusNotSupported,
	syscall.EOPNOTSUPP:   StatusNotSupported,
	syscall.ENXIO:        StatusObjectNameNotFound,
	syscall.ENODEV:       StatusObjectNameNotFound,
	syscall.ESTALE:       StatusFileClosed,
}

// StatusOf gives the status for an error: the Status that it wraps, if it wraps
// one, else that of its errno or of its fs sentinel.
func StatusOf(err error) Status {
	if err == nil {
		return StatusOK
	}
	var status Status
	if errors.As(err, &status) {
		return status
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if s, ok := errnoStatus[errno]; ok {
			return s
		}
		return StatusUnexpectedIOError
	}
	switch {
	case errors.Is(err, io.EOF):
		return StatusEndOfFile
	case errors.Is(err, ErrMalformed):
		return StatusInvalidParameter
	case errors.Is(err, fs.ErrNotExist):
		return StatusObjectNameNotFound
	case errors.Is(err, fs.ErrExist):
		return StatusObjectNameCollision
	case errors.Is(err, fs.ErrPermission):
		return StatusAccessDenied
	case errors.Is(err, os.ErrClosed):
		return StatusFileClosed
	}
	return StatusUnsuccessful
}
