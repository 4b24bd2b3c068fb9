package compare

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// judged is what the goals say of a workload's goodput against kernel TCP.
func judged(t *testing.T, r *Report, workload, placement string) string {
	t.Helper()
	for _, l := range r.goalRows() {
		if f := strings.Split(l, "\t"); f[0] == workload+": "+Goodput+" to "+Veth && f[1] == placement {
			return f[4]
		}
	}
	t.Fatalf("no goal of %s, %s", workload, placement)
	return ""
}

func TestAGoalIsJudgedByItsPairs(t *testing.T) {
	pairs := func(ratios ...float64) (p []Pair) {
		for i, r := range ratios {
			p = append(p, NewPair(i+1, r, 1))
		}
		return p
	}
	for _, c := range []struct {
		name string
		row  func(*Row)
		want string
	}{
		{"all beyond the aim", func(*Row) {}, "1.5, aim reached"},
		{"all beyond it, and the size is unsure", func(r *Row) { r.Unsure = true }, "1.5, aim reached"},
		{"some beyond the bound", func(r *Row) { r.Runs[0] = NewPair(1, 1.05, 1) }, "1.5, open"},
		{"too few", func(r *Row) { r.Runs = r.Runs[:4] }, "1.5, open"},
		{"incomplete", func(r *Row) { r.Incomplete = true }, "1.5, incomplete"},
		{"without a ratio", func(r *Row) { r.Ratio, r.Spread = nil, nil }, notMeasured},
		{"of another placement", func(r *Row) { r.Placement = OneCPU }, notMeasured},
		{"of another baseline", func(r *Row) { r.Baseline = Loopback }, notMeasured},
	} {
		t.Run(c.name, func(t *testing.T) {
			ratio := 1.5
			row := Row{Workload: "bulk in, 1 flow", Placement: TwoCPUs, Group: GroupBulk, Metric: Goodput, Baseline: Veth,
				Ratio: &ratio, Spread: &[2]float64{1.4, 1.6}, Runs: pairs(1.4, 1.5, 1.5, 1.5, 1.6)}
			c.row(&row)
			if got := judged(t, &Report{Pairs: 5, Rows: []Row{row}}, "bulk in, 1 flow", TwoCPUs); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestAllocationsAreJudgedWithinTheirResolution(t *testing.T) {
	for _, c := range []struct {
		name   string
		byRun  [5]int // in all of a run of 1000 requests
		want   string
		spread string
	}{
		{"none", [5]int{}, "0, aim reached", "0-0"},
		{"a connection's end", [5]int{-3, 20, 25, 29, AllocResolution}, "0.025, aim reached", "-0.003-0.05"},
		{"one in a hundred requests, and the end", [5]int{61, 61, 62, 63, 60}, "0.061, MISSED", "0.06-0.063"},
		{"now and then", [5]int{20, 20, 20, 20, 1000}, "0.02, open", "0.02-1"},
	} {
		r := &Report{Pairs: 5}
		for i, n := range c.byRun {
			r.AddRun(Run{Workload: "64 B round trip", Placement: OneCPU, Contender: Ustack, Pair: i + 1, Requests: 1000, Values: map[string]float64{Allocs: float64(n) / 1000}})
			// Others' are no goal.
			r.AddRun(Run{Workload: "64 B round trip", Placement: OneCPU, Contender: Veth, Pair: i + 1, Requests: 1000, Values: map[string]float64{Allocs: 7}})
		}
		found := false
		for _, l := range r.goalRows() {
			if f := strings.Split(l, "\t"); f[0] == "64 B round trip: "+Allocs && f[1] == OneCPU {
				found = true
				if f[4] != c.want || f[5] != c.spread {
					t.Errorf("%s: %q, %q, want %q, %q", c.name, f[4], f[5], c.want, c.spread)
				}
			}
		}
		if !found {
			t.Fatal("there is no such goal")
		}
	}
}

func TestEveryGoalIsPrinted(t *testing.T) {
	r, _ := sample(t)
	whole, none := r.goalRows(), (&Report{Pairs: 5}).goalRows()
	if len(whole) != len(none) {
		t.Errorf("%d goals with all figures, %d with none", len(whole), len(none))
	}
	for _, l := range none {
		if !strings.Contains(l, "\t"+notMeasured+"\t") {
			t.Errorf("of nothing: %q", l)
		}
	}
	for _, g := range goals {
		if !slices.ContainsFunc(none, func(l string) bool {
			return strings.Contains(l, ": "+g.metric) && (g.baseline == "" || strings.Contains(l, " to "+g.baseline+"\t"))
		}) {
			t.Errorf("nothing is said of %+v", g)
		}
	}
	if slices.Contains(whole, "") {
		t.Error("an empty line")
	}
}

func TestGoalsOfCopiesAreOfWhereThePayloadGoes(t *testing.T) {
	got := map[string]int{}
	for _, l := range (&Report{Pairs: 5}).goalRows() {
		what, _, _ := strings.Cut(l, "\t")
		workload, metric, _ := strings.Cut(what, ": ")
		if metric == CopiesIn || metric == CopiesOut {
			direction, _, _ := strings.Cut(workload, ",")
			got[direction+": "+metric]++
		}
	}
	// 1, 8 and 64 flows, at two placements.
	if want := map[string]int{"bulk in: " + CopiesIn: 6, "bulk out: " + CopiesOut: 6}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestChartsMarkWhatIsUnsure(t *testing.T) {
	r, _ := sample(t)
	for i := range r.Rows {
		r.Rows[i].Unsure = r.Rows[i].Workload == "bulk in, 1 flow"
	}
	charts, err := r.Charts()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"ratios.svg": "bulk in, 1 flow, two-cpus: goodput ?", "bulk-goodput-two-cpus.svg": "bulk in, 1 flow: veth ?"} {
		i := slices.IndexFunc(charts, func(c Chart) bool { return c.File == file })
		if i < 0 || !strings.Contains(string(charts[i].SVG), ">"+want+"<") {
			t.Errorf("%s does not say %q", file, want)
		}
		if i >= 0 && strings.Contains(string(charts[i].SVG), "bulk in, 8 flows: veth ?") {
			t.Errorf("%s marks what is sure", file)
		}
	}
}
