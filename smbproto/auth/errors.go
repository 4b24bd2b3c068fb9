package auth

import (
	"errors"
	"fmt"
)

// The reasons why an exchange fails. Step's errors wrap one of these.
var (
	// ErrLogonFailure: the peer is not who it says it is, or may not log on.
	// The SMB status is STATUS_LOGON_FAILURE.
	ErrLogonFailure = errors.New("logon failure")
	// ErrMalformed: the token breaks the format of SPNEGO or NTLMSSP, or comes
	// when no such token is expected. STATUS_INVALID_PARAMETER.
	ErrMalformed = errors.New("malformed authentication token")
	// ErrUnsupported: the token is well-formed, but asks for a mechanism or
	// option that is not offered. STATUS_NOT_SUPPORTED.
	ErrUnsupported = errors.New("unsupported authentication option")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("auth: %w: "+format, append([]any{ErrMalformed}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("auth: %w: "+format, append([]any{ErrUnsupported}, args...)...)
}

func refused(format string, args ...any) error {
	return fmt.Errorf("auth: %w: "+format, append([]any{ErrLogonFailure}, args...)...)
}
