package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ustack/cmd/ustack/compare"
)

func TestNothingMeasuredReplacesNothing(t *testing.T) {
	c := compareCmd{Out: t.TempDir()}
	files := []string{"compare.json", "compare.csv", "compare.html"}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(c.Out, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := func(want bool) {
		t.Helper()
		for _, name := range files {
			if b, err := os.ReadFile(filepath.Join(c.Out, name)); err != nil || (string(b) == "old") != want {
				t.Errorf("%s: %.20q, %v", name, b, err)
			}
		}
	}
	r := &compare.Report{Pairs: 5, Failures: []compare.Failure{{Who: "server"}}}
	if err := c.write(r, nil, time.Now()); err != nil {
		t.Error(err)
	}
	old(true)
	r.AddRun(compare.Run{Contender: compare.Ustack})
	if err := c.write(r, nil, time.Now()); err != nil {
		t.Error(err)
	}
	old(false)
}

func TestAComparisonThatMeasuresNothingSaysSo(t *testing.T) {
	lab, out := needLab(t), t.TempDir()
	said, err := program(t.Context(), "compare", "--lab", lab, "--out", out, "--only", "^bulk in, 1 flow, one-cpu$", "--baselines", "veth",
		"--pairs", "1", "--run", "100ms", "--with=--max-conns=0").CombinedOutput()
	if err == nil || strings.Contains(string(said), "what was measured") || !strings.Contains(string(said), "nothing was measured") {
		t.Errorf("%v: %s", err, said)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}
