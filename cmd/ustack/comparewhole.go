package main

import (
	"errors"
	"fmt"

	"ustack/cmd/ustack/compare"
)

// errPart: the page of results is replaced as a whole, and so has to be measured.
var errPart = errors.New("a part of the comparison does not replace the page of all of it")

// whole refuses --results for less than the whole comparison, before anything is measured.
func (c *compareCmd) whole(cpus int) error {
	part := ""
	switch {
	case c.Results == "":
	case c.Quick:
		part = "--quick"
	case c.Only != "":
		part = "--only"
	case len(c.Baselines) > 0:
		part = "--baselines"
	case c.RunTime > 0:
		part = "--run"
	case c.Pairs != 0 && c.Pairs < compare.LeastPairs:
		part = fmt.Sprintf("--pairs %d, want at least %d", c.Pairs, compare.LeastPairs)
	case c.changed() != "":
		part = c.changed()
	case cpus < 2:
		part = "one processor, want two"
	}
	if part != "" {
		return fmt.Errorf("--results: %w: %s", errPart, part)
	}
	return nil
}
