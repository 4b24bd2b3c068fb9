package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Validate refuses flags that the chosen stack does not look at: whoever compares two stacks would
// take what he gave for what he measured. Kong calls it when it has read all flags, of which its path holds
// those that were given.
func (f *stackFlags) Validate(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Flag == nil || !p.Flag.Tag.Has("on") {
			continue
		}
		if on := strings.Split(p.Flag.Tag.Get("on"), ","); !slices.Contains(on, f.Stack) {
			return fmt.Errorf("--%s: only with --stack %s", p.Flag.Name, strings.Join(on, " or "))
		}
	}
	return nil
}
