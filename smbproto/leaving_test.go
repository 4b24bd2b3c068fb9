package smbproto

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"weak"

	"go.uber.org/goleak"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

// A visitor is a client that does at random what it can, and is gone wherever it is: in the midst of a frame, of a log-on, of an encrypted
// message, with requests that wait and answers that it has not taken.
type visitor struct {
	*peer
	m     *member // nil but with keys
	p1    *peer1  // nil but for SMB1
	r     *rand.Rand
	known *visited
	trees []uint32
	ids   []wire.FileID
	fids  []uint16
}

// visited is what visitors know of each other: each may use what is another's, and be refused.
type visited struct {
	mu       sync.Mutex
	ids      []wire.FileID
	async    []uint64
	sessions []*member // as they were when they had logged on; they are asked nothing
}

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// say lets bytes arrive; false when the connection has ended.
func (v *visitor) say(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), v.a.In.Free())
		if err := v.a.In.Append(ioarea.NoWait, b[:n]); err != nil {
			return false
		}
		b = b[n:]
		if _, err := v.c.Handle(v.a); err != nil {
			return false
		}
	}
	return true
}

// answer takes the next answer, or nil.
func (v *visitor) answer() []byte {
	waits := v.sent()
	if len(waits) < wire.FrameHeaderSize {
		return nil
	}
	n := wire.FrameHeaderSize + wire.FrameHeader(waits).Length()
	v.a.Out.Consume(n)
	m := waits[wire.FrameHeaderSize:n]
	if wire.IsTransform(m) && v.m != nil && v.m.seal != nil {
		m, _ = v.m.seal.opener.Open(m)
	}
	return m
}

// listen takes all answers, and returns acknowledgments of the breaks among them.
func (v *visitor) listen() (acks [][]byte) {
	for m := v.answer(); m != nil; m = v.answer() {
		if v.p1 != nil {
			v.hear1(m)
			continue
		}
		for len(m) >= wire.HeaderSize {
			first, rest, err := element(m)
			if err != nil {
				break
			}
			acks = append(acks, v.hear(first)...)
			m = rest
		}
	}
	return acks
}

func (v *visitor) hear(m []byte) (acks [][]byte) {
	h := wire.Header(m)
	v.known.mu.Lock()
	defer v.known.mu.Unlock()
	switch {
	case h.MessageID() == ^uint64(0) && le.Uint16(m[64:]) == wire.LeaseBreakSize-wire.HeaderSize:
		return [][]byte{v.leaseAckMsg(m[72], wire.LeaseState(le.Uint32(m[92:])))}
	case h.MessageID() == ^uint64(0):
		b := wire.OplockBreak(m)
		return [][]byte{v.ackMsg(b.FileID(), b.Level())}
	case h.Status() == wire.StatusPending:
		v.known.async = append(v.known.async, h.AsyncID())
	case h.Command() == wire.CommandCreate && h.Status() == wire.StatusOK:
		id := wire.ReadFileID(m[128:])
		v.ids, v.known.ids = append(v.ids, id), append(v.known.ids, id)
	case h.Command() == wire.CommandTreeConnect && h.Status() == wire.StatusOK:
		v.trees = append(v.trees, h.TreeID())
	case v.session == 0 && h.Command() == wire.CommandSessionSetup:
		v.session = h.SessionID()
	}
	return nil
}

func (v *visitor) hear1(m []byte) {
	h := wire.SMB1Header(m)
	if h.Status() != wire.StatusOK && h.Status() != wire.StatusMoreProcessingRequired {
		return
	}
	switch h.Command() {
	case wire.SMB1SessionSetupAndX:
		v.p1.uid = h.UID()
	case wire.SMB1TreeConnectAndX:
		v.p1.tid = h.TID()
	case wire.SMB1NTCreateAndX:
		if b, err := h.Block(wire.SMB1HeaderSize); err == nil {
			v.fids = append(v.fids, le.Uint16(b.Words[5:]))
		}
	}
}

// id is one of its opens most of the time, and another's else.
func (v *visitor) id() wire.FileID {
	ids := v.ids
	if len(ids) == 0 || v.r.IntN(8) == 0 {
		v.known.mu.Lock()
		defer v.known.mu.Unlock()
		ids = append([]wire.FileID{wire.FileIDNone}, v.known.ids...)
	}
	return ids[len(ids)-1-v.r.IntN(min(len(ids), 6))]
}

