package compare

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// doubt is what stands behind the name of a row whose ratio means little.
func (r *Row) doubt() string {
	switch {
	case r.Incomplete && r.Unsure:
		return " ? (incomplete)"
	case r.Incomplete:
		return " (incomplete)"
	case r.Unsure:
		return " ?"
	}
	return ""
}

// doubt is that of the row in which a contender is the baseline; user-space TCP is in
// all of them, and none.
func (r *Report) doubt(workload, placement, contender, metric string) string {
	if contender == Ustack {
		return ""
	}
	return r.find(&Row{Workload: workload, Placement: placement, Baseline: contender}, metric).doubt()
}

// glyph marks a point of a contender: hollow where its ratio means little.
func glyph(contender string, doubt bool) draw.GlyphStyle {
	g := draw.GlyphStyle{Color: colorOf(contender), Radius: vg.Points(2.5), Shape: draw.CircleGlyph{}}
	if doubt {
		g.Shape = draw.RingGlyph{}
	}
	return g
}
