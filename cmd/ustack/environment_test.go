package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"ustack/cmd/ustack/compare"
	"ustack/netstack"
)

func TestTheVersionSaysWhatDiffersFromItsCommit(t *testing.T) {
	for _, c := range []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, "(devel)"},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}, "abc"},
		{[]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}, "abc+modified"},
	} {
		if got := versionOf(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: c.settings}); got != c.want {
			t.Errorf("%v: %q, want %q", c.settings, got, c.want)
		}
	}
}

func TestFailuresTellNoPathOfThisMachine(t *testing.T) {
	r := &runner{report: &compare.Report{}}
	socket := filepath.Join(os.TempDir(), "ustack-1", "control")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.failed(t.Context(), &compare.Step{}, compare.Veth, 1, errors.New("dial "+socket+" by "+self+": gone"))
	said := r.report.Failures[0].Error
	if strings.Contains(said, os.TempDir()) || strings.Contains(said, filepath.Dir(self)) || !strings.Contains(said, "ustack-1/control") {
		t.Errorf("%q", said)
	}
}

// A listing backend notes whether it was asked for a list of its connections.
type listing struct {
	backend
	listed bool
}

func (*listing) Kind() string { return "listing" }

func (l *listing) Snapshot(conns bool) (s snapshot) {
	if l.listed = conns; conns {
		s.Conns = make([]netstack.Conn, 3)
	}
	return s
}

func TestTotalsMakeNoListOfConnections(t *testing.T) {
	for _, totals := range []bool{true, false} {
		b := &listing{}
		s := (&server{backend: b, totals: totals}).snapshot(time.Now())
		if b.listed == totals || s.Conns == nil || (len(s.Conns) == 0) != totals {
			t.Errorf("totals alone %v: listed %v, %v", totals, b.listed, s.Conns)
		}
	}
}
