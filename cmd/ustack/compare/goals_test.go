package compare

import (
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

func TestWhatIsUnsureReachesNoGoal(t *testing.T) {
	for _, c := range []struct {
		name string
		row  func(*Row)
		want string
	}{
		{"sure", func(*Row) {}, "1.5, aim reached"},
		{"unsure", func(r *Row) { r.Unsure = true }, "1.5, unsure"},
		{"incomplete", func(r *Row) { r.Incomplete = true }, "1.5, incomplete"},
		{"without a ratio", func(r *Row) { r.Ratio, r.Spread = nil, nil }, notMeasured},
		{"of another placement", func(r *Row) { r.Placement = OneCPU }, notMeasured},
	} {
		t.Run(c.name, func(t *testing.T) {
			ratio := 1.5
			row := Row{Workload: "bulk in, 1 flow", Placement: TwoCPUs, Group: GroupBulk, Metric: Goodput, Baseline: Veth, Ratio: &ratio, Spread: &[2]float64{1.4, 1.6}}
			c.row(&row)
			if got := judged(t, &Report{Pairs: 5, Rows: []Row{row}}, "bulk in, 1 flow", TwoCPUs); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
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
