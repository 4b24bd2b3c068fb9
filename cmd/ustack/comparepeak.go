package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ustack/cmd/ustack/compare"
)

// peakRuns is how often the kernel's peak is measured; the median counts.
const peakRuns = 3

// peakLoad finds how many requests a second there can be: as many connections as an
// open loop has, each with a request on its way at all times.
var peakLoad = []string{"ping", "--size", "64", "--flows", fmt.Sprint(compare.PeakFlows)}

func (r *runner) findPeak(ctx context.Context, s *compare.Step, kernel contestant, d time.Duration) error {
	if r.peaks[s.Placement] > 0 {
		return nil
	}
	if kernel == nil {
		return errors.New("without kernel TCP over veth there is no peak to send a part of")
	}
	_, cpus := placed(s.Placement)
	var rates []float64
	for range peakRuns {
		l := &loadRun{lab: r.lab, cpus: cpus, count: counted(s.Placement), time: d, args: append(append([]string{}, peakLoad...), "--to", kernel.address(s.Service), "--for", d.String())}
		res, err := l.run(ctx, kernel)
		if err != nil {
			return r.lab.blame(err, kernel)
		}
		if err := res.enough(d); err != nil {
			return err
		}
		rates = append(rates, float64(res.Requests)/res.Seconds)
	}
	r.peaks[s.Placement] = compare.Median(rates)
	return nil
}
