package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ustack/cmd/ustack/compare"
)

func TestAPartDoesNotReplaceThePageOfResults(t *testing.T) {
	const page = "results.md"
	for _, c := range []struct {
		cmd  compareCmd
		cpus int
		want string // part of the error, empty: none
	}{
		{compareCmd{Results: page}, 2, ""},
		{compareCmd{Results: page, Pairs: 5, Time: time.Minute}, 2, ""},
		{compareCmd{Quick: true, Only: "bulk", Pairs: 1}, 1, ""},
		{compareCmd{Results: page, Quick: true}, 2, "--quick"},
		{compareCmd{Results: page, Only: "."}, 2, "--only"},
		{compareCmd{Results: page, Baselines: []string{compare.Veth}}, 2, "--baselines"},
		{compareCmd{Results: page, RunTime: time.Second}, 2, "--run"},
		{compareCmd{Results: page, compareChange: compareChange{With: []string{"--spin=1us"}}}, 2, "--with"},
		{compareCmd{Results: page, compareChange: compareChange{Sysctl: []string{"a.b=1"}}}, 2, "--sysctl"},
		{compareCmd{Results: page, compareChange: compareChange{FileSize: 1 << 30}}, 2, "--file-size"},
		{compareCmd{Results: page, compareChange: compareChange{Files: "/srv"}}, 2, "--files"},
		{compareCmd{Results: page, Pairs: 4}, 2, "--pairs 4"},
		{compareCmd{Results: page}, 1, "one processor"},
	} {
		err := c.cmd.whole(c.cpus)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, errPart) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v on %d processors: %v, want %q", c.cmd, c.cpus, err, c.want)
		}
	}
}

func TestATimeBelowZeroIsRefused(t *testing.T) {
	for want, cmd := range map[string]compareCmd{"--run -1s: ": {RunTime: -time.Second}, "--time -1s: ": {Time: -time.Second}, "--pairs -1: ": {Pairs: -1}} {
		cmd.Lab = "none"
		if _, _, err := cmd.plan(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWhenTimeIsUpNobodyHasFailed(t *testing.T) {
	ctx, cancel := withBudget(t.Context(), -budgetGrace)
	defer cancel()
	<-ctx.Done()
	r := &runner{report: &compare.Report{}, budget: compare.NewBudget(time.Hour, 1, 0), progress: io.Discard}
	s := &compare.Step{}
	err := r.failed(ctx, s, compare.Veth, 1, errors.New("killed"))
	if !errors.Is(err, errTimeUp) || len(r.report.Failures) != 0 {
		t.Errorf("%v, failures %+v", err, r.report.Failures)
	}
	if (&field{}).without(compare.Veth, err) {
		t.Error("the step goes on")
	}
	gone, stop := context.WithCancelCause(t.Context())
	stop(errors.New("a signal"))
	if err := r.failed(gone, s, compare.Veth, 1, errors.New("killed")); !errors.Is(err, context.Canceled) || (&field{}).without(compare.Veth, err) {
		t.Errorf("interrupted: %v", err)
	}
}

// A cutOff is a contestant that was killed because the comparison was called off.
type cutOff struct{ contestant }

func (cutOff) stop() error { return errors.New("signal: killed") }

func TestThatTheTimeIsUpIsSaidOnceWithWhatIsMissing(t *testing.T) {
	ctx, cancel := withBudget(t.Context(), -budgetGrace)
	defer cancel()
	<-ctx.Done()
	var steps []compare.Step
	for _, size := range []string{"1 KiB", "2 KiB", "3 KiB", "4 KiB", "5 KiB", "6 KiB", "7 KiB", "8 KiB"} {
		steps = append(steps, compare.Step{
			Workload:  compare.Workload{Name: size + " round trip", Service: "echo"},
			Placement: compare.OneCPU, Contenders: []string{compare.Ustack, compare.Veth},
		})
	}
	said := new(strings.Builder)
	r := &runner{
		lab: lab{name: "none"}, report: &compare.Report{Pairs: 1}, budget: compare.NewBudget(time.Hour, 16, 0), progress: said,
		keep: func() error { return nil },
	}
	if err := r.disband(ctx, &steps[0], &field{up: map[string]contestant{compare.Ustack: cutOff{}, compare.Veth: cutOff{}}}); err != nil {
		t.Errorf("those that were cut off with it: %v", err)
	}
	const sentence = "the time is used up"
	err := r.all(ctx, steps)
	if err == nil || strings.Count(err.Error()+said.String(), sentence) != 1 || len(r.report.Failures) != 0 {
		t.Fatalf("%v, and before: %s", err, said)
	}
	for _, want := range []string{"0 of 8 workloads", "1 KiB round trip, one-cpu", "2 KiB round trip, one-cpu", "others"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "8 KiB") {
		t.Errorf("%v: names all", err)
	}

	r.budget = compare.NewBudget(0, 16, 0) // spent before the next
	if err := r.all(t.Context(), steps[:2]); !errors.Is(err, errTimeUp) || !strings.Contains(err.Error(), "2 KiB round trip, one-cpu") {
		t.Errorf("between two: %v", err)
	}
}

func TestALoadEndsWithTheTimeOfAll(t *testing.T) {
	ctx, cancel := withBudget(t.Context(), time.Hour)
	defer cancel()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > time.Hour+budgetGrace {
		t.Errorf("ends at %v, %v", end, ok)
	}
}

func TestTheTimeThatIsAnnouncedIsABound(t *testing.T) {
	for _, c := range []struct {
		workloads, runs int
		each, total     time.Duration
		want            string
	}{
		{1, 27, time.Second, 162 * time.Second, "1 workload, 27 runs of 1s, at most 2m50s"},
		{1, 1, 0, 48 * time.Second, "1 workload, 1 run, at most 56s"},
		{12, 130, 0, 48 * time.Second, "12 workloads, 130 runs, at most 56s"},
	} {
		if got := announcement(c.workloads, c.runs, c.each, c.total); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestProcessorTimeOfAnotherProcess(t *testing.T) {
	if cpu, err := processCPU(os.Getpid()); err != nil || cpu <= 0 {
		t.Errorf("%v, %v", cpu, err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	if cpu, err := processCPU(ended.Process.Pid); err == nil {
		t.Errorf("a process that is gone has used %v", cpu)
	}
}
