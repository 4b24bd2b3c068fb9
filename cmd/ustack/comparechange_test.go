package main

import (
	"bytes"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/cmd/ustack/compare"
)

func TestAComparisonIsMadeWithChangesThatEndWithIt(t *testing.T) {
	l := lab{name: needLab(t)}
	const key = "net.ipv4.tcp_fin_timeout"
	was, err := l.sysctl(t.Context(), "server", key)
	if err != nil {
		t.Fatal(err)
	}
	c := startCompare(t, l.name, "--only", "^bulk in, 1 flow, one-cpu$", "--baselines", "veth", "--pairs", "100", "--run", "100ms",
		"--with=--copy-all", "--sysctl", key+"=33")
	c.afterRuns(t, 2)
	if now, err := l.sysctl(t.Context(), "server", key); err != nil || now != "33" {
		t.Errorf("while it is measured it is %q, %v", now, err)
	}
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // as scripts/in-lab.sh does, once, when it is interrupted by Ctrl-C as well
		defer close(ended)
		for c.cmd.Process.Signal(syscall.SIGTERM) == nil {
			runtime.Gosched()
		}
	}()
	report, _ := c.end(t)
	<-ended
	if now, err := l.sysctl(t.Context(), "server", key); err != nil || now != was {
		t.Errorf("afterwards it is %q, %v; it was %s", now, err, was)
	}
	for _, run := range report.Runs {
		if run.Contender == compare.Ustack && run.Values[compare.CopiesIn] < 0.9 {
			t.Errorf("without --copy-all: %v", run.Values)
		}
	}
	for _, want := range []string{key + "=33 instead of " + was, "user-space TCP's server with --copy-all"} {
		if !slices.Contains(report.Environment.Settings, want) {
			t.Errorf("%q does not say %q", report.Environment.Settings, want)
		}
	}
}

func TestFilesOfAnotherSize(t *testing.T) {
	steps, err := compare.Plan(compare.Choice{CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	(&compareChange{FileSize: 1 << 30}).apply(steps)
	for _, s := range steps {
		of := strings.HasPrefix(s.Name, "SMB put") || strings.HasPrefix(s.Name, "SMB get") || strings.HasPrefix(s.Name, "SMB 4 KiB random reads")
		if i := slices.Index(s.Load, "1073741824"); (i > 0) != of || i > 0 && s.Load[i-1] != "--size" {
			t.Errorf("%s: %q", s.Name, s.Load)
		}
	}
}

func TestAChangeOfNoUseIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ flag, value, only, want string }{
		{"--file-size", "1MiB", "^SMB get", ""},
		{"--file-size", "1GiB", "^SMB", ""},
		{"--file-size", "0", "^SMB get", "--file-size: 0: want at least 1MiB"},
		{"--file-size", "1048575", "^SMB get", "--file-size: 1048575: want at least 1MiB"},
		{"--file-size", "big", "^SMB get", "--file-size: "},
		{"--file-size", "1GiB", "^(bulk in|SMB create)", "--file-size: no workload"},
		{"--files", t.TempDir(), "^SMB create", ""},
		{"--files", t.TempDir(), "^bulk in", "--files: no workload"},
		{"--files", "/nowhere", "^SMB put", "--files: "},
	} {
		var parsed cli
		_, err := newParser(&parsed).Parse([]string{"compare", c.flag, c.value})
		if err == nil {
			err = parsed.Compare.check(planned(t, c.only))
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s of %s: %v, want %q", c.flag, c.value, c.only, err, c.want)
		}
	}
}

func TestSMBsFilesLieWhereTheyAreWantedAndAreRemoved(t *testing.T) {
	lab, dir := needLab(t), t.TempDir()
	needCommands(t, "smbd")
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_CREATE); err != nil {
		t.Fatal(err)
	}
	report, err := startCompare(t, lab, "--only", "^SMB create, query, close, one-cpu$", "--baselines", "smbd", "--pairs", "1",
		"--run", "100ms", "--files", dir).end(t)
	if err != nil {
		t.Error(err)
	}
	events := make([]byte, 4096)
	n, err := unix.Read(watch, events)
	if made := bytes.Count(events[:max(n, 0)], []byte("ustack-share-")); made != 2 {
		t.Errorf("%d shares were made in it, %v; want one of each contender", made, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if want := "SMB's files below " + dir + " instead"; !slices.Contains(report.Environment.Changes, want) {
		t.Errorf("%q does not say %q", report.Environment.Changes, want)
	}
}

// planned are the steps of a comparison.
func planned(t *testing.T, only string) []compare.Step {
	t.Helper()
	steps, err := compare.Plan(compare.Choice{CPUs: 2, Only: regexp.MustCompile(only)})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}
