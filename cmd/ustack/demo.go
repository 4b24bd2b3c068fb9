package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"ustack/cmd/ustack/compare"
)

type demoCmd struct {
	Lab       string   `help:"Name of the lab, as scripts/lab.sh has it." default:"lab"`
	Size      byteSize `help:"Size of the file that is put and got." default:"256MiB"`
	Rounds    int      `help:"How often, with the servers in turn; after a first time that does not count; the table shows medians." default:"3"`
	JSON      string   `name:"json" help:"Write the figures to this file too." type:"path"`
	Smbclient string   `help:"The client." default:"smbclient"`
}

func (c *demoCmd) Help() string {
	return `
Example:

  ./scripts/lab.sh up && ustack demo && ./scripts/lab.sh down     (which is what scripts/demo.sh does)
`
}

// A demoResult is one server's column of the demonstration; the JSON file holds one
// for each.
type demoResult struct {
	PutMBs       float64 `json:"put_mb_per_s"`
	GetMBs       float64 `json:"get_mb_per_s"`
	CPUPerGB     float64 `json:"cpu_s_per_gb"`
	SHA256OK     bool    `json:"sha256_ok"`
	Congestion   string  `json:"congestion_control"`
	ServerCPU    []int   `json:"server_cpus"`
	ClientCPU    []int   `json:"client_cpus"`
	FileBytes    uint64  `json:"file_bytes"`
	Measurements int     `json:"rounds"`
	*demoInside          // nil of a server that can't be asked
}

// demoInside is what only our own server tells. Its system calls are reads and writes as the kernel
// counts them, which has no number for those by which others send and receive.
type demoInside struct {
	CallsPerMB  float64 `json:"syscalls_per_mb"`
	CopiesIn    float64 `json:"copies_in_per_byte"`
	CopiesOut   float64 `json:"copies_out_per_byte"`
	InPlace     float64 `json:"in_place_share"`
	Retransmits float64 `json:"retransmissions"`
}

// demoServers are the servers of the demonstration, by contender, with what the table and
// the JSON file call them.
var demoServers = []struct{ name, key, title string }{
	{compare.Ustack, "netstack", "user-space TCP"},
	{compare.Veth, "kernel", "kernel TCP"},
	{compare.Smbd, "smbd", "smbd"}, // over kernel TCP
}

// leastDemo is the least file that smbclient's clock, which counts milliseconds, can tell the speed of.
const leastDemo = 1 << 20

func (c *demoCmd) Run(ctx context.Context, log *slog.Logger) error {
	if c.Rounds < 1 || c.Size < leastDemo {
		return fmt.Errorf("--rounds %d --size %d: want at least 1, and 1MiB", c.Rounds, c.Size)
	}
	l := lab{name: c.Lab}
	if err := l.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ustack-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "random")
	sum, err := randomFile(file, int64(c.Size))
	if err != nil {
		return err
	}
	missing := map[string]string{}
	for _, s := range demoServers {
		missing[s.name] = l.missing(ctx, s.name)
	}
	rounds := map[string][]demoResult{}
	for i := range c.Rounds + 1 {
		for _, s := range demoServers {
			if missing[s.name] != "" {
				continue
			}
			// The first round does not count: memory that a virtual machine touches for
			// the first time comes slowly, and one of them has to be the first.
			if i == 0 {
				fmt.Fprintf(os.Stderr, "warming up, %s: ", s.title)
			} else {
				fmt.Fprintf(os.Stderr, "round %d of %d, %s: ", i, c.Rounds, s.title)
			}
			d := &demoRun{cmd: c, lab: l, server: s.name, file: file, sum: sum}
			d.serverCPU, d.clientCPU = twoCPUs(runtime.NumCPU())
			r, err := d.run(ctx)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				if ctx.Err() != nil {
					return ctx.Err() // nothing has failed
				}
				return fmt.Errorf("demonstration, %s: %w", s.title, err)
			}
			fmt.Fprintf(os.Stderr, "put %.0f MB/s, get %.0f MB/s\n", r.PutMBs, r.GetMBs)
			if i > 0 {
				rounds[s.key] = append(rounds[s.key], r)
			}
		}
	}
	results := map[string]demoResult{}
	for key, rs := range rounds {
		results[key] = medians(rs)
	}
	printDemo(os.Stdout, results, rounds)
	fmt.Println("\nA ratio is user-space TCP's to the other's, round by round: the median, with the least and the greatest.")
	if _, ok := results["smbd"]; ok {
		fmt.Printf("smbd is Samba's, %s, over kernel TCP, with messages of at most 1 MiB as the others, and else as it comes.\n", smbdVersion(ctx))
	}
	for _, s := range demoServers {
		if why := missing[s.name]; why != "" {
			fmt.Fprintf(os.Stdout, "\nWithout %s: %s.\n", s.name, why)
		}
	}
	if c.JSON != "" {
		b, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.JSON, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	for key, r := range results {
		if !r.SHA256OK {
			return fmt.Errorf("%s: a file came back with another SHA-256", key)
		}
	}
	return nil
}

