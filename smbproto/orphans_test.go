package smbproto

import (
	"sync"
	"testing"

	"ustack/smbproto/wire"
)

// orphaning is a client of three channels, the first of which asks for a file whose oplock another client has.
type orphaning struct {
	channels [3]*member
	holder   *peer
	held     wire.FileID
}

func newOrphaning(t *testing.T, change func(*Config)) *orphaning {
	t.Helper()
	m := newMember(t, change, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	s := &orphaning{channels: [3]*member{m}, holder: connect(t, m.srv, m.dir)}
	for i := range 2 {
		s.channels[1+i] = m.another().mustBind(m)
	}
	s.holder.guid = [16]byte{2}
	s.holder.logOn("pub")
	s.held = s.holder.openOplock("file", anyOpen, wire.OplockBatch, wire.OplockBatch)
	return s
}

// replay replays the CREATE over a channel.
func (s *orphaning) replay(i int) []byte {
	m := s.channels[i]
	return m.sign(replays(m.namedMsg("file", anyOpen, 1)))
}

// left says what is to be left of the CREATE.
func (s *orphaning) left(t *testing.T, of *Conn, pending, creates int) {
	t.Helper()
	if n := len(of.pending); n != pending {
		t.Errorf("%d requests wait, want %d", n, pending)
	}
	s.holder.srv.files.mu.Lock()
	defer s.holder.srv.files.mu.Unlock()
	if n := len(s.holder.srv.files.creates); n != creates {
		t.Errorf("%d creates are remembered, want %d", n, creates)
	}
}

// A CREATE that waits is under way for its replay while its channels come and go, and is made when the oplock is broken: once, and nobody
// is answered but who replays it.
func TestACreateThatWaitsOutlivesItsChannel(t *testing.T) {
	for name, pends := range map[string]func(m *member) uint64{
		"signed":    func(m *member) uint64 { return m.pends(m.sign(m.namedMsg("file", anyOpen, 1))) },
		"encrypted": func(m *member) uint64 { return wire.Header(m.seal.ask(m.namedMsg("file", anyOpen, 1))).AsyncID() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newOrphaning(t, nil)
			if pends(s.channels[0]) == 0 {
				t.Fatal("it does not wait")
			}
			s.holder.breaks(s.held, wire.OplockII)
			s.channels[0].hangUp()
			for i := 1; i < 3; i++ {
				m := s.channels[i]
				m.still()
				m.want(s.replay(i), wire.StatusFileNotAvailable)
				m.want(m.sign(m.namedMsg("file", anyOpen, 1)), wire.StatusDuplicateObjectID)
				s.left(t, m.c, 1, 1)
				if i == 1 {
					m.hangUp()
				}
			}
			last := s.channels[2]
			s.holder.still() // it is not told twice
			s.holder.want(s.holder.ackMsg(s.held, wire.OplockII), wire.StatusOK)
			last.still()
			s.left(t, last.c, 0, 1)
			if n := last.srv.Stats().Opens; n != 2 {
				t.Errorf("%d opens, want the holder's and one", n)
			}
			r := last.want(s.replay(2), wire.StatusOK)
			id := wire.ReadFileID(r[128:])
			last.want(last.sign(last.writeMsg(id, 0, []byte("x"))), wire.StatusOK)
			last.want(last.sign(last.closeMsg(id)), wire.StatusOK)
		})
	}
}

// What a channel leaves is tried by the one that has it before that ends, too: nothing is lost on the way.
func TestACreateIsLeftFromChannelToChannel(t *testing.T) {
	s := newOrphaning(t, nil)
	m := s.channels[0]
	m.pends(m.sign(m.namedMsg("file", anyOpen, 1)))
	s.holder.breaks(s.held, wire.OplockII)
	s.holder.want(s.holder.closeMsg(s.held), wire.StatusOK)
	m.hangUp()             // settled, and not tried again
	s.channels[1].hangUp() // left, and not taken up
	last := s.channels[2]
	last.still()
	s.left(t, last.c, 0, 1)
	if r := last.want(s.replay(2), wire.StatusOK); r[66] != byte(wire.OplockBatch) {
		t.Errorf("oplock of level %#x", r[66])
	}
}

