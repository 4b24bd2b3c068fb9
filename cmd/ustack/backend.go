package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ustack/ioarea"
	"ustack/netstack"
	"ustack/tap"
)

// stackFlags choose and tune the TCP stack that a server runs on. A flag that not every stack
// looks at names those that do under "on".
type stackFlags struct {
	Stack      string        `help:"TCP stack: netstack (user space, on a TAP device), kernel, or stock (gVisor's netstack as it comes, for comparison)." enum:"netstack,kernel,stock" default:"netstack"`
	TAP        string        `name:"tap" help:"TAP device: made if there is none of that name, and gone with the process then." default:"ustack0" on:"netstack,stock"`
	Addr       []string      `help:"Address to serve at. On netstack a prefix such as 10.77.0.2/24, on the kernel a plain address. May be repeated."`
	HostAddr   []string      `help:"Prefix to put on the kernel's side of the TAP, such as 10.77.0.1/24. May be repeated." on:"netstack,stock"`
	Gateway    []string      `help:"Router for addresses that are not on the link (netstack)." on:"netstack"`
	Congestion string        `help:"Congestion control of connections." default:"cubic"`
	Recovery   string        `help:"Loss recovery: sack (RFC 6675) or rack (RFC 8985) (netstack)." enum:"sack,rack" default:"sack" on:"netstack"`
	HyStart    bool          `name:"hystart" help:"Let CUBIC leave slow start before a loss, as gVisor does (netstack)." on:"netstack"`
	RingIn     byteSize      `help:"Size of a connection's in ring, rounded up to a power of two (0: what the handler needs)."`
	RingOut    byteSize      `help:"Size of a connection's out ring, likewise (0: what the handler needs)."`
	Windows    byteSize      `help:"Receive windows of all flows that receive much at the same time, together (netstack)." default:"16MiB" on:"netstack"`
	MaxConns   int           `help:"Most connections at once; further ones are refused." default:"10000"`
	Queues     int           `help:"Most queues of the TAP to use, one for each bulk flow (netstack)." default:"128" on:"netstack"`
	Shards     int           `help:"Loops that serve the TAP, each with queues and a processor of its own (netstack)." default:"1" on:"netstack"`
	InFlight   byteSize      `help:"Most bytes of a connection on their way at once (netstack)." default:"1MiB" on:"netstack"`
	Flights    byteSize      `help:"What all flows that send much at the same time have on its way, together (netstack)." default:"8MiB" on:"netstack"`
	MaxSend    byteSize      `help:"Most payload of one frame that goes out; more than 64KiB where the kernel takes it (netstack)." default:"256KiB" on:"netstack"`
	Spin       time.Duration `help:"Longest time to poll for the next frame before resting (netstack); negative: never poll." default:"200us" on:"netstack"`
	Coalesce   time.Duration `help:"Longest time that frames of bulk gather while the loop polls (netstack); negative: none." default:"150us" on:"netstack"`
	CopyAll    bool          `help:"Copy each payload byte into the in ring and out of the out ring: no placement, no lending (netstack)." on:"netstack"`
	CPU        []int         `name:"cpu" help:"Run on these processors only."`
	Procs      int           `help:"Goroutines that run at a time, at least one for each shard; 1 keeps receiving, TCP and handlers on one thread." default:"1"`
	Control    string        `help:"Unix socket for 'ustack stats' (default: in the runtime directory)."`
	Metrics    string        `help:"Address at which GET /metrics is answered for Prometheus: HOST:PORT on the kernel's TCP, or the path of a Unix socket. Whoever gets there may ask."`
	User       string        `help:"User to become once the TAP, sockets and ports are open: files are opened and made as that user, and no capability is left."`
	Totals     bool          `help:"Tell totals alone to 'ustack stats', and not each connection: asking then costs little, however many there are."`

	keys map[string]string // flags that a file has set, and where
}

// label is what the user calls a setting: the flag, or the file's key if that is where it is from.
func (f *stackFlags) label(flag string) string { return cmp.Or(f.keys[flag], "--"+flag) }

// A backend is where a server's areas come from.
type backend interface {
	Kind() string
	// Listen listens at port of each address.
	Listen(port uint16) (acceptor, error)
	// Snapshot tells counters, and describes the connections if that is asked for.
	Snapshot(conns bool) snapshot
	Close() error
}

