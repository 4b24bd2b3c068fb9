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
	p := newPlot(fmt.Sprintf("%s: %s, %s (%s is better)", group, m.Name, placement, m.Better), "requests/s sent; hollow: the ratio is unsure")
	p.Y.Label.Text, p.Y.Min, p.X.Min = m.Unit, 0, 0
	for _, c := range contenders {
		var xys plotter.XYs
		var unsure []bool
		for _, w := range workloads {
			if v := r.values(w, placement, c, m.Name); len(v) > 0 {
				xys = append(xys, plotter.XY{X: r.rate(w, placement), Y: Median(v)})
				unsure = append(unsure, r.doubt(w, placement, c, m.Name) != "")
			}
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return Chart{}, fmt.Errorf("chart %s: %w", m.Name, err)
		}
		line.Color, points.GlyphStyle = colorOf(c), glyph(c, false)
		points.GlyphStyleFunc = func(i int) draw.GlyphStyle { return glyph(c, unsure[i]) }
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

// The chart of ratios ends at these: what lies beyond stands at its edge.
const leastRatio, greatestRatio = 0.1, 10

func within(ratio float64) float64 { return min(max(ratio, leastRatio), greatestRatio) }

// ratioRange is a row's ratio with its spread, for plotter.NewXErrorBars.
type ratioRange []*Row

func (rr ratioRange) Len() int                { return len(rr) }
func (rr ratioRange) XY(i int) (x, y float64) { return within(*rr[i].Ratio), float64(i) }
func (rr ratioRange) XError(i int) (low, high float64) {
	x, _ := rr.XY(i)
	return x - within(rr[i].Spread[0]), within(rr[i].Spread[1]) - x
}

// ratioTicks are the ratios that people think in.
var ratioTicks = plot.ConstantTicks{
	{Value: 0.1, Label: "0.1"}, {Value: 0.25, Label: "1/4"}, {Value: 0.5, Label: "1/2"}, {Value: 0.8, Label: "0.8"}, {Value: 1, Label: "1"},
	{Value: 1.25, Label: "1.25"}, {Value: 2, Label: "2"}, {Value: 4, Label: "4"}, {Value: 10, Label: "10"},
}

// ratioChart is the comparison at one look: the first metric of each workload against
// kernel TCP over veth, with the spread of its ratio.
func (r *Report) ratioChart() (Chart, error) {
	var rows ratioRange
	var names []string
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Baseline == Veth && row.Ratio != nil && row.Metric == Headline(row.Group).Name {
			rows = append(rows, row)
			names = append(names, fmt.Sprintf("%s, %s: %s%s", row.Workload, row.Placement, row.Metric, row.doubt()))
		}
	}
	if len(rows) == 0 {
		return Chart{}, nil
	}
	slices.Reverse(rows)
	slices.Reverse(names)
	p := newPlot("user-space TCP to kernel TCP over veth (latencies: less than 1 is better, all else: more)", "ratio, with its least and greatest; hollow and ?: unsure")
	points, err := plotter.NewScatter(rows)
	if err != nil {
		return Chart{}, fmt.Errorf("chart of ratios: %w", err)
	}
	points.GlyphStyleFunc = func(i int) draw.GlyphStyle { return glyph(Ustack, rows[i].doubt() != "") }
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
	p.X.Min, p.X.Max = leastRatio, greatestRatio
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ratioTicks
	svg, err := render(p, vg.Length(len(rows))*lineHeight+4*vg.Centimeter)
	return Chart{File: "ratios.svg", Title: p.Title.Text, SVG: svg}, err
}
