package smbproto

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// tcp is the stream of a peer, which acknowledges everything or nothing.
type tcp struct {
	a    *ioarea.Area
	deaf atomic.Bool
}

func (*tcp) Kind() string         { return "test" }
func (*tcp) LocalAddr() net.Addr  { return nil }
func (*tcp) RemoteAddr() net.Addr { return nil }
func (*tcp) Detach(error)         {}
func (s *tcp) Stats() ioarea.Stats {
	st := ioarea.Stats{BytesOut: s.a.Out.End()}
	if s.deaf.Load() {
		st.Unacked = int(st.BytesOut)
	}
	return st
}

// channelsOf logs alice on and binds n connections to the session, each over a stream of its own.
func channelsOf(t *testing.T, n int) (all []*member, streams []*tcp) {
	t.Helper()
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	for i := range n {
		a := newArea(t, srv)
		s := &tcp{a: a}
		a.Bind(s)
		m := (&member{peer: connectOver(t, srv, dir, a)}).negotiate(wire.Dialect311)
		if i == 0 {
			m.logOn("alice", "secret").treeOf("pub")
		} else {
			m.mustBind(all[0])
		}
		all, streams = append(all, m), append(streams, s)
	}
	return all, streams
}

func TestABreakThatIsNotHeardIsToldOverAnotherChannel(t *testing.T) {
	for name, c := range map[string]struct {
		deaf    []bool // the channels
		told    []bool
		between func(all []*member, id wire.FileID)
	}{
		"it is heard":       {[]bool{false, false, false}, []bool{true, false, false}, nil},
		"the first is deaf": {[]bool{true, false, false}, []bool{true, true, false}, nil},
		"the first two are": {[]bool{true, true, false}, []bool{true, true, true}, nil},
		"all are":           {[]bool{true, true, true}, []bool{true, true, true}, nil},
		"the first comes to an end": {[]bool{false, false, false}, []bool{false, true, false}, func(all []*member, _ wire.FileID) {
			all[0].hangUp()
		}},
		"it is acknowledged, though not heard": {[]bool{true, false, false}, []bool{true, false, false}, func(all []*member, id wire.FileID) {
			all[2].want(all[2].sign(all[2].ackMsg(id, wire.OplockII)), wire.StatusOK)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			all, streams := channelsOf(t, 3)
			id := all[0].openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
			for i, deaf := range c.deaf {
				streams[i].deaf.Store(deaf)
			}
			other := memberOf(t, all[0].srv, all[0].dir, wire.Dialect311).logOn("bob", "hidden").treeOf("pub")
			async := other.pends(other.createMsg("file", anyOpen))
			told := make([]bool, len(all))
			look := func() {
				synctest.Wait()
				for i, m := range all {
					if m.c == nil {
						continue
					}
					for r := m.later(); r != nil; r = m.later() {
						if wire.Header(r).Command() != wire.CommandOplockBreak || told[i] {
							t.Fatalf("%s: channel %d is told % x", name, i, r)
						}
						told[i] = true
					}
				}
			}
			if c.between == nil || c.told[0] {
				look()
			}
			if c.between != nil {
				c.between(all, id)
			}
			for range 4 {
				look()
				time.Sleep(unheard)
			}
			look()
			for i := range all {
				if told[i] != c.told[i] {
					t.Errorf("%s: channel %d is told: %v", name, i, told[i])
				}
			}
			time.Sleep(oplockTimeout)
			synctest.Wait()
			other.wantLater(async, wire.StatusOK)
		})
	}
}