type acceptor interface {
	Accept() (*ioarea.Area, error)
	Close() error
	Addr() net.Addr
}

// listenAll listens at all ports.
func listenAll(b backend, ports []uint16) (acceptor, error) {
	var all acceptors
	for _, port := range ports {
		ln, err := b.Listen(port)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, ln)
	}
	return join(all), nil
}

// mostLoops bounds goroutines that run at a time: Go has memory for each, whether or not there is a processor.
const mostLoops = 1024

// check refuses less than one of what there has to be one of, addresses that are given twice, and metrics at what is none.
func (f *stackFlags) check() error {
	for _, v := range []struct {
		flag    string
		n, most int
	}{{"max-conns", f.MaxConns, math.MaxInt}, {"queues", f.Queues, math.MaxInt}, {"shards", f.Shards, mostLoops}, {"procs", f.Procs, mostLoops}} {
		switch {
		case v.n < 1:
			return fmt.Errorf("%s %d: want at least 1", f.label(v.flag), v.n)
		case v.n > v.most:
			return fmt.Errorf("%s %d: want at most %d", f.label(v.flag), v.n, v.most)
		}
	}
	for i, addr := range f.Addr {
		if slices.Contains(f.Addr[:i], addr) {
			return fmt.Errorf("%s %s: given twice", f.label("addr"), addr)
		}
	}
	return checkMetrics(f.label("metrics"), f.Metrics)
}

// open makes the backend, for a process that becomes owner if it is not nil, with rings that hold at least in and out bytes.
func (f *stackFlags) open(log *slog.Logger, in, out int, owner *account) (backend, error) {
	// Rounded here, so that what is logged is what is used.
	in, err := ioarea.RoundSize(cmp.Or(int(f.RingIn), in))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.label("ring-in"), err)
	}
	if out, err = ioarea.RoundSize(cmp.Or(int(f.RingOut), out)); err != nil {
		return nil, fmt.Errorf("%s: %w", f.label("ring-out"), err)
	}
	switch f.Stack {
	case "kernel":
		return newKernelBackend(f, log, in, out)
	case "stock":
		return newStockBackend(f, log, in, out)
	}
	return newNetstackBackend(f, log, in, out, owner)
}

type netstackBackend struct {
	stack *netstack.Stack
	addrs []netip.Prefix
}

func newNetstackBackend(f *stackFlags, log *slog.Logger, in, out int, owner *account) (backend, error) {
	addrs, host, err := f.link()
	if err != nil {
		return nil, err
	}
	var gateways []netip.Addr
	for _, g := range f.Gateway {
		a, err := netip.ParseAddr(g)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.label("gateway"), err)
		}
		if !a.IsLinkLocalUnicast() && !slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return p.Contains(a) && p.Addr() != a }) {
			return nil, fmt.Errorf("%s %v: no other host of the network of %s %v", f.label("gateway"), a, f.label("addr"), addrs)
		}
		gateways = append(gateways, a)
	}
	cfg := netstack.Config{
		Addrs: addrs, Gateways: gateways,
		RingIn: in, RingOut: out, WindowBudget: int(f.Windows), MaxConns: f.MaxConns, Queues: f.Queues, Shards: f.Shards,
		InFlight: int(f.InFlight), FlightBudget: int(f.Flights), MaxSend: int(f.MaxSend), Spin: f.Spin, Coalesce: f.Coalesce, Congestion: f.Congestion, Recovery: f.Recovery, HyStart: f.HyStart, CopyAll: f.CopyAll, Logger: log,
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	dev, err := tap.Open(tap.Config{Name: f.TAP, Queues: f.Queues, HostAddrs: host, Up: len(host) > 0, Owner: owner.id()})
	if err != nil {
		return nil, tapError(err)
	}
	warnOfNoNeighbour(log, dev.Name(), addrs)
	cfg.Device = dev
	s, err := netstack.New(cfg)
	if err != nil {
		return nil, errors.Join(err, dev.Close())
	}
	log.Info("user-space TCP is up", "tap", dev.Name(), "addrs", addrs, "congestion", f.Congestion, "ring_in", in, "ring_out", out)
	return &netstackBackend{s, addrs}, nil
}

