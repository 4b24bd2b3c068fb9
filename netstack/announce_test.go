package netstack

import (
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ustack/tap"
)

// announced says which address a frame tells neighbours of, as they read it: nothing if it is none that does.
func announced(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		if arp.Operation == layers.ARPRequest && slices.Equal(arp.SourceProtAddress, arp.DstProtAddress) {
			return fmt.Sprint(net.IP(arp.SourceProtAddress), " ", net.HardwareAddr(arp.SourceHwAddress), " to ", eth.DstMAC)
		}
		return ""
	}
	na, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	ip, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	if !ok || ip.HopLimit != 255 || !ip.DstIP.Equal(net.IPv6linklocalallnodes) || na.Flags != 0x20 || len(na.Options) != 1 || na.Options[0].Type != layers.ICMPv6OptTargetAddress {
		return ""
	}
	icmp := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		return err.Error()
	}
	if failed, check := icmp.VerifyChecksum(); failed != nil || !check.Valid {
		return fmt.Sprint("a wrong checksum: ", failed, check)
	}
	return fmt.Sprint(na.TargetAddress, " ", net.HardwareAddr(na.Options[0].Data), " to ", eth.DstMAC)
}

// Neighbours that knew another stack by these addresses need not ask: they are told.
func TestAStackAnnouncesItsAddresses(t *testing.T) {
	near, far := tap.NewPair(tap.PairConfig{})
	defer far.Close()
	q, err := far.AttachQueue()
	if err != nil {
		t.Fatal(err)
	}
	own := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	newStack(t, near, func(c *Config) { c.HardwareAddr = own }, "10.1.0.1/24", "fd00::1/64")
	var got []string
	frame := make([]byte, tap.HdrLen+tap.MaxFrame)
	for len(got) < 2 {
		n, err := q.Readv([][]byte{frame})
		if err == tap.ErrWouldBlock {
			err = far.Wait()
		} else if what := announced(frame[tap.HdrLen:max(n, tap.HdrLen)]); what != "" {
			got = append(got, what)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"10.1.0.1 02:00:00:00:00:07 to ff:ff:ff:ff:ff:ff", "fd00::1 02:00:00:00:00:07 to 33:33:00:00:00:01"}
	if !slices.Equal(got, want) {
		t.Errorf("announced are %q, want %q", got, want)
	}
}

// A lossyDevice loses what is written while it is down.
type lossyDevice struct {
	tap.Device
	down atomic.Bool
	said atomic.Int64 // announcements that went out
}

type lossyQueue struct {
	tap.Queue
	d *lossyDevice
}

func (d *lossyDevice) AttachQueue() (tap.Queue, error) {
	q, err := d.Device.AttachQueue()
	return lossyQueue{q, d}, err
}

func (q lossyQueue) Writev(bufs [][]byte) (int, error) {
	if q.d.down.Load() {
		return 0, tap.ErrDown
	}
	if announced(slices.Concat(bufs...)[tap.HdrLen:]) != "" {
		q.d.said.Add(1)
	}
	return q.Queue.Writev(bufs)
}

// What is announced while the link is down is announced again, and all of it no more than twice.
func TestAnnouncementsWaitForTheLink(t *testing.T) {
	near, far := tap.NewPair(tap.PairConfig{})
	defer far.Close()
	d := &lossyDevice{Device: near}
	d.down.Store(true)
	s := newStack(t, d, nil, "10.1.0.1/24", "fd00::1/64")
	s.onLoop(t, func() { // as if time went on
		l, now := s.l, s.l.now
		defer func() { l.now = now }()
		for i := range 8 {
			d.down.Store(i < 3)
			l.now = l.now.Add(announceEvery)
			l.announce()
			l.now = l.now.Add(announceEvery / 2)
			l.announce() // too early
		}
		l.announcer.last = now
		if n := d.said.Load(); n != 2*announceTimes {
			t.Errorf("%d announcements went out, want %d", n, 2*announceTimes)
		}
	})
}
