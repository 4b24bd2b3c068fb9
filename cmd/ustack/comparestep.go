package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ustack/cmd/ustack/compare"
)

// warmTime is how long a server that has just started is loaded before anything counts.
const warmTime = 60 * time.Millisecond

// A field is the contenders of a step that are up, and how those that are not failed.
type field struct {
	up      map[string]contestant
	dropped []string
	err     error
}

// step makes all runs of a step: rounds, in each of which every contender is measured
// once, in turn. Who failed in what is in the report. That it was called off is no error of it: ctx tells.
func (r *runner) step(ctx context.Context, s *compare.Step) (err error) {
	d, rounds := r.budget.Load(), r.budget.Rounds(r.report.Pairs)
	began, planned := time.Now(), r.report.Pairs*len(s.Contenders)
	f := &field{up: map[string]contestant{}}
	defer func() {
		err = errors.Join(err, r.disband(ctx, s, f))
		r.budget.Took(planned, rounds*len(s.Contenders), d, time.Since(began))
	}()
	if !s.Memory {
		for _, name := range s.Contenders {
			if isCeiling(name) {
				continue
			}
			c, err := r.ready(ctx, s, name)
			if err == nil {
				f.up[name] = c
			} else if !f.without(name, r.failed(ctx, s, name, 0, err)) {
				return f.err
			}
		}
	}
	if s.OfPeak > 0 {
		if err := r.findPeak(ctx, s, f.up[compare.Veth], d); err != nil {
			f.without(compare.Veth, r.failed(ctx, s, compare.Veth, 0, err))
			return f.err
		}
	}
	if rounds < r.report.Pairs {
		fmt.Fprintf(r.progress, "[time for %d of %d pairs] ", rounds, r.report.Pairs)
		r.short++
	}
	for pair := 1; pair <= rounds; pair++ {
		if !r.round(ctx, s, f, pair, d) {
			break
		}
	}
	return f.err
}

// round measures each contender once, in the order of its turn. It reports whether the step can go on.
func (r *runner) round(ctx context.Context, s *compare.Step, f *field, pair int, d time.Duration) bool {
	for _, name := range s.Turn(pair) {
		if slices.Contains(f.dropped, name) {
			continue
		}
		run, err := r.contend(ctx, s, name, f.up[name], d)
		if err != nil {
			if !f.without(name, r.failed(ctx, s, name, pair, err)) {
				return false
			}
			continue
		}
		run.Workload, run.Placement, run.Contender, run.Pair = s.Name, s.Placement, name, pair
		r.report.AddRun(run)
		fmt.Fprint(r.progress, ".")
	}
	return true
}

// without takes a contender that has failed out of the step. It reports whether the
// step can go on: a baseline can be done without, user-space TCP and the lab cannot.
func (f *field) without(name string, err error) bool {
	f.dropped = append(f.dropped, name)
	if errors.Is(err, context.Canceled) || errors.Is(err, errTimeUp) {
		return false
	}
	f.err = errors.Join(f.err, err)
	return name != compare.Ustack && partyOf(err) != "namespace"
}

// disband stops the contenders. One that has failed is not asked how it ended, and none if they were killed to call it off.
func (r *runner) disband(ctx context.Context, s *compare.Step, f *field) (err error) {
	for name, c := range f.up {
		if e := c.stop(); e != nil && ctx.Err() == nil && !slices.Contains(f.dropped, name) {
			err = errors.Join(err, r.failed(ctx, s, name, 0, &failure{"server", fmt.Errorf("did not end in order: %w", e)}))
		}
	}
	return err
}

func isCeiling(name string) bool { return name == compare.TAPRead || name == compare.TAPWrite }

// contend measures one contender once.
func (r *runner) contend(ctx context.Context, s *compare.Step, name string, c contestant, d time.Duration) (run compare.Run, err error) {
	switch {
	case isCeiling(name):
		return r.ceiling(ctx, s, name, d)
	case c != nil:
		return r.once(ctx, s, c, d)
	}
	serverCPU, _ := placed(s.Placement)
	if c, err = r.lab.enter(ctx, name, &s.Workload, serverCPU); err != nil {
		return run, r.lab.blame(err, nil)
	}
	run, err = r.once(ctx, s, c, d)
	return run, errors.Join(err, c.stop())
}

// ready starts a contender's server, and warms it up.
func (r *runner) ready(ctx context.Context, s *compare.Step, name string) (contestant, error) {
	serverCPU, clientCPU := placed(s.Placement)
	c, err := r.lab.enter(ctx, name, &s.Workload, serverCPU)
	if err != nil {
		return nil, r.lab.blame(err, nil)
	}
	warm := s.Load
	if s.OfPeak > 0 {
		warm = peakLoad
	}
	l := &loadRun{lab: r.lab, cpus: clientCPU, count: counted(s.Placement), time: warmTime, args: append(append([]string{}, warm...), "--to", c.address(s.Service), "--for", warmTime.String())}
	if _, err := l.run(ctx, c); err != nil {
		return nil, errors.Join(r.lab.blame(err, c), c.stop())
	}
	return c, nil
}

// withoutPaths takes out of what a program said where on this machine its files lay: that
// is nobody's business who reads the report.
func withoutPaths(said string) string {
	dirs := []string{filepath.Clean(os.TempDir())}
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	for _, d := range dirs {
		if d != "/" {
			said = strings.ReplaceAll(said, d+"/", "")
		}
	}
	return said
}

// failed notes a failure, and returns it.
func (r *runner) failed(ctx context.Context, s *compare.Step, name string, pair int, err error) error {
	if ctx.Err() != nil {
		return calledOff(ctx) // nobody failed: it was called off
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{"client", err}
	}
	if f.who == "server" {
		f = &failure{"server (" + name + ")", f.err}
	}
	r.report.Failures = append(r.report.Failures, compare.Failure{
		Workload: s.Name, Placement: s.Placement, Contender: name, Pair: pair, Who: f.who, Error: withoutPaths(f.err.Error()),
	})
	return fmt.Errorf("%s, %s, measuring %s: %w", s.Name, s.Placement, name, f)
}
