package netstack

import (
	"net/netip"
	"testing"

	"ustack/ioarea/loantest"
)

// A kernel reads the frames, so it can tell when a page is not there.
func TestWhatIsLentLeavesByAKernelsTAP(t *testing.T) {
	for name, addr := range map[string]netip.Addr{"IPv4": stackAddr4, "IPv6": stackAddr6} {
		t.Run(name, func(t *testing.T) {
			c, a := newKernelHost(t, nil, nil).connect(t, addr)
			loantest.Exchange(t, a, c)
			loantest.Lose(t, a, c)
		})
	}
}

// What stands before the device, and may look at frames, is lent nothing.
func TestAWrappedDeviceIsLentNothing(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	w.open(1001, 7)
	if w.accept(ln).Out.MayLend() {
		t.Error("a pair in memory takes loans")
	}
}
