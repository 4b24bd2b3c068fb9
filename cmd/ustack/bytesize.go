package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A byteSize is a number of bytes that may be given with a unit: 64KiB, 1GiB.
type byteSize uint64

var byteUnits = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText reads a number with an optional unit.
func (b *byteSize) UnmarshalText(text []byte) error {
	s, unit := strings.TrimSpace(string(text)), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 || v*unit > math.MaxInt64 || math.IsNaN(v) {
		return fmt.Errorf("%q is not a number of bytes, such as 65536, 64KiB or 1GiB", text)
	}
	*b = byteSize(v * unit)
	return nil
}
