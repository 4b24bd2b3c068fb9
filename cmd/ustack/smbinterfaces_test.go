package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto"
)

func TestWhereClientsFindTheServer(t *testing.T) {
	f := stackFlags{Stack: "netstack", Addr: []string{"10.77.0.2/24", "fe80::1/64", "fd00::2/64"}, Shards: 2}
	got := f.interfaces()()
	if len(got) != 2 || got[0].Addr != netip.MustParseAddr("10.77.0.2") || got[1].Addr != netip.MustParseAddr("fd00::2") || !got[0].RSS {
		t.Errorf("on netstack: %+v", got)
	}
	f = stackFlags{Stack: "kernel", Addr: []string{"127.0.0.1"}}
	got = f.interfaces()()
	if len(got) != 1 || got[0].Addr != netip.MustParseAddr("127.0.0.1") || got[0].Index == 0 || got[0].LinkSpeed == 0 {
		t.Errorf("on the kernel's loopback: %+v", got)
	}
	f.Addr = []string{"0.0.0.0"}
	for _, i := range f.interfaces()() {
		if i.Addr.IsLoopback() || !i.Addr.Is4() {
			t.Errorf("told %v of all addresses of IPv4", i.Addr)
		}
	}
}

func TestWhatIsKnownOfAnInterface(t *testing.T) {
	sys := t.TempDir()
	for file, content := range map[string]string{
		"fast/speed": "25000\n", "fast/queues/rx-0/x": "", "fast/queues/rx-1/x": "", "fast/queues/tx-0/x": "",
		"down/speed": "-1\n", "down/queues/rx-0/x": "",
	} {
		path := filepath.Join(sys, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]struct {
		speed  uint64
		queues int
	}{"fast": {25e9, 2}, "down": {smbproto.DefaultLinkSpeed, 1}, "none": {smbproto.DefaultLinkSpeed, 0}} {
		if speed, queues := linkSpeed(sys, name), receiveQueues(sys, name); speed != want.speed || queues != want.queues {
			t.Errorf("%s: %d bits/s, %d queues; want %+v", name, speed, queues, want)
		}
	}
}
