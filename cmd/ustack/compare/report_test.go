package compare

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sample is a report of a plan in which each contender's values follow from its place,
// with the last round of the last step missing.
func sample(t *testing.T) (*Report, []Step) {
	t.Helper()
	steps := plan(t, Choice{CPUs: 2})
	r := &Report{Pairs: 5, Method: Method, Contenders: Contenders, Complete: false,
		Environment: Environment{Machine: "a machine", Congestion: "cubic", Began: time.Unix(0, 0).UTC(), ServerCPUs: []int{0}, ClientCPUs: []int{1}},
		Skipped:     []Skipped{{Smbd, "not installed"}},
		Failures:    []Failure{{"bulk in, 1 flow", TwoCPUs, Veth, 3, "server (veth)", "<killed>"}},
	}
	for i, s := range steps {
		for pair := 1; pair <= r.Pairs; pair++ {
			if i == len(steps)-1 && pair == r.Pairs {
				continue
			}
			for j, c := range s.Contenders {
				values := map[string]float64{}
				for k, m := range MetricsOf(s.Group) {
					values[m.Name] = float64(100+10*j+k) * (1 + float64(pair)/100)
				}
				r.AddRun(Run{Workload: s.Name, Placement: s.Placement, Contender: c, Pair: pair, Stack: "kernel", Congestion: "cubic", Seconds: 1, Rate: 1000 * s.OfPeak, Values: values})
			}
		}
	}
	r.MakeRows(steps)
	return r, steps
}

func TestRowsSetPairsAgainstEachOther(t *testing.T) {
	r, steps := sample(t)
	first := r.Rows[0]
	if first.Workload != steps[0].Name || first.Metric != Goodput || first.Baseline != Veth || len(first.Runs) != 5 || first.Incomplete || first.Unsure {
		t.Fatalf("%+v", first)
	}
	if want := 100.0 / 110; *first.Ratio < want-1e-9 || *first.Ratio > want+1e-9 {
		t.Errorf("ratio %v, want %v", *first.Ratio, want)
	}
	last := r.Rows[len(r.Rows)-1]
	if !last.Incomplete || len(last.Runs) != 4 || !last.Unsure || last.Note == "" {
		t.Errorf("a row without its last pair: %+v", last)
	}
}

func TestARowSaysWhatDisturbedIt(t *testing.T) {
	r, steps := sample(t)
	r.Runs[0].Note = "other load"
	r.Environment.Version = "abc+modified"
	if text := r.Markdown(); !strings.Contains(text, "\n1 of ") || !strings.Contains(text, "abc+modified") {
		t.Error("the page of results does not say how many runs met other load, or of which version")
	}
	r.MakeRows(steps)
	if got := r.Rows[0].Note; got != "1 of 5 pairs met other load" {
		t.Errorf("%q", got)
	}
	last := r.Rows[len(r.Rows)-1]
	if strings.Contains(last.Note, "other load") {
		t.Errorf("a row that nothing disturbed: %q", last.Note)
	}
}

