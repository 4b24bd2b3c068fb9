package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"ustack/cmd/ustack/compare"
)

type compareCmd struct {
	Lab       string        `help:"Name of the lab, as scripts/lab.sh has it." default:"lab"`
	Out       string        `help:"Directory for compare.json, compare.csv, compare.html and the charts." type:"path"`
	Results   string        `help:"Page of results to write, such as docs/results.md: what stands between its markers is replaced. Of the whole comparison only: no --quick, --only, --baselines, --run, --with, --sysctl, --file-size, --files, and 5 pairs at least." type:"path"`
	Quick     bool          `help:"A part of the workloads and baselines, within 60 s."`
	Only      string        `help:"Only workloads that this regular expression matches, as 'bulk in, 1 flow, two-cpus'."`
	Baselines []string      `help:"Only these baselines: veth, veth-plain, loopback, relay, stock, copy, tap-read, tap-write, smbd."`
	Pairs     int           `help:"Rounds of each workload, in which each contender is measured once (default: 5, 3 with --quick)."`
	RunTime   time.Duration `name:"run" help:"How long the load of each run lasts, instead of a share of --time."`
	Time      time.Duration `help:"Time to share out among the runs (default: 19m30s, 48s with --quick)."`
	compareChange
}

// mostOverhead bounds what a run may cost beyond its load where --run is given.
const mostOverhead = 5 * time.Second

// compareSettings are what is the same for all contenders.
var compareSettings = []string{
	"congestion control cubic, by socket option at both ends (smbd: by route)",
	"TCP_NODELAY at both ends",
	"server and client each pinned to the processors of the placement, Go's scheduler with one of them each",
	"rings of 8 MiB (source: out 2 MiB at 8 flows, 512 KiB at 64), for SMB 4 MiB in and 2 MiB out",
	"SMB 2.1, one connection, guest, not signed, files in memory where there is a place",
}

func (c *compareCmd) Help() string {
	return `
Each workload runs on user-space TCP and on its baselines in turn, round by round, on the
same client, processors and congestion control; figures are medians over the rounds,
ratios are taken pair by pair. The table of user-space TCP against kernel TCP over veth
is printed; everything else, such as ratios to other baselines, goes to --out.

Examples:

  ./scripts/compare.sh --out compare            (with a lab of its own)
  ustack compare --quick --out compare          (in a lab that is up)
  ustack compare --only '^bulk in, 1 flow' --baselines veth,relay,tap-read --pairs 9
  ustack compare --only 'random reads, depth 1,' --baselines smbd --with=--spin=-1ns --out compare
`
}

func (c *compareCmd) Run(ctx context.Context) (err error) {
	steps, report, err := c.plan(ctx)
	if err != nil {
		return err
	}
	if len(c.Sysctl) > 0 { // no signal ends the program before they are put back, and no second one either
		caught, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		ctx = caught
	}
	l := lab{name: c.Lab, with: c.With, files: c.Files}
	said, restore, err := l.setSysctls(ctx, c.Sysctl)
	if err != nil {
		return err
	}
	defer func() { err = afterRestore(err, restore()) }()
	report.Environment.Change(said...)
	began := time.Now()
	runs := 0
	for _, s := range steps {
		runs += report.Pairs * len(s.Contenders)
	}
	total := c.Time
	if total == 0 {
		total = compare.FullBudget
		if c.Quick {
			total = compare.QuickBudget
		}
		if c.RunTime > 0 {
			total = time.Duration(runs) * (c.RunTime + mostOverhead)
		}
	}
	r := &runner{
		lab: l, report: report, budget: compare.NewBudget(total, runs, c.RunTime),
		progress: os.Stderr, peaks: map[string]float64{},
		keep: func() error { return c.keep(report, steps, began) },
	}
	fmt.Fprintln(os.Stderr, announcement(len(steps), runs, c.RunTime, total))
	timed, cancel := withBudget(ctx, total)
	defer cancel()
	err = r.all(timed, steps)
	report.Complete = err == nil && r.short == 0
	err = errors.Join(err, c.write(report, steps, began))
	if len(report.Rows) > 0 {
		err = errors.Join(err, report.WriteTable(os.Stdout, c.Out))
	}
	if err != nil {
		return c.interrupted(ctx, report, err)
	}
	return nil
}

// announcement says what is to be done. How long it takes is not known, for what a run costs
// beyond its load is bounded, and mostly far less; when it is called off is.
func announcement(workloads, runs int, each, total time.Duration) string {
	s := compare.Count(workloads, "workload") + ", " + compare.Count(runs, "run")
	if each > 0 {
		s += fmt.Sprintf(" of %v", each)
	}
	return s + fmt.Sprintf(", at most %v", total+budgetGrace)
}

