package vfs

import (
	"fmt"

	"ustack/smbproto/wire"
)

// Error is a refusal by a rule of this package. It carries the status that a
// client gets, which wire.StatusOf finds.
type Error struct {
	what   string
	status wire.Status
}

func (e *Error) Error() string { return "vfs: " + e.what }

// Unwrap gives the status.
func (e *Error) Unwrap() error { return e.status }

// Refusals.
var (
	ErrName         = &Error{"name not allowed", wire.StatusObjectNameInvalid}
	ErrDotDot       = &Error{"path goes upwards", wire.StatusObjectPathSyntaxBad}
	ErrEscape       = &Error{"path leaves the share", wire.StatusAccessDenied}
	ErrPathNotFound = &Error{"directory in the path not found", wire.StatusObjectPathNotFound}
	ErrNotFound     = &Error{"not found", wire.StatusObjectNameNotFound}
	ErrSpecial      = &Error{"device, fifo or socket", wire.StatusAccessDenied}
	ErrNoLink       = &Error{"no symbolic link", wire.StatusInvalidParameter}
	ErrIsDirectory  = &Error{"is a directory", wire.StatusFileIsADirectory}
	ErrNotDirectory = &Error{"is not a directory", wire.StatusNotADirectory}
	ErrExists       = &Error{"exists", wire.StatusObjectNameCollision}
	ErrReadOnly     = &Error{"share is read-only", wire.StatusMediaWriteProtected}
	ErrReadOnlyFile = &Error{"file is read-only", wire.StatusAccessDenied}
	ErrMoved        = &Error{"another file has the name now", wire.StatusObjectNameNotFound}
	ErrNoHandle     = &Error{"not opened for input or output", wire.StatusAccessDenied}
	ErrTooMany      = &Error{"too many files are open", wire.StatusTooManyOpenedFiles}
	ErrLeased       = &Error{"another program has a lease of the file", wire.StatusSharingViolation}
	ErrIsRoot       = &Error{"is the root of the share", wire.StatusAccessDenied}
)

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", op, path, err)
}
