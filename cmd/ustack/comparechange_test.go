package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ustack/cmd/ustack/compare"
)

func TestSysctlsAreSetAndPutBack(t *testing.T) {
	l := lab{name: needLab(t)}
	const key = "net.ipv4.tcp_fin_timeout"
	is := func(want string) {
		t.Helper()
		for _, side := range []string{"client", "server"} {
			if got, err := l.sysctl(t.Context(), side, key); err != nil || got != want {
				t.Errorf("at the %s it is %q, %v; want %s", side, got, err, want)
			}
		}
	}
	was, err := l.sysctl(t.Context(), "client", key)
	if err != nil {
		t.Fatal(err)
	}
	const several = "net.ipv4.tcp_rmem"
	severalWere, err := l.sysctl(t.Context(), "client", several)
	if err != nil {
		t.Fatal(err)
	}
	said, restore, err := l.setSysctls(t.Context(), []string{key + "=33", "net/ipv4/tcp_fin_timeout=34"})
	if err != nil {
		t.Fatal(err)
	}
	is("34")
	if want := []string{key + "=33 instead of " + was, "net/ipv4/tcp_fin_timeout=34 instead of 33"}; !slices.Equal(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	is(was)
	for _, bad := range []string{"", "vm", key, "=1", "../../etc/x=1", "net.ipv4.=1", "net.ipv4.no_such_thing=1", key + "=zebra", "net.ipv4.tcp_rmem=4097 zebra"} {
		if _, _, err := l.setSysctls(t.Context(), []string{key + "=35", bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
		is(was)
	}
	if now, err := l.sysctl(t.Context(), "client", several); err != nil || now != severalWere {
		t.Errorf("of a setting that is refused half is left: %q, %v; it was %q", now, err, severalWere)
	}
	said, restore, err = l.setSysctls(t.Context(), []string{several + "=4097 131073 6291457"})
	if err != nil {
		t.Fatal(err)
	}
	if want := several + "=4097 131073 6291457 instead of " + strings.ReplaceAll(severalWere, "\t", " "); !slices.Equal(said, []string{want}) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := restore(); err != nil {
		t.Error(err)
	}
	if now, err := l.sysctl(t.Context(), "server", several); err != nil || now != severalWere {
		t.Errorf("of several numbers it is %q, %v; it was %q", now, err, severalWere)
	}
}

// Whoever interrupts a comparison hears of settings that are left.
func TestWhatIsNotPutBackIsTold(t *testing.T) {
	failed, left := errors.New("failed"), errors.New("left")
	for _, c := range []struct{ err, restored, told, not error }{
		{nil, left, left, nil},
		{failed, left, failed, nil},
		{context.Canceled, left, left, context.Canceled}, // of which main says nothing
		{context.Canceled, nil, context.Canceled, nil},
	} {
		if err := afterRestore(c.err, c.restored); !errors.Is(err, c.told) || c.not != nil && errors.Is(err, c.not) {
			t.Errorf("%v, then %v: %v", c.err, c.restored, err)
		}
	}
	if err := afterRestore(nil, nil); err != nil {
		t.Error(err)
	}
}

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
	for range 20 { // as scripts/in-lab.sh does, once, when it is interrupted by Ctrl-C as well
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		time.Sleep(time.Millisecond)
	}
	report, _ := c.end(t)
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
		if i := slices.Index(s.Load, "1073741824"); (i > 0) != (s.Service == "smb") || i > 0 && s.Load[i-1] != "--size" {
			t.Errorf("%s: %q", s.Name, s.Load)
		}
	}
}
