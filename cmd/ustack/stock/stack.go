package stock

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"ustack/ioarea"
)

const nicID tcpip.NICID = 1

// closeTime bounds how long Close waits for streams.
const closeTime = 5 * time.Second

// Config is what a stack is made of.
type Config struct {
	// TAP is the device's name; it is made, and goes with the process.
	TAP string
	// Addr is the stack's address, with the prefix that is on the link (IPv4).
	Addr netip.Prefix
	// HostAddrs are put on the kernel's side of the device.
	HostAddrs []netip.Prefix
	// RingIn and RingOut are the sizes of a connection's rings, in bytes. TCP's own
	// buffers are as large, so that it is not the window that decides.
	RingIn, RingOut int
	// MaxConns bounds the connections; a further one is reset.
	MaxConns int
	// Congestion is the congestion control of connections.
	Congestion string
}

// A Stack is one host. Its methods are safe for concurrent use.
type Stack struct {
	stk      *stack.Stack
	dev      *water.Interface
	pool     *ioarea.Pool
	maxConns int

	mu    sync.Mutex // guards what follows
	conns map[*Stream]struct{}
	past  ioarea.Stats
	gone  sync.WaitGroup
}

// New makes a stack, its device included. Close ends it.
func New(c Config) (*Stack, error) {
	pool, err := ioarea.NewPool(c.RingIn, c.RingOut, c.MaxConns)
	if err != nil {
		return nil, err
	}
	dev, err := water.New(water.Config{DeviceType: water.TAP, PlatformSpecificParams: water.PlatformSpecificParams{Name: c.TAP}})
	if err != nil {
		return nil, errors.Join(makeError(c.TAP, err), pool.Close())
	}
	s := &Stack{dev: dev, pool: pool, maxConns: c.MaxConns, conns: map[*Stream]struct{}{}}
	mtu, err := setUp(dev.Name(), c.HostAddrs)
	if err == nil {
		s.stk, err = newHost(&c, dev, mtu)
	}
	if err != nil {
		return nil, errors.Join(err, dev.Close(), pool.Close())
	}
	return s, nil
}

// makeError says what keeps a device from being made.
func makeError(name string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("make TAP device %s (needs CAP_NET_ADMIN): %w", name, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("make TAP device %s: one of that name is there, and has several queues, or is no TAP; give another name: %w", name, err)
	}
	return fmt.Errorf("make TAP device %s: %w", name, err)
}

// setUp configures the kernel's side of the device.
func setUp(name string, addrs []netip.Prefix) (mtu int, err error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("look up interface %s: %w", name, err)
	}
	for _, a := range addrs {
		addr, err := netlink.ParseAddr(a.String())
		if err != nil {
			return 0, fmt.Errorf("address %v: %w", a, err)
		}
		if err := netlink.AddrReplace(link, addr); err != nil {
			return 0, fmt.Errorf("put address %v on %s: %w", a, name, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("bring up %s: %w", name, err)
	}
	return link.Attrs().MTU, nil
}

// newHost makes gVisor's part, on the device's descriptor.
func newHost(c *Config, dev *water.Interface, mtu int) (*stack.Stack, error) {
	file, ok := dev.ReadWriteCloser.(*os.File)
	if !ok {
		return nil, fmt.Errorf("the TAP device is a %T, not a file", dev.ReadWriteCloser)
	}
	mac := make([]byte, header.EthernetAddressSize)
	if _, err := rand.Read(mac); err != nil {
		return nil, err
	}
	mac[0] = mac[0]&^1 | 2 // unicast, locally administered
	ep, err := fdbased.New(&fdbased.Options{
		FDs: []int{int(file.Fd())}, MTU: uint32(mtu), EthernetHeader: true, Address: tcpip.LinkAddress(mac),
	})
	if err != nil {
		return nil, fmt.Errorf("link endpoint: %w", err)
	}
	stk := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	if err := configure(stk, c, ep); err != nil {
		stk.Destroy()
		return nil, err
	}
	return stk, nil
}

func configure(stk *stack.Stack, c *Config, ep stack.LinkEndpoint) error {
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: c.RingIn, Max: c.RingIn}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: c.RingOut, Max: c.RingOut}
	sack := tcpip.TCPSACKEnabled(true)
	cc := tcpip.CongestionControlOption(c.Congestion)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&rcv, &snd, &sack, &cc} {
		if err := stk.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return fmt.Errorf("set %T %v: %s", opt, opt, err)
		}
	}
	if err := stk.CreateNIC(nicID, ep); err != nil {
		return fmt.Errorf("create interface: %s", err)
	}
	addr := tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(c.Addr.Addr().AsSlice()), PrefixLen: c.Addr.Bits()}
	if err := stk.AddProtocolAddress(nicID, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: addr}, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("add address %v: %s", c.Addr, err)
	}
	stk.SetRouteTable([]tcpip.Route{{Destination: addr.Subnet(), NIC: nicID}})
	return nil
}

// Congestion is the congestion control of connections, as gVisor tells it.
func (s *Stack) Congestion() string {
	var cc tcpip.CongestionControlOption
	if err := s.stk.TransportProtocolOption(tcp.ProtocolNumber, &cc); err != nil {
		return "unknown"
	}
	return string(cc)
}

// Retransmits is the number of segments sent again.
func (s *Stack) Retransmits() uint64 { return s.stk.Stats().TCP.Retransmits.Value() }

// Streams are the connections that there are.
func (s *Stack) Streams() []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// Totals sums the counters of all connections that there are or were.
func (s *Stack) Totals() ioarea.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.past
	for st := range s.conns {
		sum.Add(st.Stats())
	}
	return sum
}

// Close gives the streams time to end, and ends the stack.
func (s *Stack) Close() error {
	gone := make(chan struct{})
	go func() {
		s.gone.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(closeTime):
		return fmt.Errorf("stock netstack: streams have not ended within %v", closeTime)
	}
	s.stk.Destroy()
	return errors.Join(s.dev.Close(), s.pool.Close())
}