// what is a name and how it is opened.
func (v *visitor) what() (name string, o opening) {
	o = opening{wire.AccessAll, shareAll, wire.OpenIf, 0}
	switch name = oneOf(v.r, "one", "two", `d\three`, `d\four`, "one:stream", "two:other", "d", ""); name {
	case "d", "":
		o.options = wire.OptionDirectory
		return name, o
	}
	switch v.r.IntN(16) {
	case 0:
		o.share = 0
	case 1:
		o.disposition = wire.OverwriteIf
	case 2, 3:
		o.options = wire.OptionDeleteOnClose
	case 4:
		o.access = att
	case 5:
		o.disposition = wire.Supersede
	}
	return name, o
}

// opens is a CREATE: with an oplock, a lease, a durable handle, or to come back for one.
func (v *visitor) opens() []byte {
	r := v.r
	name, o := v.what()
	guid := byte(r.IntN(30))
	level := oneOf(r, wire.OplockNone, wire.OplockII, wire.OplockExclusive, wire.OplockBatch)
	state := oneOf(r, leaseR, leaseRH, leaseRW, leaseRWH)
	var m []byte
	switch r.IntN(6) {
	case 0:
		m = v.oplockMsg(name, o, level)
	case 1:
		m = withContexts(v.oplockMsg(name, o, wire.OplockBatch), durableV1())
	case 2:
		m = withContexts(v.oplockMsg(name, o, level), durableV2(guid, time.Minute), instance(byte(r.IntN(3))))
	case 3:
		m = withContexts(v.oplockMsg(name, o, wire.OplockLease), leaseContext(byte(1+r.IntN(3)), state), durableV2(guid, time.Minute))
	case 4:
		m = v.leaseV2Msg(name, o, byte(1+r.IntN(3)), 9, state, 1)
	case 5:
		return withContexts(v.createMsg("", anyOpen), oneOf(r, reconnectV1(v.id()), reconnectV2(v.id(), guid)))
	}
	if r.IntN(4) == 0 {
		m = replays(m)
	}
	return m
}

// does is one request.
func (v *visitor) does() []byte {
	r := v.r
	if len(v.trees) > 0 && r.IntN(10) == 0 {
		v.tree = oneOf(r, v.trees...)
	}
	switch r.IntN(24) {
	default:
		return v.opens()
	case 0, 1:
		return v.closeMsg(v.id())
	case 2:
		return v.writeMsg(v.id(), 0, []byte("visit"))
	case 3:
		return v.charged(v.writeMsg(v.id(), 0, pattern(200_000)))
	case 4, 5:
		return v.charged(v.readMsg(v.id(), 0, 150_000)) // is lent
	case 6, 7:
		return v.lockMsg(v.id(), 0, 1, oneOf[uint32](r, wire.LockExclusive, wire.LockShared, wire.LockUnlock, exclusive))
	case 8, 9:
		return v.notifyMsg(v.id(), 1000, 0xfff, r.IntN(2) == 0)
	case 10:
		name, _ := v.what()
		return v.setMsg(v.id(), wire.FileRenameInformation, renameInfo(name, r.IntN(2) == 0))
	case 11:
		return v.setMsg(v.id(), wire.FileDispositionInformation, []byte{1})
	case 12:
		return v.ioctlMsg(wire.FsctlRequestResiliency, v.id(), []byte{0, 100, 0, 0, 0, 0, 0, 0}, 0)
	case 13:
		return v.connects(oneOf(r, "pub", "ro", "IPC$"))
	case 14:
		return v.createMsg("srvsvc", opening{wire.AccessAll, shareAll, wire.Open, 0})
	case 15:
		return v.listMsg(v.id(), wire.FileBothDirectoryInformation, "*", 0, 1000)
	case 16:
		v.known.mu.Lock()
		defer v.known.mu.Unlock()
		return v.cancelMsg(oneOf(r, append(v.known.async, 1)...))
	}
}

