package tap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The kernel is 10.77.0.1; the tests are 10.77.0.2, at ourMAC.
var (
	hostPrefix = netip.MustParsePrefix("10.77.0.1/24")
	hostIP     = net.IPv4(10, 77, 0, 1).To4()
	ourIP      = net.IPv4(10, 77, 0, 2).To4()
	ourMAC     = net.HardwareAddr{2, 0, 0, 0, 0, 2}
)

// mustOpen opens a device that is closed when the test ends, and also when the
// test hangs, so that it fails then.
func mustOpen(tb testing.TB, c Config) Device {
	tb.Helper()
	d, err := Open(c)
	if err != nil {
		tb.Fatal(err)
	}
	watchdog := time.AfterFunc(20*time.Second, func() { d.Close() })
	tb.Cleanup(func() {
		watchdog.Stop()
		d.Close()
	})
	return d
}

// openHost opens a device with the kernel's address on it; it knows our address already.
func openHost(tb testing.TB, queues int) Device {
	tb.Helper()
	d := mustOpen(tb, Config{Queues: queues, HostAddrs: []netip.Prefix{hostPrefix}, Up: true})
	link := mustLink(tb, d.Name())
	if err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, IP: ourIP, HardwareAddr: ourMAC, State: netlink.NUD_PERMANENT,
	}); err != nil {
		tb.Fatal(err)
	}
	return d
}

func mustLink(tb testing.TB, name string) netlink.Link {
	tb.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return link
}

func mustAttach(tb testing.TB, d Device) Queue {
	tb.Helper()
	q, err := d.AttachQueue()
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// kernelSocket is a UDP socket of the kernel's in the namespace of this thread.
func kernelSocket(tb testing.TB) (*net.UDPConn, uint16) {
	tb.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: hostIP})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	return c, uint16(c.LocalAddr().(*net.UDPAddr).Port)
}

// toKernel is a UDP frame from us to a port of the kernel's, whose checksum is left to it.
func toKernel(d Device, sport, dport uint16, payload string) []byte {
	f := udpFrame(sport, dport, payload)
	p := f[HdrLen:]
	copy(p, d.HardwareAddr())
	copy(p[6:], ourMAC)
	copy(p[26:], ourIP)
	copy(p[30:], hostIP)
	pk, _ := parsePacket(p)
	binary.BigEndian.PutUint16(p[24:], ^refSum(p[14:34], 0))
	binary.BigEndian.PutUint16(p[40:], refPseudo(p, pk))
	Hdr{Flags: FlagNeedsCsum, CsumStart: 34, CsumOffset: 6}.Encode(f)
	return f
}

