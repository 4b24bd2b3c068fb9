package netstack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
	"ustack/tap"
)

// These tests have a kernel at the other end of a TAP device:
//
//	[ the stack, 10.77.0.2, fd77::2 ]── TAP ──[ a kernel in a namespace of its own, 10.77.0.1, fd77::1 ]

var (
	kernelAddrs = []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fd77::1/64")}
	stackAddr4  = netip.MustParseAddr("10.77.0.2")
	stackAddr6  = netip.MustParseAddr("fd77::2")
)

// A kernelHost is a network namespace with the kernel's end of a TAP. It has no
// name, and ends with the last descriptor in it.
type kernelHost struct {
	stack *Stack
	do    chan func()
}

// newKernelHost makes the namespace and a stack on the TAP. Without the rights for
// it the test is skipped, but fails where CI=true.
func newKernelHost(t testing.TB, wrap func(tap.Device) tap.Device, tune func(*Config)) *kernelHost {
	t.Helper()
	if os.Getuid() != 0 {
		cannot(t, "need root for a network namespace and a TAP device")
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		cannot(t, "need /dev/net/tun: "+err.Error())
	} else {
		f.Close()
	}
	h := &kernelHost{do: make(chan func())}
	failed := make(chan error)
	var dev tap.Device
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		ns, err := netns.New()
		if err == nil {
			defer ns.Close()
			dev, err = openInside()
		}
		failed <- err
		if err != nil {
			return
		}
		for f := range h.do {
			f()
		}
	}()
	if err := <-failed; errors.Is(err, unix.EPERM) {
		cannot(t, "need the right to make a network namespace: "+err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(h.do) })
	if wrap != nil {
		dev = wrap(dev)
	}
	h.stack = newStack(t, dev, tune, "10.77.0.2/24", "fd77::2/64")
	return h
}

func openInside() (tap.Device, error) {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return nil, err
	}
	return tap.Open(tap.Config{Queues: 16, HostAddrs: kernelAddrs, Up: true})
}

func cannot(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("CI must be able to run this: " + why)
	}
	t.Skip(why)
}

// inside runs f on the namespace's thread.
func (h *kernelHost) inside(f func()) {
	done := make(chan struct{})
	h.do <- func() { defer close(done); f() }
	<-done
}

