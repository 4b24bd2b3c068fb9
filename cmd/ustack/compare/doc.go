// Package compare is what "ustack compare" does apart from running anything: the plan
// of workloads and baselines, the time that each may take, the statistics of runs that
// were made in turn, and the report in JSON, CSV, HTML, charts and text.
//
// A [Run] is one measurement of a workload on one contender. Runs of one round are made
// one after another, so the two of a pair have met the same machine; a [Row] sets one
// metric of user-space TCP against one baseline, pair by pair.
package compare
