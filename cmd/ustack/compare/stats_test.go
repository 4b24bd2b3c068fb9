package compare

import (
	"math"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 2, 3}, 2.5},
		{[]float64{0, 0, 9}, 0},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("a median of nothing")
	}
	v := []float64{3, 1, 2}
	Median(v)
	if v[0] != 3 {
		t.Error("the values were put into another order")
	}
}

func TestRatiosArePairByPair(t *testing.T) {
	// The machine became slower by half after the first round: the medians of the two
	// say nothing of their ratio, the pairs do.
	pairs := []Pair{NewPair(1, 40, 20), NewPair(2, 20, 10), NewPair(3, 20, 10), NewPair(4, 20, 10), NewPair(5, 20, 10)}
	s := Summarize(pairs)
	if s.Ustack != 20 || s.Other != 10 || *s.Ratio != 2 || *s.Spread != [2]float64{2, 2} || s.Unsure != "" {
		t.Errorf("%+v", s)
	}
}

func TestABaselineOfZeroHasNoRatio(t *testing.T) {
	s := Summarize([]Pair{NewPair(1, 1, 0), NewPair(2, 1, 2), NewPair(3, 1, 2)})
	if s.Ratio != nil || s.Spread != nil || s.Unsure != "" {
		t.Errorf("%+v", s)
	}
}

func TestARatioWithoutMeaningSaysSo(t *testing.T) {
	for _, c := range []struct {
		name   string
		ratios []float64
		want   string // part of the reason, empty: it means something
	}{
		{"one pair", []float64{2}, "1 pair: a look"},
		{"three pairs", []float64{2, 2, 2}, "3 pairs: a look"},
		{"four pairs", []float64{2, 2, 2, 2}, "4 pairs: a look"},
		{"all ahead", []float64{1.1, 1.2, 1.3, 1.2, 1.1}, ""},
		{"all behind", []float64{0.5, 0.6, 0.7, 0.6, 0.5}, ""},
		{"now ahead, now behind", []float64{0.9, 1.2, 1.3, 1.2, 1.2}, "do not agree"},
		{"equal", []float64{0.97, 1.0, 1.04, 1.0, 1.0}, ""},
		{"ahead by a hair each time", []float64{1.01, 1.01, 1.02, 1.01, 1.01}, ""},
		{"ahead by nobody knows how much", []float64{1.1, 1.9, 2.3, 1.5, 1.5}, "size is not"},
		{"twice at most", []float64{1.1, 1.9, 2.2, 1.5, 1.5}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pairs []Pair
			for i, r := range c.ratios {
				pairs = append(pairs, NewPair(i+1, r, 1))
			}
			got := Summarize(pairs).Unsure
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
