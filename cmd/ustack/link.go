package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"ustack/tap"
)

// checkLink finds addresses of a TAP's two sides by which nobody could ever reach the server.
func checkLink(addrs, host []netip.Prefix, routed bool) error {
	for _, a := range addrs {
		if err := checkHost("--addr", a); err != nil {
			return err
		}
	}
	for _, h := range host {
		if err := checkHost("--host-addr", h); err != nil {
			return err
		}
		if slices.ContainsFunc(addrs, func(a netip.Prefix) bool { return a.Addr() == h.Addr() }) {
			return fmt.Errorf("--host-addr %v: that is the server's own (--addr): the machine needs another of its network", h)
		}
		// With a router the way back need not be on the link.
		if !slices.ContainsFunc(addrs, func(a netip.Prefix) bool {
			return h.Contains(a.Addr()) && (a.Contains(h.Addr()) || routed)
		}) {
			return fmt.Errorf("--host-addr %v: not in the network of --addr %v: neither would find the other", h, addrs)
		}
	}
	return nil
}

// checkHost says why no host on a link can have an address.
func checkHost(flag string, p netip.Prefix) error {
	var what string
	switch a := p.Addr(); {
	case a.IsUnspecified():
		what = "that is no address of a host"
	case a.IsLoopback():
		what = "a loopback address can't be reached over a TAP (--stack kernel serves there)"
	case a.IsMulticast():
		what = "that is a multicast address"
	case p.Bits() >= a.BitLen()-1: // point to point: each address is a host's
	case a == p.Masked().Addr():
		what = fmt.Sprintf("that is the network's own address, not a host's, such as %v", netip.PrefixFrom(a.Next(), p.Bits()))
	case a.Is4() && !p.Contains(a.Next()):
		what = "that is the network's broadcast address"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("%s %v: %s", flag, p, what)
}

// warnOfNoNeighbour warns where this machine has no way to the addresses that are served on a TAP. It
// is no error: an address can be put on the TAP later, and a bridge needs none.
func warnOfNoNeighbour(log *slog.Logger, tapName string, addrs []netip.Prefix) {
	link, err := netlink.LinkByName(tapName)
	if err != nil || link.Attrs().MasterIndex != 0 {
		return
	}
	local, err := net.InterfaceAddrs()
	if err != nil {
		return
	}
	for _, p := range withoutNeighbour(addrs, local) {
		log.Warn(fmt.Sprintf("the machine has no address in %v: give --host-addr", p), "tap", tapName)
	}
}

// withoutNeighbour are the networks of addrs in which no local address is.
func withoutNeighbour(addrs []netip.Prefix, local []net.Addr) []netip.Prefix {
	var none []netip.Prefix
	for _, p := range addrs {
		if !p.IsSingleIP() && !slices.ContainsFunc(local, func(l net.Addr) bool {
			n, ok := l.(*net.IPNet)
			if !ok {
				return false
			}
			a, _ := netip.AddrFromSlice(n.IP)
			return p.Contains(a.Unmap())
		}) {
			none = append(none, p.Masked())
		}
	}
	return none
}

// tapError tells what a process lacks that may not have a TAP.
func tapError(err error) error {
	if errors.Is(err, tap.ErrPermission) {
		return fmt.Errorf("%w; a TAP device needs root, or CAP_NET_ADMIN and /dev/net/tun", err)
	}
	return err
}
