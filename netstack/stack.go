package netstack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"ustack/ioarea"
	"ustack/tap"
)

const nicID tcpip.NICID = 1

// Defaults of Config.
const (
	DefaultRingIn     = 8 << 20
	DefaultRingOut    = 4 << 20
	DefaultWindows    = 16 << 20
	DefaultMaxConns   = 10000
	DefaultQueues     = 128
	DefaultShards     = 1
	DefaultInFlight   = 1 << 20
	DefaultFlights    = 8 << 20
	DefaultMaxSend    = 256 << 10
	DefaultSpin       = 200 * time.Microsecond
	DefaultCoalesce   = 150 * time.Microsecond
	DefaultCongestion = "cubic"
	DefaultRecovery   = "sack"
)

// closeTime bounds how long Close waits for handlers to let go of their areas.
const closeTime = 5 * time.Second

var lossRecovery = map[string]tcpip.TCPRecovery{"sack": 0, "rack": tcpip.TCPRACKLossDetection}

// Config is what a stack is made of. Zero values mean the defaults.
type Config struct {
	// Device is the link. Once New has succeeded the stack owns it, and closes it.
	Device tap.Device
	// Addrs are the stack's addresses, each with the prefix that is on the link.
	Addrs []netip.Prefix
	// Gateways are routers on the link for all other addresses, at most one of
	// each family.
	Gateways []netip.Addr
	// HardwareAddr is the stack's own; by default a random, locally administered
	// one.
	HardwareAddr net.HardwareAddr

	// RingIn and RingOut are the sizes of a connection's rings in bytes, rounded
	// up to powers of two of pages. The receive window is half of RingIn, less a
	// frame.
	RingIn, RingOut int
	// WindowBudget bounds the receive windows of all flows that receive much at the same
	// time, in bytes together; each has 128 KiB at least.
	WindowBudget int
	// MaxConns bounds the connections; a further one is reset and counted. Shards that accept at
	// the same moment may go beyond it by one each.
	MaxConns int
	// Queues bounds the device's queues that are used: one, and one more for each
	// bulk flow while there are any left.
	Queues int
	// Shards is how many loops serve the device, each with queues of its own: at most Queues, and
	// one unless Device is a tap.Splitter. A shard is of use where it has a CPU, and GOMAXPROCS one for it.
	Shards int
	// InFlight bounds the bytes of one connection that are with TCP: on their way,
	// or waiting to be. It bounds the rate to InFlight for each round trip; what is
	// larger than the path needs leaves the caches.
	InFlight int
	// FlightBudget bounds what all flows that send much at the same time have with TCP, in bytes
	// together; each may have 128 KiB at least. Those whose payload is copied do not count.
	FlightBudget int
	// MaxSend bounds the payload of one frame, in bytes, where the device takes frames of more
	// than 64 KiB (tap.BigSender). At 64 KiB and below frames are as gVisor makes them.
	MaxSend int
	// Spin is how long the loop polls for the next frame before it rests, at
	// most; negative: it rests at once.
	Spin time.Duration
	// Coalesce is how long a loop that polls leaves frames of bulk in the device's queue, where
	// that carries more, to read several at once; no longer than Spin, and at most 10 ms; negative:
	// it reads each at once.
	Coalesce time.Duration
	// Congestion is the congestion control of connections: "cubic" or "reno".
	Congestion string
	// Recovery is how losses are found: "sack" (RFC 6675) or "rack" (RFC 8985).
	// gVisor's RACK probes the tail of what it has sent after two milliseconds
	// without an acknowledgement, whether or not one waits in the device's queue:
	// on a busy machine it sends again what was never lost, and takes that for
	// congestion (docs/design.md, retransmissions).
	Recovery string
	// HyStart lets CUBIC leave slow start before a loss, as gVisor does it: on a link
	// of short round trips much too early (docs/design.md, slow start).
	HyStart bool
	// CopyAll turns direct placement and lending off: each payload byte is copied
	// into In, and out of Out. For comparison.
	CopyAll bool
	Logger  *slog.Logger
}

// leastInFlight is half of the least send buffer that gVisor's TCP is given.
const leastInFlight = 2 << 10

