package main

import (
	"fmt"
	"time"
)

// leastShare is how much of its time a timed load must have lasted to count.
const leastShare = 0.8

// enough says what a timed load lacks of being a measurement: one that carried nothing,
// or ended early, has figures too.
func (r *loadResult) enough(d time.Duration) error {
	if r.Requests == 0 && r.Bytes == 0 {
		return fmt.Errorf("the load has carried nothing in %.3f s", r.Seconds)
	}
	if least := leastShare * d.Seconds(); r.Seconds < least {
		return fmt.Errorf("the load has lasted %.3f s, want at least %.3f s", r.Seconds, least)
	}
	return nil
}
