package tap

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// bridge carries frames from one device to the other until the first is closed.
func bridge(tb testing.TB, from, to Device, in, out Queue) {
	buf := make([]byte, HdrLen+MaxFrame)
	for from.Wait() == nil {
		for {
			n, err := in.Readv([][]byte{buf})
			if err != nil {
				break
			}
			for {
				if _, err = out.Writev([][]byte{buf[:n]}); err != ErrWouldBlock {
					break
				}
			}
			if err != nil && err != ErrClosed && err != ErrDown {
				tb.Errorf("%d bytes from %s to %s: %v", n, from.Name(), to.Name(), err)
			}
		}
	}
}

// Two kernels, each in its namespace, are the judges: their TCP must bring all bytes
// through a link that does everything to their frames.
//
//	client 10.78.0.1 ── left ──(impaired)── right ── 10.78.0.2 server
func TestKernelTCPSurvivesImpairments(t *testing.T) {
	cut := Faults{Overlap: Every(3), Split: Every(4), Duplicate: Every(17), Reorder: Every(23), HoldTime: time.Millisecond}
	harm := cut
	harm.Drop, harm.Corrupt = Every(101), Every(67)
	for _, c := range []struct {
		name, client, server string
		im                   Impairment
	}{
		{"IPv4 recut outward", "10.78.0.1/24", "10.78.0.2/24", Impairment{Seed: 1, Out: cut}},
		{"IPv4 all outward", "10.78.0.1/24", "10.78.0.2/24", Impairment{Seed: 2, Out: harm}},
		{"IPv6 all inward", "fd00::1/64", "fd00::2/64", Impairment{Seed: 3, In: harm}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNamespace(t, func() {
				client, server := netip.MustParsePrefix(c.client), netip.MustParsePrefix(c.server)
				left := mustOpen(t, Config{Name: "left", HostAddrs: []netip.Prefix{client}, Up: true})
				first, err := netns.Get()
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				second, err := netns.New()
				if err != nil {
					t.Fatal(err)
				}
				defer second.Close()
				right := Impair(mustOpen(t, Config{Name: "right", HostAddrs: []netip.Prefix{server}, Up: true}), c.im)
				l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(server.Addr(), 0)))
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				errorsBefore := inErrors(t)
				if err := netns.Set(first); err != nil {
					t.Fatal(err)
				}

				ql, qr := mustAttach(t, left), mustAttach(t, right)
				var wg sync.WaitGroup
				wg.Go(func() { bridge(t, left, right, ql, qr) })
				wg.Go(func() { bridge(t, right, left, qr, ql) })
				exchange(t, l)
				left.Close()
				right.Close()
				wg.Wait()

				in, out := right.Faults()
				in.add(out)
				t.Logf("%+v", in)
				if err := netns.Set(second); err != nil {
					t.Fatal(err)
				}
				// One may have hit a packet that is not TCP.
				if got := inErrors(t) - errorsBefore; c.im.In.none() && got+1 < in.Corrupted {
					t.Errorf("%d frames corrupted, the kernel found %d", in.Corrupted, got)
				}
			})
		})
	}
}

// exchange sends bytes to a server and compares what comes back.
func exchange(t *testing.T, l *net.TCPListener) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	l.SetDeadline(deadline)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(deadline)
		if _, err := io.Copy(c, c); err != nil {
			t.Error(err)
		}
	})
	c, err := net.DialTimeout("tcp", l.Addr().String(), 10*time.Second)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(deadline)
	sent := make([]byte, 3<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	wg.Go(func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("sent %d bytes, %d came back, %v", len(sent), len(got), err)
	}
}

// inErrors is how many bad TCP segments the kernel has had in the namespace of this thread.
func inErrors(tb testing.TB) uint64 {
	tb.Helper()
	return snmp(tb, "Tcp:", "InErrs")
}

// snmp reads a counter of this thread's namespace.
func snmp(tb testing.TB, protocol, name string) uint64 {
	tb.Helper()
	file, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(file)) {
		fields := strings.Fields(line)
		if fields[0] != protocol {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		n, err := strconv.ParseUint(fields[slices.Index(names, name)], 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		return n
	}
	tb.Fatalf("no %s %s", protocol, name)
	return 0
}
