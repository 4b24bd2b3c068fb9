package compare

import (
	"fmt"
	"strings"
	"time"
)

// A Report is all that a comparison has found; compare.json holds it.
type Report struct {
	Environment Environment `json:"environment"`
	Method      string      `json:"method"`
	Pairs       int         `json:"pairs"`
	Quick       bool        `json:"quick"`
	Contenders  []Contender `json:"contenders"`
	Skipped     []Skipped   `json:"skipped"`
	// Complete says that every run of the plan was made; Failures say what went wrong.
	Complete bool      `json:"complete"`
	Failures []Failure `json:"failures"`
	Rows     []Row     `json:"rows"`
	Runs     []Run     `json:"runs"`
}

// Environment is where figures were measured, and with what settings.
type Environment struct {
	Machine    string    `json:"machine"`
	Congestion string    `json:"congestion_control"`
	ServerCPUs []int     `json:"server_cpus"`
	ClientCPUs []int     `json:"client_cpus_two_cpus"`
	Began      time.Time `json:"began"`
	TookS      float64   `json:"took_s"`
	Version    string    `json:"version"`
	Settings   []string  `json:"settings"`
	// Changes are those of Settings that are not as ever.
	Changes []string `json:"changes,omitempty"`
}

// Change adds settings that are not as ever.
func (e *Environment) Change(settings ...string) {
	e.Settings, e.Changes = append(e.Settings, settings...), append(e.Changes, settings...)
}

// Skipped is a contender that was not there, and why.
type Skipped struct {
	Contender string `json:"contender"`
	Reason    string `json:"reason"`
}

// A Failure says who failed in which run.
type Failure struct {
	Workload  string `json:"workload"`
	Placement string `json:"placement"`
	Contender string `json:"contender"`
	Pair      int    `json:"pair"`
	Who       string `json:"who"` // client, server, namespace, relay, smbd
	Error     string `json:"error"`
}

// A Run is one measurement of a workload on one contender.
type Run struct {
	ID         int    `json:"id"` // in the order in which they were made
	Workload   string `json:"workload"`
	Placement  string `json:"placement"`
	Contender  string `json:"contender"`
	Pair       int    `json:"pair"`
	Stack      string `json:"stack"` // what the server said it was
	Congestion string `json:"congestion_control"`
	// Seconds is how long the load lasted, Bytes and Requests what it carried, and
	// Rate what an open loop sent, in requests a second.
	Seconds  float64 `json:"seconds"`
	Bytes    uint64  `json:"bytes"`
	Requests int64   `json:"requests"`
	Rate     float64 `json:"rate,omitempty"`
	// Note says what has disturbed it.
	Note string `json:"note,omitempty"`
	// Values are its metrics by name.
	Values map[string]float64 `json:"values"`
}

// A Row sets a metric of user-space TCP against one baseline.
type Row struct {
	Workload  string `json:"workload"`
	Placement string `json:"placement"`
	Group     string `json:"group"`
	Metric    string `json:"metric"`
	Unit      string `json:"unit"`
	Better    string `json:"better"` // higher, lower
	Baseline  string `json:"baseline"`
	// Ustack and Other are medians; Ratio is the median of the ratios pair by pair, and
	// Spread the least and greatest of them, null where a baseline is 0.
	Ustack float64     `json:"ustack"`
	Other  float64     `json:"other"`
	Ratio  *float64    `json:"ratio"`
	Spread *[2]float64 `json:"spread"`
	// Unsure says that the spread leaves the ratio without meaning. Disturbed is how many pairs
	// have a run that met other load. Note says why the one, and tells the other.
	Unsure    bool   `json:"unsure"`
	Disturbed int    `json:"disturbed,omitempty"`
	Note      string `json:"note,omitempty"`
	// Incomplete says that pairs are missing.
	Incomplete bool   `json:"incomplete"`
	Runs       []Pair `json:"runs"`
}

// AddRun keeps a run, and gives it its number.
func (r *Report) AddRun(run Run) {
	run.ID = len(r.Runs) + 1
	r.Runs = append(r.Runs, run)
}

// MakeRows makes the rows of the steps anew from the runs that there are.
func (r *Report) MakeRows(steps []Step) {
	r.Rows = []Row{}
	made := map[runKey]*Run{}
	for i := range r.Runs {
		run := &r.Runs[i]
		made[runKey{run.Workload, run.Placement, run.Contender, run.Pair}] = run
	}
	for _, s := range steps {
		for _, m := range MetricsOf(s.Group) {
			for _, baseline := range s.Contenders[1:] {
				if row, ok := r.row(made, s, m, baseline); ok {
					r.Rows = append(r.Rows, row)
				}
			}
		}
	}
}

// disturbed is how many runs met other load.
func (r *Report) disturbed() (n int) {
	for i := range r.Runs {
		if r.Runs[i].Note != "" {
			n++
		}
	}
	return n
}

// A runKey tells runs apart.
type runKey struct {
	workload, placement, contender string
	pair                           int
}

func (r *Report) row(made map[runKey]*Run, s Step, m Metric, baseline string) (Row, bool) {
	row := Row{
		Workload: s.Name, Placement: s.Placement, Group: s.Group,
		Metric: m.Name, Unit: m.Unit, Better: m.Better, Baseline: baseline, Runs: []Pair{},
	}
	for pair := 1; pair <= r.Pairs; pair++ {
		one, other := made[runKey{s.Name, s.Placement, Ustack, pair}], made[runKey{s.Name, s.Placement, baseline, pair}]
		if one == nil || other == nil {
			continue
		}
		u, okU := one.Values[m.Name]
		o, okO := other.Values[m.Name]
		if okU && okO {
			row.Runs = append(row.Runs, NewPair(pair, u, o))
			if one.Note != "" || other.Note != "" {
				row.Disturbed++
			}
		}
	}
	if len(row.Runs) == 0 {
		return row, false
	}
	sum := Summarize(row.Runs)
	row.Ustack, row.Other, row.Ratio, row.Spread = sum.Ustack, sum.Other, sum.Ratio, sum.Spread
	row.Unsure, row.Note = sum.Unsure != "", sum.Unsure
	row.Incomplete = len(row.Runs) < r.Pairs
	if row.Disturbed > 0 {
		row.Note = strings.TrimPrefix(fmt.Sprintf("%s; %d of %s met other load", row.Note, row.Disturbed, Count(len(row.Runs), "pair")), "; ")
	}
	return row, true
}