// refSum and refPseudo are RFC 1071 the slow and obvious way.
func refSum(b []byte, sum uint16) uint16 {
	s := uint32(sum)
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func refPseudo(f []byte, p packet) uint16 {
	src, dst := p.addrs(f)
	n := p.end - p.l4
	return refSum([]byte{0, p.proto, byte(n >> 8), byte(n)}, refSum(dst, refSum(src, 0)))
}

// nextFrame waits for a frame that fits, and skips others: the kernel sends some on its own.
func nextFrame(tb testing.TB, d Device, queues []Queue, fits func(f []byte) bool) (frame []byte, queue int) {
	tb.Helper()
	for {
		if err := d.Wait(); err != nil {
			tb.Fatal(err)
		}
		for _, i := range d.Ready(nil) {
			if f := readFrame(tb, queues[i]); f != nil && fits(f) {
				return f, i
			}
		}
	}
}

func isARPRequest(f []byte) bool {
	return binary.BigEndian.Uint16(f[HdrLen+12:]) == 0x0806 && f[HdrLen+21] == 1
}

func isUDP(f []byte) bool {
	p, ok := parsePacket(f[HdrLen:])
	return ok && p.proto == protoUDP && !p.v6
}

func openDescriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

func TestKernelResolvesSendsAndReceives(t *testing.T) {
	inNamespace(t, func() {
		d := mustOpen(t, Config{HostAddrs: []netip.Prefix{hostPrefix}, Up: true})
		q := mustAttach(t, d)
		c, port := kernelSocket(t)
		if _, err := c.WriteToUDP([]byte("hello"), &net.UDPAddr{IP: ourIP, Port: 7}); err != nil {
			t.Fatal(err)
		}

		arp, _ := nextFrame(t, d, []Queue{q}, isARPRequest)
		p := arp[HdrLen:]
		if !bytes.Equal(p[38:42], ourIP) || !bytes.Equal(p[6:12], d.HardwareAddr()) {
			t.Fatalf("ARP request % x", p)
		}
		copy(p[32:42], p[22:32]) // the asker becomes the target
		copy(p[0:6], p[6:12])
		copy(p[6:12], ourMAC)
		copy(p[22:28], ourMAC)
		copy(p[28:32], ourIP)
		p[21] = 2
		mustWrite(t, q, arp)

		got, _ := nextFrame(t, d, []Queue{q}, isUDP)
		if payload := got[HdrLen+42:]; string(payload) != "hello" {
			t.Errorf("the kernel sent %q", payload)
		}
		h, err := DecodeHdr(got)
		if err != nil || h.Flags != FlagNeedsCsum || h.CsumStart != 34 || h.CsumOffset != 6 {
			t.Errorf("offloads are off: header %+v, %v", h, err)
		}

		mustWrite(t, q, toKernel(d, 7, port, "good day"))
		buf := make([]byte, 100)
		n, from, err := c.ReadFromUDP(buf)
		if err != nil || string(buf[:n]) != "good day" || from.Port != 7 {
			t.Errorf("the kernel read %q from %v, %v", buf[:n], from, err)
		}
	})
}

func TestRepliesArriveOnTheQueueWrittenOn(t *testing.T) {
	inNamespace(t, func() {
		const queues = 4
		d := openHost(t, queues)
		var qs []Queue
		for range queues {
			qs = append(qs, mustAttach(t, d))
		}
		c, port := kernelSocket(t)
		buf := make([]byte, 100)
		for flow := range 32 {
			for _, k := range []int{flow % queues, (flow + 1) % queues} {
				mustWrite(t, qs[k], toKernel(d, uint16(5000+flow), port, "request"))
				_, from, err := c.ReadFromUDP(buf)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.WriteToUDP([]byte("reply"), from); err != nil {
					t.Fatal(err)
				}
				if _, got := nextFrame(t, d, qs, isUDP); got != k {
					t.Errorf("flow %d: written on queue %d, reply on %d", flow, k, got)
				}
			}
		}
	})
}

func TestQueuesAttachFromAnyThread(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 3)
		errs := make(chan error)
		for range 3 {
			go func() { // not in the namespace
				_, err := d.AttachQueue()
				errs <- err
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := mustLink(t, d.Name()).(*netlink.Tuntap).Queues; n != 3 {
			t.Errorf("the interface has %d queues", n)
		}
	})
}

func TestDeviceIsGoneAfterClose(t *testing.T) {
	for _, queues := range []int{1, 4} {
		t.Run(fmt.Sprint(queues, " queues"), func(t *testing.T) {
			inNamespace(t, func() {
				before := openDescriptors(t)
				d := mustOpen(t, Config{Queues: queues, MTU: 9000, HostAddrs: []netip.Prefix{hostPrefix}, Up: true})
				if d.Name() != "ustack0" || d.MTU() != 9000 || len(d.HardwareAddr()) != 6 {
					t.Errorf("name %q, MTU %d, address %v", d.Name(), d.MTU(), d.HardwareAddr())
				}
				for range queues {
					mustAttach(t, d)
				}
				if _, err := d.AttachQueue(); !errors.Is(err, ErrNoQueue) {
					t.Errorf("one queue too many: %v", err)
				}
				mustLink(t, "ustack0")
				for range 2 {
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				}
				if _, err := netlink.LinkByName("ustack0"); err == nil {
					t.Error("the interface is still there")
				}
				if after := openDescriptors(t); after > before {
					t.Errorf("%d descriptors open before, %d after", before, after)
				}
			})
		})
	}
}