func prefixes(flag string, ss []string) ([]netip.Prefix, error) {
	var ps []netip.Prefix
	for _, s := range ss {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s %q: want an address with its prefix length, such as 10.77.0.2/24: %w", flag, s, err)
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func (b *netstackBackend) Kind() string { return "netstack" }
func (b *netstackBackend) Close() error { return b.stack.Close() }

func (b *netstackBackend) Listen(port uint16) (acceptor, error) {
	var all acceptors
	for _, p := range b.addrs {
		ln, err := b.stack.Listen(netip.AddrPortFrom(p.Addr(), port))
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, ln)
	}
	return join(all), nil
}

func (b *netstackBackend) Snapshot(conns bool) snapshot {
	st := b.stack.Stats()
	s := snapshot{Congestion: b.stack.Congestion(), Netstack: &st, Syscalls: st.Polls, Retransmits: st.Retransmits, Total: b.stack.Totals()}
	if conns {
		s.Conns = b.stack.Conns()
	}
	return s
}

// kernelBackend is kernel TCP behind the same areas.
type kernelBackend struct {
	log        *slog.Logger
	addrs      []netip.Addr
	congestion string // asked for
	used       string // what the kernel says
	maxConns   int
	pool       *ioarea.Pool

	mu      sync.Mutex
	conns   map[*ioarea.Kernel]struct{}
	past    ioarea.Stats // of connections that have ended
	gone    sync.WaitGroup
	refused uint64
	logged  time.Time // when a refusal was, last
}

func newKernelBackend(f *stackFlags, log *slog.Logger, in, out int) (backend, error) {
	b := &kernelBackend{log: log, congestion: f.Congestion, maxConns: f.MaxConns, conns: map[*ioarea.Kernel]struct{}{}}
	for _, s := range f.Addr {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("%s %q: on the kernel's stack want a plain address: %w", f.label("addr"), s, err)
		}
		b.addrs = append(b.addrs, a)
	}
	var err error
	if b.pool, err = ioarea.NewPool(in, out, f.MaxConns); err != nil {
		return nil, err
	}
	log.Info("kernel TCP", "addrs", b.addrs, "congestion", f.Congestion, "ring_in", in, "ring_out", out)
	return b, nil
}

func (b *kernelBackend) Kind() string { return "kernel" }

func (b *kernelBackend) Listen(port uint16) (acceptor, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setCongestion(c, b.congestion) }}
	lc.SetMultipathTCP(false)
	var all acceptors
	for _, a := range b.addrs {
		ln, err := lc.Listen(context.Background(), tcpOf(a), netip.AddrPortFrom(a, port).String())
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, &kernelListener{b, ln.(*net.TCPListener)})
		if b.used, err = congestionOf(ln.(*net.TCPListener)); err != nil {
			return nil, errors.Join(err, all.close())
		}
	}
	return join(all), nil
}

// tcpOf is the network of an address: who listens at 0.0.0.0 is not asked for IPv6, nor the other way round.
func tcpOf(a netip.Addr) string {
	if a.Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// setCongestion sets a socket's congestion control by name.
func setCongestion(c syscall.RawConn, name string) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
	}); e != nil {
		return e
	}
	return congestionError(name, err)
}

// congestionError tells which congestion controls there are, where it is the name that does not do.
func congestionError(name string, err error) error {
	var list string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		list = "allowed"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		list = "available"
	default:
		return fmt.Errorf("congestion control %q: %w", name, err)
	}
	names, readErr := os.ReadFile("/proc/sys/net/ipv4/tcp_" + list + "_congestion_control")
	if readErr != nil {
		return fmt.Errorf("congestion control %q: %w: give another by --congestion (%w)", name, err, readErr)
	}
	if list == "allowed" {
		list += " to users who are not root"
	}
	return fmt.Errorf("congestion control %q: %w: give another by --congestion; %s: %s", name, err, list, strings.TrimSpace(string(names)))
}

// congestionOf is a socket's congestion control.
func congestionOf(c syscall.Conn) (name string, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return "", err
	}
	if e := raw.Control(func(fd uintptr) {
		name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	}); e != nil {
		return "", e
	}
	return name, err
}

