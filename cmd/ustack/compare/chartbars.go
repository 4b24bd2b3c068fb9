package compare

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// A bar is one contender's median of a workload, with its least and greatest run.
type bar struct {
	label, contender       string
	median, least, highest float64
	y                      float64
}

// barChart has a bar for each workload of a group and each contender that was measured.
func (r *Report) barChart(group, placement string, m Metric) (Chart, error) {
	bars := r.bars(group, placement, m.Name)
	if len(bars) == 0 {
		return Chart{}, nil
	}
	p := newPlot(fmt.Sprintf("%s: %s, %s (%s is better)", group, m.Name, placement, m.Better), m.Unit+", median, with the least and the greatest run; ?: the ratio is unsure")
	slices.Reverse(bars) // the first is to stand on top
	var whiskers barSpreads
	labels := make([]string, len(bars))
	for i, b := range bars {
		labels[i] = b.label
		if b.contender == "" {
			continue // the gap between two workloads
		}
		c, err := plotter.NewBarChart(plotter.Values{b.median}, lineHeight*3/4)
		if err != nil {
			return Chart{}, fmt.Errorf("chart of %s: %w", m.Name, err)
		}
		b.y = float64(i)
		c.Horizontal, c.XMin, c.Color, c.LineStyle.Width = true, b.y, colorOf(b.contender), 0
		p.Add(c)
		whiskers = append(whiskers, b)
	}
	spreads, err := plotter.NewXErrorBars(whiskers)
	if err != nil {
		return Chart{}, fmt.Errorf("chart of %s: %w", m.Name, err)
	}
	spreads.CapWidth = vg.Points(4)
	p.Add(spreads)
	p.NominalY(labels...)
	p.X.Min = 0
	svg, err := render(p, vg.Length(len(bars))*lineHeight+3*vg.Centimeter)
	return Chart{File: fileName(group, m.Name, placement), Group: group, Title: p.Title.Text, SVG: svg}, err
}

// bars of a group, workload by workload, with a gap between two of them.
func (r *Report) bars(group, placement, metric string) (bars []bar) {
	workloads, contenders := r.present(group, placement, metric)
	for i, w := range workloads {
		if i > 0 {
			bars = append(bars, bar{})
		}
		for _, c := range contenders {
			v := r.values(w, placement, c, metric)
			if len(v) > 0 {
				bars = append(bars, bar{label: w + ": " + c + r.doubt(w, placement, c, metric), contender: c, median: Median(v), least: slices.Min(v), highest: slices.Max(v)})
			}
		}
	}
	return bars
}

// barSpreads are the whiskers of bars, for plotter.NewXErrorBars.
type barSpreads []bar

func (b barSpreads) Len() int                { return len(b) }
func (b barSpreads) XY(i int) (x, y float64) { return b[i].median, b[i].y }
func (b barSpreads) XError(i int) (low, high float64) {
	return b[i].median - b[i].least, b[i].highest - b[i].median
}