func TestPersistentDeviceIsKept(t *testing.T) {
	for name, flags := range map[string]netlink.TuntapFlag{
		"single queue":             netlink.TUNTAP_NO_PI | netlink.TUNTAP_ONE_QUEUE,
		"single queue, vnet_hdr":   netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR,
		"multi queue":              netlink.TUNTAP_NO_PI | netlink.TUNTAP_MULTI_QUEUE,
		"multi queue and vnet_hdr": netlink.TUNTAP_NO_PI | netlink.TUNTAP_MULTI_QUEUE | netlink.TUNTAP_VNET_HDR,
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t, func() {
				addPersistent(t, netlink.TUNTAP_MODE_TAP, "keep", flags)
				index := mustLink(t, "keep").Attrs().Index
				for range 2 {
					d := mustOpen(t, Config{Name: "keep", Queues: 2, HostAddrs: []netip.Prefix{hostPrefix}, Up: true})
					q := mustAttach(t, d)
					_, err := d.AttachQueue()
					if multi := flags&netlink.TUNTAP_MULTI_QUEUE != 0; multi != (err == nil) {
						t.Errorf("a second queue: %v", err)
					} else if !multi && !errors.Is(err, ErrNoQueue) {
						t.Errorf("a second queue: %v", err)
					}
					c, port := kernelSocket(t)
					mustWrite(t, q, toKernel(d, 9, port, "hi"))
					if _, _, err := c.ReadFromUDP(make([]byte, 9)); err != nil {
						t.Error(err)
					}
					if err := d.Close(); err != nil {
						t.Error(err)
					}
					if got := mustLink(t, "keep").Attrs().Index; got != index {
						t.Errorf("interface %d became %d", index, got)
					}
				}
			})
		})
	}
}

// addPersistent does what `ip tuntap add` does.
func addPersistent(tb testing.TB, mode netlink.TuntapMode, name string, flags netlink.TuntapFlag) {
	tb.Helper()
	link := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: mode, Flags: flags}
	if err := netlink.LinkAdd(link); err != nil {
		tb.Fatal(err)
	}
	for _, f := range link.Fds {
		f.Close()
	}
}

func TestOpenErrorsTellTheCause(t *testing.T) {
	inNamespace(t, func() {
		addPersistent(t, netlink.TUNTAP_MODE_TUN, "tun9", netlink.TUNTAP_NO_PI)
		mustOpen(t, Config{Name: "single", Queues: 1})
		attachWithoutVnetHdr(t, "plain")
		before := openDescriptors(t)
		for name, c := range map[string]struct {
			config Config
			want   error
		}{
			"long name":           {Config{Name: strings.Repeat("x", 16)}, ErrBadName},
			"slash":               {Config{Name: "a/b"}, ErrBadName},
			"pattern":             {Config{Name: "tap%d"}, ErrBadName},
			"white space":         {Config{Name: "a b"}, ErrBadName},
			"dots":                {Config{Name: ".."}, ErrBadName},
			"too many queues":     {Config{Queues: MaxQueues + 1}, ErrNoQueue},
			"not a TAP":           {Config{Name: "tun9"}, ErrNameTaken},
			"loopback":            {Config{Name: "lo"}, ErrNameTaken},
			"single queue in use": {Config{Name: "single"}, ErrNameTaken},
			"queues without it":   {Config{Name: "plain"}, ErrNoVnetHdr},
		} {
			d, err := Open(c.config)
			if err == nil {
				d.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		if d, err := Open(Config{Name: "half", MTU: 1}); err == nil {
			d.Close()
			t.Error("an MTU of 1 was accepted")
		}
		if _, err := netlink.LinkByName("half"); err == nil {
			t.Error("an interface that could not be set up is still there")
		}
		if after := openDescriptors(t); after > before {
			t.Errorf("%d descriptors open before the errors, %d after", before, after)
		}
	})
}

// onOwnThread runs f on a thread that ends after it, so that it may change it as it likes.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock
		f()
	}()
	<-done
}

func TestOpenWithoutRightsOrDriver(t *testing.T) {
	needTUN(t)
	for _, c := range []struct {
		name  string
		spoil func() error
		want  error
	}{
		{"no capability", dropNetAdmin, ErrPermission},
		{"no driver", hideDriver, ErrNoDevice},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := openDescriptors(t)
			onOwnThread(func() {
				if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
					t.Error(err)
					return
				}
				if err := c.spoil(); err != nil {
					t.Error(err)
					return
				}
				for _, name := range []string{"", "mine"} {
					if d, err := Open(Config{Name: name}); !errors.Is(err, c.want) {
						t.Errorf("Open %q: %v, %v", name, d, err)
					}
				}
			})
			if after := openDescriptors(t); after > before {
				t.Errorf("%d descriptors open before, %d after", before, after)
			}
		})
	}
}

