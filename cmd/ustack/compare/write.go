package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"
)

// Method says how figures come about; it stands in every report.
var Method = "Each contender of a workload is measured once in each round, in an order in which others come first and follow each other from round to round; figures are medians over the rounds. " +
	"A ratio is that of user-space TCP to a baseline, taken round by round; its spread is the least and the greatest. " +
	"A ratio is marked unsure if there are fewer than 5 pairs, if the pairs do not agree which of the two is ahead (unless all lie within 10% of each other), " +
	"or if the greatest is more than twice the least. That 5 pairs of two that are equal agree by chance happens once in 16. " +
	"System CPU is the time that the processors of the placement were busy, softirq included, whatever they did, in ticks of 10 ms; " +
	"a run in which it is more by 30% and by 20 ms than what client, server and helper used has met other load, or softirq that is nobody's, and is noted. " +
	"Server CPU is the server's process alone, for relay the program that moves frames too. " +
	"Server busy is the server's share of one processor. What tap-read carries is what its sender gives: where its reader is not busy all the time, it is no ceiling, and server CPU by gigabyte tells more. " +
	"Latencies of an open loop count from the time at which a request was due. " +
	"Copies are those in user space. " +
	fmt.Sprintf("System calls, wake-ups and allocations are without what the samples themselves cost; up to %d allocations in all of a run, however many requests it makes, are the end of its connection's, and cannot be told from 0. ", AllocResolution) +
	"Memory is the server's resident memory besides ring pages, which are told apart (twice, where both mappings were touched); a kernel's own buffers are in neither."

// WriteDir writes every form of the report into a directory, which is made:
// compare.json, compare.csv, compare.html, and each chart.
func (r *Report) WriteDir(dir string) error {
	if err := r.WriteJSON(dir); err != nil {
		return err
	}
	table, err := r.CSV()
	if err != nil {
		return err
	}
	charts, err := r.Charts()
	if err != nil {
		return err
	}
	page, err := r.HTML(charts)
	if err != nil {
		return err
	}
	for _, c := range charts {
		if err := writeFile(dir, c.File, c.SVG); err != nil {
			return err
		}
	}
	return errors.Join(writeFile(dir, "compare.csv", table), writeFile(dir, "compare.html", page))
}

// WriteJSON writes compare.json alone: what is kept while a comparison runs.
func (r *Report) WriteJSON(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return writeFile(dir, "compare.json", append(b, '\n'))
}

// writeFile replaces a file, so that whoever reads it meanwhile sees a whole one, and one
// that can't be written whole leaves what was there.
func writeFile(dir, name string, b []byte) error {
	path, tmp := filepath.Join(dir, name), filepath.Join(dir, "."+name)
	err := os.WriteFile(tmp, b, 0o644)
	if err == nil {
		err = likeOld(path, tmp)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // it may not be there
	}
	return err
}

// likeOld gives a new file the owner and the mode of the one that it is to replace, if there
// is one: a comparison is root's, and a page of results is its reader's.
func likeOld(path, tmp string) error {
	old, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		st := old.Sys().(*syscall.Stat_t)
		if err := os.Chown(tmp, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(tmp, old.Mode().Perm())
}

// MedianOf is the median of a metric over a contender's runs of a step; NaN if there
// is none.
func (r *Report) MedianOf(s *Step, contender, metric string) float64 {
	return Median(r.values(s.Name, s.Placement, contender, metric))
}

// values of a metric in a contender's runs of a workload.
func (r *Report) values(workload, placement, contender, metric string) (v []float64) {
	for _, run := range r.Runs {
		if run.Workload == workload && run.Placement == placement && run.Contender == contender {
			if x, ok := run.Values[metric]; ok {
				v = append(v, x)
			}
		}
	}
	return v
}

// WriteTable prints what each workload is known by, of user-space TCP against kernel TCP
// over veth, and the ratio of what that cost the whole system's processors.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "user-space TCP on a TAP against kernel TCP over veth; %s in turn, medians; congestion control %s at both ends;\n%s\n\n",
		Count(r.Pairs, "pair"), r.Environment.Congestion, r.Environment.Machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "workload\tplacement\tmetric\tunit\tuser space\tkernel\tratio\tspread\tCPU ratio\t")
	var unsure []*Row
	incomplete := false
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Baseline != Veth || row.Metric != Headline(row.Group).Name {
			continue
		}
		cpu := r.find(row, SystemCPU)
		for _, shown := range []*Row{row, cpu} {
			if shown.Unsure {
				unsure = append(unsure, shown)
			}
		}
		incomplete = incomplete || row.Incomplete
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", row.Workload, row.Placement, row.Metric, row.Unit,
			Figure(row.Ustack), Figure(row.Other), row.RatioText(), row.SpreadText(), cpu.RatioText())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	writeReasons(w, unsure)
	if incomplete {
		fmt.Fprintf(w, "\nincomplete: not every figure has %s behind it\n", Count(r.Pairs, "pair"))
	}
	return nil
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