// dialKernel connects a socket of the kernel's to the stack.
func (h *kernelHost) dialKernel(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	var conn *net.TCPConn
	var err error
	h.inside(func() {
		d := net.Dialer{Timeout: patience, Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "cubic") })
		}}
		// DialTCP would resolve on another thread; Dial of an address does not,
		// and the socket belongs to the namespace of the thread that makes it.
		var c net.Conn
		if c, err = d.Dial("tcp", to.String()); err == nil {
			conn = c.(*net.TCPConn)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// connect returns both ends of a connection of a socket of the kernel's to the stack.
func (h *kernelHost) connect(t testing.TB, to netip.Addr) (*net.TCPConn, *ioarea.Area) {
	t.Helper()
	addr := netip.AddrPortFrom(to, 9)
	ln, err := h.stack.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := h.dialKernel(t, addr)
	a, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

// kernelPush writes size bytes of the stream named by seed.
func kernelPush(c io.Writer, size, seed uint64) error {
	b := make([]byte, 256<<10)
	for off := uint64(0); off < size; off += uint64(len(b)) {
		b = b[:min(uint64(len(b)), size-off)]
		handlers.Fill(b, seed, off)
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// kernelPull reads size bytes, checks each, and wants the end of the stream then.
func kernelPull(c io.Reader, size, seed uint64) error {
	b, want := make([]byte, 256<<10), make([]byte, 256<<10)
	for off := uint64(0); ; {
		n, err := c.Read(b)
		handlers.Fill(want[:n], seed, off)
		if !bytes.Equal(b[:n], want[:n]) {
			return fmt.Errorf("%w in [%d, %d)", errWrongByte, off, off+uint64(n))
		}
		off += uint64(n)
		switch {
		case err == io.EOF && off == size:
			return nil
		case err == io.EOF:
			return fmt.Errorf("the stream ends at %d of %d", off, size)
		case err != nil:
			return err
		}
	}
}

// kernelBulk carries size bytes each way through n connections of kernel clients,
// and returns what the stack's ends counted.
func kernelBulk(t *testing.T, h *kernelHost, n int, sizeIn, sizeOut uint64) []ioarea.Stats {
	t.Helper()
	ln, err := h.stack.Listen(netip.AddrPortFrom(stackAddr4, 9))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	stats := make([]ioarea.Stats, n)
	var running sync.WaitGroup
	for i := range n {
		c := h.dialKernel(t, netip.AddrPortFrom(stackAddr4, 9))
		a, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// The thread that made the socket is locked to its namespace; any may use it.
		running.Go(func() {
			if err := kernelPush(c, sizeIn, 5); err != nil {
				t.Error("kernel writes:", err)
			}
			_ = c.CloseWrite()
		})
		running.Go(func() {
			if err := kernelPull(c, sizeOut, 6); err != nil {
				t.Error("kernel reads:", err)
			}
		})
		running.Go(func() {
			if err := push(a, sizeOut, 6); err != nil {
				t.Error("stack writes:", err)
			}
			a.Out.Close(nil)
		})
		running.Go(func() {
			if err := pull(a, sizeIn, 5); err != nil {
				t.Error("stack reads:", err)
			}
			stats[i] = a.Stream().Stats()
		})
		t.Cleanup(a.Close)
	}
	running.Wait()
	return stats
}

func TestOneBulkFlowOfAKernelArrivesInPlace(t *testing.T) {
	size := max(uint64(scaled(512<<20)), 32<<20)
	h := newKernelHost(t, nil, nil)
	checkPlaced(t, kernelBulk(t, h, 1, size, 0), size)
}

func TestEightBulkFlowsOfAKernelArriveInPlace(t *testing.T) {
	size := max(uint64(scaled(512<<20)), 64<<20)
	h := newKernelHost(t, nil, nil)
	checkPlaced(t, kernelBulk(t, h, 8, size, 0), size)
	t.Logf("%+v", h.stack.Stats())
}

func TestEveryByteIsRightWithAKernel(t *testing.T) {
	size := uint64(scaled(256 << 20))
	for _, procs := range []int{1, 2} {
		withProcs(t, procs, func(t *testing.T) {
			h := newKernelHost(t, nil, nil)
			for _, s := range kernelBulk(t, h, 4, size, size) {
				t.Logf("in place %.4f, retransmits %d", placedShare(s), s.Retransmits)
			}
			t.Logf("%+v", h.stack.Stats())
		})
	}
}

// The kernel steers the flows of two shards, each to queues of its own shard.
func TestEveryByteIsRightWithAKernelInShards(t *testing.T) {
	withProcs(t, 2, func(t *testing.T) {
		h := newKernelHost(t, nil, func(c *Config) { c.Shards = 2 })
		size := uint64(scaled(32 << 20))
		kernelBulk(t, h, 8, size, size)
		st := h.stack.Stats()
		t.Logf("%d strays of %d frames, %d lost", st.Strays, st.FramesIn, st.StraysLost)
		for i, l := range h.stack.loops {
			if l.c.rxFrames.Load() == 0 {
				t.Errorf("shard %d has read nothing", i)
			}
		}
		if st.Strays > st.FramesIn/2 {
			t.Errorf("%d of %d frames were strays: the device pins no flow", st.Strays, st.FramesIn)
		}
	})
}

func TestKernelHandlerSeesWhatReadvWrote(t *testing.T) {
	const size = 4 << 20
	rec := new(recorder)
	h := newKernelHost(t, func(d tap.Device) tap.Device { rec.Device = d; return rec }, nil)
	c, a := h.connect(t, stackAddr4)
	defer a.Close()
	sent := make(chan error, 1)
	go func() { sent <- kernelPush(c, size, 3) }()
	checkAddresses(t, rec, a, size)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestPingIsAnswered(t *testing.T) {
	h := newKernelHost(t, nil, nil)
	for _, c := range []struct {
		network, listen string
		proto           int
		request, reply  icmp.Type
		to              netip.Addr
	}{
		{"ip4:icmp", "10.77.0.1", 1, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply, stackAddr4},
		{"ip6:ipv6-icmp", "fd77::1", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply, stackAddr6},
	} {
		for _, n := range []int{0, 56, 1400, 4000} { // the last in fragments
			t.Run(fmt.Sprintf("%s/%d", c.network, n), func(t *testing.T) {
				var pc *icmp.PacketConn
				var err error
				h.inside(func() { pc, err = icmp.ListenPacket(c.network, c.listen) })
				if err != nil {
					t.Fatal(err)
				}
				defer pc.Close()
				_ = pc.SetDeadline(time.Now().Add(patience))
				data := bytes.Repeat([]byte{byte(n)}, n)
				m := icmp.Message{Type: c.request, Body: &icmp.Echo{ID: 77, Seq: n, Data: data}}
				b, err := m.Marshal(nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := pc.WriteTo(b, &net.IPAddr{IP: c.to.AsSlice()}); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 65536)
				for {
					k, _, err := pc.ReadFrom(buf)
					if err != nil {
						t.Fatal(err)
					}
					r, err := icmp.ParseMessage(c.proto, buf[:k])
					if err != nil {
						t.Fatal(err)
					}
					if e, ok := r.Body.(*icmp.Echo); ok && r.Type == c.reply && e.ID == 77 && e.Seq == n {
						if !bytes.Equal(e.Data, data) {
							t.Error("another payload came back")
						}
						return
					}
				}
			})
		}
	}
}

// An interface that is deleted ends the connections and Accept, and the loops rest: the kernel
// says of what was its queue, whenever it is asked, that there is something to look at.
func TestAnInterfaceThatIsDeletedEndsConnections(t *testing.T) {
	for _, shards := range []int{1, 2} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			h := newKernelHost(t, nil, func(c *Config) { c.Shards = shards })
			ln, err := h.stack.Listen(netip.AddrPortFrom(stackAddr4, 9))
			if err != nil {
				t.Fatal(err)
			}
			h.dialKernel(t, netip.AddrPortFrom(stackAddr4, 9))
			a, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			accepting := make(chan error, 1)
			go func() {
				_, err := ln.Accept()
				accepting <- err
			}()
			h.deleteLink(t)
			if err := a.In.Wait(1, patience); !errors.Is(err, ErrDevice) {
				t.Errorf("the handler hears %v", err)
			}
			select {
			case err := <-accepting:
				if !errors.Is(err, ErrDevice) || !errors.Is(err, tap.ErrGone) {
					t.Errorf("Accept, which waited: %v", err)
				}
			case <-time.After(patience):
				t.Fatal("Accept still waits")
			}
			if _, err := ln.Accept(); !errors.Is(err, ErrDevice) {
				t.Errorf("Accept: %v", err)
			}
			if _, err := h.stack.Dial(t.Context(), netip.AddrPortFrom(kernelAddrs[0].Addr(), 9)); !errors.Is(err, ErrDevice) {
				t.Errorf("Dial: %v", err)
			}
			a.Abort(nil)
			eventually(t, "no connection", func() bool { return h.stack.conns.len() == 0 })
			h.checkRest(t)
			if err := ln.Close(); err != nil {
				t.Error(err)
			}
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept after Close: %v", err)
			}
		})
	}
}

// deleteLink deletes the TAP's interface, as its administrator does.
func (h *kernelHost) deleteLink(t testing.TB) {
	t.Helper()
	h.inside(func() {
		link, err := netlink.LinkByName(h.stack.l.dev.Name())
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// checkRest wants the loops to rest, and TCP's timers to run: until one of them has, there may be
// a rest for each sweep, and few more.
func (h *kernelHost) checkRest(t testing.TB) {
	t.Helper()
	const most = 100
	before := h.stack.Stats()
	ran := make(chan struct{})
	h.stack.l.stk.Clock().AfterFunc(sweepEvery, func() { close(ran) })
	select {
	case <-ran:
	case <-time.After(patience):
		t.Fatal("no timer of TCP's runs")
	}
	s := h.stack.Stats()
	if n := s.Parks - before.Parks; n > most {
		t.Errorf("the loops were woken %d times in %v", n, sweepEvery)
	}
	if n := s.Syscalls + s.Polls - before.Syscalls - before.Polls; n > most {
		t.Errorf("the loops looked at a device that is gone %d times", n)
	}
}
