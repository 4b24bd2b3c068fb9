package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// Names of contenders. Ustack is what all others are the baselines of.
const (
	Ustack      = "ustack"
	Veth        = "veth"
	VethPlain   = "veth-plain"
	Loopback    = "loopback"
	Relay       = "relay"
	Stock       = "stock"
	Copy        = "copy"
	TAPRead     = "tap-read"
	TAPWrite    = "tap-write"
	Smbd        = "smbd"
	OneCPU      = "one-cpu"
	TwoCPUs     = "two-cpus"
	QuickBudget = 48 * time.Second
	FullBudget  = 19*time.Minute + 30*time.Second
)

// A Contender is one way to serve a workload.
type Contender struct {
	Name string `json:"name"`
	What string `json:"what"`
}

// Contenders are all there are, in the order in which the first round runs them.
var Contenders = []Contender{
	{Ustack, "user-space TCP with the IO area, on a TAP device"},
	{Veth, "kernel TCP over a veth pair"},
	{VethPlain, "kernel TCP over a veth pair with all offloads off"},
	{Loopback, "kernel TCP over loopback"},
	{Relay, "kernel TCP behind two TAP devices that a program joins by moving frames: an upper bound on the price of crossing a TAP, which it does twice where user-space TCP does it once; its server CPU includes the program"},
	{Stock, "what gVisor's own endpoint (fdbased) and connections (gonet) reach on the same kind of TAP device, without virtio-net headers and so without segmentation offload, which fdbased does not use on a TAP: the IO area and offload together, not the IO area alone (see copy)"},
	{Copy, "user-space TCP with the IO area, each payload byte copied (--copy-all): what placement and lending add"},
	{TAPRead, "no TCP: 64 KiB frames that one packet socket sends are read from a TAP device and thrown away: what this sender gives, and the ceiling of what goes in only where the reader is busy all the time"},
	{TAPWrite, "no TCP: 64 KiB frames written to a TAP device and thrown away, the ceiling of what goes out"},
	{Smbd, "Samba's smbd on kernel TCP over the veth pair"},
}

// Values of Workload.Protect.
const (
	Signed    = "signed"
	Encrypted = "encrypted"
)

// Groups of workloads; each has a chart, and metrics of its own.
const (
	GroupBulk        = "bulk"
	GroupRequest     = "request and reply"
	GroupOpen        = "open loop"
	GroupConnect     = "connections made"
	GroupConnections = "connections held"
	GroupFiles       = "SMB files"
	GroupSMBRequests = "SMB requests"
)

// A Workload is one thing that is measured on each contender.
type Workload struct {
	Name    string
	Group   string
	Service string   // of ustack serve
	Server  []string // its further arguments
	Load    []string // of ustack load; --to, --cpu, --json and --for are added
	// Baselines that a plan of the whole comparison has, Placements likewise.
	Baselines  []string
	Placements []string
	// OfPeak is the share of the kernel's peak at which an open loop sends.
	OfPeak float64
	// Settled has the load wait with all connections open, so that what is counted of the
	// server begins there. Memory is that, with a server for each run, for memory that was
	// used once is kept, and what the server's memory has grown by is told.
	Settled, Memory bool
	// Protect is how SMB is protected: "", Signed or Encrypted, by dialect 3.1.1 and a user's log-on.
	Protect string
	// Entries is how many files lie in the directory that is listed.
	Entries int
	// Aside says that only Choice.Only brings it in: a whole comparison takes long enough.
	Aside bool
	// Quick says that a quick comparison has it too, on QuickBaselines.
	Quick          bool
	QuickBaselines []string
}

var (
	kernels = []string{Veth, VethPlain, Loopback, Relay, Stock}
	// few are for workloads that take long, or whose neighbours tell the others.
	few  = []string{Veth, Relay, Stock}
	both = []string{OneCPU, TwoCPUs}
)

