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

// goalRows says what has become of each goal, also of those that were not measured.
func (r *Report) goalRows() (lines []string) {
	for _, g := range goals {
		re := regexp.MustCompile(g.workloads)
		for _, w := range Workloads() {
			for _, placement := range w.Placements {
				if re.MatchString(w.Name) && (g.placement == "" || g.placement == placement) && metric(w.Group, g.metric).Unit != "" {
					lines = append(lines, g.line(w.Name, placement, r.goalRow(&g, w.Name, placement)))
				}
			}
		}
	}
	return append(lines, r.manyGoal())
}

// goalRow is the row that a goal is judged by; nil if there is none.
func (r *Report) goalRow(g *goal, workload, placement string) *Row {
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Workload == workload && row.Placement == placement && row.Metric == g.metric && (g.baseline == "" || g.baseline == row.Baseline) {
			return row
		}
	}
	return nil
}

func (g *goal) line(workload, placement string, row *Row) string {
	what, measured, spread := workload+": "+g.metric, notMeasured, ""
	switch {
	case g.baseline == "" && row != nil:
		// Nothing is set against the value: that two do not agree says nothing of it.
		measured = Figure(row.Ustack) + g.outcome(row.Ustack, false, row.Incomplete)
	case g.baseline != "" && row != nil && row.Ratio != nil:
		measured, spread = Figure(*row.Ratio)+g.outcome(*row.Ratio, row.Unsure, row.Incomplete), row.SpreadText()
	}
	if g.baseline != "" {
		what += " to " + g.baseline
	}
	bound := ""
	if g.most {
		bound = "<= "
	}
	return strings.Join([]string{what, placement, bound + Figure(g.least), bound + Figure(g.aim), measured, spread, ""}, "\t")
}

const notMeasured = "not measured"

// outcome is the verdict on a value, where it is one that can be judged.
func (g *goal) outcome(v float64, unsure, incomplete bool) string {
	switch {
	case incomplete:
		return ", incomplete"
	case unsure:
		return ", unsure"
	}
	return g.verdict(v)
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
func (r *Report) manyGoal() string {
	many, few := connections(10000), connections(100)
	g := goal{least: 0.8, aim: 0.95}
	placement, measured, spread := many.Placements[0], notMeasured, ""
	var pairs []Pair
	a, b := r.values(many.Name, placement, Ustack, Requests), r.values(few.Name, placement, Ustack, Requests)
	for i := range min(len(a), len(b)) {
		pairs = append(pairs, NewPair(i+1, a[i], b[i]))
	}
	if len(pairs) > 0 {
		if s := Summarize(pairs); s.Ratio != nil {
			row := Row{Spread: s.Spread}
			measured, spread = Figure(*s.Ratio)+g.outcome(*s.Ratio, s.Unsure != "", len(pairs) < r.Pairs), row.SpreadText()
		}
	}
	return fmt.Sprintf("requests with 10000 open connections, to those with 100\t%s\t%s\t%s\t%s\t%s\t", placement, Figure(g.least), Figure(g.aim), measured, spread)
}
