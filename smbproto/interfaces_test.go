package smbproto

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"ustack/smbproto/wire"
)

func TestClientsAreToldWhereElseToConnect(t *testing.T) {
	list := []Interface{
		{Index: 2, RSS: true, LinkSpeed: 10e9, Addr: netip.MustParseAddr("10.77.0.2")},
		{Index: 3, LinkSpeed: DefaultLinkSpeed, Addr: netip.MustParseAddr("fd00::1")},
	}
	want := make([]byte, 2*wire.NetworkInterfaceSize)
	wire.PutNetworkInterfaces(want, list)
	for _, c := range []struct {
		dialect wire.Dialect
		most    int // channels
		id      wire.FileID
		room    int
		status  wire.Status
	}{
		{wire.Dialect300, 0, wire.FileIDNone, 1 << 16, wire.StatusOK},
		{wire.Dialect311, 0, wire.FileIDNone, len(want), wire.StatusOK},
		{wire.Dialect311, 0, wire.FileIDNone, len(want) - 1, wire.StatusBufferTooSmall},
		{wire.Dialect311, 0, wire.FileID{Persistent: 1, Volatile: 1}, 1 << 16, wire.StatusInvalidParameter},
		{wire.Dialect311, 1, wire.FileIDNone, 1 << 16, wire.StatusInvalidDeviceRequest},
		{wire.Dialect210, 0, wire.FileIDNone, 1 << 16, wire.StatusInvalidDeviceRequest},
	} {
		m := newMember(t, func(cfg *Config) {
			cfg.Interfaces = func() []Interface { return list }
			cfg.Limits.MaxChannels = c.most
		}, c.dialect).logOn("alice", "secret").treeOf("IPC$")
		if m.c.capabilities()&wire.CapabilityMultiChannel != 0 {
			t.Error("multichannel is told to a client that has not asked")
		}
		m.c.clientCaps |= wire.CapabilityMultiChannel
		can := m.c.capabilities()&wire.CapabilityMultiChannel != 0
		if can != (c.dialect >= wire.Dialect300 && c.most != 1) {
			t.Errorf("%v, %d channels at most: multichannel is told: %v", c.dialect, c.most, can)
		}
		r := m.want(m.ioctlMsg(wire.FsctlQueryNetworkInterfaces, c.id, nil, c.room), c.status)
		if c.status == wire.StatusOK && !bytes.Equal(r[wire.IoctlFixed:], want) {
			t.Errorf("told % x, want % x", r[wire.IoctlFixed:], want)
		}
	}
	// There are never more than the answer holds.
	many := newMember(t, func(cfg *Config) {
		cfg.Interfaces = func() []Interface { return slices.Repeat(list, 1000) }
	}, wire.Dialect311).logOn("alice", "secret").treeOf("IPC$")
	r := many.want(many.ioctlMsg(wire.FsctlQueryNetworkInterfaces, wire.FileIDNone, nil, 1<<16), wire.StatusOK)
	if n := len(r[wire.IoctlFixed:]) / wire.NetworkInterfaceSize; n != maxInterfaces {
		t.Errorf("%d of 2000 interfaces, want %d", n, maxInterfaces)
	}
}