// Check says what New would refuse of the values, before there is a device.
func (c Config) Check() error { return c.defaults() }

func (c *Config) defaults() error {
	if len(c.Addrs) == 0 {
		return errors.New("netstack: no address")
	}
	for _, a := range c.Addrs {
		if !a.IsValid() {
			return fmt.Errorf("netstack: bad address %v", a)
		}
	}
	set(&c.RingIn, DefaultRingIn)
	set(&c.RingOut, DefaultRingOut)
	set(&c.WindowBudget, DefaultWindows)
	set(&c.MaxConns, DefaultMaxConns)
	set(&c.Queues, DefaultQueues)
	set(&c.Shards, DefaultShards)
	set(&c.Spin, DefaultSpin)
	set(&c.Coalesce, DefaultCoalesce)
	set(&c.InFlight, DefaultInFlight)
	set(&c.FlightBudget, DefaultFlights)
	set(&c.MaxSend, DefaultMaxSend)
	set(&c.Congestion, DefaultCongestion)
	set(&c.Recovery, DefaultRecovery)
	if c.Congestion != "cubic" && c.Congestion != "reno" {
		return fmt.Errorf("netstack: congestion control %q: want cubic or reno", c.Congestion)
	}
	if _, ok := lossRecovery[c.Recovery]; !ok {
		return fmt.Errorf("netstack: loss recovery %q: want sack or rack", c.Recovery)
	}
	if c.InFlight < leastInFlight {
		return fmt.Errorf("netstack: %d bytes of a connection on their way: want at least %d", c.InFlight, leastInFlight)
	}
	if c.Coalesce > coalesceMost {
		return fmt.Errorf("netstack: bulk that gathers for %v: want at most %v", c.Coalesce, coalesceMost)
	}
	if c.Shards < 1 || c.Shards > c.Queues {
		return fmt.Errorf("netstack: %d shards: want 1 to %d, the queues that may be used", c.Shards, c.Queues)
	}
	if c.RingIn < placeMin {
		return fmt.Errorf("netstack: an in ring of %d bytes holds no window and a frame; the least is %d", c.RingIn, placeMin)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.HardwareAddr) == 0 {
		c.HardwareAddr = make(net.HardwareAddr, 6)
		if _, err := rand.Read(c.HardwareAddr); err != nil {
			return fmt.Errorf("netstack: random hardware address: %w", err)
		}
		c.HardwareAddr[0] = c.HardwareAddr[0]&^1 | 2 // unicast, locally administered
	}
	if len(c.HardwareAddr) != 6 {
		return fmt.Errorf("netstack: hardware address %v has %d bytes, want 6", c.HardwareAddr, len(c.HardwareAddr))
	}
	return nil
}

func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// A Stack is a TCP/IP host on one device. Its methods are safe for concurrent use.
type Stack struct {
	l     *loop   // the first; it accepts connections
	loops []*loop // one for each shard
	conns *connTable
	dead  *failure
	c     Config
	pool  *ioarea.Pool

	mu        sync.Mutex // guards what follows
	listeners map[*Listener]struct{}
	stopped   bool // nobody listens any more

	closing sync.Once
	closed  error // what closing came to
}

// New makes a stack and starts its loop. Close ends it.
func New(c Config) (*Stack, error) { return newWith(c, ringViewLayout) }