// In a user namespace of its own a process has all capabilities, and none that count
// where the network belongs to another.
func TestOpenInAnotherUserNamespaceLeavesNoDescriptor(t *testing.T) {
	needTUN(t)
	const inside = "TAP_TEST_IN_USER_NAMESPACE"
	if os.Getenv(inside) == "" {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), inside+"=1")
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
		out, err := c.CombinedOutput()
		if _, ran := errors.AsType[*exec.ExitError](err); err != nil && !ran {
			cannot(t, "make a user namespace: "+err.Error())
		}
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	open := func() {
		if d, err := Open(Config{Name: "none0"}); !errors.Is(err, ErrPermission) {
			t.Errorf("Open: %v, %v", d, err)
		}
	}
	open() // Go's poller keeps descriptors of its own from here on
	before := openDescriptors(t)
	for range 5 {
		open()
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors open before, %d after", before, after)
	}
}

func dropNetAdmin() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	return unix.Capset(&hdr, &data[0])
}

// hideDriver puts an empty folder over /dev/net, for this thread alone.
func hideDriver() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("none", filepath.Dir(tunPath), "tmpfs", 0, "")
}

// attachWithoutVnetHdr makes an interface as another program might.
func attachWithoutVnetHdr(t *testing.T, name string) {
	t.Helper()
	fd, err := openTun()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	req, _ := unix.NewIfreq(name)
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
}

func TestDownIsNotFatal(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 2)
		q := mustAttach(t, d)
		c, port := kernelSocket(t)
		link := mustLink(t, d.Name())
		if err := netlink.LinkSetDown(link); err != nil {
			t.Fatal(err)
		}
		for readFrame(t, q) != nil { // what came before
		}
		if _, err := q.Writev([][]byte{toKernel(d, 1, port, "lost")}); err != ErrDown {
			t.Errorf("write to an interface that is down: %v", err)
		}
		if s := q.(Meter).Stats(); s.Down != 1 {
			t.Errorf("%+v", s)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, q, toKernel(d, 1, port, "again"))
		buf := make([]byte, 9)
		if n, _, err := c.ReadFromUDP(buf); err != nil || string(buf[:n]) != "again" {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
}

func TestDeletedInterfaceIsGone(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 2)
		q := mustAttach(t, d)
		if err := netlink.LinkDel(mustLink(t, d.Name())); err != nil {
			t.Fatal(err)
		}
		if err := d.Wait(); err != nil {
			t.Error(err)
		}
		if ready := d.Ready(nil); len(ready) != 1 {
			t.Errorf("the reader is not told: %v", ready)
		}
		if _, err := q.Readv([][]byte{make([]byte, 100)}); !errors.Is(err, ErrGone) {
			t.Errorf("read: %v", err)
		}
		if _, err := q.Writev([][]byte{toKernel(d, 1, 1, "x")}); !errors.Is(err, ErrGone) {
			t.Errorf("write: %v", err)
		}
		if _, err := d.AttachQueue(); !errors.Is(err, ErrGone) {
			t.Errorf("attach: %v", err)
		}
	})
}

func TestBadFramesConcernThemselvesOnly(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 1)
		q := mustAttach(t, d)
		c, port := kernelSocket(t)
		bad := toKernel(d, 1, port, "bad")
		Hdr{Flags: FlagNeedsCsum, CsumStart: 60000, CsumOffset: 6}.Encode(bad)
		for name, bufs := range map[string][][]byte{
			"nothing":           nil,
			"no frame":          {make([]byte, HdrLen)},
			"short":             {make([]byte, HdrLen+ethHdrLen-1)},
			"checksum past end": {bad},
			"many parts":        manyBufs(MaxWriteBufs + 1),
		} {
			if _, err := q.Writev(bufs); !errors.Is(err, ErrBadFrame) {
				t.Errorf("%s: %v", name, err)
			}
		}
		mustWrite(t, q, toKernel(d, 1, port, "good"))
		if _, _, err := c.ReadFromUDP(make([]byte, 9)); err != nil {
			t.Error(err)
		}
	})
}

