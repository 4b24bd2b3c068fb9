package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ustack/smbproto"
)

// interfaces tells SMB clients where they find the server, for more channels.
func (f *stackFlags) interfaces() func() []smbproto.Interface {
	if f.Stack == "kernel" {
		addrs := slices.Clone(f.Addr)
		return func() []smbproto.Interface { return kernelInterfaces("/sys/class/net", addrs) }
	}
	var all []smbproto.Interface
	for _, s := range f.Addr {
		p, err := netip.ParsePrefix(s)
		if err != nil || !reachable(p.Addr()) {
			continue // an address that is none ends the start
		}
		// A TAP has no speed of its own. Its flows come to several processors if several loops serve it.
		all = append(all, smbproto.Interface{Index: 1, RSS: f.Shards > 1, LinkSpeed: tapSpeed, Addr: p.Addr()})
	}
	return func() []smbproto.Interface { return all }
}

const tapSpeed = 10_000_000_000

// reachable says whether another machine can be told an address: one of a link alone has a zone, which is another there.
func reachable(a netip.Addr) bool { return !a.IsLinkLocalUnicast() && !a.IsMulticast() }

// kernelInterfaces are those of the machine that have one of the addresses, or, where one of these is unspecified, any of its
// family: then without loopback, which others can't reach. sys is where Linux tells of interfaces.
func kernelInterfaces(sys string, served []string) (all []smbproto.Interface) {
	var addrs []netip.Addr
	for _, s := range served {
		if a, err := netip.ParseAddr(s); err == nil {
			addrs = append(addrs, a)
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil // whoever asks is told of none, and stays with the channel that there is
	}
	for _, l := range links {
		if l.Flags&net.FlagUp == 0 {
			continue
		}
		has, err := l.Addrs()
		if err != nil {
			continue
		}
		for _, h := range has {
			p, err := netip.ParsePrefix(h.String())
			if err != nil || !reachable(p.Addr()) || !serves(addrs, p.Addr()) {
				continue
			}
			all = append(all, smbproto.Interface{
				Index: uint32(l.Index), RSS: receiveQueues(sys, l.Name) > 1, LinkSpeed: linkSpeed(sys, l.Name), Addr: p.Addr(),
			})
		}
	}
	return all
}

func serves(addrs []netip.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(s netip.Addr) bool {
		return s == a || s.IsUnspecified() && !a.IsLoopback() && (s.Is6() || a.Is4()) // :: has IPv4 too
	})
}

// linkSpeed is in bits per second.
func linkSpeed(sys, name string) uint64 {
	b, err := os.ReadFile(filepath.Join(sys, name, "speed"))
	if err != nil {
		return smbproto.DefaultLinkSpeed
	}
	mbit, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || mbit == 0 { // -1: nobody knows
		return smbproto.DefaultLinkSpeed
	}
	return mbit * 1_000_000
}

func receiveQueues(sys, name string) int {
	queues, _ := filepath.Glob(filepath.Join(sys, name, "queues", "rx-*")) // the pattern is a right one
	return len(queues)
}
