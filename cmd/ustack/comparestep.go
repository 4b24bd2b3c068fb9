package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ustack/cmd/ustack/compare"
)

// warmTime is how long a server that has just started is loaded before anything counts.
const warmTime = 60 * time.Millisecond

// peakRuns is how often the kernel's peak is measured; the median counts.
const peakRuns = 3

// step makes all runs of a step: rounds, in each of which every contender is measured
// once, in turn. What it was measuring when it failed is in the report, with who failed.
func (r *runner) step(ctx context.Context, s *compare.Step) (err error) {
	d := r.budget.Load()
	began, runs := time.Now(), r.report.Pairs*len(s.Contenders)
	defer func() { r.budget.Took(runs, d, time.Since(began)) }()

	field := map[string]contestant{}
	defer func() {
		for name, c := range field {
			if e := c.stop(); e != nil && err == nil {
				err = r.failed(ctx, s, name, 0, &failure{"server (" + name + ")", fmt.Errorf("did not end in order: %w", e)})
			}
		}
	}()
	if !s.Hold {
		for _, name := range s.Contenders {
			if isCeiling(name) {
				continue
			}
			c, err := r.ready(ctx, s, name)
			if err != nil {
				return r.failed(ctx, s, name, 0, err)
			}
			field[name] = c
		}
	}
	if err := r.findPeak(ctx, s, field[compare.Veth], d); err != nil {
		return r.failed(ctx, s, compare.Veth, 0, err)
	}
	for pair := 1; pair <= r.report.Pairs; pair++ {
		for _, name := range s.Contenders {
			run, err := r.contend(ctx, s, name, field[name], d)
			if err != nil {
				return r.failed(ctx, s, name, pair, err)
			}
			run.Workload, run.Placement, run.Contender, run.Pair = s.Name, s.Placement, name, pair
			r.report.AddRun(run)
			fmt.Fprint(r.progress, ".")
		}
	}
	return nil
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
	l := &loadRun{lab: r.lab, cpus: clientCPU, time: warmTime, args: append(append([]string{}, warm...), "--to", c.address(s.Service), "--for", warmTime.String())}
	if _, err := l.run(ctx, c); err != nil {
		return nil, errors.Join(r.lab.blame(err, c), c.stop())
	}
	return c, nil
}

// peakLoad finds how many requests a second there can be: as many connections as an
// open loop has, each with a request on its way at all times.
var peakLoad = []string{"ping", "--size", "64", "--flows", fmt.Sprint(compare.PeakFlows)}

func (r *runner) findPeak(ctx context.Context, s *compare.Step, kernel contestant, d time.Duration) error {
	if s.OfPeak == 0 || r.peaks[s.Placement] > 0 {
		return nil
	}
	_, cpus := placed(s.Placement)
	var rates []float64
	for range peakRuns {
		l := &loadRun{lab: r.lab, cpus: cpus, time: d, args: append(append([]string{}, peakLoad...), "--to", kernel.address(s.Service), "--for", d.String())}
		res, err := l.run(ctx, kernel)
		if err != nil {
			return r.lab.blame(err, kernel)
		}
		rates = append(rates, float64(res.Requests)/res.Seconds)
	}
	r.peaks[s.Placement] = compare.Median(rates)
	return nil
}

// failed notes a failure, and returns it.
func (r *runner) failed(ctx context.Context, s *compare.Step, name string, pair int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // nobody failed: it was called off
	}
	party := who(err, "client")
	if party == "server" {
		party += " (" + name + ")"
	}
	r.report.Failures = append(r.report.Failures, compare.Failure{
		Workload: s.Name, Placement: s.Placement, Contender: name, Pair: pair, Who: party, Error: err.Error(),
	})
	return fmt.Errorf("%s, %s, on %s: %w", s.Name, s.Placement, name, err)
}
