package netstack

import (
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A TAP that is set down and up again is a cable that was pulled for a while: frames
// are lost, and no connection is. Both ends of each are in the middle of what they do,
// bulk, requests or nothing, when the cable goes.
func TestALinkThatComesBackLosesNoConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		begin  bool // the talks begin before the link goes down
		tune   func(*testing.T, *kernelHost)
		outage func(*testing.T, *kernelHost)
	}{
		{"in the middle", true, nil, holdDownFor(8)},
		{"before the first byte", false, nil, holdDownFor(4)},
		{"until the neighbour is given up", true, forgetNeighboursSoon, holdUntilUnreachable},
		{"many times", true, nil, flap},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newKernelHost(t, nil, func(c *Config) { c.RingIn, c.RingOut = 256<<10, 128<<10 })
			if c.tune != nil {
				c.tune(t, h)
			}
			p := newParty(t, h)
			if c.begin {
				p.begin()
				p.awaitProgress(t, "before the link goes down")
			}
			h.setLink(t, false)
			if !c.begin {
				p.begin()
			}
			c.outage(t, h)
			h.setLink(t, true)
			p.awaitProgress(t, "when the link is up again")
			p.end(t)
			t.Logf("%+v", h.stack.Stats())
		})
	}
}

// restTurns bounds the loop's looks at the device and writes meanwhile. One that does
// not rest makes some hundred thousand of them in a second.
const restTurns = 2000

// holdDownFor holds the link down until the stack has sent n segments again in vain (the
// party has four bulk senders), and wants the loop to rest between them.
func holdDownFor(n uint64) func(*testing.T, *kernelHost) {
	return func(t *testing.T, h *kernelHost) { holdDown(t, h, n) }
}

func holdDown(t *testing.T, h *kernelHost, retransmits uint64) {
	before, began, cpu := h.stack.Stats(), time.Now(), processTime(t)
	eventually(t, "frames refused, and segments sent again", func() bool {
		s := h.stack.Stats()
		return s.WritesLost > before.WritesLost && s.Retransmits >= before.Retransmits+retransmits
	})
	s, took := h.stack.Stats(), time.Since(began)
	turns := s.Syscalls + s.Polls - before.Syscalls - before.Polls
	if turns > restTurns {
		t.Errorf("while the link was down the loop looked for frames %d times in %v", turns, took)
	}
	if s.Parks == before.Parks {
		t.Error("the loop did not rest")
	}
	t.Logf("down for %v: %d looks and writes, %d rests, %v of CPU by all of the test", took, turns, s.Parks-before.Parks, processTime(t)-cpu)
}

// forgetNeighboursSoon has the stack find out in some tens of milliseconds, and not in
// most of a minute, that a neighbour does not answer.
func forgetNeighboursSoon(t *testing.T, h *kernelHost) {
	c := stack.DefaultNUDConfigurations()
	c.BaseReachableTime, c.DelayFirstProbeTime, c.RetransmitTimer = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	for _, proto := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
		if err := h.stack.l.stk.SetNUDConfigurations(nicID, proto, c); err != nil {
			t.Fatal(err)
		}
	}
}

// holdUntilUnreachable holds the link down until segments have been sent again to
// neighbours of both families that nobody could find.
func holdUntilUnreachable(t *testing.T, h *kernelHost) {
	for _, proto := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
		eventually(t, "the neighbour given up", func() bool {
			entries, err := h.stack.l.stk.Neighbors(nicID, proto)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.State == stack.Unreachable {
					return true
				}
			}
			return false
		})
	}
	failed := h.stack.l.stk.Stats().IP.OutgoingPacketErrors
	before := failed.Value()
	eventually(t, "segments without a neighbour", func() bool { return failed.Value() >= before+2 })
}

// flap takes the link up and down at once, many times, and then as soon as something has
// come through.
func flap(t *testing.T, h *kernelHost) {
	for range 20 {
		h.setLink(t, true)
		h.setLink(t, false)
	}
	for range 3 {
		before := h.stack.Stats()
		h.setLink(t, true)
		eventually(t, "frames both ways", func() bool {
			s := h.stack.Stats()
			return s.FramesIn > before.FramesIn && s.FramesOut > before.FramesOut
		})
		h.setLink(t, false)
	}
	before := h.stack.Stats()
	eventually(t, "frames refused", func() bool { return h.stack.Stats().WritesLost > before.WritesLost })
}

// setLink sets the TAP's interface up or down, as its administrator does. The kernel's routes go
// with it, and come back; those of IPv6 with the address, which is given anew: an address that
// stays (keep_addr_on_down) can be left without a route to itself for good by a kernel whose
// link goes down and up faster than its own work on the address is done.
func (h *kernelHost) setLink(t testing.TB, up bool) {
	t.Helper()
	h.inside(func() {
		link, err := netlink.LinkByName(h.stack.l.dev.Name())
		switch {
		case err != nil:
		case up:
			if err = netlink.LinkSetUp(link); err == nil {
				err = netlink.AddrReplace(link, kernelAddr6())
			}
		default:
			err = netlink.LinkSetDown(link)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// kernelAddr6 is the kernel's IPv6 address, for use without a wait for who else may have it.
func kernelAddr6() *netlink.Addr {
	a := kernelAddrs[1]
	ip := net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), a.Addr().BitLen())}
	return &netlink.Addr{IPNet: &ip, Flags: unix.IFA_F_NODAD}
}

func processTime(t testing.TB) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