// randomFile writes n random bytes and returns their SHA-256.
func randomFile(path string, n int64) (string, error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, h), rand.Reader, n)
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, f.Close())
}

func sha256Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// A demoRun is one round of one server.
type demoRun struct {
	cmd       *demoCmd
	lab       lab
	server    string
	file, sum string
	serverCPU []int
	clientCPU []int

	host, port string
}

func (d *demoRun) run(ctx context.Context) (r demoResult, err error) {
	srv, err := d.lab.enter(ctx, d.server, &compare.Workload{Service: "smb"}, d.serverCPU)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	if d.host, d.port, err = net.SplitHostPort(srv.address("smb")); err != nil {
		return r, err
	}
	if d.server != compare.Smbd { // whose list comes from a program of its own, which is not set up here
		if err := d.listShares(ctx); err != nil {
			return r, err
		}
	}
	before, err := srv.sample()
	if err != nil {
		return r, err
	}
	putOut, err := d.on(ctx, fmt.Sprintf("put %s random", d.file))
	if err != nil {
		return r, err
	}
	put, err := srv.sample()
	if err != nil {
		return r, err
	}
	stored, err := sha256Of(filepath.Join(srv.share(), "random"))
	if err != nil {
		return r, err
	}
	local, err := os.MkdirTemp("", "ustack-got-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(local)
	got := filepath.Join(local, "got")
	getOut, err := d.on(ctx, fmt.Sprintf("get random %s", got))
	if err != nil {
		return r, err
	}
	get, err := srv.sample()
	if err != nil {
		return r, err
	}
	back, err := sha256Of(got)
	if err != nil {
		return r, err
	}
	if err := d.rearrange(ctx, srv.share()); err != nil {
		return r, err
	}
	r, err = d.result(put.since(before), get.since(put), putOut, getOut)
	if err != nil {
		return r, err
	}
	if r.Congestion, err = d.congestion(ctx, before); err != nil {
		return r, err
	}
	r.SHA256OK = stored == d.sum && back == d.sum
	return r, err
}

// rearrange has the client list, make a directory, rename and delete, and looks
// at what that did to the directory that is served.
func (d *demoRun) rearrange(ctx context.Context, share string) error {
	out, err := d.on(ctx, `ls; mkdir sub; rename random sub\renamed; ls sub\*`)
	if err != nil {
		return err
	}
	if !strings.Contains(out, "random") || !strings.Contains(out, "renamed") {
		return fmt.Errorf("list, mkdir, rename: the lists lack what should be there: %s", out)
	}
	if _, err := os.Stat(filepath.Join(share, "sub", "renamed")); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	if _, err := d.on(ctx, `del sub\renamed; rmdir sub`); err != nil {
		return err
	}
	left, err := os.ReadDir(share)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if len(left) > 0 {
		return fmt.Errorf("delete: %d entries are left in %s", len(left), share)
	}
	return nil
}

func (d *demoRun) listShares(ctx context.Context) error {
	out, err := d.smbclient(ctx, "-L", "//"+d.host)
	return d.said("list of shares", out, err, strings.Contains(out, shareName))
}

func (d *demoRun) on(ctx context.Context, commands string) (string, error) {
	out, err := d.smbclient(ctx, "//"+d.host+"/"+shareName, "-p", d.port, "-c", commands)
	return out, d.said(commands, out, err, !strings.Contains(out, "NT_STATUS_"))
}

// errNotDone: smbclient ends without an error when a command has failed.
var errNotDone = errors.New("not done")

// said is nil if the client did what it was asked; else the error tells what that was, and what
// the client said.
func (d *demoRun) said(what, out string, err error, done bool) error {
	if err == nil && done {
		return nil
	}
	if err == nil {
		err = errNotDone
	}
	return fmt.Errorf("%s: %s: %w: %s", d.cmd.Smbclient, what, err, strings.TrimSpace(out))
}

func (d *demoRun) smbclient(ctx context.Context, args ...string) (string, error) {
	cmd := d.lab.command(ctx, "client", d.clientCPU, append([]string{d.cmd.Smbclient, "-N"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// rate is how smbclient tells its speed, in KiB/s: "(306601.1 kb/s)" of a put,
// "(339125.4 KiloBytes/sec)" of a get.
var rate = regexp.MustCompile(`\(([0-9.]+) (?:kb/s|KiloBytes/sec)\)`)

func goodput(out string) (float64, error) {
	m := rate.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("the client did not tell its speed: %s", out)
	}
	kib, err := strconv.ParseFloat(m[1], 64)
	return kib * 1024 / 1e6, err
}

// congestion is the congestion control at both ends. The client's sockets are not
// ours to ask: the route to the server, by which it is chosen, is.
func (d *demoRun) congestion(ctx context.Context, server snapshot) (string, error) {
	route, err := d.lab.routeCongestion(ctx, "client", d.host)
	if err == nil && route != server.Congestion {
		err = fmt.Errorf("the server uses %s, the client's route says %s", server.Congestion, route)
	}
	return route, err
}

func (d *demoRun) result(put, get usage, putOut, getOut string) (r demoResult, err error) {
	if r.PutMBs, err = goodput(putOut); err != nil {
		return r, err
	}
	if r.GetMBs, err = goodput(getOut); err != nil {
		return r, err
	}
	total := float64(2 * d.cmd.Size)
	r.CPUPerGB = (put.cpu + get.cpu).Seconds() / (total / 1e9)
	r.ServerCPU, r.ClientCPU = d.serverCPU, d.clientCPU
	r.FileBytes = uint64(d.cmd.Size)
	if d.server != compare.Smbd {
		r.demoInside = &demoInside{
			CallsPerMB:  float64(put.calls+get.calls) / (total / 1e6),
			CopiesIn:    float64(put.copiedIn) / float64(put.in),
			CopiesOut:   float64(get.copiedOut) / float64(get.out),
			InPlace:     float64(put.placedIn) / float64(put.in),
			Retransmits: float64(put.retransmits + get.retransmits),
		}
	}
	return r, nil
}

// medians of the figures of some rounds; a file that came back wrong in one of
// them is wrong.
func medians(rs []demoResult) demoResult {
	m := rs[0]
	m.Measurements = len(rs)
	of := []func(*demoResult) *float64{
		func(r *demoResult) *float64 { return &r.PutMBs },
		func(r *demoResult) *float64 { return &r.GetMBs },
		func(r *demoResult) *float64 { return &r.CPUPerGB },
	}
	if m.demoInside != nil {
		inside := *m.demoInside
		m.demoInside = &inside
		of = append(of,
			func(r *demoResult) *float64 { return &r.CallsPerMB },
			func(r *demoResult) *float64 { return &r.CopiesIn },
			func(r *demoResult) *float64 { return &r.CopiesOut },
			func(r *demoResult) *float64 { return &r.InPlace },
			func(r *demoResult) *float64 { return &r.Retransmits },
		)
	}
	for _, f := range of {
		values := make([]float64, len(rs))
		for i := range rs {
			values[i] = *f(&rs[i])
		}
		*f(&m) = median(values)
	}
	for _, r := range rs {
		m.SHA256OK = m.SHA256OK && r.SHA256OK
	}
	return m
}

func sorted(v []float64) []float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	return s
}

func printDemo(w io.Writer, results map[string]demoResult, rounds map[string][]demoResult) {
	n := results["netstack"]
	fmt.Fprintf(w, "\nsmbclient puts and gets a file of %d bytes; %s in turn after one that does not count, medians; congestion control %s at both ends;\n"+
		"server on CPU %s, client on CPU %s; %s\n\n", n.FileBytes, compare.Count(n.Measurements, "round"), n.Congestion, cpuList(n.ServerCPU), cpuList(n.ClientCPU), environment())
	t := new(strings.Builder)
	// One line: what it tells of each server, and, of each but the first, the ratio of the first to it.
	line := func(what string, of func(r demoResult, key string) (value, ratio string)) {
		fmt.Fprint(t, what)
		for _, s := range demoServers {
			r, ok := results[s.key]
			if !ok {
				continue
			}
			value, ratio := of(r, s.key)
			fmt.Fprint(t, "\t", value)
			if s.name != compare.Ustack {
				fmt.Fprint(t, "\t", ratio)
			}
		}
		fmt.Fprintln(t)
	}
	compared := func(what, format string, of func(demoResult) float64) {
		line(what, func(r demoResult, key string) (string, string) {
			return fmt.Sprintf(format, of(r)), pairwise(rounds["netstack"], rounds[key], of)
		})
	}
	inside := func(what, format string, of func(*demoInside) float64) {
		line(what, func(r demoResult, _ string) (string, string) {
			if r.demoInside == nil {
				return "", ""
			}
			return fmt.Sprintf(format, of(r.demoInside)), ""
		})
	}
	for _, s := range demoServers {
		if _, ok := results[s.key]; !ok {
			continue
		}
		fmt.Fprint(t, "\t", s.title)
		if s.name != compare.Ustack {
			fmt.Fprint(t, "\tratio to ", s.key)
		}
	}
	fmt.Fprintln(t)
	compared("put, MB/s", "%.0f", func(r demoResult) float64 { return r.PutMBs })
	compared("get, MB/s", "%.0f", func(r demoResult) float64 { return r.GetMBs })
	compared("server CPU, s/GB", "%.3f", func(r demoResult) float64 { return r.CPUPerGB })
	inside("user-space copies per byte, inward", "%.4f", func(r *demoInside) float64 { return r.CopiesIn })
	inside("user-space copies per byte, outward", "%.4f", func(r *demoInside) float64 { return r.CopiesOut })
	inside("payload placed by the device", "%.2f%%", func(r *demoInside) float64 { return 100 * r.InPlace })
	inside("server system calls per MB", "%.1f", func(r *demoInside) float64 { return r.CallsPerMB })
	inside("segments sent again", "%.0f", func(r *demoInside) float64 { return r.Retransmits })
	line("SHA-256", func(r demoResult, _ string) (string, string) { return yesNo(r.SHA256OK), "" })
	_ = compare.Align(w, "", t.String()) // on a terminal
}

// pairwise is the median of the ratios of rounds, with the least and the greatest.
func pairwise(a, b []demoResult, of func(demoResult) float64) string {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, of(a[i])/of(b[i]))
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func yesNo(ok bool) string {
	if ok {
		return "as sent"
	}
	return "WRONG"
}