func (v *visitor) connects(share string) []byte {
	m := v.treeMsg(`\\server\` + share)
	if v.m != nil {
		return v.m.sign(m)
	}
	return m
}

// parts ends a tree or a session, its own or a previous one, or begins one more that will never be.
func (v *visitor) parts() []byte {
	switch v.r.IntN(5) {
	case 0:
		return v.request(wire.CommandTreeDisconnect, 4, nil)
	case 1:
		return v.request(wire.CommandLogoff, 4, nil)
	case 2:
		return v.setupMsg(ntlmNegotiate()) // a renewed log-on
	}
	was := v.session
	v.session = 0
	m := v.setupMsg(ntlmNegotiate())
	v.session = was
	le.PutUint64(m[80:], was)
	return m
}

// does1 is a message of SMB1.
func (v *visitor) does1() []byte {
	r, p := v.r, v.p1
	fid := oneOf(r, append(v.fids, 1)...)
	switch r.IntN(30) {
	default:
		name, o := v.what()
		return p.createMsg1(name, o, oneOf[uint32](r, 0, 2, 6))
	case 0, 1:
		return p.msg(wire.SMB1Close, words(fid, uint32(0)), nil)
	case 2:
		return p.writeMsg1(fid, 0, pattern(100_000))
	case 3:
		return p.readMsg1(fid, 0, 100_000)
	case 4, 5, 6, 7:
		p.pid = uint16(r.IntN(3))
		return p.lockMsg1(fid, 0, 1, oneOf[uint32](r, 0, 1<<32-1, 1<<32-2))
	case 8:
		return p.unlockMsg1(fid, 0, 1)
	case 9, 10:
		params := findParams(`\*`, 0)
		return p.trans2Msg(1, params, nil, len(params), 0, 200) // a search that goes on
	case 11:
		return p.trans2Msg(6, []byte{1, 1}, nil, 40, 400, 200) // the rest never comes
	case 12:
		return p.msg(wire.SMB1Search, words(uint16(1), uint16(0x16)), append(append([]byte{4, 0}, utf16le(`\*`)...), 0, 0, 5, 0, 0))
	case 13, 14: // NOTIFY_CHANGE
		return p.msg(wire.SMB1NTTransact, words(uint8(4), uint16(0), uint32(0), uint32(0), uint32(1000), uint32(0), uint32(0), uint32(0), uint32(0), uint32(0),
			uint8(4), uint16(4), uint32(0xfff), fid, uint16(1)), nil)
	case 15:
		return p.trans2Msg(8, words(fid, uint16(0x102)), []byte{1}, 4, 1, 0) // is to be deleted
	case 16:
		return oneOf(r, p.msg(wire.SMB1TreeDisconnect, nil, nil), p.msg(wire.SMB1LogoffAndX, andX(), nil))
	}
}

// arrives logs on; false if it does not come so far.
func (v *visitor) arrives(binds bool) bool {
	v.lent()
	v.guid = [16]byte{byte(v.r.IntN(3))}
	switch k := v.r.IntN(8); {
	case k < 2:
		return v.arrives1()
	case k < 4:
		v.dialect = oneOf[uint16](v.r, 0x202, 0x210, 0x300, 0x302)
		if !v.all(func() []byte { return v.negotiateMsg(v.dialect) }, func() []byte { return v.setupMsg(ntlmNegotiate()) },
			func() []byte { return v.setupMsg(ntlmAnonymous()) }, func() []byte { return v.connects("pub") }) || len(v.trees) == 0 {
			return false
		}
		v.tree = v.trees[0]
		return true
	}
	if binds && v.r.IntN(2) == 0 {
		v.known.mu.Lock()
		var of *member
		if len(v.known.sessions) > 0 {
			of = oneOf(v.r, v.known.sessions...)
		}
		v.known.mu.Unlock()
		if of != nil {
			v.m = (&member{peer: v.peer}).negotiate(of.dialect)
			return v.binds(of)
		}
	}
	v.m = (&member{peer: v.peer}).negotiate(oneOf(v.r, threes...)).logOn("alice", "secret")
	if !v.all(func() []byte { return v.connects("pub") }) || len(v.trees) == 0 {
		return false
	}
	v.tree = v.trees[0]
	as, p := *v.m, *v.peer
	as.peer, p.c, p.a = &p, nil, nil
	v.known.mu.Lock()
	defer v.known.mu.Unlock()
	v.known.sessions = append(v.known.sessions, &as)
	return true
}

// all sends messages one after the other, or not all of them.
func (v *visitor) all(steps ...func() []byte) bool {
	for _, step := range steps {
		if v.r.IntN(30) == 0 || !v.say(frame(step())) {
			return false
		}
		v.listen()
	}
	return true
}

// binds makes the connection a channel of another's session, which may end meanwhile.
func (v *visitor) binds(of *member) bool {
	m, hash := v.m, v.m.preauth
	m.session, m.tree = of.session, of.tree
	step := func(token []byte) []byte {
		msg := m.setupMsg(token)
		msg[66] = wire.SessionBinding
		hash.Add(signWith(m.t, of.signerOf(of.key), msg))
		if v.r.IntN(8) == 0 || !v.say(frame(msg)) {
			return nil
		}
		return v.answer()
	}
	r := step(ntlmNegotiate())
	if r == nil || status(r) != wire.StatusMoreProcessingRequired {
		return false
	}
	hash.Add(r)
	token, key := ntlmAuthenticate(r[wire.SessionSetupFixed:], "alice", "secret")
	if r = step(token); r == nil || status(r) != wire.StatusOK {
		return false
	}
	m.signer = m.signerOf(m.keyOf(hash, key))
	m.seal = &sealedPeer{p: m.peer, sealer: of.seal.sealer.Another(), opener: of.seal.opener.Another()}
	return true
}

func (v *visitor) arrives1() bool {
	p := &peer1{peer: v.peer, pid: 7, flags2: wire.SMB1Flags2ExtendedSecurity | wire.SMB1Flags2NTStatus | wire.SMB1Flags2Unicode}
	v.p1 = p
	setup := func(token []byte) []byte {
		return p.msg(wire.SMB1SessionSetupAndX, andX(uint16(60000), uint16(50), uint16(0), uint32(0), uint16(len(token)), uint32(0),
			uint32(wire.SMB1CapLevel2Oplocks)), append(token, 0, 0, 0, 0, 0))
	}
	return v.all(func() []byte { return p.msg(wire.SMB1Negotiate, nil, []byte("\x02NT LM 0.12\x00")) },
		func() []byte { return setup(ntlmNegotiate()) }, func() []byte { return setup(ntlmAnonymous()) },
		func() []byte {
			path := append([]byte{0}, utf16le(`\\server\pub`)...)
			return p.msg(wire.SMB1TreeConnectAndX, andX(uint16(0), uint16(1)), append(append(path, 0, 0), "?????\x00"...))
		})
}

// next is a frame: of one request or several, perhaps encrypted.
func (v *visitor) next() []byte {
	if v.p1 != nil {
		return frame(v.does1())
	}
	m := v.does()
	if v.r.IntN(40) == 0 {
		m = v.parts()
	}
	if v.r.IntN(4) == 0 {
		m = chainOf(v.r.IntN(2) == 0, m, v.does(), v.does())
	}
	if v.m != nil && v.m.seal != nil && v.r.IntN(3) == 0 {
		m = v.m.seal.seal(m)
	}
	return frame(m)
}

// visit comes, does something, and is gone.
func (v *visitor) visit(binds bool) {
	if !v.arrives(binds) {
		return
	}
	for range 60 {
		b := v.next()
		if v.r.IntN(60) == 0 {
			v.say(b[:1+v.r.IntN(len(b)-1)])
			return
		}
		if !v.say(b) {
			return
		}
		if v.a.Out.Len() < 400_000 && v.r.IntN(3) == 0 {
			continue // what waits to be taken stays
		}
		for acks := v.listen(); len(acks) > 0; acks = v.listen() {
			for _, m := range acks {
				if v.r.IntN(4) > 0 && !v.say(frame(m)) {
					return
				}
			}
		}
	}
}

// left says what the server has that connections, or opens that are kept, have had.
func (s *Server) left() (left []string) {
	t, st := &s.files, s.Stats()
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range []struct {
		n    int
		what string
	}{
		{int(st.Connections), "connections"}, {int(st.Sessions), "sessions"}, {int(st.Trees), "trees"}, {int(st.Opens), "opens"},
		{int(st.Disconnected), "disconnected opens"}, {st.Files, "files"}, {len(s.sessions), "ids of sessions"}, {len(t.files), "files in the table"},
		{len(t.leases), "leases"}, {int(t.keepers.Load()), "oplocks that keep files open"}, {int(t.dirLeases.Load()), "leases of directories"},
		{len(t.creates), "creates"}, {len(t.instances), "instances"}, {t.absentLocks, "locks that are kept"}, {len(t.left), "files to be closed"},
		{s.loans.Out(), "loans"}, {int(s.watches.Load()), "watches"}, {s.watching.Dirs(), "watched directories"}, {len(s.clients.conns), "clients"},
	} {
		if x.n != 0 {
			left = append(left, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	for _, sh := range s.settings().shares {
		if n := sh.holders.Load(); n != 1 {
			left = append(left, fmt.Sprintf("%d hold %s", n, sh.Name))
		}
	}
	return left
}

// descriptors are what the process has open.
func descriptors(t *testing.T) (open []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil { // not the one that lists them
			open = append(open, fd.Name()+" "+to)
		}
	}
	return open
}

// Wherever connections end, alone or many, and while shares come and go, nothing is left of them when the time of what was kept is over:
// no entry of any table, no descriptor, no goroutine, no memory.
func TestNothingIsLeftOfWhoIsGone(t *testing.T) {
	dir := t.TempDir()
	limits := func(c *Config) {
		allowSMB1(c)
		l := &c.Limits
		l.MaxPending, l.MaxSessions, l.MaxTrees, l.MaxFiles, l.MaxDisconnected, l.MaxClientDisconnected = 6, 4, 6, 30, 12, 6
	}
	srv := newServerIn(t, dir, limits)
	if _, err := srv.watcher(); err != nil { // it stays
		t.Fatal(err)
	}
	in, out := srv.RingSize()
	const rounds, visitors, visits = 12, 6, 3
	pool, err := ioarea.NewPool(in, 2*out, visitors)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}()
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %#x", seed)
		}
	}()
	var before []string
	var mu sync.Mutex
	var conns []weak.Pointer[Conn]
	goroutines := goleak.IgnoreCurrent()
	for round := range rounds {
		if err := os.MkdirAll(filepath.Join(dir, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		binds := round%2 == 0
		known := new(visited)
		var wg sync.WaitGroup
		for i := range visitors {
			r := rand.New(rand.NewPCG(seed+uint64(round), uint64(i)))
			wg.Go(func() {
				for range visits {
					a, err := pool.Get()
					if err != nil {
						t.Error(err)
						return
					}
					v := &visitor{peer: &peer{t: t, dir: dir, srv: srv, a: a, c: srv.NewConn(a)}, r: r, known: known}
					if !binds { // a client of several channels is known for some seconds longer: see unheard
						mu.Lock()
						conns = append(conns, weak.Make(v.c))
						mu.Unlock()
					}
					v.visit(binds)
					if err := v.c.Close(); err != nil {
						t.Log(err)
					}
					if n := len(v.c.pending) + v.c.againSize; n != 0 {
						t.Errorf("round %d: %d requests wait, and what is to be tried again has %d bytes", round, len(v.c.pending), v.c.againSize)
					}
					if err := pool.Put(a); err != nil {
						t.Error(err)
					}
				}
			})
		}
		if round%3 == 0 {
			wg.Go(func() {
				for i := range 20 {
					cfg := testConfig(dir)
					limits(&cfg)
					switch i % 4 {
					case 0:
						cfg.Shares = cfg.Shares[1:]
					case 1:
						cfg.Shares[0].ReadOnly, cfg.Limits.MaxFiles = true, 3
					case 2:
						cfg.Shares[0].Encrypt = true
					}
					if _, err := srv.Reconfigure(cfg); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		srv.files.mu.Lock()
		absent := slices.Clone(srv.files.absent)
		srv.files.mu.Unlock()
		for _, o := range absent {
			srv.files.expire(o) // as its timer does
		}
		clear(absent)
		if left := srv.left(); left != nil {
			t.Errorf("round %d: left: %v", round, left)
		}
		srv.loans.Close() // files that were read stay mapped for a while
		if now := descriptors(t); before == nil {
			before = now
		} else if len(now) > len(before) {
			t.Errorf("round %d: descriptors before: %q, now: %q", round, before, now)
		}
		removeAllIn(t, dir)
	}
	goleak.VerifyNone(t, goroutines)
	runtime.GC()
	alive := 0
	for _, c := range conns {
		if c.Value() != nil {
			alive++
		}
	}
	if alive > len(conns)/8 { // the runtime keeps a few of the timers that were stopped, and what they refer to
		t.Errorf("%d of %d connections are still in memory", alive, len(conns))
	}
}
