package tap

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
)

func mustSplit(tb testing.TB, d Device) Device {
	tb.Helper()
	part, err := d.(Splitter).Split()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { part.Close() })
	return part
}

// The parts of a device are closed in any order: those that are left carry frames, and keep the
// interface and the claim to it, until the last one gives both up, and leaves no descriptor.
func TestTheLastPartGivesTheInterfaceUp(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			inNamespace(t, func() {
				before := openDescriptors(t)
				d := openHost(t, 5) // one more than is attached
				parts := []Device{d, mustSplit(t, d)}
				parts = append(parts, mustSplit(t, parts[1])) // a part of a part is one of the whole
				queues := make([]Queue, len(parts))
				for _, i := range order { // whoever is first gets the first
					queues[i] = mustAttach(t, parts[i])
				}
				mustAttach(t, parts[order[1]])
				c, port := kernelSocket(t)
				for n, i := range order {
					for _, j := range order[n:] {
						checkCarries(t, parts[j], queues[j], c, port)
					}
					if other, err := Open(Config{Name: d.Name()}); !errors.Is(err, ErrNameTaken) {
						t.Errorf("with %d parts left another may have the interface: %v", len(order)-n, err)
						if err == nil {
							other.Close()
						}
					}
					for range 2 {
						if err := parts[i].Close(); err != nil {
							t.Error(err)
						}
					}
					checkClosed(t, parts[i], queues[i])
				}
				if _, err := netlink.LinkByName(d.Name()); err == nil {
					t.Error("the interface is still there")
				}
				c.Close()
				if after := openDescriptors(t); after > before {
					t.Errorf("%d descriptors open before, %d after", before, after)
				}
				again, err := Open(Config{Name: d.Name()})
				if err != nil {
					t.Fatalf("nobody has the interface: %v", err)
				}
				again.Close()
			})
		})
	}
}

// checkCarries has a request go out by a part of a device, and its reply come in there.
func checkCarries(t *testing.T, d Device, q Queue, c *net.UDPConn, port uint16) {
	t.Helper()
	mustWrite(t, q, toKernel(d, 7, port, "request"))
	buf := make([]byte, 100)
	n, from, err := c.ReadFromUDP(buf)
	if err != nil || string(buf[:n]) != "request" {
		t.Fatalf("the kernel read %q, %v", buf[:n], err)
	}
	if _, err := c.WriteToUDP([]byte("reply"), from); err != nil {
		t.Fatal(err)
	}
	for {
		if err := d.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, i := range d.Ready(nil) {
			if i > 0 { // the kernel's own frames may come by any
				continue
			}
			if f := readFrame(t, q); f != nil && isUDP(f) {
				if payload := f[HdrLen+42:]; string(payload) != "reply" {
					t.Errorf("the kernel sent %q", payload)
				}
				return
			}
		}
	}
}

// checkClosed wants nothing to go by a part that is closed.
func checkClosed(t *testing.T, d Device, q Queue) {
	t.Helper()
	if err := d.Wait(); err != ErrClosed {
		t.Errorf("Wait: %v", err)
	}
	if ready := d.Ready(nil); len(ready) > 0 {
		t.Errorf("ready: %v", ready)
	}
	if _, err := d.AttachQueue(); err != ErrClosed {
		t.Errorf("AttachQueue: %v", err)
	}
	if _, err := d.(Splitter).Split(); err != ErrClosed {
		t.Errorf("Split: %v", err)
	}
	if _, err := q.Readv([][]byte{make([]byte, 100)}); err != ErrClosed {
		t.Errorf("Readv: %v", err)
	}
	if _, err := q.Writev([][]byte{make([]byte, 100)}); err != ErrClosed {
		t.Errorf("Writev: %v", err)
	}
}

// Parts of a device that nobody has attached a queue to keep the first one, and the interface with it.
func TestPartsWithoutAQueueKeepTheInterface(t *testing.T) {
	inNamespace(t, func() {
		before := openDescriptors(t)
		d := openHost(t, 3)
		part := mustSplit(t, d)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		mustLink(t, d.Name())
		c, port := kernelSocket(t)
		checkCarries(t, part, mustAttach(t, part), c, port)
		last := mustSplit(t, part)
		for _, d := range []Device{part, last} {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		c.Close()
		if _, err := netlink.LinkByName(d.Name()); err == nil {
			t.Error("the interface is still there")
		}
		if after := openDescriptors(t); after > before {
			t.Errorf("%d descriptors open before, %d after", before, after)
		}
	})
}

// What AttachQueue gives to all parts together is what the device was opened for.
func TestPartsShareTheQueues(t *testing.T) {
	inNamespace(t, func() {
		d := openHost(t, 3)
		parts := []Device{d, mustSplit(t, d)}
		for i := range 3 {
			mustAttach(t, parts[i%2])
		}
		for _, p := range parts {
			if _, err := p.AttachQueue(); !errors.Is(err, ErrNoQueue) {
				t.Errorf("a fourth queue: %v", err)
			}
		}
		if n := mustLink(t, d.Name()).(*netlink.Tuntap).Queues; n != 3 {
			t.Errorf("the interface has %d queues", n)
		}
	})
}
