package smbproto

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// What the first byte of FuzzMembers's input asks for: of its lowest two bits, a dialect.
const (
	membersSign    = 4 << iota // of the server that all is signed
	membersEncrypt             // that all is encrypted
	membersTiny                // limits that are soon reached
	membersRO                  // a share that may not be changed
	membersSealed              // a share that must be encrypted
	membersAlone               // one channel to a session
)

// What the byte before a message says: of its lowest two bits, over which connection.
const (
	memberSigns  = 4 << iota // it is signed
	memberSeals              // it is encrypted, if it can be
	memberWild               // its ids stay as they are
	memberPieces             // it arrives in small pieces
)

// members are clients with passwords: two channels of alice's session, if there may be so many, and bob.
type members struct {
	t     *testing.T
	srv   *Server
	pool  *ioarea.Pool
	conns [3]*member
	over  [3]bool
}

// tinyLimits are those of which each is reached by a few requests.
func tinyLimits() Limits {
	return Limits{
		MaxRead: LeastIO, MaxWrite: LeastIO, MaxTransact: LeastIO, MaxSessions: 2, MaxTrees: 2, MaxOpens: 3, MaxFiles: 6,
		MaxCredits: 64, MaxCompound: 3, MaxPending: 2, MaxDisconnected: 2, MaxClientDisconnected: 1,
	}
}

// membersConfig has a server be what an input asks for.
func membersConfig(dir string, asks byte) (cfg Config, d wire.Dialect, share string) {
	cfg = testConfig(dir)
	watched(&cfg)
	cfg.Admins = []string{"bob"}
	d = []wire.Dialect{wire.Dialect311, wire.Dialect300, wire.Dialect302, wire.Dialect210}[asks&3]
	cfg.RequireSigning = asks&membersSign != 0
	if asks&membersTiny != 0 {
		cfg.Limits = tinyLimits()
	}
	if asks&membersAlone != 0 {
		cfg.Limits.MaxChannels = 1
	}
	if share = "pub"; asks&membersRO != 0 {
		share = "ro"
	}
	if d >= wire.Dialect300 {
		if asks&membersEncrypt != 0 {
			cfg.Encryption = EncryptionRequired
		}
		for i := range cfg.Shares {
			cfg.Shares[i].Encrypt = asks&membersSealed != 0
		}
	}
	cfg.Limits.RequestTimeout = time.Second // nobody takes answers while a message is handled
	return cfg, d, share
}

func (ms *members) connect(dir string, d wire.Dialect) *member {
	a, err := ms.pool.Get()
	if err != nil {
		ms.t.Fatal(err)
	}
	m := &member{peer: &peer{t: ms.t, dir: dir, srv: ms.srv, a: a, c: ms.srv.NewConn(a)}}
	return m.negotiate(d)
}

// treeOfAny connects to a share as the server will have it.
func (m *member) treeOfAny(share string) {
	ask := m.treeMsg(`\\server\` + share)
	var r []byte
	if m.seal != nil {
		r = m.seal.ask(ask)
	} else {
		r = m.ask(m.sign(ask))
	}
	if status(r) != wire.StatusOK {
		m.t.Fatalf("%s: %v", share, status(r))
	}
	m.tree = wire.Header(r).TreeID()
}

// begin has the members log on.
func (ms *members) begin(dir string, d wire.Dialect, share string) {
	alice := ms.connect(dir, d).logOn("alice", "secret")
	alice.treeOfAny(share)
	other := ms.connect(dir, d)
	if alice.c.multiChannel() {
		other.mustBind(alice)
	} else {
		other.logOn("alice", "secret").treeOfAny(share)
	}
	bob := ms.connect(dir, d).logOn("bob", "hidden")
	bob.treeOfAny(share)
	ms.conns = [3]*member{alice, other, bob}
}

// say has all messages said: each behind a byte of how, and two bytes of length; none ends the connection.
func (ms *members) say(input []byte) {
	for len(input) >= 3 {
		how, n := input[0], min(int(le.Uint16(input[1:])), len(input)-3)
		msg := append([]byte(nil), input[3:3+n]...)
		input = input[3+n:]
		i := int(how&3) % len(ms.conns)
		if ms.over[i] {
			continue
		}
		if m := ms.conns[i]; len(msg) == 0 || !m.pour(frame(m.dress(msg, how)), pieceOf(how)) {
			ms.hangUp(i)
		}
		ms.listen()
	}
}

func pieceOf(how byte) int {
	if how&memberPieces != 0 {
		return 37
	}
	return 1 << 20
}

// dress makes a message one of the session's.
func (m *member) dress(msg []byte, how byte) []byte {
	if how&memberWild == 0 && len(msg) >= wire.HeaderSize {
		m.adopt(msg, false)
	}
	if how&memberSigns != 0 {
		for rest := msg; len(rest) >= wire.HeaderSize; {
			var one []byte
			var err error
			if one, rest, err = element(rest); err != nil {
				break
			}
			m.sign(one)
		}
	}
	if how&memberSeals != 0 && m.seal != nil {
		return m.seal.seal(msg)
	}
	return msg
}

// listen has all hear what others' messages have told them.
func (ms *members) listen() {
	for i, m := range ms.conns {
		if ms.over[i] {
			continue
		}
		err := m.feed(nil)
		if out := m.a.Out; out.Len() > 0 {
			out.Consume(out.Len())
		}
		if err != nil {
			ms.hangUp(i)
		}
	}
}

func (ms *members) hangUp(i int) {
	ms.over[i] = true
	ms.conns[i].putBack(ms.pool)
}

// recordedSeeds are what recorded clients of SMB2 have said once they had logged on, signed or encrypted.
func recordedSeeds(tb testing.TB, how byte) (seeds [][]byte) {
	all := recordings(tb)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var seed []byte
		for b := all[name]; len(b) >= 3; {
			who, n := b[0], min(int(le.Uint16(b[1:])), len(b)-3)
			msg := b[3 : 3+n]
			b = b[3+n:]
			if n < wire.HeaderSize || !wire.IsSMB2(msg) {
				continue
			}
			switch wire.Header(msg).Command() {
			case wire.CommandNegotiate, wire.CommandSessionSetup, wire.CommandTreeConnect, wire.CommandTreeDisconnect, wire.CommandLogoff:
				continue
			}
			seed = append(le.AppendUint16(append(seed, who&3|how), uint16(n)), msg...)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// FuzzMembers feeds connections of users with passwords, whose messages are signed and encrypted as they must be, to servers of all
// kinds. Whatever comes, nothing panics and nothing is left.
func FuzzMembers(f *testing.F) {
	limitFileSize(f)
	pool, dir := poolFor(f), f.TempDir()
	for i, how := range []byte{memberSigns, memberSeals} {
		for j, seed := range recordedSeeds(f, how) {
			asks := byte(membersSign)
			if i > 0 {
				asks = byte(j) << 2
			}
			f.Add(append([]byte{asks}, seed...))
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), pattern(100), 0o644); err != nil {
			t.Fatal(err)
		}
		cfg, d, share := membersConfig(dir, input[0])
		srv, err := NewServer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ms := &members{t: t, srv: srv, pool: pool}
		ms.begin(dir, d, share)
		ms.say(input[1:])
		for i := range ms.conns {
			if !ms.over[i] {
				ms.hangUp(i)
			}
		}
		closeEmpty(t, srv)
		removeAllIn(t, dir)
	})
}
