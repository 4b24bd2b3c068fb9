package netstack

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// If it fails, lending is off, and all that goes out is copied.
func TestClaimsHoldWithTheGVisorWeHave(t *testing.T) {
	if err := findClaims(); err != nil {
		t.Error(err)
	}
}

// Where the peer does not answer ARP any more, gVisor tells its own TCP of each packet that waited, which it
// has to take apart for that: the one way on which it reads what it was about to send.
func TestAClaimOutlivesAPeerThatIsGoneFromTheLink(t *testing.T) {
	w := newWire(t, nil)
	ln := w.listen()
	c := w.open(1001, 7)
	a := w.accept(ln)
	if err := a.Out.Append(patience, versioned(make([]byte, 3000), 0, 3)); err != nil {
		t.Fatal(err)
	}
	c.until(func(s *segment) bool { return s.payload > 0 })
	stk := w.stack.l.stk
	nud := stack.DefaultNUDConfigurations()
	nud.RetransmitTimer = 10 * time.Millisecond
	if err := stk.SetNUDConfigurations(nicID, ipv4.ProtocolNumber, nud); err != nil {
		t.Fatal(err)
	}
	if err := stk.ClearNeighbors(nicID, ipv4.ProtocolNumber); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a packet that could not be sent", func() bool { // nobody reads the wire, nor answers
		return stk.Stats().IP.OutgoingPacketErrors.Value() > 0
	})
	w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1, c.irs+1+1000, nil, nil)))
	eventually(t, "a part given back", func() bool { return a.Out.Start() == 1000 })
}