func written(t *testing.T) string {
	t.Helper()
	r, _ := sample(t)
	dir := filepath.Join(t.TempDir(), "new", "dir")
	if err := r.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJSONHasItsKeys(t *testing.T) {
	var got struct {
		Rows []map[string]any `json:"rows"`
		Runs []map[string]any `json:"runs"`
	}
	if err := json.Unmarshal(read(t, written(t), "compare.json"), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rows) == 0 || len(got.Runs) == 0 {
		t.Fatal("no rows, or no runs")
	}
	for _, key := range []string{"workload", "placement", "metric", "unit", "baseline", "ustack", "other", "ratio", "spread", "runs", "unsure", "incomplete"} {
		if _, ok := got.Rows[0][key]; !ok {
			t.Errorf("a row without %q", key)
		}
	}
}

func TestCSVHasALineForEachRow(t *testing.T) {
	r, _ := sample(t)
	lines, err := csv.NewReader(bytes.NewReader(read(t, written(t), "compare.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != len(r.Rows)+1 || !slices.Equal(lines[0], csvHeader) {
		t.Errorf("%d lines for %d rows, header %v", len(lines), len(r.Rows), lines[0])
	}
}

// loads finds what a viewer would fetch.
var loads = regexp.MustCompile(`(?i)\b(src|href)\s*=|url\s*\(|@import|<script|<link|<iframe|<!ENTITY`)

func TestThePageNeedsNothingElse(t *testing.T) {
	dir := written(t)
	text := string(read(t, dir, "compare.html"))
	if found := loads.FindString(text); found != "" {
		t.Errorf("the page loads something: %q", found)
	}
	// The names of XML namespaces are the only addresses in it.
	for _, addr := range regexp.MustCompile(`https?://[^"' ]*`).FindAllString(text, -1) {
		if !strings.HasPrefix(addr, "http://www.w3.org/") {
			t.Errorf("an address in the page: %s", addr)
		}
	}
	for _, want := range []string{"a machine", "cubic", "server (veth)", "&lt;killed&gt;", "Without smbd", "This comparison is incomplete", "<svg"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	charts, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil || strings.Count(text, "<svg") != len(charts) {
		t.Errorf("%d charts in the page, %d files, %v", strings.Count(text, "<svg"), len(charts), err)
	}
}

func TestChartsAreXML(t *testing.T) {
	charts, err := filepath.Glob(filepath.Join(written(t), "*.svg"))
	if err != nil || len(charts) < 10 {
		t.Fatalf("%d charts, %v", len(charts), err)
	}
	for _, path := range charts {
		b := read(t, path)
		if loads.Match(b) {
			t.Errorf("%s loads something: %q", path, loads.Find(b))
		}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				break
			}
		}
	}
}

func TestAnEmptyReportIsWrittenToo(t *testing.T) {
	r := &Report{Pairs: 5, Method: Method, Contenders: Contenders}
	r.MakeRows(plan(t, Choice{CPUs: 2}))
	if err := r.WriteDir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasWrittenByHandStays(t *testing.T) {
	r, _ := sample(t)
	path := filepath.Join(t.TempDir(), "results.md")
	if err := r.WriteResults(path); err != nil {
		t.Fatal(err)
	}
	first := string(read(t, path))
	if err := os.WriteFile(path, []byte(first+"\nwhy that is so\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteResults(path); err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, path)); got != first+"\nwhy that is so\n" {
		t.Errorf("the second time:\n%s", got)
	}
	for _, want := range []string{"## Goals", GoalRule, "MISSED", "bulk in, 1 flow", "veth-plain"} {
		if !strings.Contains(first, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteResults(path); err == nil || !strings.Contains(err.Error(), resultsBegin) {
		t.Errorf("a page without marks: %v", err)
	}
}

func TestThePageOfResultsIsReplacedWhole(t *testing.T) {
	r, _ := sample(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "results.md")
	if err := os.WriteFile(path, []byte(newResults), 0o600); err != nil {
		t.Fatal(err)
	}
	const owner = 1234
	if os.Geteuid() == 0 {
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := r.WriteResults(path); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(reader); err != nil || string(b) != newResults {
		t.Errorf("who reads it meanwhile sees %d bytes, want the old ones: %v", len(b), err)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of the new page: %v, %v", fi, err)
	}
	if st := fi.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (st.Uid != owner || st.Gid != owner) {
		t.Errorf("the new page belongs to %d:%d", st.Uid, st.Gid)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTheTableIsOfKernelTCPOverVeth(t *testing.T) {
	r, _ := sample(t)
	var b strings.Builder
	if err := r.WriteTable(&b, ""); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.Contains(s, "bulk in, 1 flow ") || !strings.Contains(s, "cubic") || strings.Contains(s, "copies") || strings.Contains(s, " \n") {
		t.Errorf("%s", s)
	}
}

func TestTheTableSaysWhatWasChanged(t *testing.T) {
	r, _ := sample(t)
	r.Environment.Change("one thing", "another")
	var b strings.Builder
	if err := r.WriteTable(&b, ""); err != nil {
		t.Fatal(err)
	}
	if want := "\na machine\nchanged: one thing; another\n\nworkload "; !strings.Contains(b.String(), want) {
		t.Errorf("%q is lacking in\n%s", want, b.String())
	}
	if want := []string{"one thing", "another"}; !slices.Equal(r.Environment.Settings, want) {
		t.Errorf("settings %q", r.Environment.Settings)
	}
}

func TestWithoutKernelTCPOverVethRatiosAreElsewhere(t *testing.T) {
	r, _ := sample(t)
	r.Rows = slices.DeleteFunc(r.Rows, func(row Row) bool { return row.Baseline == Veth })
	r.Environment.Change("one thing")
	for dir, want := range map[string]string{
		"":    "nothing was measured against kernel TCP over veth; ratios to other baselines are written only with --out DIR\nchanged: one thing\n",
		"out": "nothing was measured against kernel TCP over veth; ratios to other baselines are in out/compare.html\nchanged: one thing\n",
	} {
		var b strings.Builder
		if err := r.WriteTable(&b, dir); err != nil || b.String() != want {
			t.Errorf("--out %q: %v: %q", dir, err, b.String())
		}
	}
}

func TestTheTableSaysWhyARatioMeansNothing(t *testing.T) {
	steps := plan(t, Choice{CPUs: 2, Only: regexp.MustCompile("^bulk (in|out), 1 flow, two-cpus$"), Baselines: []string{Veth}})
	table := func(r *Report) string {
		r.MakeRows(steps)
		var b strings.Builder
		if err := r.WriteTable(&b, ""); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	// report has the ratios of the two workloads' goodput.
	report := func(in, out []float64, note string) *Report {
		r := &Report{Pairs: len(in)}
		for i, ratios := range [][]float64{in, out} {
			for pair, ratio := range ratios {
				s := steps[i]
				r.AddRun(Run{Workload: s.Name, Placement: s.Placement, Contender: Ustack, Pair: pair + 1, Values: map[string]float64{Goodput: ratio, SystemCPU: ratio}})
				r.AddRun(Run{Workload: s.Name, Placement: s.Placement, Contender: Veth, Pair: pair + 1, Values: map[string]float64{Goodput: 1, SystemCPU: 1}, Note: note})
			}
		}
		return r
	}
	const differ = "the order is sure, the size is not (2 ratios)\n"
	for _, c := range []struct {
		name    string
		r       *Report
		want    []string
		lacking string
	}{
		{"nothing", report([]float64{2, 2, 2, 2, 2}, []float64{2, 2, 2, 2, 2}, "other load"), nil, "?"},
		{"one of two", report([]float64{2, 2, 2, 2, 5}, []float64{2, 2, 2, 2, 2}, ""), []string{differ}, "met other load"},
		{"both", report([]float64{2, 2, 2, 2, 5}, []float64{2, 2, 2, 2, 0.5}, "other load"),
			[]string{differ, "do not agree which of the two is ahead (2 ratios)\n", "10 of the 10 pairs behind them met other load\n"}, "a look"},
		{"one pair", report([]float64{2}, []float64{2}, ""), []string{"1 pair in turn", "  1 pair: a look, not a measurement, which takes 5 (4 ratios)\n"}, "differ"},
	} {
		got := table(c.r)
		page, err := c.r.HTML(nil)
		if err != nil || regexp.MustCompile(`\b1 (pairs|runs|rows)\b`).Match(page) {
			t.Errorf("%s: the page has a plural of one thing, or none: %v", c.name, err)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is lacking in\n%s", c.name, want, got)
			}
		}
		if strings.Contains(got, c.lacking) {
			t.Errorf("%s: %q in\n%s", c.name, c.lacking, got)
		}
	}
}

func TestGoalsAreJudgedOnTheRightSide(t *testing.T) {
	for _, c := range []struct {
		g    goal
		v    [5]float64
		want string
	}{
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.4, 1.5, 1.5, 3, 4}, ", aim reached"}, // however far apart
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.3, 1.5, 1.5, 1.5, 1.5}, ", reached"},
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.1, 1.2, 1.2, 1.2, 1.3}, ", reached"},
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.05, 1.2, 1.2, 1.2, 1.3}, ", open"}, // all agree who is ahead
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.05, 1.5, 1.5, 1.5, 1.5}, ", open"},
		{goal{least: 1.1, aim: 1.4}, [5]float64{1.05, 1.05, 1.05, 1.05, 1.1}, ", open"},
		{goal{least: 1.1, aim: 1.4}, [5]float64{0.4, 1.0, 1.0, 1.05, 1.05}, ", MISSED"}, // neither agrees, and yet
		{goal{least: 1.1, aim: 0.9, most: true}, [5]float64{0.7, 0.8, 0.8, 0.8, 0.9}, ", aim reached"},
		{goal{least: 1.1, aim: 0.9, most: true}, [5]float64{0.8, 1.0, 1.0, 1.0, 1.1}, ", reached"},
		{goal{least: 1.1, aim: 0.9, most: true}, [5]float64{0.8, 1.0, 1.0, 1.0, 1.2}, ", open"},
		{goal{least: 1.1, aim: 0.9, most: true}, [5]float64{1.2, 1.2, 1.3, 1.3, 9}, ", MISSED"},
	} {
		if got := c.g.verdict(c.v[:]); got != c.want {
			t.Errorf("%+v, %v: %q, want %q", c.g, c.v, got, c.want)
		}
	}
}
