package smbproto

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// What clients have said to the server is kept as a sequence of messages, each behind a byte that tells
// connections apart and two bytes of length; one without a byte ends the connection. The ids that the server has given are in it as numbers from 1 on, in the order in
// which it gave them, so that they can be put right when it is said again. recorder_test.go makes such sequences.

// spokenIDs are the ids that a server has given.
type spokenIDs struct {
	sessions []uint64
	trees    []uint32
	opens    []wire.FileID
}

// mostNumbered is the largest number that stands for an id.
const mostNumbered = 255

// learn takes new ids out of a frame that the server has sent.
func (s *spokenIDs) learn(msg []byte) {
	for msg != nil {
		first, rest, err := element(msg)
		if err != nil {
			return
		}
		h := wire.Header(first)
		switch st := h.Status(); {
		case h.Command() == wire.CommandSessionSetup && (st == wire.StatusMoreProcessingRequired || st == wire.StatusOK):
			if id := h.SessionID(); !slices.Contains(s.sessions, id) {
				s.sessions = append(s.sessions, id)
			}
		case h.Command() == wire.CommandTreeConnect && st == wire.StatusOK:
			s.trees = append(s.trees, h.TreeID())
		case h.Command() == wire.CommandCreate && st == wire.StatusOK && len(first) >= 144:
			s.opens = append(s.opens, wire.ReadFileID(first[128:]))
		}
		msg = rest
	}
}

// fileIDAt says where a request has its FileId; 0: it has none.
func fileIDAt(cmd wire.Command) int {
	switch {
	case cmd >= wire.CommandCount:
		return 0
	case cmd == wire.CommandIoctl || cmd == wire.CommandOplockBreak:
		return 72
	}
	return commands[cmd].fileID
}

// eachID calls session, tree and file with what is such an id in a frame that a client sends.
func eachID(msg []byte, session, tree, file func(b []byte)) {
	for msg != nil {
		first, rest, err := element(msg)
		if err != nil {
			return
		}
		h := wire.Header(first)
		session(first[40:48])
		if !h.Has(wire.FlagAsync) {
			tree(first[36:40])
		}
		if at := fileIDAt(h.Command()); at > 0 && len(first) >= at+16 {
			file(first[at : at+16])
		}
		msg = rest
	}
}

// number puts numbers in the place of ids.
func (s *spokenIDs) number(msg []byte) {
	eachID(msg,
		func(b []byte) {
			if i := slices.Index(s.sessions, le.Uint64(b)); i >= 0 && i < mostNumbered {
				le.PutUint64(b, uint64(i+1))
			}
		},
		func(b []byte) {
			if i := slices.Index(s.trees, le.Uint32(b)); i >= 0 && i < mostNumbered {
				le.PutUint32(b, uint32(i+1))
			}
		},
		func(b []byte) {
			if i := slices.Index(s.opens, wire.ReadFileID(b)); i >= 0 && i < mostNumbered {
				wire.FileID{Persistent: 0, Volatile: uint64(i + 1)}.Put(b)
			}
		})
}

// put puts ids in the place of numbers.
func (s *spokenIDs) put(msg []byte) {
	eachID(msg,
		func(b []byte) {
			if i := le.Uint64(b); i > 0 && i <= uint64(len(s.sessions)) {
				le.PutUint64(b, s.sessions[i-1])
			}
		},
		func(b []byte) {
			if i := le.Uint32(b); i > 0 && i <= uint32(len(s.trees)) {
				le.PutUint32(b, s.trees[i-1])
			}
		},
		func(b []byte) {
			if i := wire.ReadFileID(b); i.Persistent == 0 && i.Volatile > 0 && i.Volatile <= uint64(len(s.opens)) {
				s.opens[i.Volatile-1].Put(b)
			}
		})
}

// speech is what recorded clients say: to a server of its own, over at most speakers connections.
type speech struct {
	t     *testing.T
	srv   *Server
	pool  *ioarea.Pool
	ids   spokenIDs
	conns [speakers]*peer
	over  [speakers]bool
	left  [speakers]bool // over by the client's will

	statuses map[wire.Status]int
	smb1     int // answers of SMB1
}

const speakers = 4

// say has all of a recorded sequence said, and closes the connections.
func (s *speech) say(dir string, input []byte) {
	for len(input) >= 3 {
		who, n := int(input[0])%speakers, min(int(le.Uint16(input[1:])), len(input)-3)
		msg := append([]byte(nil), input[3:3+n]...)
		input = input[3+n:]
		if s.over[who] {
			continue
		}
		p := s.conns[who]
		if p == nil {
			a, err := s.pool.Get()
			if err != nil {
				s.t.Fatal(err)
			}
			p = &peer{t: s.t, dir: dir, srv: s.srv, a: a, c: s.srv.NewConn(a)}
			s.conns[who] = p
		}
		if len(msg) == 0 {
			s.over[who], s.left[who] = true, true
			p.putBack(s.pool)
			s.listen()
			continue
		}
		if len(msg) >= wire.HeaderSize && wire.IsSMB2(msg) {
			s.ids.put(msg)
			p.count(msg)
		}
		if s.over[who] = p.feed(frame(msg)) != nil; s.over[who] {
			p.putBack(s.pool)
		}
		s.listen()
	}
	for i, p := range s.conns {
		if p != nil && !s.over[i] {
			p.putBack(s.pool)
		}
	}
}

