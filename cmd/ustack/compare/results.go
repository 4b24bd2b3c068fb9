package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Marks between which WriteResults replaces what stands in a page; the rest of it is
// written by hand.
const (
	resultsBegin = "<!-- compare -->"
	resultsEnd   = "<!-- /compare -->"
)

// newResults is a page of results before anybody has written anything on it.
const newResults = "# Results\n\nThe figures on this page are written by `ustack compare --results`.\n\n" + resultsBegin + "\n" + resultsEnd + "\n"

// WriteResults puts the figures into a page of Markdown, which is made if there is none.
func (r *Report) WriteResults(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte(newResults), nil
	}
	if err != nil {
		return err
	}
	text, err := between(string(b), r.Markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(filepath.Dir(path), filepath.Base(path), []byte(text))
}

// between replaces what stands between the marks.
func between(text, figures string) (string, error) {
	before, rest, ok := strings.Cut(text, resultsBegin)
	_, after, ok2 := strings.Cut(rest, resultsEnd)
	if !ok || !ok2 {
		return "", fmt.Errorf("no place for figures: want the lines %s and %s", resultsBegin, resultsEnd)
	}
	return before + resultsBegin + "\n\n" + figures + "\n" + resultsEnd + after, nil
}

// Markdown is the main figures against every baseline, group by group, and the goals.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; congestion control %s at both ends; %s in turn.\n\n%s\n", r.Environment.Machine, r.Environment.Congestion, Count(r.Pairs, "pair"), r.Method)
	fmt.Fprintf(&b, "\nBuilt from %s; %s.\n", r.Environment.Version, strings.Join(r.Environment.Settings, "; "))
	if n := r.disturbed(); n > 0 {
		fmt.Fprintf(&b, "\n%d of %d runs met other load.\n", n, len(r.Runs))
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "\nWithout %s: %s.\n", s.Contender, s.Reason)
	}
	fmt.Fprintf(&b, "\n## Goals\n\n%s\n\n", GoalRule)
	table(&b, "goal\tplacement\tat least\taim\tmeasured\tspread\t", r.goalRows())
	b.WriteString(r.readerBusy())
	for _, g := range r.groups() {
		fmt.Fprintf(&b, "\n## %s\n\n", strings.ToUpper(g[:1])+g[1:])
		var lines []string
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Group == g && metric(g, row.Metric).Main {
				lines = append(lines, strings.Join([]string{
					row.Workload, row.Placement, row.Metric, row.Unit, row.Baseline, Figure(row.Ustack), Figure(row.Other), row.RatioText(), row.SpreadText(), "",
				}, "\t"))
			}
		}
		table(&b, "workload\tplacement\tmetric\tunit\tbaseline\tustack\tbaseline's\tratio\tspread\t", lines)
	}
	return b.String()
}

// readerBusy says how far what tap-read carried is the limit of who reads.
func (r *Report) readerBusy() string {
	var b strings.Builder
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Baseline == TAPRead && row.Metric == ServerBusy {
			fmt.Fprintf(&b, "\nThe reader of tap-read was busy %.0f%% of the time (%s), %s %.0f%%: what it carried is what its sender gave, unless that is all of it.\n",
				100*row.Other, row.Placement, Ustack, 100*row.Ustack)
		}
	}
	return b.String()
}

// table writes aligned columns as preformatted text.
func table(b *strings.Builder, header string, lines []string) {
	_ = Align(b, "    ", header+"\n"+strings.Join(lines, "\n")) // into memory
}
