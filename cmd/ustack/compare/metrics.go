package compare

// A Metric is one thing that a run tells.
type Metric struct {
	Name   string
	Unit   string
	Better string // "higher" or "lower"
	// Main metrics are what a workload is for; the others say where the time went.
	Main bool
}

// Names of metrics.
const (
	Goodput     = "goodput"
	Requests    = "requests"
	P50         = "p50"
	P99         = "p99"
	P999        = "p99.9"
	SystemCPU   = "system CPU"
	ServerCPU   = "server CPU"
	ServerBusy  = "server busy"
	Calls       = "system calls"
	Wakeups     = "wake-ups"
	CopiesIn    = "copies in"
	CopiesOut   = "copies out"
	InPlace     = "placed in"
	Retransmits = "sent again"
	Allocs      = "allocations"
	GCShare     = "GC share of CPU"
	Memory      = "memory per connection"
	RingMemory  = "ring pages per connection"
)

// costs say where the time of a workload went: per megabyte (10^6 bytes) where it
// moves bytes, per request where it answers requests.
func costs(per string) []Metric {
	cpu := Metric{SystemCPU, "s/GB", "lower", true}
	if per != "MB" {
		cpu.Unit = "us/" + per
	}
	server := cpu
	server.Name, server.Main = ServerCPU, false
	return []Metric{
		cpu, server,
		{Calls, "1/" + per, "lower", false},
		{Wakeups, "1/" + per, "lower", false},
		{CopiesIn, "1/byte", "lower", false},
		{CopiesOut, "1/byte", "lower", false},
		{InPlace, "share", "higher", false},
		{Retransmits, "segments", "lower", false},
		{Allocs, "1/" + per, "lower", false},
		{GCShare, "share", "lower", false},
	}
}

// MetricsOf are those of a group of workloads.
func MetricsOf(group string) []Metric {
	latencies := []Metric{
		{P50, "us", "lower", true},
		{P99, "us", "lower", true},
		{P999, "us", "lower", false},
	}
	rate := Metric{Requests, "1/s", "higher", true}
	switch group {
	case GroupBulk:
		// Of one processor: whether the server, or the reader of a TAP, is what limits.
		return append(append([]Metric{{Goodput, "Gbit/s", "higher", true}}, costs("MB")...), Metric{ServerBusy, "share", "lower", false})
	case GroupFiles:
		return append([]Metric{{Goodput, "Gbit/s", "higher", true}}, costs("MB")...)
	case GroupOpen:
		return append(latencies, costs("request")...)
	case GroupConnections:
		return append([]Metric{rate, {Memory, "B", "lower", true}, {RingMemory, "B", "lower", false}}, append(latencies, costs("request")...)...)
	}
	if group == GroupRequest {
		rate.Main = false
	}
	return append([]Metric{rate}, append(latencies, costs("request")...)...)
}

// Headline is the metric that a group of workloads is known by.
func Headline(group string) Metric {
	for _, m := range MetricsOf(group) {
		if m.Main {
			return m
		}
	}
	return Metric{}
}

// metric looks one up.
func metric(group, name string) Metric {
	for _, m := range MetricsOf(group) {
		if m.Name == name {
			return m
		}
	}
	return Metric{Name: name}
}