// count puts the message ids into a frame that come next, but for a CANCEL, whose is another's.
func (p *peer) count(msg []byte) {
	id := p.c.credits.low
	for msg != nil {
		first, rest, err := element(msg)
		if err != nil {
			return
		}
		if h := wire.Header(first); h.Command() != wire.CommandCancel {
			le.PutUint64(first[24:], id)
			id += uint64(max(h.CreditCharge(), 1))
		}
		msg = rest
	}
}

// listen takes what all have been told: one's message may be what another has waited for.
func (s *speech) listen() {
	for i, p := range s.conns {
		if p == nil || s.over[i] {
			continue
		}
		if s.over[i] = p.feed(nil) != nil; s.over[i] {
			p.putBack(s.pool)
			continue
		}
		for r := p.reply(); r != nil; r = p.reply() {
			if wire.IsSMB1(r) {
				s.smb1++ // its ids are small numbers, and the same each time
				continue
			}
			s.statuses[status(r)]++
			s.ids.learn(r)
		}
	}
}

// putBack closes a connection, and gives its area back.
func (p *peer) putBack(pool *ioarea.Pool) {
	if err := p.c.Close(); err != nil {
		p.t.Log(err) // a directory to be deleted on close may have got entries
	}
	if out := p.a.Out; out.Len() > 0 {
		out.Consume(out.Len())
	}
	if err := pool.Put(p.a); err != nil {
		p.t.Fatal(err)
	}
}

// saySo has a recorded sequence said to a new server of such limits, and checks that nothing is left of it.
func saySo(t *testing.T, pool *ioarea.Pool, dir string, l Limits, input []byte) *speech {
	t.Helper()
	cfg := testConfig(dir)
	allowSMB1(&cfg)
	watched(&cfg)
	cfg.Limits = l
	cfg.Limits.RequestTimeout = time.Second // nobody takes answers while a message is handled
	srv, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &speech{t: t, srv: srv, pool: pool, statuses: map[wire.Status]int{}}
	s.say(dir, input)
	closeEmpty(t, srv)
	return s
}

// closeEmpty closes a server whose connections have been closed, and checks that nothing is left of them.
func closeEmpty(t *testing.T, srv *Server) {
	t.Helper()
	if n := srv.watches.Load(); n != 0 {
		t.Errorf("%d directories are watched for nobody", n)
	}
	if err := srv.Close(); err != nil { // what is kept for clients to come back goes, too
		t.Error(err)
	}
	if st := srv.Stats(); st.Opens != 0 || st.Sessions != 0 || st.Trees != 0 || st.Connections != 0 || st.Disconnected != 0 || len(srv.files.files) != 0 || srv.budget.Open() != 0 {
		t.Errorf("left: %+v, %d files, %d of them open", st, len(srv.files.files), srv.budget.Open())
	}
}

func poolFor(tb testing.TB) *ioarea.Pool {
	tb.Helper()
	in, out := (&Server{cfg: Config{Limits: Limits{MaxRead: 1 << 16, MaxWrite: 1 << 16, MaxTransact: 1 << 16}}}).RingSize()
	pool, err := ioarea.NewPool(2*in, 2*out, speakers)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := pool.Close(); err != nil {
			tb.Error(err)
		}
	})
	return pool
}

// FuzzRecorded changes what real clients have said. Whatever comes of it, nothing panics and nothing is left. The highest bit of the first
// byte has it said to a server whose limits are soon reached.
func FuzzRecorded(f *testing.F) {
	limitFileSize(f)
	pool, dir := poolFor(f), f.TempDir()
	all := recordings(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		all[name][0] |= 0x80
		f.Add(all[name])
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var l Limits
		if len(input) > 0 && input[0]&0x80 != 0 {
			l = tinyLimits()
		}
		saySo(t, pool, dir, l, input)
		removeAllIn(t, dir)
	})
}

// What is recorded is said to its end, and the ids in it are put right.
func TestRecordedClientsAreAnswered(t *testing.T) {
	pool := poolFor(t)
	all := recordings(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			s := saySo(t, pool, t.TempDir(), Limits{}, all[name])
			for i, p := range s.conns {
				if p != nil && s.over[i] && !s.left[i] {
					t.Errorf("connection %d was ended", i)
				}
			}
			for _, lost := range []wire.Status{wire.StatusUserSessionDeleted, wire.StatusNetworkNameDeleted} {
				if n := s.statuses[lost]; n > 2 {
					t.Errorf("%d times %v", n, lost)
				}
			}
			if s.smb1 < 10 && (s.statuses[wire.StatusOK] < 3 || len(s.ids.trees) == 0) {
				t.Errorf("answers: %v, %d of SMB1", s.statuses, s.smb1)
			}
		})
	}
}

// recordings are what has been recorded, by name.
func recordings(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/fuzz/FuzzRecorded/*-*")
	if err != nil || len(files) == 0 {
		tb.Fatal("nothing is recorded: ", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		all[filepath.Base(file)] = corpusBytes(tb, string(text))
	}
	return all
}

// corpusBytes reads the one []byte of a file of Go's corpus.
func corpusBytes(t testing.TB, text string) []byte {
	t.Helper()
	_, quoted, ok := strings.Cut(text, "[]byte(")
	if !ok {
		t.Fatal("no corpus of bytes")
	}
	b, err := unquote(strings.TrimSuffix(strings.TrimSpace(quoted), ")"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
