package compare

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count":  Count,
	"figure": Figure,
	"join":   strings.Join,
	"ratio":  func(r Row) string { return r.RatioText() },
	"spread": func(r Row) string { return r.SpreadText() },
	"of": func(r *float64) string {
		if r == nil {
			return "-"
		}
		return fmt.Sprintf("%.3f", *r)
	},
}).Parse(pageText))

// A section of the page is a group of workloads.
type section struct {
	Name   string
	Charts []picture
	Main   []Row
	Others []Row
}

type picture struct {
	Title string
	SVG   template.HTML
}

// HTML is the report as one page that needs nothing else.
func (r *Report) HTML(charts []Chart) ([]byte, error) {
	var overview []picture
	byGroup := map[string][]picture{}
	for _, c := range charts {
		// Drawn here, of names that the plan has: nothing in it is anybody else's.
		p := picture{c.Title, template.HTML(c.SVG)}
		if c.Group == "" {
			overview = append(overview, p)
			continue
		}
		byGroup[c.Group] = append(byGroup[c.Group], p)
	}
	var sections []section
	for _, g := range r.groups() {
		s := section{Name: g, Charts: byGroup[g]}
		for _, row := range r.Rows {
			switch {
			case row.Group != g:
			case metric(g, row.Metric).Main:
				s.Main = append(s.Main, row)
			default:
				s.Others = append(s.Others, row)
			}
		}
		sections = append(sections, s)
	}
	var b bytes.Buffer
	if err := page.Execute(&b, map[string]any{"Report": r, "Overview": overview, "Sections": sections}); err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return b.Bytes(), nil
}
