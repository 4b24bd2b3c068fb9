package netstack

import (
	"testing"

	"ustack/ioarea"
	"ustack/ioarea/handlers"
)

// Many requests that come together are answered in one batch: no reply is preceded by an ACK in
// a frame of its own. The scheduler lets a goroutine that yields go on after some 60 others.
func TestManyRequestsAreAnsweredInOneBatch(t *testing.T) {
	withProcs(t, 1, func(t *testing.T) {
		const n = 200
		w := newWire(t, nil)
		serve(t, w.stack, hostAddr, func() ioarea.Handler { return handlers.Echo{} })
		conns := make([]*rawConn, n)
		for i := range conns {
			conns[i] = w.open(uint16(4000+i), 1)
		}
		least := n
		for round := range uint64(8) { // the first has the handlers started
			w.barrier(uint16(round))
			w.together(func() {
				for _, c := range conns {
					c.send(round*8, []byte("requests"))
				}
			})
			bare, replies := 0, 0
			for replies < n {
				var s segment
				if f := w.read(); !parseFrame(f, len(f), &s) || s.flags&flagACK == 0 {
					continue
				}
				if s.payload == 8 {
					replies++
				} else {
					bare++
				}
			}
			for _, c := range conns {
				w.write(w.ip(protoTCP, nil, c.tcp(flagACK, c.iss+1+uint32(round+1)*8, c.irs+1+uint32(round+1)*8, nil, nil)))
			}
			if round > 0 {
				least = min(least, bare)
			}
		}
		if least > n/10 { // a thread that is preempted has a round end early
			t.Errorf("%d ACKs at least came without a reply", least)
		}
	})
}
