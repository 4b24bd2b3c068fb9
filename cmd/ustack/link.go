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

// link are the addresses of a TAP's two sides.
func (f *stackFlags) link() (addrs, host []netip.Prefix, err error) {
	if addrs, err = prefixes(f.label("addr"), f.Addr); err != nil {
		return nil, nil, err
	}
	if host, err = prefixes(f.label("host-addr"), f.HostAddr); err != nil {
		return nil, nil, err
	}
	local, _ := net.InterfaceAddrs() // without them one fault is not found
	return addrs, host, f.checkLink(addrs, host, addrsIn(local))
}

// checkLink finds addresses by which nobody could ever reach the server; local are the machine's.
func (f *stackFlags) checkLink(addrs, host []netip.Prefix, local []netip.Addr) error {
	for _, a := range addrs {
		if err := checkHost(f.label("addr"), a); err != nil {
			return err
		}
		if slices.Contains(local, a.Addr()) {
			return fmt.Errorf("%s %v: this machine has that address, and keeps what is sent there: want another of its network", f.label("addr"), a)
		}
	}
	for _, h := range host {
		if err := checkHost(f.label("host-addr"), h); err != nil {
			return err
		}
		if slices.ContainsFunc(addrs, func(a netip.Prefix) bool { return a.Addr() == h.Addr() }) {
			return fmt.Errorf("%s %v: that is the server's own (%s): the machine needs another of its network", f.label("host-addr"), h, f.label("addr"))
		}
		// With a router the way back need not be on the link.
		if !slices.ContainsFunc(addrs, func(a netip.Prefix) bool {
			return h.Contains(a.Addr()) && (a.Contains(h.Addr()) || len(f.Gateway) > 0)
		}) {
			return fmt.Errorf("%s %v: not in the network of %s %v: neither would find the other", f.label("host-addr"), h, f.label("addr"), addrs)
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
	for _, p := range withoutNeighbour(addrs, addrsIn(local)) {
		log.Warn(fmt.Sprintf("the machine has no address in %v: give --host-addr", p), "tap", tapName)
	}
}

// withoutNeighbour are the networks of addrs in which no local address is.
func withoutNeighbour(addrs []netip.Prefix, local []netip.Addr) []netip.Prefix {
	var none []netip.Prefix
	for _, p := range addrs {
		if !p.IsSingleIP() && !slices.ContainsFunc(local, p.Contains) {
			none = append(none, p.Masked())
		}
	}
	return none
}

// addrsIn are the addresses of networks, as package net tells of them.
func addrsIn(nets []net.Addr) (addrs []netip.Addr) {
	for _, n := range nets {
		if n, ok := n.(*net.IPNet); ok {
			a, _ := netip.AddrFromSlice(n.IP)
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs
}

// tapError tells what a process lacks that may not have a TAP.
func tapError(err error) error {
	if errors.Is(err, tap.ErrPermission) {
		return fmt.Errorf("%w; a TAP device needs root, or CAP_NET_ADMIN and /dev/net/tun", err)
	}
	return err
}