// plan is what to do, and an empty report of it.
func (c *compareCmd) plan(ctx context.Context) ([]compare.Step, *compare.Report, error) {
	choice := compare.Choice{Quick: c.Quick, Baselines: c.Baselines, CPUs: runtime.NumCPU()}
	if c.Only != "" {
		var err error
		if choice.Only, err = regexp.Compile(c.Only); err != nil {
			return nil, nil, fmt.Errorf("--only: %w", err)
		}
	}
	if err := c.whole(choice.CPUs); err != nil {
		return nil, nil, err
	}
	switch {
	case c.Pairs < 0:
		return nil, nil, fmt.Errorf("--pairs %d: at least 1", c.Pairs)
	case c.RunTime < 0:
		return nil, nil, fmt.Errorf("--run %v: want more than 0", c.RunTime)
	case c.Time < 0:
		return nil, nil, fmt.Errorf("--time %v: want more than 0", c.Time)
	}
	steps, err := compare.Plan(choice)
	if err != nil {
		return nil, nil, err
	}
	if err := c.check(steps); err != nil {
		return nil, nil, err
	}
	c.apply(steps)
	l := lab{name: c.Lab}
	if err := l.check(); err != nil {
		return nil, nil, err
	}
	report := &compare.Report{
		Method: compare.Method, Pairs: c.Pairs, Quick: c.Quick, Contenders: compare.Contenders,
		Skipped: []compare.Skipped{}, Failures: []compare.Failure{}, Runs: []compare.Run{}, Rows: []compare.Row{},
	}
	if report.Pairs == 0 {
		report.Pairs = 5
		if c.Quick {
			report.Pairs = 3
		}
	}
	steps = c.withoutMissing(ctx, steps, report)
	if len(steps) == 0 {
		return nil, nil, errors.New("nothing to compare: none of the baselines can take part")
	}
	smbd := slices.ContainsFunc(steps, func(s compare.Step) bool { return slices.Contains(s.Contenders, compare.Smbd) })
	report.Environment.Settings = slices.Concat(compareSettings, versions(ctx, smbd))
	report.Environment.Change(c.settings()...)
	if c.Results != "" && len(report.Skipped) > 0 {
		return nil, nil, fmt.Errorf("--results: %w: %s is missing: %s", errPart, report.Skipped[0].Contender, report.Skipped[0].Reason)
	}
	return steps, report, nil
}

// withoutMissing takes contenders out that cannot take part, and says why.
func (c *compareCmd) withoutMissing(ctx context.Context, steps []compare.Step, report *compare.Report) []compare.Step {
	reasons := map[string]string{}
	for _, k := range compare.Contenders {
		if slices.ContainsFunc(steps, func(s compare.Step) bool { return slices.Contains(s.Contenders, k.Name) }) {
			if why := (lab{name: c.Lab}).missing(ctx, k.Name); why != "" {
				reasons[k.Name] = why
				report.Skipped = append(report.Skipped, compare.Skipped{Contender: k.Name, Reason: why})
				fmt.Fprintf(os.Stderr, "without %s: %s\n", k.Name, why)
			}
		}
	}
	for i := range steps {
		steps[i].Contenders = slices.DeleteFunc(steps[i].Contenders, func(n string) bool { return reasons[n] != "" })
	}
	return slices.DeleteFunc(steps, func(s compare.Step) bool { return len(s.Contenders) < 2 })
}

// all makes the steps. One that fails is noted, and the next one made, for it may be
// about something else; a namespace that is gone ends them all.
func (r *runner) all(ctx context.Context, steps []compare.Step) (err error) {
	began := time.Now()
	for i := range steps {
		s := &steps[i]
		if r.budget.Spent() {
			return errors.Join(err, unmeasured(errTimeUp, steps, i))
		}
		fmt.Fprintf(r.progress, "[%d/%d, %v] %s, %s (%s) ", i+1, len(steps), time.Since(began).Round(time.Second), s.Name, s.Placement, strings.Join(s.Contenders, " "))
		failed := r.step(ctx, s)
		switch {
		case failed != nil:
			fmt.Fprintf(r.progress, " failed: %v\n", failed)
		case ctx.Err() != nil:
			fmt.Fprintln(r.progress, " called off")
		default:
			r.said(r.progress, s)
		}
		err = errors.Join(err, failed, r.keep())
		if ctx.Err() != nil {
			return errors.Join(err, unmeasured(calledOff(ctx), steps, i))
		}
		if e := r.lab.check(); e != nil {
			return errors.Join(err, e)
		}
	}
	if r.short == 0 {
		return err
	}
	short := fmt.Errorf("%d of %d workloads had not time for all pairs (give it more with --time)", r.short, len(steps))
	if r.report.Quick {
		fmt.Fprintln(r.progress, short) // to be quick is what was asked for first
		return err
	}
	return errors.Join(err, short)
}

// said tells the medians of what a step is known by.
func (r *runner) said(w io.Writer, s *compare.Step) {
	m := compare.Headline(s.Group)
	for _, name := range s.Contenders {
		fmt.Fprintf(w, "  %s %.4g", name, r.report.MedianOf(s, name, m.Name))
	}
	fmt.Fprintf(w, " %s\n", m.Unit)
}
