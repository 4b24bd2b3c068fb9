package compare

import (
	"fmt"
	"regexp"
	"strings"
)

// A goal is what a ratio, or a value of user-space TCP itself, is to reach.
type goal struct {
	workloads string // a regular expression
	placement string // empty: each
	metric    string
	baseline  string // empty: the value itself counts
	least     float64
	aim       float64
	most      bool // least and aim are upper bounds
}

var goals = []goal{
	{`^bulk in, 1 flow$`, "", Goodput, Veth, 1.1, 1.4, false},
	{`^bulk in, 1 flow, each byte read$`, "", Goodput, Veth, 0.95, 1.2, false},
	{`^bulk out, 1 flow$`, "", Goodput, Veth, 0.9, 1.1, false},
	{`^bulk (in|out), (8|64) flows$`, "", Goodput, Veth, 0.95, 1.2, false},
	{`^bulk in, 1 flow$`, "", SystemCPU, Veth, 1.1, 0.9, true},
	{`^bulk out, 1 flow$`, "", SystemCPU, Veth, 1.2, 0.9, true},
	{`^64 B round trip$`, OneCPU, P50, Veth, 1.0, 0.8, true},
	{`^64 B round trip$`, OneCPU, P99, Veth, 1.0, 0.8, true},
	{`^64 B round trip$`, TwoCPUs, P50, Veth, 0.7, 0.4, true},
	{`^64 B round trip$`, TwoCPUs, P99, Veth, 0.7, 0.4, true},
	{`^open loop at (50|80)%`, "", P99, Veth, 1.0, 0.7, true},
	{`^SMB (get|put)$`, "", Goodput, Veth, 1.0, 1.3, false},
	{`^SMB 4 KiB random reads, depth 32$`, "", Requests, Veth, 1.0, 1.5, false},
	{`^SMB (get|put)$`, "", Goodput, Smbd, 1.2, 2, false},
	{`^SMB 4 KiB`, "", Requests, Smbd, 1.2, 2, false},
	{`^bulk in, 1 flow$`, "", Goodput, TAPRead, 0.8, 0.95, false},
	{`^bulk (in|out), [18] flows?$`, "", CopiesIn, "", 0.02, 0, true},
	{`^bulk (in|out), [18] flows?$`, "", CopiesOut, "", 0.02, 0, true},
	{`^bulk (in|out), 64 flows$`, "", CopiesIn, "", 0.05, 0, true},
	{`^bulk (in|out), 64 flows$`, "", CopiesOut, "", 0.05, 0, true},
	{` round trip$`, "", Allocs, "", 0, 0, true},
	{` round trip$`, "", GCShare, "", 0.01, 0, true},
	{`^10000 open`, "", Memory, "", 16 << 10, 8 << 10, true},
	{`^bulk in, 1 flow$`, "", Goodput, Stock, 30, 50, false},
	{`^bulk out, 1 flow$`, "", Goodput, Stock, 20, 35, false},
}

// goalRows says what has become of each goal that was measured.
func (r *Report) goalRows() (lines []string) {
	for _, g := range goals {
		re := regexp.MustCompile(g.workloads)
		seen := map[string]bool{}
		for i := range r.Rows {
			row := &r.Rows[i]
			key := row.Workload + row.Placement
			if !re.MatchString(row.Workload) || row.Metric != g.metric || g.placement != "" && g.placement != row.Placement ||
				g.baseline != "" && g.baseline != row.Baseline || seen[key] {
				continue
			}
			seen[key] = true
			lines = append(lines, g.line(row))
		}
	}
	return append(lines, r.manyGoal()...)
}

func (g *goal) line(row *Row) string {
	what, value, spread := row.Workload+": "+row.Metric, row.Ustack, ""
	if g.baseline != "" {
		if row.Ratio == nil {
			return ""
		}
		what, value, spread = what+" to "+g.baseline, *row.Ratio, row.SpreadText()
	}
	bound := ""
	if g.most {
		bound = "<= "
	}
	return strings.Join([]string{
		what, row.Placement, bound + Figure(g.least), bound + Figure(g.aim), Figure(value) + g.verdict(value), spread, "",
	}, "\t")
}

// verdict on a value.
func (g *goal) verdict(v float64) string {
	reached := func(bound float64) bool { return g.most && v <= bound || !g.most && v >= bound }
	switch {
	case reached(g.aim):
		return ", aim reached"
	case reached(g.least):
		return ", reached"
	}
	return ", MISSED"
}

// manyGoal is the one goal that sets two workloads of user-space TCP against each
// other: what many open connections cost those that are active.
func (r *Report) manyGoal() []string {
	many, few := connections(10000).Name, connections(100).Name
	for _, placement := range both {
		m := r.MedianOf(&Step{Workload: Workload{Name: many}, Placement: placement}, Ustack, Requests)
		f := r.MedianOf(&Step{Workload: Workload{Name: few}, Placement: placement}, Ustack, Requests)
		if m > 0 && f > 0 {
			g := goal{least: 0.8, aim: 0.95}
			return []string{fmt.Sprintf("requests with 10000 open connections, to those with 100\t%s\t0.8\t0.95\t%s%s\t\t", placement, Figure(m/f), g.verdict(m/f))}
		}
	}
	return nil
}
