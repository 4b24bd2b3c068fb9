package smbproto

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"ustack/smbproto/wire"
)

// storming is a session in the storm: what its channels know together.
type storming struct {
	mu    sync.Mutex
	ids   []wire.FileID
	async []uint64
}

// any is an open of the session, if there is one; ends says that it is to be one no more.
func (s *storming) any(r *rand.Rand, ends bool) (id wire.FileID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ids) > 0 {
		i := r.IntN(len(s.ids))
		if id = s.ids[i]; ends {
			s.ids = slices.Delete(s.ids, i, i+1)
		}
	}
	return id
}

// stormer is one channel; its goroutine is its own.
type stormer struct {
	*member
	of      *storming
	r       *rand.Rand
	waiting map[uint64]bool // AsyncIds that have had no final answer
}

// act makes one request at random.
func (s *stormer) act() []byte {
	r := s.r
	name := []string{"one", "two", `d\three`, `d\four`, "one:stream"}[r.IntN(5)]
	what := r.IntN(18)
	id := s.of.any(r, what >= 6 && what <= 8)
	switch what {
	case 0, 1, 2, 3, 4:
		o := opening{wire.AccessAll, shareAll, wire.OpenIf, 0}
		switch r.IntN(10) {
		case 0:
			o.share = 0
		case 1:
			o.disposition = wire.OverwriteIf
		case 2:
			o.options = wire.OptionDeleteOnClose
		case 3:
			o.access = att
		}
		var m []byte
		guid := byte(r.IntN(200))
		if r.IntN(2) == 0 {
			levels := []wire.OplockLevel{wire.OplockNone, wire.OplockII, wire.OplockExclusive, wire.OplockBatch}
			m = withContexts(s.oplockMsg(name, o, levels[r.IntN(4)]), durableV2(guid, time.Minute), instance(byte(r.IntN(3))))
		} else {
			states := []wire.LeaseState{leaseR, leaseRH, leaseRW, leaseRWH}
			m = withContexts(s.oplockMsg(name, o, wire.OplockLease), leaseContext(byte(1+r.IntN(3)), states[r.IntN(4)]), durableV2(guid, time.Minute))
		}
		if r.IntN(3) == 0 {
			m = replays(m)
		}
		return m
	case 5:
		guid := byte(r.IntN(200))
		if r.IntN(2) == 0 {
			return withContexts(s.createMsg(name, anyOpen), reconnectV2(id, guid))
		}
		return withContexts(s.createMsg(name, anyOpen), reconnectV2(id, guid), leaseContext(byte(1+r.IntN(3)), 0))
	case 6, 7, 8:
		return s.closeMsg(id)
	case 9, 10:
		return s.writeMsg(id, 0, []byte("storm"))
	case 11:
		flags := []uint32{wire.LockExclusive, wire.LockShared, wire.LockUnlock}[r.IntN(3)]
		return s.lockMsg(id, 0, 1, flags)
	case 12:
		return s.setMsg(id, wire.FileRenameInformation, renameInfo(name, r.IntN(2) == 0))
	case 13:
		return s.setMsg(id, wire.FileDispositionInformation, []byte{byte(r.IntN(8) / 7)})
	case 14:
		if r.IntN(8) > 0 {
			return s.readMsg(id, 0, 1)
		}
		return s.ioctlMsg(wire.FsctlRequestResiliency, id, []byte{0, 100, 0, 0, 0, 0, 0, 0}, 0)
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if len(s.of.async) == 0 {
		return s.request(wire.CommandEcho, 4, nil)
	}
	return s.cancelMsg(s.of.async[r.IntN(len(s.of.async))])
}

// take looks at all answers that have come. It returns acknowledgments of the breaks among them.
func (s *stormer) take() (acks [][]byte) {
	for {
		m := s.reply()
		if m == nil {
			return acks
		}
		h := wire.Header(m)
		if h.MessageID() == ^uint64(0) {
			if le.Uint16(m[64:]) == 44 {
				var key [16]byte
				copy(key[:], m[72:])
				acks = append(acks, s.leaseAckMsg(key[0], wire.LeaseState(le.Uint32(m[92:]))))
			} else {
				b := wire.OplockBreak(m)
				acks = append(acks, s.ackMsg(b.FileID(), b.Level()))
			}
			continue
		}
		switch {
		case h.Status() == wire.StatusPending:
			s.waiting[h.AsyncID()] = true
			s.of.mu.Lock()
			s.of.async = append(s.of.async, h.AsyncID())
			s.of.mu.Unlock()
		case h.Has(wire.FlagAsync):
			if !s.waiting[h.AsyncID()] {
				s.t.Errorf("%v %d is answered, and does not wait", h.Command(), h.AsyncID())
			}
			delete(s.waiting, h.AsyncID())
		}
		s.of.mu.Lock()
		if h.Command() == wire.CommandCreate && h.Status() == wire.StatusOK {
			s.of.ids = append(s.of.ids, wire.ReadFileID(m[128:]))
			if len(s.of.ids) > 20 {
				s.of.ids = slices.Delete(s.of.ids, 0, 1)
			}
		}
		if len(s.of.async) > 20 {
			s.of.async = slices.Delete(s.of.async, 0, 1)
		}
		s.of.mu.Unlock()
	}
}

func (s *stormer) run(n int) {
	for range n {
		if err := s.feed(frame(s.act())); err != nil {
			s.t.Error(err)
			return
		}
		for acks := s.take(); len(acks) > 0; acks = s.take() {
			for _, m := range acks {
				if s.r.IntN(8) == 0 {
					continue // by some, nothing is acknowledged
				}
				if err := s.feed(frame(m)); err != nil {
					s.t.Error(err)
					return
				}
			}
		}
	}
}

// Three sessions on six connections open the same few files with oplocks, leases and durable handles, wait, cancel, come back and go: each
// request that waits has one answer, and in the end nothing is left (what newServerIn looks for).
func TestAStormOfChannels(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	for round := range 6 {
		storm := func(guid byte, name, password string, channels int) (all []*stormer) {
			of := &storming{}
			for i := range channels {
				p := connect(t, srv, dir)
				p.guid = [16]byte{guid}
				m := (&member{peer: p}).negotiate(wire.Dialect302)
				if i == 0 {
					m.logOn(name, password).toShare()
				} else if got := m.bind(all[0].member, binding{name: name, password: password}); got != wire.StatusOK {
					t.Fatal(got)
				}
				all = append(all, &stormer{member: m, of: of, r: rand.New(rand.NewPCG(uint64(round), uint64(guid)<<8+uint64(i))), waiting: map[uint64]bool{}})
			}
			return all
		}
		all := append(storm(1, "alice", "secret", 3), storm(2, "bob", "hidden", 2)...)
		again := storm(1, "alice", "secret", 1)
		all = append(all, again...)
		if round == 0 {
			again[0].make("d", wire.OptionDirectory)
		}
		var wg sync.WaitGroup
		for i, s := range all {
			wg.Go(func() {
				s.run(300)
				if i%2 == 0 {
					s.hangUp() // while others go on
					return
				}
				s.run(100)
				s.hangUp()
			})
		}
		wg.Wait()
		if st := srv.Stats(); st.Sessions != 0 || st.Opens != 0 || st.Trees != 0 {
			t.Errorf("left behind: %+v", st)
		}
		srv.files.mu.Lock()
		for _, st := range srv.files.files {
			if len(st.openers) > 0 || len(st.waiting) > 0 {
				t.Errorf("%d wait for an oplock, %d for a lock, of connections that have ended", len(st.openers), len(st.waiting))
			}
		}
		for id, h := range srv.files.leases {
			if len(h.opens) == 0 {
				t.Errorf("lease %v has no open", id)
			}
		}
		srv.files.mu.Unlock()
		if round%2 == 1 {
			srv.files.evictAll(func(*open) bool { return true })
		}
	}
	if a, b := srv.files.keepers.Load(), srv.files.dirLeases.Load(); a != 0 || b != 0 || len(srv.files.leases) != 0 || len(srv.files.instances) != 0 {
		t.Errorf("%d oplocks keep files, %d directories are leased, %d leases, %d instances", a, b, len(srv.files.leases), len(srv.files.instances))
	}
}
