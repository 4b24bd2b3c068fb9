package compare

import (
	"fmt"
	"math"
	"regexp"
	"slices"
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
	{`^SMB 4 KiB random reads, depth \d+$`, "", Requests, Smbd, 1.2, 2, false},
	{`^bulk in, 1 flow$`, "", Goodput, TAPRead, 0.8, 0.95, false},
	// Each where the payload goes: of what goes nowhere nothing is copied, whatever the stack.
	{`^bulk in, [18] flows?$`, "", CopiesIn, "", 0.02, 0, true},
	{`^bulk out, [18] flows?$`, "", CopiesOut, "", 0.02, 0, true},
	{`^bulk in, 64 flows$`, "", CopiesIn, "", 0.05, 0, true},
	{`^bulk out, 64 flows$`, "", CopiesOut, "", 0.05, 0, true},
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
					lines = append(lines, r.goalLine(&g, w.Name, placement))
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
		if row.Workload == workload && row.Placement == placement && row.Metric == g.metric && g.baseline == row.Baseline {
			return row
		}
	}
	return nil
}

// goalLine says what has become of one goal at a placement of a workload.
func (r *Report) goalLine(g *goal, workload, placement string) string {
	what, measured, spread := workload+": "+g.metric, notMeasured, ""
	if g.baseline == "" {
		// Nothing is set against the value: it takes no pairs.
		if v := r.values(workload, placement, Ustack, g.metric); len(v) > 0 {
			measured = Figure(Median(v)) + g.outcome(r.judged(g, workload, placement), len(v) < r.Pairs)
			spread = Figure(slices.Min(v)) + "-" + Figure(slices.Max(v))
		}
	} else {
		what += " to " + g.baseline
		if row := r.goalRow(g, workload, placement); row != nil && row.Ratio != nil {
			measured, spread = Figure(*row.Ratio)+g.outcome(ratios(row.Runs), row.Incomplete), row.SpreadText()
		}
	}
	bound := ""
	if g.most {
		bound = "<= "
	}
	return strings.Join([]string{what, placement, bound + Figure(g.least), bound + Figure(g.aim), measured, spread, ""}, "\t")
}

// judged are the values of user-space TCP that a goal is judged by: those that a run's
// resolution does not tell from 0 are 0.
func (r *Report) judged(g *goal, workload, placement string) (v []float64) {
	for i := range r.Runs {
		run := &r.Runs[i]
		x, ok := run.Values[g.metric]
		if !ok || run.Workload != workload || run.Placement != placement || run.Contender != Ustack {
			continue
		}
		if g.metric == Allocs && math.Abs(x)*float64(run.Requests) <= AllocResolution {
			x = 0
		}
		v = append(v, x)
	}
	return v
}

// ratios of pairs, those that have one.
func ratios(pairs []Pair) (v []float64) {
	for _, p := range pairs {
		if p.Ratio != nil {
			v = append(v, *p.Ratio)
		}
	}
	return v
}

const notMeasured = "not measured"

// outcome is the verdict on what was measured, where it is enough to be judged.
func (g *goal) outcome(measured []float64, incomplete bool) string {
	if incomplete {
		return ", incomplete"
	}
	return g.verdict(measured)
}

// verdict on what each pair says, by GoalRule. The median then is on the side that all are on.
func (g *goal) verdict(measured []float64) string {
	reach := func(bound float64) (n int) {
		for _, v := range measured {
			if g.most && v <= bound || !g.most && v >= bound {
				n++
			}
		}
		return n
	}
	all := len(measured)
	switch {
	case all < LeastPairs:
		return ", open"
	case reach(g.aim) == all:
		return ", aim reached"
	case reach(g.least) == all:
		return ", reached"
	case reach(g.least) == 0:
		return ", MISSED"
	}
	return ", open"
}

// GoalRule says how goals are judged; it stands above them.
var GoalRule = fmt.Sprintf("A goal, or its aim, is reached if every pair is on the right side of its bound, and missed if none is; else, or with fewer than %d pairs, it is open. "+
	"Where there is no baseline, runs are judged in the place of pairs; up to %d allocations in all of a run are judged as none.", LeastPairs, AllocResolution)

// AllocResolution is how many allocations of a run of round trips say nothing of its requests. Of
// loads of one connection, of 600 to 16,000 requests, the kernel's server made 17 each, and that of
// user-space TCP 13 to 29: what ends a connection allocates, once.
const AllocResolution = 50

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
			measured, spread = Figure(*s.Ratio)+g.outcome(ratios(pairs), len(pairs) < r.Pairs), row.SpreadText()
		}
	}
	return fmt.Sprintf("requests with 10000 open connections, to those with 100\t%s\t%s\t%s\t%s\t%s\t", placement, Figure(g.least), Figure(g.aim), measured, spread)
}
