package compare

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
)

// csvHeader names the columns of compare.csv. The last holds the ratios pair by pair.
var csvHeader = []string{
	"workload", "placement", "metric", "unit", "better", "baseline", "ustack", "other", "ratio",
	"spread_least", "spread_greatest", "unsure", "incomplete", "note", "ratios",
}

// CSV is a line for each row.
func (r *Report) CSV() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	if err := w.Write(csvHeader); err != nil {
		return nil, err
	}
	for i := range r.Rows {
		if err := w.Write(r.Rows[i].record()); err != nil {
			return nil, err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return nil, fmt.Errorf("CSV: %w", err)
	}
	return b.Bytes(), nil
}

func (r *Row) record() []string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	ratio, least, greatest := "", "", ""
	if r.Ratio != nil {
		ratio, least, greatest = number(*r.Ratio), number(r.Spread[0]), number(r.Spread[1])
	}
	var ratios []string
	for _, p := range r.Runs {
		if p.Ratio != nil {
			ratios = append(ratios, number(*p.Ratio))
		}
	}
	return []string{
		r.Workload, r.Placement, r.Metric, r.Unit, r.Better, r.Baseline, number(r.Ustack), number(r.Other), ratio,
		least, greatest, strconv.FormatBool(r.Unsure), strconv.FormatBool(r.Incomplete), r.Note, strings.Join(ratios, " "),
	}
}
