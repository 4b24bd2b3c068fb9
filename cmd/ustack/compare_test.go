package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ustack/cmd/ustack/compare"
)

// needLab puts a lab up until the test ends, and returns its name.
func needLab(t *testing.T) string {
	t.Helper()
	switch {
	case testing.Short():
		t.Skip("a lab takes seconds, and -short is given")
	case raceEnabled:
		t.Skip("a comparison starts this program dozens of times, which the race detector makes slow")
	case os.Geteuid() != 0:
		cannot(t, "namespaces and a TAP device need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		cannot(t, "no TUN/TAP driver: "+err.Error())
	}
	needCommands(t, "ip", "taskset")
	name := fmt.Sprintf("t%d", os.Getpid())
	script := filepath.Join("..", "..", "scripts", "lab.sh")
	if out, err := exec.Command(script, "-n", name, "up").CombinedOutput(); err != nil {
		t.Fatalf("lab: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "-n", name, "down").CombinedOutput(); err != nil {
			t.Errorf("lab: %v: %s", err, out)
		}
	})
	return name
}

func needCommands(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			cannot(t, err.Error())
		}
	}
}

// cannot skips a test that can't run here, and fails it where CI=true.
func cannot(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must be able to run this: " + why)
	}
	t.Skip(why)
}

// comparing is a comparison that runs.
type comparing struct {
	cmd    *exec.Cmd
	out    string // --out
	tmp    string
	stderr *bufio.Reader
	said   strings.Builder
	named  bool // the names of the contenders are behind us
}

func startCompare(t *testing.T, lab string, args ...string) *comparing {
	t.Helper()
	// A path of a Unix socket is short, smbd's are long, and so is the name of a test.
	tmp, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	c := &comparing{out: filepath.Join(t.TempDir(), "out"), tmp: tmp}
	c.cmd = program(t.Context(), append([]string{"compare", "--lab", lab, "--out", c.out}, args...)...)
	c.cmd.Env = append(c.cmd.Env, "TMPDIR="+c.tmp)
	pipe, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stderr = bufio.NewReader(pipe)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// afterRuns returns when n runs have been made: each is a dot behind the names of the
// contenders.
func (c *comparing) afterRuns(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		b, err := c.stderr.ReadByte()
		if err != nil {
			t.Fatalf("compare ended before that: %v: %s", err, c.said.String())
		}
		c.said.WriteByte(b)
		switch {
		case strings.HasSuffix(c.said.String(), ") "):
			c.named = true
		case c.named && b == '.':
			n--
		}
	}
}

// end waits for the end, and returns the report.
func (c *comparing) end(t *testing.T) (report compare.Report, err error) {
	t.Helper()
	rest, _ := io.ReadAll(c.stderr)
	c.said.Write(rest)
	err = c.cmd.Wait()
	b, e := os.ReadFile(filepath.Join(c.out, "compare.json"))
	if e != nil {
		t.Fatalf("%v; compare: %v: %s", e, err, c.said.String())
	}
	if e := json.Unmarshal(b, &report); e != nil {
		t.Fatal(e)
	}
	if left, e := os.ReadDir(c.tmp); e != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, e)
	}
	return report, err
}