type kernelListener struct {
	b  *kernelBackend
	ln *net.TCPListener
}

func (l *kernelListener) Addr() net.Addr { return l.ln.Addr() }
func (l *kernelListener) Close() error   { return l.ln.Close() }

func (l *kernelListener) Accept() (*ioarea.Area, error) {
	for {
		c, err := l.ln.AcceptTCP()
		if err != nil {
			return nil, err
		}
		a, err := l.b.start(c)
		if err == nil {
			return a, nil
		}
		l.b.refuse(c.RemoteAddr(), err)
		_ = c.SetLinger(0)
		c.Close()
	}
}

// refuse counts a refusal, and says so, at most once a second: a peer may ask for any number.
func (b *kernelBackend) refuse(peer net.Addr, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused++
	now := time.Now()
	if now.Sub(b.logged) < time.Second {
		return
	}
	b.logged = now
	b.log.Warn("connection refused", "peer", peer, "err", err, "refused", b.refused)
}

func (b *kernelBackend) start(c *net.TCPConn) (*ioarea.Area, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.conns); n >= b.maxConns {
		return nil, fmt.Errorf("connection table full: %d connections", n)
	}
	var k *ioarea.Kernel
	a, err := ioarea.StartKernel(b.pool, c, c, func(error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.past.Add(k.Stats())
		delete(b.conns, k)
		b.gone.Done()
	})
	if err != nil {
		return nil, err
	}
	k = a.Stream().(*ioarea.Kernel)
	b.conns[k] = struct{}{}
	b.gone.Add(1)
	return a, nil
}

func (b *kernelBackend) Snapshot(conns bool) snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.past
	s := snapshot{Congestion: b.used}
	for k := range b.conns {
		st := k.Stats()
		all.Add(st)
		if conns {
			s.Conns = append(s.Conns, netstack.Conn{Local: addrPortOf(k.LocalAddr()), Remote: addrPortOf(k.RemoteAddr()), Stats: st})
		}
	}
	s.Retransmits, s.Total = all.Retransmits, all
	return s
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// Close waits until the connections are gone: their handlers have ended before,
// and what they have committed has its time.
func (b *kernelBackend) Close() error {
	gone := make(chan struct{})
	go func() {
		b.gone.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return b.pool.Close()
	case <-time.After(drainTime):
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("%d connections have not taken all that was sent", len(b.conns))
	}
}

// acceptors joins several listeners into one.
type acceptors []acceptor

func (as acceptors) close() (err error) {
	for _, a := range as {
		err = errors.Join(err, a.Close())
	}
	return err
}

type joined struct {
	all      acceptors
	accepted chan accepted
	done     chan struct{}
	once     sync.Once
	running  sync.WaitGroup
}

type accepted struct {
	area *ioarea.Area
	err  error
}

func join(all acceptors) acceptor {
	if len(all) == 1 {
		return all[0]
	}
	j := &joined{all: all, accepted: make(chan accepted), done: make(chan struct{})}
	for _, a := range all {
		j.running.Go(func() { j.pass(a) })
	}
	return j
}

// pass hands on what a listener accepts, and each error: one of them may have run out of
// descriptors, say, and accept again later.
func (j *joined) pass(a acceptor) {
	for {
		area, err := a.Accept()
		select {
		case j.accepted <- accepted{area, err}:
		case <-j.done:
			if area != nil {
				area.Abort(net.ErrClosed)
			}
			return
		}
	}
}

// addrsOf are those of all that have been joined.
func addrsOf(ln acceptor) (addrs []string) {
	j, ok := ln.(*joined)
	if !ok {
		return []string{ln.Addr().String()}
	}
	for _, ln := range j.all {
		addrs = append(addrs, addrsOf(ln)...)
	}
	return addrs
}

func (j *joined) Addr() net.Addr { return j.all[0].Addr() }

func (j *joined) Close() error {
	j.once.Do(func() { close(j.done) })
	err := j.all.close()
	j.running.Wait()
	return err
}

func (j *joined) Accept() (*ioarea.Area, error) {
	select {
	case a := <-j.accepted:
		return a.area, a.err
	case <-j.done:
		return nil, net.ErrClosed
	}
}