// What can't be replayed, or left to anybody, ends with its channel, and so does what is cancelled or whose session ends.
func TestACreateThatNobodyCanReplayEndsWithItsChannel(t *testing.T) {
	send := func(t *testing.T, m *member, msg []byte) {
		t.Helper()
		if err := m.feed(frame(msg)); err != nil {
			t.Fatal(err)
		}
	}
	named := func(m *member) []byte { return m.sign(m.namedMsg("file", anyOpen, 1)) }
	for name, c := range map[string]struct {
		msg func(m *member) []byte
		end func(t *testing.T, s *orphaning, async uint64)
	}{
		"without a GUID": {func(m *member) []byte { return m.sign(m.createMsg("file", anyOpen)) }, nil},
		"others follow": {func(m *member) []byte {
			first, second := pad(m.namedMsg("file", anyOpen, 1)), m.request(wire.CommandEcho, 4, nil)
			wire.Header(first).PutNextCommand(uint32(len(first)))
			return append(m.sign(first), m.sign(second)...)
		}, nil},
		"cancelled before": {named, func(t *testing.T, s *orphaning, async uint64) {
			// As a cancellation over another channel that has taken the request and not settled it yet.
			p := s.channels[0].c.pending[async]
			if !p.place.withdraw(p) {
				t.Fatal("it does not wait")
			}
			s.channels[0].hangUp()
			p.settle(wire.StatusCancelled, nil)
		}},
		"cancelled and not answered": {named, func(t *testing.T, s *orphaning, async uint64) {
			other := s.channels[1]
			send(t, other, other.cancelMsg(async))
			s.channels[0].hangUp()
			other.still()
		}},
		"cancelled after": {named, func(t *testing.T, s *orphaning, async uint64) {
			s.channels[0].hangUp()
			m := s.channels[1]
			m.still()
			cancel := m.cancelMsg(0) // of a message of its own
			le.PutUint64(cancel[24:], wire.Header(m.c.pending[async].head[:]).MessageID())
			send(t, m, cancel)
			s.left(t, m.c, 1, 1)
			send(t, s.channels[2], s.channels[2].cancelMsg(async))
			m.still()
		}},
		"no channel": {named, func(t *testing.T, s *orphaning, _ uint64) {
			s.channels[0].hangUp()
			s.channels[1].hangUp()
			s.channels[2].hangUp()
		}},
		"logged off": {named, func(t *testing.T, s *orphaning, _ uint64) {
			s.channels[0].hangUp()
			m := s.channels[1]
			m.want(m.sign(m.request(wire.CommandLogoff, 4, nil)), wire.StatusOK)
			s.holder.breaks(s.held, wire.OplockII)
			s.holder.want(s.holder.ackMsg(s.held, wire.OplockII), wire.StatusOK)
			m.still()
		}},
		"enough waits": {named, func(t *testing.T, s *orphaning, _ uint64) {
			for i := 1; i < 3; i++ {
				m := s.channels[i]
				m.pends(m.sign(m.createMsg("file", anyOpen)))
			}
			s.channels[0].hangUp()
			s.channels[1].still()
			s.left(t, s.channels[1].c, 1, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOrphaning(t, func(cfg *Config) { cfg.Limits.MaxPending = 1 })
			m := s.channels[0]
			rs := m.askAll(c.msg(m))
			if len(rs) != 1 || status(rs[0]) != wire.StatusPending {
				t.Fatalf("%d answers", len(rs))
			}
			if c.end != nil {
				c.end(t, s, wire.Header(rs[0]).AsyncID())
			}
			m.hangUp()
			if next := s.channels[1]; next.c != nil && c.end == nil {
				next.still()
				s.left(t, next.c, 0, 0)
			}
			s.holder.srv.files.mu.Lock()
			defer s.holder.srv.files.mu.Unlock()
			if n := len(s.holder.srv.files.creates); n != 0 {
				t.Errorf("%d creates are remembered", n)
			}
		})
	}
}

// What others leave to a channel that does not get to it is bounded, in number and in bytes, and one that has ended takes nothing.
func TestWhatIsLeftToAChannelIsBounded(t *testing.T) {
	for name, c := range map[string]struct{ pending, size int }{"number": {1, 0}, "bytes": {10, maxAgain * 2 / 3}} {
		t.Run(name, func(t *testing.T) {
			s := newOrphaning(t, func(cfg *Config) { cfg.Limits.MaxPending = c.pending })
			for i, m := range s.channels[:2] {
				m.pends(m.sign(append(m.namedMsg("file", anyOpen, byte(1+i)), make([]byte, c.size)...)))
			}
			last := s.channels[2].c
			s.channels[0].hangUp()
			s.left(t, last, 0, 2)
			s.channels[1].hangUp() // with its own and the first's
			s.left(t, last, 0, 1)
			s.channels[2].still()
			s.left(t, last, 1, 1)
			s.channels[2].hangUp()
			s.left(t, last, 0, 0)
			if last.adopt(&pending{}, nil) {
				t.Error("a connection that has ended takes a request")
			}
		})
	}
}

// A CREATE that has waited goes before others with its GUID that come while it is tried again.
func TestACreateThatHasWaitedKeepsItsGUID(t *testing.T) {
	s := newOrphaning(t, nil)
	m, other := s.channels[0], s.channels[1]
	async := m.pends(m.sign(m.namedMsg("file", anyOpen, 1)))
	s.holder.want(s.holder.closeMsg(s.held), wire.StatusOK)
	other.want(s.replay(1), wire.StatusFileNotAvailable) // it is settled, and not tried yet
	r := m.wantLater(async, wire.StatusOK)
	if again := other.want(s.replay(1), wire.StatusOK); wire.ReadFileID(again[128:]) != wire.ReadFileID(r[128:]) {
		t.Error("another open is answered")
	}
}

// A CANCEL over one channel may meet the end of another, on which the request waits: whoever takes it from its place has it alone, until
// it is left to somebody.
func TestACancelMeetsTheEndOfAChannel(t *testing.T) {
	s := newOrphaning(t, nil)
	of, last := s.channels[1], s.channels[2]
	s.channels[0].hangUp()
	for i := range 40 {
		m := of.another().mustBind(of)
		async := m.pends(m.sign(m.namedMsg("file", anyOpen, byte(1+i))))
		var both sync.WaitGroup
		both.Go(func() {
			if err := of.feed(frame(of.cancelMsg(async))); err != nil {
				t.Error(err)
			}
		})
		both.Go(func() {
			pattern(i * 2000) // a while
			m.hangUp()
		})
		both.Wait()
		for _, c := range []*member{of, last} {
			c.still()
			c.handle(c.cancelMsg(async)) // it may have been too early
			c.still()
		}
	}
	s.left(t, of.c, 0, 0)
	s.left(t, last.c, 0, 0)
}
