package compare

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Chart is one picture.
type Chart struct {
	File  string // such as bulk-goodput-two-cpus.svg
	Group string // empty: of the whole comparison
	Title string
	SVG   []byte
}

const (
	chartWidth = 24 * vg.Centimeter
	lineHeight = 9 * vg.Millimeter / 2
)

// colors of contenders, by their place in Contenders.
var colors = []color.Color{
	color.RGBA{R: 0xc4, G: 0x3d, B: 0x2b, A: 0xff},
	color.RGBA{R: 0x2c, G: 0x5f, B: 0x9e, A: 0xff},
	color.RGBA{R: 0x7f, G: 0xa8, B: 0xd6, A: 0xff},
	color.RGBA{R: 0x4f, G: 0x8a, B: 0x5b, A: 0xff},
	color.RGBA{R: 0xd9, G: 0x9a, B: 0x2b, A: 0xff},
	color.RGBA{R: 0x80, G: 0x63, B: 0xa8, A: 0xff},
	color.RGBA{R: 0xe8, G: 0x8f, B: 0x80, A: 0xff},
	color.RGBA{R: 0x9a, G: 0x9a, B: 0x9a, A: 0xff},
	color.RGBA{R: 0x6a, G: 0x6a, B: 0x6a, A: 0xff},
	color.RGBA{R: 0x2f, G: 0x8f, B: 0x8f, A: 0xff},
}

func colorOf(contender string) color.Color {
	i := slices.IndexFunc(Contenders, func(c Contender) bool { return c.Name == contender })
	return colors[max(i, 0)%len(colors)]
}

// Charts draws all that the report has figures for.
func (r *Report) Charts() ([]Chart, error) {
	var charts []Chart
	add := func(c Chart, err error) error {
		if err == nil && c.SVG != nil {
			charts = append(charts, c)
		}
		return err
	}
	if err := add(r.ratioChart()); err != nil {
		return nil, err
	}
	for _, group := range r.groups() {
		for _, m := range MetricsOf(group) {
			for _, placement := range []string{TwoCPUs, OneCPU} {
				if !m.Main {
					continue
				}
				draw := r.barChart
				if group == GroupOpen {
					draw = r.openChart
				}
				if err := add(draw(group, placement, m)); err != nil {
					return nil, err
				}
			}
		}
	}
	return charts, nil
}

// groups that have rows, in the order of the plan.
func (r *Report) groups() (groups []string) {
	for _, row := range r.Rows {
		if !slices.Contains(groups, row.Group) {
			groups = append(groups, row.Group)
		}
	}
	return groups
}

// newPlot has the letters of all plots.
func newPlot(title, unit string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, unit
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font,
		&p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		f.Variant = "Sans"
	}
	p.Legend.Top = true
	return p
}

// render draws a plot as an SVG element that can stand in a page of HTML.
func render(p *plot.Plot, height vg.Length) ([]byte, error) {
	c := vgsvg.New(chartWidth, height)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	// The prologue names a document type that a viewer might want to fetch.
	i := bytes.Index(b.Bytes(), []byte("<svg"))
	if i < 0 {
		return nil, fmt.Errorf("chart: the plot is not an SVG")
	}
	return b.Bytes()[i:], nil
}

// present lists the workloads of a group and the contenders that have a metric.
func (r *Report) present(group, placement, metric string) (workloads, contenders []string) {
	for _, row := range r.Rows {
		if row.Group != group || row.Placement != placement || row.Metric != metric {
			continue
		}
		if !slices.Contains(workloads, row.Workload) {
			workloads = append(workloads, row.Workload)
		}
		for _, c := range []string{Ustack, row.Baseline} {
			if !slices.Contains(contenders, c) {
				contenders = append(contenders, c)
			}
		}
	}
	return workloads, contenders
}

func fileName(parts ...string) string {
	s := strings.ToLower(strings.Join(parts, "-"))
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, s) + ".svg"
}
