package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// errNoAddr is worded as kong words what is missing.
var errNoAddr = errors.New("missing flags: --addr=ADDR")

// Validate refuses flags that the chosen stack does not look at: whoever compares two stacks would
// take what he gave for what he measured. Kong calls it when it has read all flags, of which its path holds
// those that were given.
func (f *stackFlags) Validate(k *kong.Context) error {
	if len(f.Addr) == 0 {
		return errNoAddr
	}
	for _, p := range k.Path {
		if p.Flag == nil {
			continue
		}
		if on := stacksOf(p.Flag); on != nil && !slices.Contains(on, f.Stack) {
			return fmt.Errorf("--%s: only with --stack %s", p.Flag.Name, strings.Join(on, " or "))
		}
	}
	return nil
}

// stacksOf are the stacks that look at a flag; nil if all do.
func stacksOf(f *kong.Flag) []string {
	if !f.Tag.Has("on") {
		return nil
	}
	return strings.Split(f.Tag.Get("on"), ",")
}

// Validate is that of stackFlags where there is no file, and else notes which flags were given: the rest is
// said by a file that is read later.
func (c *serveSMBCmd) Validate(k *kong.Context) error {
	c.given, c.on = map[string]bool{}, map[string][]string{}
	for _, p := range k.Path {
		if p.Flag != nil {
			c.given[p.Flag.Name] = true
		}
	}
	for _, f := range k.Flags() {
		if on := stacksOf(f); on != nil {
			c.on[f.Name] = on
		}
	}
	switch {
	case c.Config != "":
		return nil
	case len(c.Share) == 0:
		return errors.New("missing flags: --share=SHARE")
	}
	return c.stackFlags.Validate(k)
}