func TestTruncatedFrameIsTold(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 1)
		q := mustAttach(t, d)
		c, _ := kernelSocket(t)
		const size = HdrLen + 42 + 1000
		sizes := map[int]int{size: 0, size - 1: 0, size + 1: 0}
		for room := range sizes {
			for { // until the kernel's own frames are through
				if _, err := c.WriteToUDP(make([]byte, 1000), &net.UDPAddr{IP: ourIP, Port: 7}); err != nil {
					t.Fatal(err)
				}
				n, err := q.Readv([][]byte{make([]byte, HdrLen), make([]byte, room-HdrLen)})
				if err == nil && n != size || err == ErrWouldBlock {
					continue
				}
				if truncated := room < size; truncated != (err == ErrTruncated) {
					t.Errorf("%d bytes into %d: %d, %v", size, room, n, err)
				}
				break
			}
			for readFrame(t, q) != nil {
			}
		}
	})
}

func TestCloseUnderReaderWriterAndWaiter(t *testing.T) {
	inNamespace(t, func() {
		before := openDescriptors(t)
		for range 20 {
			d := openHost(t, 2)
			q := mustAttach(t, d)
			frame := [][]byte{toKernel(d, 1, 1, "x")}
			var wg sync.WaitGroup
			begun := make(chan struct{}, 4)
			untilClosed := func(op func() error) {
				wg.Go(func() {
					begun <- struct{}{}
					for op() != ErrClosed {
					}
				})
			}
			buf := [][]byte{make([]byte, 2000)}
			untilClosed(func() error { _, err := q.Readv(buf); return err })
			untilClosed(func() error { _, err := q.Writev(frame); return err })
			untilClosed(func() error { d.Ready(nil); _, err := d.AttachQueue(); return err })
			untilClosed(d.Wait)
			for range 4 {
				<-begun
			}
			d.Close()
			wg.Wait()
		}
		if after := openDescriptors(t); after > before {
			t.Errorf("%d descriptors open before, %d after", before, after)
		}
	})
}

func TestDeviceAllocatesNothing(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 2)
		q := mustAttach(t, d)
		c, port := kernelSocket(t)
		out := [][]byte{toKernel(d, 7, port, "request")}
		in := [][]byte{make([]byte, HdrLen), make([]byte, 64), make([]byte, MaxFrame)}
		payload, addr := []byte("reply"), netip.AddrPortFrom(netip.AddrFrom4([4]byte(ourIP)), 7)
		ready := make([]int, 0, 4)
		n := testing.AllocsPerRun(100, func() {
			q.Writev(out)
			c.WriteToUDPAddrPort(payload, addr)
			d.Wait()
			ready = d.Ready(ready[:0])
			for {
				if _, err := q.Readv(in); err != nil {
					break
				}
			}
		})
		if n != 0 {
			t.Errorf("%v allocations a round", n)
		}
	})
}

func BenchmarkWritev(b *testing.B) {
	for _, size := range []int{64, 1400, 60000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			inNamespace(b, func() {
				d := openHost(b, 1)
				q := mustAttach(b, d)
				// To nobody's address, so that only the device is measured.
				f := toKernel(d, 1, 1, string(make([]byte, size)))
				copy(f[HdrLen:], net.HardwareAddr{2, 0, 0, 0, 0, 99})
				bufs := [][]byte{f[:HdrLen], f[HdrLen : HdrLen+42], f[HdrLen+42:]}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := q.Writev(bufs); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkReadvWouldBlock(b *testing.B) {
	inNamespace(b, func() {
		d := openHost(b, 1)
		q := mustAttach(b, d)
		bufs := [][]byte{make([]byte, HdrLen), make([]byte, 64), make([]byte, MaxFrame)}
		b.ReportAllocs()
		for b.Loop() {
			q.Readv(bufs)
		}
	})
}

func BenchmarkReady(b *testing.B) {
	inNamespace(b, func() {
		d := openHost(b, 4)
		for range 4 {
			mustAttach(b, d)
		}
		var ready []int
		b.ReportAllocs()
		for b.Loop() {
			ready = d.Ready(ready[:0])
		}
	})
}
