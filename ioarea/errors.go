package ioarea

import (
	"errors"
	"os"
)

var (
	// ErrTimeout: what was waited for did not come in time. It is an
	// os.ErrDeadlineExceeded, as of every timeout in Go.
	ErrTimeout error = timeoutError{}
	// ErrTooLong: more was asked for than the ring can ever hold.
	ErrTooLong = errors.New("ioarea: longer than the ring")
	// ErrClosed: the other side of the ring has closed it.
	ErrClosed = errors.New("ioarea: closed")
	// ErrSize: not a size that a ring can have.
	ErrSize = errors.New("ioarea: bad ring size")

	errPanicked = errors.New("ioarea: the handler panicked")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "ioarea: timed out" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Is(e error) bool { return e == os.ErrDeadlineExceeded }
