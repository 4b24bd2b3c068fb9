package compare

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable prints what each workload is known by, of user-space TCP against kernel TCP
// over veth, and the ratio of what that cost the whole system's processors. Where that is
// nothing, it says where ratios are: in dir, or nowhere if that is empty.
func (r *Report) WriteTable(w io.Writer, dir string) error {
	if !slices.ContainsFunc(r.Rows, inTable) {
		return r.writeNoTable(w, dir)
	}
	fmt.Fprintf(w, "user-space TCP on a TAP against kernel TCP over veth; %s in turn, medians; congestion control %s at both ends;\n%s\n",
		Count(r.Pairs, "pair"), r.Environment.Congestion, r.Environment.Machine)
	r.writeChanges(w)
	fmt.Fprintln(w)
	var t strings.Builder
	fmt.Fprintln(&t, "workload\tplacement\tmetric\tunit\tuser space\tkernel\tratio\tspread\tCPU ratio")
	var unsure []*Row
	incomplete := false
	for i := range r.Rows {
		row := &r.Rows[i]
		if !inTable(*row) {
			continue
		}
		cpu := r.find(row, SystemCPU)
		for _, shown := range []*Row{row, cpu} {
			if shown.Unsure {
				unsure = append(unsure, shown)
			}
		}
		incomplete = incomplete || row.Incomplete
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Workload, row.Placement, row.Metric, row.Unit,
			Figure(row.Ustack), Figure(row.Other), row.RatioText(), row.SpreadText(), cpu.RatioText())
	}
	if err := Align(w, "", t.String()); err != nil {
		return err
	}
	writeReasons(w, unsure)
	if incomplete {
		fmt.Fprintf(w, "\nincomplete: not every figure has %s behind it\n", Count(r.Pairs, "pair"))
	}
	return nil
}

// Align writes lines, whose cells tabs part, in columns behind an indent. No line ends in blanks.
func Align(w io.Writer, indent, lines string) error {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, lines)
	t.Flush() // into memory
	for l := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, indent+strings.TrimRight(l, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// inTable says whether a row is one of the table's.
func inTable(row Row) bool { return row.Baseline == Veth && row.Metric == Headline(row.Group).Name }

func (r *Report) writeNoTable(w io.Writer, dir string) error {
	where := "ratios to other baselines are written only with --out DIR"
	if dir != "" {
		where = "ratios to other baselines are in " + filepath.Join(dir, "compare.html")
	}
	_, err := fmt.Fprintf(w, "nothing was measured against kernel TCP over veth; %s\n", where)
	r.writeChanges(w)
	return err
}

// writeChanges says, in a line, what is not as ever.
func (r *Report) writeChanges(w io.Writer) {
	if len(r.Environment.Changes) > 0 {
		fmt.Fprintf(w, "changed: %s\n", strings.Join(r.Environment.Changes, "; "))
	}
}

// writeReasons says why the ratios of some rows mean nothing, each reason once.
func writeReasons(w io.Writer, unsure []*Row) {
	if len(unsure) == 0 {
		return
	}
	var reasons []string
	times := map[string]int{}
	pairs, disturbed := 0, 0
	var last *Row
	for _, row := range unsure {
		why := Summarize(row.Runs).Unsure
		if times[why] == 0 {
			reasons = append(reasons, why)
		}
		times[why]++
		if last == nil || last.Workload != row.Workload || last.Placement != row.Placement { // else of the same runs
			pairs, disturbed = pairs+len(row.Runs), disturbed+row.Disturbed
		}
		last = row
	}
	fmt.Fprintln(w, "\n? the ratio means nothing, or its size does not:")
	for _, why := range reasons {
		fmt.Fprintf(w, "  %s (%s)\n", why, Count(times[why], "ratio"))
	}
	if disturbed > 0 {
		fmt.Fprintf(w, "  %d of the %s behind them met other load\n", disturbed, Count(pairs, "pair"))
	}
}

// find returns the row of another metric of the same comparison, or an empty one.
func (r *Report) find(of *Row, metric string) *Row {
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Workload == of.Workload && row.Placement == of.Placement && row.Baseline == of.Baseline && row.Metric == metric {
			return row
		}
	}
	return &Row{}
}

// Figure writes a value to about three digits.
func Figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1000 || v <= -1000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// RatioText is the ratio, marked where it means nothing.
func (r *Row) RatioText() string {
	if r.Ratio == nil {
		return "-"
	}
	s := fmt.Sprintf("%.2f", *r.Ratio)
	if r.Unsure {
		s += "?"
	}
	return s
}

// SpreadText is the least and the greatest ratio.
func (r *Row) SpreadText() string {
	if r.Spread == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f-%.2f", r.Spread[0], r.Spread[1])
}
