package compare

import (
	"fmt"
	"math"
	"slices"
)

// Median of values; NaN of none.
func Median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[n/2]
}

// A Pair is the two values of one round, and the first in relation to the second.
type Pair struct {
	Pair   int      `json:"pair"`
	Ustack float64  `json:"ustack"`
	Other  float64  `json:"other"`
	Ratio  *float64 `json:"ratio"` // null where Other is 0
}

// NewPair makes the pair of a round.
func NewPair(round int, ustack, other float64) Pair {
	p := Pair{Pair: round, Ustack: ustack, Other: other}
	if other != 0 {
		r := ustack / other
		p.Ratio = &r
	}
	return p
}

// A Summary is what some pairs come to.
type Summary struct {
	Ustack, Other float64 // medians
	// Ratio is the median of the ratios pair by pair, and Spread the least and the
	// greatest of them; nil if a pair has none.
	Ratio  *float64
	Spread *[2]float64
	Unsure string // why the ratio means nothing, or little; empty if it means something
}

// Limits of the rule for ratios that mean nothing.
const (
	// LeastPairs: fewer say nothing of how far runs differ. That all pairs of two that are
	// equal agree which is ahead happens once in 2^(n-1): in 4 with 3 pairs, in 16 with 5.
	LeastPairs = 5
	// EqualWithin is how wide a spread around 1 may be to say that two are equal.
	EqualWithin = 0.10
	// WidestSpread is how many times its least the greatest ratio may be.
	WidestSpread = 2.0
)

// Summarize takes medians over pairs, of which there is at least one.
func Summarize(pairs []Pair) Summary {
	var us, others, ratios []float64
	for _, p := range pairs {
		us, others = append(us, p.Ustack), append(others, p.Other)
		if p.Ratio != nil {
			ratios = append(ratios, *p.Ratio)
		}
	}
	s := Summary{Ustack: Median(us), Other: Median(others)}
	if len(ratios) < len(pairs) {
		return s // a baseline of zero: no ratio, and nothing to be unsure of
	}
	r := Median(ratios)
	s.Ratio, s.Spread = &r, &[2]float64{slices.Min(ratios), slices.Max(ratios)}
	s.Unsure = unsure(len(ratios), s.Spread[0], s.Spread[1])
	return s
}

// Count writes a number of things, with their name in the singular or the plural.
func Count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// unsure is the rule that decides whether a ratio means something. It does not if there
// are fewer than LeastPairs pairs; if some pairs say "more" and some "less", unless all
// lie within EqualWithin, which says "equal"; and if the greatest ratio is more than
// WidestSpread times the least, which leaves its size open.
func unsure(pairs int, least, greatest float64) string {
	switch {
	case pairs < LeastPairs:
		return fmt.Sprintf("%s: a look, not a measurement, which takes %d", Count(pairs, "pair"), LeastPairs)
	case least < 1 && greatest > 1 && greatest-least > EqualWithin:
		return "the pairs do not agree which of the two is ahead"
	case greatest > WidestSpread*least:
		return fmt.Sprintf("the pairs differ by more than %g times: the order is sure, the size is not", WidestSpread)
	}
	return ""
}
