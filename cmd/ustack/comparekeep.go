package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"ustack/cmd/ustack/compare"
)

// keep writes what there is so far, for whoever cannot wait, and for what may come. While that
// is nothing, an older report in --out stays.
func (c *compareCmd) keep(report *compare.Report, steps []compare.Step, began time.Time) error {
	e := &report.Environment
	e.Machine, e.Began, e.TookS = environment(), began.UTC(), time.Since(began).Seconds()
	e.Version = version()
	e.ServerCPUs, e.ClientCPUs = twoCPUs(runtime.NumCPU())
	report.MakeRows(steps)
	if c.Out == "" || len(report.Runs) == 0 {
		return nil
	}
	return report.WriteJSON(c.Out)
}

// write puts the report into --out and --results.
func (c *compareCmd) write(report *compare.Report, steps []compare.Step, began time.Time) error {
	if err := c.keep(report, steps, began); err != nil {
		return err
	}
	if c.Out != "" && len(report.Runs) > 0 {
		if err := report.WriteDir(c.Out); err != nil {
			return err
		}
	}
	if c.Results != "" && report.Complete {
		return report.WriteResults(c.Results)
	}
	return nil
}

// interrupted says what has become of a comparison that did not come to its end.
func (c *compareCmd) interrupted(ctx context.Context, report *compare.Report, err error) error {
	switch {
	case c.Out == "":
	case len(report.Runs) == 0:
		fmt.Fprintf(os.Stderr, "ustack: nothing was measured, and nothing written to %s\n", c.Out)
	default:
		fmt.Fprintf(os.Stderr, "ustack: what was measured is in %s\n", c.Out)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "ustack: interrupted")
		return context.Canceled
	}
	return err
}