// newWith is New with a way of finding gVisor's layout.
func newWith(c Config, findLayout func() (viewLayout, error)) (*Stack, error) {
	if c.Device == nil {
		return nil, errors.New("netstack: no device")
	}
	if err := c.defaults(); err != nil {
		return nil, err
	}
	pool, err := ioarea.NewPool(c.RingIn, c.RingOut, c.MaxConns)
	if err != nil {
		return nil, err
	}
	ringIn, _ := pool.RingSizes()
	layout, layoutErr := findLayout()
	if layoutErr != nil {
		c.Logger.Warn("direct placement is off: payload is copied", "err", layoutErr)
	}
	endpoints, epErr := findEndpointLayout()
	if epErr = errors.Join(epErr, findClaims()); epErr != nil {
		c.Logger.Warn("lending is off: payload that goes out is copied", "err", epErr)
	}
	parts, err := split(c.Device, c.Shards)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	s := &Stack{conns: &connTable{flows: map[*flow]struct{}{}}, dead: newFailure(), c: c, pool: pool, listeners: map[*Listener]struct{}{}}
	k := &link{mtu: uint32(c.Device.MTU()), addr: tcpip.LinkAddress(c.HardwareAddr)}
	for _, part := range parts {
		s.loops = append(s.loops, &loop{
			dev:        part,
			link:       k,
			log:        c.Logger,
			maxQueues:  c.Queues / c.Shards,
			maxConns:   c.MaxConns,
			lend:       epErr == nil && !c.CopyAll,
			endpoints:  endpoints,
			hyStart:    c.HyStart,
			areas:      areas{pool: pool, layout: layout, place: layoutErr == nil && !c.CopyAll},
			conns:      s.conns,
			dead:       s.dead,
			flows:      map[flowKey]*flow{},
			handshakes: handshakes{},
			orphans:    orphans{most: max(c.MaxConns/c.Shards, 1)},
			spin:       newSpinner(c.Spin),
			leadWait:   leadWait,
			coalesce:   min(c.Coalesce, c.Spin),
			kick:       make(chan struct{}, 1),
			rearm:      make(chan struct{}, 1),
			done:       make(chan struct{}),
			windows:    budget{full: ringIn/2 - tap.MaxFrame, total: c.WindowBudget / c.Shards},
			flights:    budget{full: c.InFlight, total: c.FlightBudget / c.Shards},
			batchNo:    1,
		})
	}
	k.loops, s.l = s.loops, s.loops[0]
	s.l.announcer = newAnnouncer(c.Addrs, c.HardwareAddr)
	fail := func(err error) (*Stack, error) {
		for _, part := range parts[1:] {
			err = errors.Join(err, part.Close()) // the first is the caller's
		}
		return nil, errors.Join(err, pool.Close())
	}
	for _, l := range s.loops {
		l.shards = s.loops
		if big, ok := c.Device.(tap.BigSender); ok && big.MaxSend() > tap.MaxFrame {
			l.trainMax = min(big.MaxSend()-maxHeaderLen, c.MaxSend)
		}
		_, l.mapped = c.Device.(tap.MappedSender)
		if _, err := l.newQueue(); err != nil {
			return fail(err)
		}
	}
	stk, err := newHost(&c, k)
	if err != nil {
		return fail(err)
	}
	k.tcp = stk.TransportProtocolInstance(tcp.ProtocolNumber)
	for _, l := range s.loops {
		l.stk, l.direct = stk, segmentTakerOf(stk)
		l.tick = time.NewTicker(sweepEvery)
	}
	for _, l := range s.loops {
		go l.run()
	}
	return s, nil
}

// newHost makes gVisor's part.
func newHost(c *Config, k *link) (*stack.Stack, error) {
	stk := stack.New(stack.Options{
		Clock: newClock(k.loops),
		NetworkProtocols: []stack.NetworkProtocolFactory{
			k.guarded(ipv4.NewProtocol), arp.NewProtocol,
			// The address is ours alone on this link: no duplicate address
			// detection (RFC 4862, section 5.4), so that it can be used at once.
			k.guarded(ipv6.NewProtocolWithOptions(ipv6.Options{AutoGenLinkLocal: true})),
		},
		TransportProtocols: []stack.TransportProtocolFactory{
			k.loops[0].boundedTCP, icmp.NewProtocol4, icmp.NewProtocol6,
		},
		HandleLocal: true,
	})
	fail := func(what string, err tcpip.Error) (*stack.Stack, error) {
		stk.Destroy()
		return nil, fmt.Errorf("netstack: %s: %s", what, err)
	}
	// gVisor advertises half of its receive buffer as window.
	full := k.loops[0].windows.full
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 2 * min(full, firstWindow), Max: 2 * full}
	// It says that there is space again when half of its send buffer is free.
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 2 * leastInFlight, Default: 2 * c.InFlight, Max: 2 * c.InFlight}
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	sack := tcpip.TCPSACKEnabled(true)
	cc := tcpip.CongestionControlOption(c.Congestion)
	recovery := lossRecovery[c.Recovery]
	for _, opt := range []tcpip.SettableTransportProtocolOption{&rcv, &snd, &moderate, &sack, &cc, &recovery} {
		if err := stk.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return fail(fmt.Sprintf("set %T %v", opt, opt), err)
		}
	}
	if err := stk.CreateNICWithOptions(nicID, k, stack.NICOptions{QDisc: k}); err != nil {
		return fail("create interface", err)
	}
	var routes []tcpip.Route
	for _, p := range c.Addrs {
		addr := tcpip.AddressWithPrefix{Address: address(p.Addr()), PrefixLen: p.Bits()}
		if err := stk.AddProtocolAddress(nicID, tcpip.ProtocolAddress{Protocol: family(p.Addr()), AddressWithPrefix: addr}, stack.AddressProperties{}); err != nil {
			return fail(fmt.Sprintf("add address %v", p), err)
		}
		routes = append(routes, tcpip.Route{Destination: addr.Subnet(), NIC: nicID})
	}
	for _, g := range c.Gateways {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if g.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		dst := tcpip.AddressWithPrefix{Address: address(all.Addr()), PrefixLen: 0}
		routes = append(routes, tcpip.Route{Destination: dst.Subnet(), Gateway: address(g), NIC: nicID})
	}
	stk.SetRouteTable(routes)
	return stk, nil
}

