package smbproto

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/ioarea"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// What the first byte of FuzzSession's input asks for.
const (
	fuzzLogOn   = 1 << iota // log on before
	fuzzOpen                // and open a file
	fuzzIDs                 // put the right message id, session and tree into each message
	fuzzSign                // give the session a key, and sign
	fuzzPieces              // let messages arrive in small pieces
	fuzzPipe                // connect to IPC$ instead
	fuzzRawData             // no frames: the bytes as they are
	fuzzSeal                // give the session keys for encryption, and encrypt
)

// FuzzSession feeds a connection: a byte of options, then messages, each behind
// two bytes of length. Whatever comes, nothing panics, nothing stays open and the
// out ring is never held.
func FuzzSession(f *testing.F) {
	limitFileSize(f)
	dir := f.TempDir()
	srv := newServerIn(f, dir, watched)
	in, out := srv.RingSize()
	pool, err := ioarea.NewPool(in, out, 1)
	if err != nil {
		f.Fatal(err)
	}
	seed := connect(f, srv, dir).logOn("pub")
	for cmd := range wire.CommandCount {
		session := seed.session
		m := sample(seed, cmd)
		seed.session = session
		f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs, m))
		f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs|fuzzSign|fuzzPieces, m, m))
		f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs|fuzzSeal|fuzzPieces, m, m))
	}
	none := wire.FileIDNone
	f.Add(fuzzInput(fuzzLogOn|fuzzIDs, chainOf(true,
		seed.createMsg("x", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}), seed.writeMsg(none, 0, pattern(10)),
		seed.readMsg(none, 0, 10), seed.queryMsg(none, wire.InfoFile, 18, 1000), seed.closeMsg(none))))
	f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs|fuzzSeal, chainOf(true,
		seed.createMsg("x", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}), seed.writeMsg(none, 0, pattern(10)),
		seed.readMsg(none, 0, 60_000), seed.closeMsg(none))))
	f.Add(fuzzInput(fuzzLogOn|fuzzIDs, chainOf(true,
		seed.createWithEAs("x:s", anyOpen, eaList("a", "1")), seed.writeMsg(none, 0, pattern(10)), seed.readMsg(none, 0, 10),
		seed.queryMsg(none, wire.InfoFile, uint8(wire.FileStreamInformation), 1000), seed.eaMsg(none, 0, 0, 1000, eaNames("a", "b")),
		seed.setMsg(none, wire.FileFullEAInformation, eaList("b", "2")),
		seed.setMsg(none, wire.FileRenameInformation, renameInfo(":t", true)),
		seed.setMsg(none, wire.FileRenameInformation, renameInfo("::$DATA", true)), seed.closeMsg(none))))
	for code, in := range map[uint32][]byte{
		wire.FsctlRequestResumeKey: nil, wire.FsctlSetSparse: nil, wire.FsctlCreateOrGetObjectID: nil, wire.FsctlSetCompression: {0, 0},
		wire.FsctlCopyChunk: copyChunkInput(make([]byte, 24), chunk{0, 0, 1}), wire.FsctlSetZeroData: twoOffsets(0, 5),
		wire.FsctlQueryAllocatedRanges: twoOffsets(0, 5),
	} {
		f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs, chainOf(true,
			seed.createMsg("x", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}), seed.writeMsg(none, 0, pattern(10)),
			seed.ioctlMsg(code, none, in, 64), seed.closeMsg(none))))
	}
	lost := wire.FileID{Persistent: 1}
	for _, list := range [][]createContext{
		{durableV1()}, {durableV2(1, 0), leaseContext(1, leaseRWH)}, {reconnectV1(lost)}, {reconnectV2(lost, 1), leaseContext(1, leaseRWH)},
		{{wire.ContextAppInstanceID, append([]byte{20, 0, 0, 0}, make([]byte, 16)...)}},
	} {
		m := withContexts(seed.oplockMsg("x", anyOpen, wire.OplockBatch), list...)
		f.Add(fuzzInput(fuzzLogOn|fuzzIDs, m, replays(bytes.Clone(m)), seed.request(wire.CommandLogoff, 4, nil)))
	}
	f.Add(fuzzInput(fuzzLogOn|fuzzOpen|fuzzIDs, seed.resilientMsg(none, 0), seed.request(wire.CommandLogoff, 4, nil)))
	seed.message, seed.session = 0, 0
	f.Add(fuzzInput(0, seed.negotiate311Msg(), seed.setupMsg(ntlmNegotiate()), seed.setupMsg(ntlmAnonymous())))
	seed.message = 0
	f.Add(fuzzInput(0, seed.negotiate311Msg(allCiphers...), seed.setupMsg(ntlmNegotiate()), seed.setupMsg(ntlmAnonymous())))
	transform := make([]byte, wire.TransformSize+wire.HeaderSize)
	wire.TransformHeader(transform).Put(wire.HeaderSize, 1)
	f.Add(fuzzInput(0, transform))
	f.Add(fuzzInput(fuzzLogOn|fuzzOpen, transform))
	f.Add(fuzzInput(0, smb1Negotiate("SMB 2.???", "SMB 2.002")))
	f.Add(fuzzInput(0, seed.negotiateMsg(0x210), seed.setupMsg(ntlmNegotiate()), seed.setupMsg(ntlmAnonymous())))
	seed.hangUp()

	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		a, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, dir: dir, srv: srv, a: a, c: srv.NewConn(a)}
		p.fuzz(input[0], input[1:])
		if err := p.c.Close(); err != nil {
			t.Log(err) // a directory to be deleted on close may have got entries
		}
		srv.files.evictAll(func(*open) bool { return true })
		if n := len(srv.files.creates) + srv.files.absentLocks; n != 0 {
			t.Errorf("%d creates or locks left", n)
		}
		if st := srv.Stats(); st.Opens != 0 || st.Sessions != 0 || st.Trees != 0 || st.Connections != 0 || len(srv.files.files) != 0 {
			t.Errorf("left: %+v, %d files", st, len(srv.files.files))
		}
		if err := pool.Put(a); err != nil {
			t.Fatal(err)
		}
		removeAllIn(t, dir)
	})
}