func TestCompareInALab(t *testing.T) {
	lab := needLab(t)
	c := startCompare(t, lab, "--only", "^(bulk in, 1 flow|64 B round trip|100 open connections.*), two-cpus$", "--baselines", "veth,relay,stock,copy,tap-read", "--pairs", "1", "--run", "100ms")
	report, err := c.end(t)
	if err != nil || !report.Complete {
		t.Fatalf("%v: %s", err, c.said.String())
	}
	stacks := map[string]string{compare.Ustack: "netstack", compare.Veth: "kernel", compare.Relay: "kernel", compare.Stock: "stock", compare.Copy: "netstack", compare.TAPRead: "none"}
	for _, run := range report.Runs {
		if run.Stack != stacks[run.Contender] {
			t.Errorf("run %d of %s was answered by %q", run.ID, run.Contender, run.Stack)
		}
		if copies := run.Values[compare.CopiesIn]; run.Contender == compare.Copy && copies < 0.9 || run.Contender == compare.Ustack && copies > 0.5 {
			t.Errorf("run %d of %s copied each byte inward %.2f times", run.ID, run.Contender, copies)
		}
		if run.Stack != "none" && run.Congestion != "cubic" {
			t.Errorf("run %d: congestion control %q", run.ID, run.Congestion)
		}
	}
	for _, want := range []struct{ workload, metric, baseline string }{
		{"bulk in, 1 flow", compare.Goodput, compare.TAPRead},
		{"bulk in, 1 flow", compare.SystemCPU, compare.Stock},
		{"64 B round trip", compare.P99, compare.Relay},
		{"100 open connections, 1 active", compare.Memory, compare.Veth},
	} {
		if !slices.ContainsFunc(report.Rows, func(r compare.Row) bool {
			return r.Workload == want.workload && r.Metric == want.metric && r.Baseline == want.baseline && r.Ustack > 0 && r.Other > 0
		}) {
			t.Errorf("no row of %v", want)
		}
	}
	for _, file := range []string{"compare.csv", "compare.html", "ratios.svg"} {
		if fi, err := os.Stat(filepath.Join(c.out, file)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestAServerThatIsKilledIsNamedAndRunsAreKept(t *testing.T) {
	lab := needLab(t)
	c := startCompare(t, lab, "--only", "^bulk in, 1 flow, one-cpu$", "--baselines", "veth", "--pairs", "100", "--run", "100ms")
	c.afterRuns(t, 2)
	if err := syscall.Kill(c.child(t, "serve", "netstack"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	report, err := c.end(t)
	if err == nil || report.Complete {
		t.Errorf("compare took no notice: %v", err)
	}
	if len(report.Failures) != 1 || report.Failures[0].Who != "server (ustack)" || !strings.Contains(report.Failures[0].Error, "killed") {
		t.Errorf("failures: %+v", report.Failures)
	}
	if !strings.Contains(c.said.String(), "server (ustack)") {
		t.Errorf("said: %s", c.said.String())
	}
	if len(report.Rows) == 0 || !report.Rows[0].Incomplete || len(report.Rows[0].Runs) == 0 {
		t.Errorf("rows: %+v", report.Rows)
	}
}

// child is the process that compare has started with all of the words among its
// arguments.
func (c *comparing) child(t *testing.T, words ...string) int {
	t.Helper()
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		args, _ := os.ReadFile(path)
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "stat"))
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // behind the name: state, parent
		if len(f) < 2 || f[1] != strconv.Itoa(c.cmd.Process.Pid) {
			continue
		}
		split := strings.FieldsFunc(string(args), func(r rune) bool { return r == 0 || r == ' ' }) // smbd rewrites its own
		if !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(split, w) }) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	t.Fatalf("compare has started nothing with %v", words)
	return 0
}

func TestABaselineThatFailsDropsOutAndTheOthersGoOn(t *testing.T) {
	lab := needLab(t)
	for _, c := range []struct {
		baseline, workload string
		words              []string
		who                string
	}{
		{compare.Loopback, "64 B round trip", []string{"serve", "127.0.0.1"}, "server (loopback)"},
		{compare.Relay, "64 B round trip", []string{"relay"}, "relay"},
		{compare.Stock, "64 B round trip", []string{"serve", "stock"}, "server (stock)"},
		{compare.Smbd, "SMB 4 KiB random reads, depth 1", []string{"smbd"}, "smbd"},
	} {
		t.Run(c.baseline, func(t *testing.T) {
			if c.baseline == compare.Smbd {
				needCommands(t, "smbd")
			}
			run := startCompare(t, lab, "--only", "^"+c.workload+", one-cpu$", "--baselines", c.baseline+",veth", "--pairs", "100", "--run", "100ms")
			run.afterRuns(t, 3)
			if err := syscall.Kill(run.child(t, c.words...), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			run.afterRuns(t, 6)
			if err := run.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			report, err := run.end(t)
			if err == nil || len(report.Failures) != 1 || report.Failures[0].Who != c.who {
				t.Errorf("%v, failures %+v: %s", err, report.Failures, run.said.String())
			}
		})
	}
}

func TestANamespaceThatGoesIsNamed(t *testing.T) {
	lab := needLab(t)
	c := startCompare(t, lab, "--only", "^64 B round trip", "--baselines", "veth", "--pairs", "100", "--run", "100ms")
	c.afterRuns(t, 2)
	if out, err := exec.Command("ip", "netns", "delete", "ustack-"+lab+"-s").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := syscall.Kill(c.child(t, "serve", "kernel"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	report, err := c.end(t)
	if err == nil || report.Complete || len(report.Failures) != 1 || report.Failures[0].Who != "namespace" {
		t.Errorf("%v, failures %+v: %s", err, report.Failures, c.said.String())
	}
	if len(report.Runs) < 2 {
		t.Errorf("%d runs were kept", len(report.Runs))
	}
}

func TestAnInterruptedCompareKeepsItsRuns(t *testing.T) {
	lab := needLab(t)
	c := startCompare(t, lab, "--only", "^64 B round trip, one-cpu$", "--baselines", "veth", "--pairs", "100", "--run", "100ms")
	c.afterRuns(t, 2)
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	report, err := c.end(t)
	if c.cmd.ProcessState.ExitCode() != 130 || report.Complete || len(report.Failures) != 0 {
		t.Errorf("%v, failures %+v: %s", err, report.Failures, c.said.String())
	}
	if len(report.Runs) < 2 || len(report.Rows) == 0 || !report.Rows[0].Incomplete {
		t.Errorf("%d runs, rows %+v", len(report.Runs), report.Rows)
	}
}

func TestFailuresNameWhoFailed(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		err  error
		want string
	}{
		{broken, "client"},
		{fmt.Errorf("in a run: %w", &failure{"relay", broken}), "relay"},
		{&failure{"server", broken}, "server (veth)"},
	} {
		r := &runner{report: &compare.Report{}}
		s := &compare.Step{Workload: compare.Workload{Name: "w"}, Placement: compare.OneCPU}
		err := r.failed(t.Context(), s, compare.Veth, 2, c.err)
		got := r.report.Failures
		if len(got) != 1 || got[0].Who != c.want || got[0].Pair != 2 || !errors.Is(err, broken) || !strings.Contains(err.Error(), c.want+": ") {
			t.Errorf("%v: %+v, %v", c.err, got, err)
		}
	}
}
