package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

func TestPutNetworkInterfaces(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, 2*NetworkInterfaceSize)
	n := PutNetworkInterfaces(b, []NetworkInterface{
		{Index: 7, RSS: true, LinkSpeed: 10_000_000_000, Addr: netip.MustParseAddr("10.77.0.2")},
		{Index: 8, LinkSpeed: 1_000_000_000, Addr: netip.MustParseAddr("fd00::1")},
	})
	want := "98000000" + "07000000" + "01000000" + "00000000" + "00e40b5402000000" + "0200" + "0000" + "0a4d0002" + zeros(120) +
		"00000000" + "08000000" + "00000000" + "00000000" + "00ca9a3b00000000" + "1700" + "0000" + "00000000" + "fd000000000000000000000000000001" + zeros(104)
	if got := hex.EncodeToString(b[:n]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func zeros(n int) string { return hex.EncodeToString(make([]byte, n)) }
