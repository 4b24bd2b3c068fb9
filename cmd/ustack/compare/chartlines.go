package compare

import (
	"fmt"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// openChart has a line for each contender: a latency over the rate that was sent.
func (r *Report) openChart(group, placement string, m Metric) (Chart, error) {
	workloads, contenders := r.present(group, placement, m.Name)
	if len(workloads) == 0 {
		return Chart{}, nil
	}
	p := newPlot(fmt.Sprintf("%s: %s, %s (%s is better)", group, m.Name, placement, m.Better), "requests/s sent")
	p.Y.Label.Text, p.Y.Min, p.X.Min = m.Unit, 0, 0
	for _, c := range contenders {
		var xys plotter.XYs
		for i, v := range r.medians(workloads, placement, c, m.Name) {
			xys = append(xys, plotter.XY{X: r.rate(workloads[i], placement), Y: v})
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return Chart{}, fmt.Errorf("chart %s: %w", m.Name, err)
		}
		line.Color, points.Color, points.Shape = colorOf(c), colorOf(c), draw.CircleGlyph{}
		line.Width = vg.Points(1.5)
		p.Add(line, points)
		p.Legend.Add(c, line, points)
	}
	p.Legend.Left = true
	svg, err := render(p, 9*vg.Centimeter)
	return Chart{File: fileName(group, m.Name, placement), Group: group, Title: p.Title.Text, SVG: svg}, err
}

// rate is what an open loop sent.
func (r *Report) rate(workload, placement string) float64 {
	for _, run := range r.Runs {
		if run.Workload == workload && run.Placement == placement && run.Rate > 0 {
			return run.Rate
		}
	}
	return 0
}

// ratioRange is a row's ratio with its spread, for plotter.XErrorBars.
type ratioRange []*Row

func (rr ratioRange) Len() int { return len(rr) }
func (rr ratioRange) XY(i int) (x, y float64) {
	return *rr[i].Ratio, float64(i)
}
func (rr ratioRange) XError(i int) (low, high float64) {
	return *rr[i].Ratio - rr[i].Spread[0], rr[i].Spread[1] - *rr[i].Ratio
}

// ratioChart is the comparison at one look: the first metric of each workload against
// kernel TCP over veth, with the spread of its ratio.
func (r *Report) ratioChart() (Chart, error) {
	var rows ratioRange
	var names []string
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Baseline == Veth && row.Ratio != nil && row.Metric == MetricsOf(row.Group)[0].Name {
			rows = append(rows, row)
			names = append(names, fmt.Sprintf("%s, %s: %s", row.Workload, row.Placement, row.Metric))
		}
	}
	if len(rows) == 0 {
		return Chart{}, nil
	}
	slices.Reverse(rows)
	slices.Reverse(names)
	p := newPlot("user-space TCP to kernel TCP over veth (latencies: less than 1 is better, all else: more)", "ratio, with its least and greatest")
	points, err := plotter.NewScatter(rows)
	if err != nil {
		return Chart{}, fmt.Errorf("chart of ratios: %w", err)
	}
	points.Shape, points.Color = draw.CircleGlyph{}, colorOf(Ustack)
	ranges, err := plotter.NewXErrorBars(rows)
	if err != nil {
		return Chart{}, fmt.Errorf("chart of ratios: %w", err)
	}
	one, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(rows)) - 0.5}})
	if err != nil {
		return Chart{}, fmt.Errorf("chart of ratios: %w", err)
	}
	one.Color = color.Gray{Y: 0x90}
	p.Add(one, ranges, points)
	p.NominalY(names...)
	p.X.Min = 0
	p.X.Tick.Marker = plot.DefaultTicks{}
	svg, err := render(p, vg.Length(len(rows))*6*vg.Millimeter+4*vg.Centimeter)
	return Chart{File: "ratios.svg", Title: p.Title.Text, SVG: svg}, err
}
