package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed is below every error of this package that says a message breaks
// the rules of its own layout.
var ErrMalformed = errors.New("malformed message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}
