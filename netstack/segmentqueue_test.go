package netstack

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// More acknowledgements than TCP has time for are dropped, however they come.
func TestAcknowledgementsThatWaitAreBounded(t *testing.T) {
	for name, options := range map[string][]byte{"direct": nil, "by IP": {1, 1, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, nil)
			c, a := w.learned(8)
			ep := a.Stream().(*flow).ep.(*tcp.Endpoint)
			most := int(ep.SocketOptions().GetReceiveBufferSize()) + 2*emptyMost
			ep.LockUser() // TCP looks at nothing
			for i := range 20000 {
				if i%1000 == 0 {
					w.barrier(1) // it has read them
				}
				w.write(w.ip(protoTCP, options, c.tcp(flagACK, c.iss+9, c.irs+1, nil, nil)))
			}
			w.barrier(1)
			held, _ := w.stack.l.endpoints.held(ep)
			ep.UnlockUser()
			if held > most {
				t.Errorf("%d bytes of acknowledgements wait, want %d at most", held, most)
			}
			eventually(t, "TCP goes on", func() bool {
				c.send(8, []byte("go on"))
				w.barrier(1)
				return a.In.Len() == 13
			})
		})
	}
}