// watched has the server write down, count and time all that it can: what a client says comes by there, too.
func watched(c *Config) {
	to := slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})
	c.Log, c.Audit, c.Latency = slog.New(to), slog.New(to), true
}

// limitFileSize keeps allocations that the fuzzer asks for small. The fuzzing engine needs 100 MiB itself.
func limitFileSize(tb testing.TB) {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		tb.Fatal(err)
	}
	limit := old
	limit.Cur = min(limit.Max, 1<<30)
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			tb.Error(err)
		}
	})
}

func fuzzInput(options byte, msgs ...[]byte) []byte {
	b := []byte{options}
	for _, m := range msgs {
		b = append(le.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

func (p *peer) fuzz(options byte, input []byte) {
	seal := func(msg []byte) []byte { return msg }
	if options&fuzzLogOn != 0 {
		share := "pub"
		if options&fuzzPipe != 0 {
			share = "IPC$"
		}
		p.logOn(share)
		if options&fuzzOpen != 0 && options&fuzzPipe == 0 {
			p.newFile("file")
			p.open("", opening{wire.AccessAll, shareAll, wire.Open, 0})
		}
		if options&fuzzOpen != 0 && options&fuzzPipe != 0 {
			p.open("srvsvc", opening{wire.AccessAll, shareAll, wire.Open, 0})
		}
		if options&fuzzSign != 0 {
			p.key()
		}
		if options&fuzzSeal != 0 {
			seal = p.sealKeys(crypt.AES128GCM).seal
		}
	}
	if options&fuzzRawData != 0 {
		p.pour(input, 1<<20)
		return
	}
	piece := 1 << 20
	if options&fuzzPieces != 0 {
		piece = 37
	}
	for len(input) >= 2 {
		n := min(int(le.Uint16(input)), len(input)-2)
		m := append([]byte(nil), input[2:2+n]...)
		input = input[2+n:]
		if options&fuzzIDs != 0 && len(m) >= wire.HeaderSize {
			p.adopt(m, options&fuzzSign != 0)
		}
		if !p.pour(frame(seal(m)), piece) {
			return
		}
	}
}

// adopt puts right ids into a message, and those of a compound.
func (p *peer) adopt(m []byte, sign bool) {
	id := p.c.credits.low
	for len(m) >= wire.HeaderSize {
		h := wire.Header(m)
		le.PutUint64(m[24:], id)
		id += uint64(max(h.CreditCharge(), 1))
		h.PutSessionID(p.session)
		h.PutTreeID(p.tree)
		first, rest, err := element(m)
		if err != nil {
			return
		}
		if cmd := h.Command(); cmd < wire.CommandCount && commands[cmd].needs&needOpen != 0 && commands[cmd].fixedPart(first) {
			if at := m[commands[cmd].fileID:]; at[0] < 64 { // most of the time an id that there is
				p.anOpen(int(at[0]) + int(at[8])).Put(at)
			}
		}
		if sign {
			p.signMsg(first)
		}
		m = rest
	}
}

// anOpen picks one of the opens, always the same for the same input.
func (p *peer) anOpen(k int) wire.FileID {
	var ids []uint64
	for _, s := range p.c.sessions {
		for id := range s.opens {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return wire.FileIDNone
	}
	slices.Sort(ids)
	id := ids[k%len(ids)]
	return wire.FileID{Persistent: id, Volatile: id}
}

// pour lets bytes arrive until the connection ends.
func (p *peer) pour(b []byte, piece int) bool {
	for len(b) > 0 {
		n := min(len(b), piece, p.a.In.Free())
		if err := p.a.In.Append(ioarea.NoWait, b[:n]); err != nil {
			p.t.Fatal(err)
		}
		b = b[n:]
		next, err := p.c.Handle(p.a)
		if out := p.a.Out; out.Len() > 0 {
			out.Consume(out.Len())
		}
		if err != nil {
			return false
		}
		if next.Min <= p.a.In.Len() || next.Min > p.a.In.Cap() || next.Within <= 0 {
			p.t.Fatalf("asks for %+v with %d bytes there", next, p.a.In.Len())
		}
	}
	return true
}

func removeAllIn(t *testing.T, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			_ = os.Chmod(filepath.Join(dir, e.Name()), 0o700) // whatever a client has made of it
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}