func family(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() || a.Is4In6() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

func address(a netip.Addr) tcpip.Address {
	a = a.Unmap()
	return tcpip.AddrFromSlice(a.AsSlice())
}

// full is the address that gVisor listens at or connects to.
func full(a netip.AddrPort) tcpip.FullAddress {
	f := tcpip.FullAddress{NIC: nicID, Port: a.Port()}
	if a.Addr().IsValid() && !a.Addr().IsUnspecified() {
		f.Addr = address(a.Addr())
	}
	return f
}

func addrPort(f tcpip.FullAddress) netip.AddrPort {
	a, _ := netip.AddrFromSlice(f.Addr.AsSlice())
	return netip.AddrPortFrom(a.Unmap(), f.Port)
}

// Congestion is the congestion control of the stack's connections.
func (s *Stack) Congestion() string { return s.c.Congestion }

// Close ends all listeners and resets all connections, waits until their handlers have let go of their
// areas, and closes the device. It returns an error if they take too long, or
// TCP refers to rings beyond its end; these rings then stay mapped.
func (s *Stack) Close() error {
	s.closing.Do(func() { s.closed = s.close() })
	return s.closed
}

func (s *Stack) close() error {
	s.mu.Lock()
	s.stopped = true
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	for _, ln := range listeners {
		ln.Close()
	}
	var late error
	if s.onAll(func(l *loop) { l.stopAll(evStopped, errStopped) }) {
		// Replies that are on their way have their time, then whatever is left ends.
		if !s.emptyWithin(closeTime) {
			s.onAll(func(l *loop) { l.stopAll(evKilled, errStopped) })
			if !s.emptyWithin(closeTime) {
				late = fmt.Errorf("netstack: %d connections are still held by their handlers", s.conns.len())
			}
		}
		s.onAll(func(l *loop) { l.flush(false); l.stopping = true })
		for _, l := range s.loops {
			<-l.done
		}
	}
	var err error
	for _, l := range s.loops {
		err = errors.Join(err, l.dev.Close())
	}
	s.l.stk.Destroy()
	var held error
	n := 0
	for _, l := range s.loops {
		n += l.areas.sweep()
		l.areas.freeing.Wait()
	}
	if n > 0 {
		held = fmt.Errorf("netstack: TCP still refers to the rings of %d connections that have ended: they stay mapped", n)
	}
	return errors.Join(late, err, held, s.pool.Close())
}

// onAll has each loop run f soon. It reports false if they have ended.
func (s *Stack) onAll(f func(*loop)) bool {
	ok := true
	for _, l := range s.loops {
		ok = l.do(func() { f(l) }) && ok
	}
	return ok
}

// emptyWithin waits until there is no connection, for at most d.
func (s *Stack) emptyWithin(d time.Duration) bool {
	select {
	case <-s.conns.whenEmpty():
		return true
	case <-time.After(d):
		return false
	}
}
