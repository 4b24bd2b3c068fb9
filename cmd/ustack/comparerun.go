package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"ustack/cmd/ustack/compare"
)

// loadGrace is how much longer than it is told to run a load may take: connections to
// open, bytes on their way to be taken.
const loadGrace = 40 * time.Second

// watchEvery is how often a run looks whether its server is still there.
const watchEvery = 50 * time.Millisecond

// A runner makes the runs of a comparison.
type runner struct {
	lab      lab
	report   *compare.Report
	budget   *compare.Budget
	progress io.Writer
	peaks    map[string]float64 // the kernel's, in requests a second, by placement
	keep     func() error       // writes what there is so far
	short    int                // workloads that there was not time enough for
}

// once measures a step on one contestant.
func (r *runner) once(ctx context.Context, s *compare.Step, c contestant, d time.Duration) (run compare.Run, err error) {
	defer func() { err = r.lab.blame(err, c) }()
	idle, err := c.sample()
	if err != nil {
		return run, &failure{"server", err}
	}
	var st stretch
	if st.before, err = c.sample(); err != nil {
		return run, &failure{"server", err}
	}
	st.sampling = costOf(idle, st.before)
	l := r.newLoad(s, c.address(s.Service), d)
	if s.Settled {
		l.args = append(l.args, "--hold") // a load of an echo
		l.whenOpen = func() error {
			now, _, err := sampleWhen(ctx, c, answered)
			if err != nil {
				return err
			}
			st.before = now
			if s.Memory {
				st.rings = grown(idle.Process.Rings, now.Process.Rings)
				st.memory = max(0, grown(idle.Process.RSS, now.Process.RSS)-st.rings)
			}
			return nil
		}
	}
	if st.load, err = l.run(ctx, c); err != nil {
		return run, err
	}
	if err := st.load.enough(d); err != nil {
		return run, err
	}
	if st.after, st.samples, err = sampleWhen(ctx, c, func(now snapshot) error { return st.counted(s.Service, now) }); err != nil {
		return run, err
	}
	if st.load.Congestion != st.before.Congestion {
		return run, fmt.Errorf("congestion control is %s at the client and %s at the server", st.load.Congestion, st.before.Congestion)
	}
	r.report.Environment.Congestion = st.load.Congestion
	return compare.Run{
		Stack: st.after.Stack, Congestion: st.load.Congestion, Seconds: st.load.Seconds, Bytes: st.load.Bytes,
		Requests: st.load.Requests, Rate: l.rate, Note: st.otherLoad(), Values: st.values(s.Group),
	}, nil
}

// A loadRun is one run of "ustack load".
type loadRun struct {
	lab      lab
	args     []string
	cpus     []int
	count    []int // whose time is the system's
	time     time.Duration
	rate     float64
	whenOpen func() error // called while all connections are open and idle
}

func (r *runner) newLoad(s *compare.Step, to string, d time.Duration) *loadRun {
	_, cpus := placed(s.Placement)
	l := &loadRun{lab: r.lab, cpus: cpus, count: counted(s.Placement), time: d, args: append([]string{}, s.Load...)}
	l.args = append(l.args, "--to", to, "--for", d.String())
	if s.OfPeak > 0 {
		l.rate = s.OfPeak * r.peaks[s.Placement]
		l.args = append(l.args, "--rate", strconv.FormatFloat(l.rate, 'f', 0, 64))
	}
	return l
}

// run runs it, and ends it when the contestant does.
func (l *loadRun) run(ctx context.Context, c contestant) (res loadResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return res, err
	}
	ctx, off := context.WithCancelCause(ctx)
	defer off(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, l.time+loadGrace, fmt.Errorf("did not end within %v", l.time+loadGrace))
	defer cancel()
	args := append([]string{self, "load"}, l.args...)
	cmd := l.lab.command(ctx, "client", l.cpus, append(args, "--json", "--cpu", cpuList(l.cpus), "--count-cpu", cpuList(l.count))...)
	watched := make(chan struct{})
	defer close(watched)
	go watch(c, off, watched)
	out, err := l.output(cmd)
	if err != nil {
		return res, errors.Join(err, context.Cause(ctx))
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return res, fmt.Errorf("what the load printed: %w: %s", err, out)
	}
	return res, nil
}

var errCalledOff = errors.New("called off")

// watch calls off what depends on a contestant that has ended: its client might wait
// for it for minutes.
func watch(c contestant, off func(error), over <-chan struct{}) {
	if c == nil {
		return
	}
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if _, dead := c.died(); dead != nil {
				off(errCalledOff)
				return
			}
		case <-over:
			return
		}
	}
}

// output runs a load, and returns what it printed.
func (l *loadRun) output(cmd *exec.Cmd) ([]byte, error) {
	if l.whenOpen == nil {
		out, err := cmd.Output()
		return out, withStderr(err)
	}
	return holding(cmd, l.whenOpen)
}

// withStderr adds to an error what the program said.
func withStderr(err error) error {
	if e, ok := errors.AsType[*exec.ExitError](err); ok && len(e.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, e.Stderr)
	}
	return err
}
