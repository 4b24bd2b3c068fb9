package smbproto

import (
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// A session may be ended by another connection at any moment of its own.
func TestSessionIsEndedInTheMidstOfItsWork(t *testing.T) {
	for range 20 {
		srv := newServerIn(t, t.TempDir(), nil)
		busy, other := connect(t, srv, "").logOn("pub"), connect(t, srv, "")
		other.want(other.negotiateMsg(0x0210), wire.StatusOK)
		r := other.want(other.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		other.session = wire.Header(r).SessionID()
		last := other.setupMsg(ntlmAnonymous())
		le.PutUint64(last[80:], busy.session)

		started := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 10_000 {
				m := busy.createMsg("file", opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDeleteOnClose})
				if s := busy.chainStatus(chainOf(true, m, busy.writeMsg(wire.FileIDNone, 0, []byte("x")), busy.readMsg(wire.FileIDNone, 0, 1))); s == wire.StatusUserSessionDeleted {
					return
				}
				if i == 10 {
					close(started)
				}
			}
			t.Error("never ended")
		})
		<-started
		other.want(last, wire.StatusOK)
		wg.Wait()
		if st := srv.Stats(); st.Opens != 0 || st.Trees != 0 || st.Sessions != 1 {
			t.Errorf("left: %+v", st)
		}
	}
}

// chainStatus sends a compound and returns the status of its first answer.
func (p *peer) chainStatus(msg []byte) wire.Status {
	if err := p.feed(frame(msg)); err != nil {
		p.t.Error(err)
		return wire.StatusUserSessionDeleted
	}
	return status(p.reply())
}
