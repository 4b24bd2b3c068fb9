package netstack

import (
	"errors"
	"fmt"
	"sync"

	"ustack/tap"
)

// ErrDevice is why a stack has ended of which the device has failed, as when its interface
// was deleted, or was closed by somebody else. What is wrapped beside it tells which.
var ErrDevice = errors.New("netstack: the device has failed")

// A failure is what has become of the device, for all shards: they serve one.
type failure struct {
	once   sync.Once
	failed chan struct{} // closed when the device has failed
	err    error         // set before that
}

func newFailure() *failure { return &failure{failed: make(chan struct{})} }

// fail ends all connections of all shards, and has Accept say why: the device is closed, or
// gone. The loops go on, for TCP's timers, until the handlers have let go; they look at the
// device no more, which would tell them at once, and again and again, that it has something
// to say.
func (l *loop) fail(err error) {
	l.dead.once.Do(func() {
		l.dead.err = fmt.Errorf("%w: %s: %w", ErrDevice, l.dev.Name(), err)
		close(l.dead.failed)
		if !errors.Is(err, tap.ErrClosed) {
			l.log.Error("device failed", "device", l.dev.Name(), "err", err)
		}
		for _, o := range l.shards {
			o.do(func() {
				o.gone = true
				o.stopAll(evKilled, l.dead.err)
			})
		}
	})
}
