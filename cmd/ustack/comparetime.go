package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ustack/cmd/ustack/compare"
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

// mostNamed bounds how many workloads an error names.
const mostNamed = 4

// unmeasured is why, with the workloads that came to no end for it: those behind the first n. Of the first of them
// some pairs may have been measured.
func unmeasured(why error, steps []compare.Step, n int) error {
	var missing []string
	for i := n; i < len(steps); i++ {
		if len(missing) == mostNamed {
			missing = append(missing, "and "+compare.Count(len(steps)-i, "other"))
			break
		}
		missing = append(missing, steps[i].Name+", "+steps[i].Placement)
	}
	return fmt.Errorf("%w: %d of %d workloads were measured; not, or not in full: %s", why, n, len(steps), strings.Join(missing, "; "))
}
