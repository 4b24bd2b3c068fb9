package main

import (
	"context"
	"errors"
	"time"
)

// budgetGrace is how much later than its time a comparison is called off, whatever it is
// at: a load that hangs, or ten thousand connections that are slow to open.
const budgetGrace = 8 * time.Second

var errTimeUp = errors.New("the time is used up (give it more with --time)")

// withBudget bounds all of a comparison, each load of it included.
func withBudget(ctx context.Context, total time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, total+budgetGrace, errTimeUp)
}

// calledOff is why a comparison ends before its time, or because that is over.
func calledOff(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTimeUp) {
		return errTimeUp
	}
	return ctx.Err()
}