// Workloads are all there are.
func Workloads() []Workload {
	var ws []Workload
	for _, flows := range []int{1, 8, 64} {
		ws = append(ws, bulk("in", flows, false), bulk("out", flows, false))
		if flows != 64 {
			ws = append(ws, bulk("in", flows, true))
		}
	}
	for _, size := range []int{64, 1 << 10, 4 << 10, 64 << 10} {
		baselines := kernels
		if size == 1<<10 || size == 4<<10 {
			baselines = few
		}
		ws = append(ws, Workload{
			Name: sizeName(size) + " round trip", Group: GroupRequest, Service: "echo",
			Load:      []string{"ping", "--size", strconv.Itoa(size)},
			Baselines: baselines, Placements: both, Settled: true, Quick: size == 64, QuickBaselines: []string{Veth, Relay, Stock},
		})
	}
	for _, share := range []float64{0.1, 0.5, 0.8, 0.9} {
		ws = append(ws, Workload{
			Name: fmt.Sprintf("open loop at %.0f%% of the kernel's peak", 100*share), Group: GroupOpen, Service: "echo",
			Load:      []string{"open", "--size", "64", "--flows", strconv.Itoa(PeakFlows)},
			Baselines: []string{Veth}, Placements: both, OfPeak: share, Settled: true, Quick: share == 0.5, QuickBaselines: []string{Veth},
		})
	}
	ws = append(ws, Workload{
		Name: "connect, request, reply, close", Group: GroupConnect, Service: "echo",
		Load:      []string{"connect", "--flows", "4"},
		Baselines: []string{Veth, Loopback, Relay, Stock}, Placements: both, Quick: true, QuickBaselines: []string{Veth},
	})
	ws = append(ws, smb()...)
	ws = append(ws, protected()...)
	for _, n := range []int{1, 100, 1000, 10000} { // last, for the last of them takes a minute and a half whatever the time
		ws = append(ws, connections(n))
	}
	return ws
}

// PeakFlows is how many connections find the kernel's peak, and share an open loop.
const PeakFlows = 16

// bulk sends or receives as much as it can.
func bulk(direction string, flows int, check bool) Workload {
	w := Workload{
		Name: fmt.Sprintf("bulk %s, %d flows", direction, flows), Group: GroupBulk, Service: "sink",
		Load:      []string{"push", "--flows", strconv.Itoa(flows)},
		Baselines: kernels, Placements: both, Quick: flows == 1 || flows == 8 && !check, QuickBaselines: []string{Veth},
	}
	if flows == 1 {
		w.Name = fmt.Sprintf("bulk %s, 1 flow", direction)
	}
	if direction == "out" {
		w.Service, w.Server, w.Load[0] = "source", []string{"--until-closed"}, "pull"
	}
	if direction == "out" && flows > 1 {
		// What a server has committed when the client has had enough is still sent: with
		// 64 rings of 8 MiB that takes longer than all the rest.
		w.Server = append(w.Server, "--ring-out", strconv.Itoa(max(16<<20/flows, 512<<10)))
	}
	switch {
	case check:
		w.Name, w.Server = w.Name+", each byte read", append(w.Server, "--check")
		if flows > 1 {
			w.Baselines = few
		}
	case flows == 1 && direction == "in":
		w.Baselines = append(slices.Clone(kernels), Copy, TAPRead)
		w.QuickBaselines = []string{Veth, Relay, Stock, TAPRead}
	case flows == 64: // to begin and to end takes these longer than the load itself
		w.Baselines = few
	case flows == 1:
		w.Baselines = append(slices.Clone(kernels), Copy, TAPWrite)
		w.QuickBaselines = []string{Veth, Stock, TAPWrite}
	}
	return w
}

// connections holds n of them open, of which one in a hundred is active.
func connections(n int) Workload {
	return Workload{
		Name: fmt.Sprintf("%d open connections, %d active", n, max(1, n/100)), Group: GroupConnections, Service: "echo",
		Server:    []string{"--max-conns", strconv.Itoa(n + 100)},
		Load:      []string{"many", "--flows", strconv.Itoa(n), "--active", strconv.Itoa(max(1, n/100))},
		Baselines: []string{Veth}, Placements: []string{TwoCPUs}, Settled: true, Memory: true, Quick: n == 100, QuickBaselines: []string{Veth},
	}
}

func smb() []Workload {
	var ws []Workload
	for _, w := range []struct {
		name, group string
		load        []string
		quick       bool
	}{
		{"SMB put", GroupFiles, []string{"put", "--depth", "4"}, false},
		{"SMB get", GroupFiles, []string{"get", "--depth", "4"}, true},
		{"SMB 4 KiB random reads, depth 1", GroupSMBRequests, []string{"read", "--block", "4KiB", "--depth", "1"}, false},
		{"SMB 4 KiB random reads, depth 32", GroupSMBRequests, []string{"read", "--block", "4KiB", "--depth", "32"}, true},
		{"SMB create, query, close", GroupSMBRequests, []string{"meta"}, false},
	} {
		ws = append(ws, Workload{
			Name: w.name, Group: w.group, Service: "smb", Load: append([]string{"smb"}, w.load...),
			Baselines: []string{Veth, Smbd}, Placements: both, Quick: w.quick, QuickBaselines: []string{Veth},
		})
	}
	return ws
}

