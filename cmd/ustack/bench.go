package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"text/tabwriter"
)

type benchCmd struct {
	Lab    string   `help:"Name of the lab, as scripts/lab.sh has it." default:"lab"`
	Rounds int      `help:"Pairs of measurements of each workload." default:"5"`
	Bytes  byteSize `help:"Bytes of a bulk transfer." default:"2GiB"`
	Pings  int64    `help:"Round trips of a latency measurement." default:"20000"`
	Only   string   `help:"Run only the workload of this name."`
	JSON   bool     `help:"Print JSON."`
}

func (c *benchCmd) Help() string {
	return `
Each workload runs on both stacks in turn, on the same client, processors and
congestion control; figures are medians, ratios are taken pair by pair.

Example:

  ./scripts/lab.sh up && ustack bench && ./scripts/lab.sh down
`
}

// A workload is one thing that is measured on both stacks.
type workload struct {
	name, unit string
	service    string
	oneCPU     bool
	server     []string // further arguments
	load       func(c *benchCmd, to string) []string
	value      func(loadResult) float64
}

var workloads = []workload{
	{name: "bulk in, 1 flow", unit: "Gbit/s", service: "sink", load: push(1), value: gbits},
	{name: "bulk in, 1 flow, each byte read", unit: "Gbit/s", service: "sink", server: []string{"--check"}, load: push(1), value: gbits},
	{name: "bulk in, 8 flows", unit: "Gbit/s", service: "sink", load: push(8), value: gbits},
	{name: "bulk out, 1 flow", unit: "Gbit/s", service: "source", load: pull(1), value: gbits},
	{name: "bulk out, 8 flows", unit: "Gbit/s", service: "source", load: pull(8), value: gbits},
	{name: "64 B round trip, p50", unit: "us", service: "echo", load: ping, value: func(r loadResult) float64 { return r.P50us }},
	{name: "64 B round trip, p50, one CPU", unit: "us", service: "echo", oneCPU: true, load: ping, value: func(r loadResult) float64 { return r.P50us }},
}

func gbits(r loadResult) float64 { return r.Gbits }

func push(flows int) func(*benchCmd, string) []string {
	return func(c *benchCmd, to string) []string {
		return []string{"push", "--to", to + ":9", "--flows", strconv.Itoa(flows), "--bytes", fmt.Sprint(uint64(c.Bytes) / uint64(flows))}
	}
}

func pull(flows int) func(*benchCmd, string) []string {
	return func(_ *benchCmd, to string) []string {
		return []string{"pull", "--to", to + ":19", "--flows", strconv.Itoa(flows)}
	}
}

func ping(c *benchCmd, to string) []string {
	return []string{"ping", "--to", to + ":7", "--requests", fmt.Sprint(c.Pings)}
}

// A benchRun is one measurement on one stack.
type benchRun struct {
	Value       float64 `json:"value"`
	CPUPerGB    float64 `json:"server_cpu_s_per_gb"`
	InPlace     float64 `json:"in_place_share"`
	Retransmits uint64  `json:"retransmissions"`
}

// A benchRow is one workload's figures. Spread is the least and the greatest
// ratio of a pair.
type benchRow struct {
	Workload   string                `json:"workload"`
	Unit       string                `json:"unit"`
	Netstack   float64               `json:"netstack"`
	Kernel     float64               `json:"kernel"`
	Ratio      float64               `json:"ratio"`
	Spread     [2]float64            `json:"spread"`
	Congestion string                `json:"congestion_control"`
	ServerCPU  []int                 `json:"server_cpus"`
	ClientCPU  []int                 `json:"client_cpus"`
	Runs       map[string][]benchRun `json:"runs"`
}

