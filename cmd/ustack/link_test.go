package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/tap"
)

func prefixesOf(t *testing.T, s string) []netip.Prefix {
	t.Helper()
	ps, err := prefixes("", strings.Fields(s))
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func TestAddressesThatCanNotWorkAreRefused(t *testing.T) {
	for _, c := range []struct {
		addr, host string
		routed     bool
		err        string // empty: fine
	}{
		{"10.77.0.2/24", "", false, ""},
		{"10.77.0.2/24 fd77::2/64", "10.77.0.1/24 fd77::1/64", false, ""},
		{"10.77.0.2/24", "10.77.0.1/16", false, ""},
		{"10.77.0.2/32", "10.77.0.1/24", true, ""},
		{"10.77.0.0/31", "10.77.0.1/31", false, ""},
		{"10.77.0.2/32", "10.77.0.1/24", false, "not in the network of --addr"},
		{"10.77.0.2/24", "10.77.0.1/32", false, "not in the network of --addr"},
		{"10.77.0.2/24", "10.78.0.1/24", false, "not in the network of --addr"},
		{"10.77.0.2/24", "10.77.0.1/24 fd77::1/64", false, "--host-addr fd77::1/64: not in the network"},
		{"10.77.0.2/24", "10.77.0.2/24", false, "the server's own"},
		{"10.77.0.0/24", "", false, "such as 10.77.0.1/24"},
		{"fd77::/64", "", false, "such as fd77::1/64"},
		{"10.77.0.255/24", "", false, "broadcast"},
		{"10.77.0.2/24", "10.77.0.255/24", false, "--host-addr 10.77.0.255/24: that is the network's broadcast address"},
		{"10.77.0.9/24", "10.77.0.1/24", false, "--addr 10.77.0.9/24: this machine has that address"},
		{"127.0.0.1/8", "", false, "loopback"},
		{"::1/128", "", false, "loopback"},
		{"0.0.0.0/0", "", false, "no address of a host"},
		{"224.0.0.1/24", "", false, "multicast"},
	} {
		f := stackFlags{}
		if c.routed {
			f.Gateway = []string{"10.77.0.1"}
		}
		err := f.checkLink(prefixesOf(t, c.addr), prefixesOf(t, c.host), []netip.Addr{netip.MustParseAddr("10.77.0.9")})
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q and %q: %v, want %q", c.addr, c.host, err, c.err)
		}
	}
}

func TestNetworksWithoutAnAddressOfTheMachine(t *testing.T) {
	var local []net.Addr
	for _, s := range []string{"127.0.0.1/8", "10.77.0.1/24", "10.0.0.1/8", "fe80::1/64"} {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		local = append(local, &net.IPNet{IP: ip, Mask: n.Mask})
	}
	for addrs, want := range map[string]string{
		"10.77.0.2/24":                         "",
		"10.77.0.2/24 fd77::2/64":              "fd77::/64",
		"10.78.0.2/24 10.79.0.2/24 fe80::2/64": "10.78.0.0/24 10.79.0.0/24",
		"10.78.0.2/32":                         "", // whoever gives that knows of routes
	} {
		if got := withoutNeighbour(prefixesOf(t, addrs), addrsIn(local)); !slices.Equal(got, prefixesOf(t, want)) {
			t.Errorf("%s: %v, want %s", addrs, got, want)
		}
	}
}

func TestANewTAPWithoutAnAddressIsWarnedOf(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "a TAP device needs root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		cannot(t, "no TUN/TAP driver: "+err.Error())
	}
	const warning = "the machine has no address in 198.18.77.0/24: give --host-addr"
	args := []string{"serve", "echo", "--tap", fmt.Sprintf("t%d", os.Getpid()), "--addr", "198.18.77.2/24"}
	for _, c := range []struct {
		more   []string
		warned bool
	}{{nil, true}, {[]string{"--host-addr", "198.18.77.1/24"}, false}} {
		_, stop := started(t, append(slices.Clone(args), c.more...)...)
		if log, err := stop(); err != nil || strings.Contains(log, warning) != c.warned {
			t.Errorf("%v: %v; warned must be %v:\n%s", c.more, err, c.warned, log)
		}
	}
}

func TestAnErrorSaysWhatAUserLacks(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{tapError(fmt.Errorf("%w: open", tap.ErrPermission)), "needs root, or CAP_NET_ADMIN"},
		{congestionError("cubic", unix.EPERM), "give another by --congestion; allowed to users who are not root: "},
		{congestionError("cubic", unix.ENOENT), "give another by --congestion; available: "},
		{congestionError("cubic", unix.EBADF), unix.EBADF.Error()},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q in it", c.err, c.want)
		}
	}
	if err := congestionError("cubic", nil); err != nil {
		t.Error(err)
	}
	if err := tapError(tap.ErrNameTaken); !errors.Is(err, tap.ErrNameTaken) || strings.Contains(err.Error(), "root") {
		t.Error(err)
	}
}