// protected are the workloads of SMB whose messages are signed or encrypted, and a long listing.
func protected() []Workload {
	var ws []Workload
	add := func(name, group, protect string, entries int, load ...string) {
		if protect != "" {
			name += ", " + protect
			load = append(load, "--dialect", "SMB3_11", "--user", SMBUser, "--password", SMBPassword)
		}
		ws = append(ws, Workload{
			Name: name, Group: group, Service: "smb", Load: append([]string{"smb"}, load...), Protect: protect, Entries: entries, Aside: true,
			Baselines: []string{Veth, Smbd}, Placements: both,
		})
	}
	for _, protect := range []string{Signed, Encrypted} {
		add("SMB put", GroupFiles, protect, 0, "put", "--depth", "4")
		add("SMB get", GroupFiles, protect, 0, "get", "--depth", "4")
		add("SMB 4 KiB random reads, depth 1", GroupSMBRequests, protect, 0, "read", "--block", "4KiB", "--depth", "1")
		add("SMB 4 KiB random reads, depth 32", GroupSMBRequests, protect, 0, "read", "--block", "4KiB", "--depth", "32")
	}
	add("SMB listing of 100000 files", GroupSMBRequests, "", 100000, "list", "--file", ListedDirectory)
	return ws
}

// What a protected workload logs on as, and where the files are that are listed.
const (
	SMBUser         = "root" // smbd wants a user of the system's
	SMBPassword     = "compare-1"
	ListedDirectory = "many"
)

func sizeName(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// A Step is a workload at a placement, with the contenders that take part in it.
type Step struct {
	Workload
	Placement  string
	Contenders []string // Ustack first
}

// Turn is the order in which a round, the first of which is 1, measures the contenders. Who
// comes first, early, or after a certain other, meets another machine than who does not, and
// to turn the same order round and round changes the first alone. This is a Williams
// design: from neighbour to neighbour the places differ by 1, -2, 3, -4, ..., so that with
// each start somebody else follows somebody. Rounds come by four, two such orders and the
// same backwards: so each is before each other as often as behind it.
func (s *Step) Turn(round int) []string {
	n, four, place := len(s.Contenders), (round-1)/4, (round-1)%4
	at := (2*four + place%2) % n
	order := make([]string, n)
	for i := range order {
		order[i] = s.Contenders[at]
		step := i + 1
		if i%2 == 1 {
			step = n - (i+1)%n
		}
		at = (at + step) % n
	}
	if place >= 2 {
		slices.Reverse(order)
	}
	return order
}

// Choice says what of all there is a plan shall have.
type Choice struct {
	Quick bool
	// Only and Baselines leave all in if nil or empty.
	Only      *regexp.Regexp
	Baselines []string
	// CPUs is how many processors there are: with one there is one placement.
	CPUs int
}

// Plan is the steps to make, in order. Only matches the name of a workload with its
// placement behind it: "bulk in, 1 flow, two-cpus".
func Plan(c Choice) ([]Step, error) {
	for _, b := range c.Baselines {
		known := slices.ContainsFunc(Contenders[1:], func(k Contender) bool { return k.Name == b })
		if !known {
			return nil, fmt.Errorf("--baselines %q: there is no such baseline (there are %s)", b, names(Contenders[1:]))
		}
	}
	var steps []Step
	for _, w := range Workloads() {
		if w.Aside && c.Only == nil {
			continue
		}
		baselines, placements := w.Baselines, w.Placements
		if c.Quick {
			if !w.Quick {
				continue
			}
			baselines, placements = w.QuickBaselines, []string{TwoCPUs}
			if w.Name == "64 B round trip" {
				placements = both
			}
		}
		for _, p := range placements {
			if p == TwoCPUs && c.CPUs < 2 || c.Only != nil && !c.Only.MatchString(w.Name+", "+p) {
				continue
			}
			s := Step{Workload: w, Placement: p, Contenders: []string{Ustack}}
			for _, b := range baselines {
				if len(c.Baselines) == 0 || slices.Contains(c.Baselines, b) {
					s.Contenders = append(s.Contenders, b)
				}
			}
			if len(s.Contenders) > 1 {
				steps = append(steps, s)
			}
		}
	}
	if len(steps) == 0 {
		of := "no workload"
		if c.Quick {
			of = "of the few of --quick none"
		}
		return nil, fmt.Errorf("nothing to compare: %s matches --only, or none has one of the --baselines", of)
	}
	return steps, nil
}

func names(cs []Contender) string {
	s := ""
	for i, c := range cs {
		if i > 0 {
			s += ", "
		}
		s += c.Name
	}
	return s
}