func (c *benchCmd) Run(ctx context.Context) error {
	if c.Rounds < 1 || c.Bytes < 1 || c.Pings < 1 {
		return errors.New("--rounds, --bytes and --pings: at least 1")
	}
	l := lab{c.Lab}
	if err := l.check(); err != nil {
		return err
	}
	var rows []benchRow
	for _, w := range workloads {
		if c.Only != "" && c.Only != w.name {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s ", w.name)
		row, err := c.measure(ctx, l, w)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return fmt.Errorf("--only %q: no such workload", c.Only)
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(rows)
	}
	printBench(os.Stdout, rows)
	return nil
}

func (c *benchCmd) measure(ctx context.Context, l lab, w workload) (benchRow, error) {
	row := benchRow{Workload: w.name, Unit: w.unit, Runs: map[string][]benchRun{}}
	row.ServerCPU, row.ClientCPU = twoCPUs(runtime.NumCPU())
	if w.oneCPU {
		row.ClientCPU = row.ServerCPU
	}
	for range c.Rounds {
		for _, stack := range demoStacks {
			r, err := c.once(ctx, l, w, stack, &row)
			if err != nil {
				return row, fmt.Errorf("on %s: %w", stack, err)
			}
			row.Runs[stack] = append(row.Runs[stack], r)
			fmt.Fprint(os.Stderr, ".")
		}
	}
	var ns, ks, ratios []float64
	for i, n := range row.Runs["netstack"] {
		k := row.Runs["kernel"][i]
		ns, ks, ratios = append(ns, n.Value), append(ks, k.Value), append(ratios, n.Value/k.Value)
	}
	row.Netstack, row.Kernel, row.Ratio = median(ns), median(ks), median(ratios)
	s := sorted(ratios)
	row.Spread = [2]float64{s[0], s[len(s)-1]}
	return row, nil
}

// once measures a workload on one stack, on a server of its own.
func (c *benchCmd) once(ctx context.Context, l lab, w workload, stack string, row *benchRow) (r benchRun, err error) {
	args := w.server
	if w.service == "source" {
		flows := 1
		if w.name == "bulk out, 8 flows" {
			flows = 8
		}
		args = append(args[:len(args):len(args)], "--bytes", fmt.Sprint(uint64(c.Bytes)/uint64(flows)))
	}
	srv, err := l.serve(ctx, stack, w.service, row.ServerCPU, args...)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	before, err := srv.snapshot()
	if err != nil {
		return r, err
	}
	if before.Stack != stack {
		return r, fmt.Errorf("the server runs on %s", before.Stack)
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	load := append([]string{self, "load"}, w.load(c, l.address(stack))...)
	cmd := l.command(ctx, "client", row.ClientCPU, append(load, "--json", "--cpu", cpuList(row.ClientCPU))...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("load: %w", err)
	}
	var res loadResult
	if err := json.Unmarshal(out, &res); err != nil {
		return r, fmt.Errorf("load: %w: %s", err, out)
	}
	if res.Congestion != before.Congestion {
		return r, fmt.Errorf("congestion control is %s at the client and %s at the server", res.Congestion, before.Congestion)
	}
	row.Congestion = res.Congestion
	after, err := srv.snapshot()
	if err != nil {
		return r, err
	}
	u := after.since(before)
	r = benchRun{
		Value:       w.value(res),
		CPUPerGB:    u.cpu.Seconds() / (float64(u.in+u.out) / 1e9),
		Retransmits: u.retransmits,
	}
	if u.in > 0 {
		r.InPlace = float64(u.placedIn) / float64(u.in)
	}
	return r, nil
}

func printBench(w io.Writer, rows []benchRow) {
	fmt.Fprintf(w, "user-space TCP on a TAP against kernel TCP over veth; %d pairs in turn, medians; congestion control %s at both ends;\n%s\n\n",
		len(rows[0].Runs["netstack"]), rows[0].Congestion, environment())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "workload\tunit\tuser space\tkernel\tratio\tspread\tCPU s/GB\tCPU s/GB, kernel\tin place\tsent again\t")
	for _, r := range rows {
		var again uint64
		var cpuN, cpuK, placed []float64
		for i, n := range r.Runs["netstack"] {
			again += n.Retransmits
			cpuN, cpuK = append(cpuN, n.CPUPerGB), append(cpuK, r.Runs["kernel"][i].CPUPerGB)
			placed = append(placed, n.InPlace)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%.1f\t%.2f\t%.2f-%.2f\t%.3f\t%.3f\t%.2f%%\t%d\t\n", r.Workload, r.Unit, r.Netstack, r.Kernel, r.Ratio,
			r.Spread[0], r.Spread[1], median(cpuN), median(cpuK), 100*median(placed), again)
	}
	t.Flush()
}
