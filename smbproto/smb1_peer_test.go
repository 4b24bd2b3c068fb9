package smbproto

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ustack/ioarea"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// peer1 is a client of SMB1 at the other end of an area in memory.
type peer1 struct {
	*peer
	uid, tid, mid uint16
	pid           uint16
	flags2        uint16
}

func newPeer1(t testing.TB, change func(*Config)) *peer1 {
	t.Helper()
	dir := t.TempDir()
	srv := newServerIn(t, dir, func(c *Config) {
		allowSMB1(c)
		if change != nil {
			change(c)
		}
	})
	return connect1(t, srv, dir)
}

func connect1(t testing.TB, srv *Server, dir string) *peer1 {
	t.Helper()
	return &peer1{peer: connect(t, srv, dir), pid: 7,
		flags2: wire.SMB1Flags2ExtendedSecurity | wire.SMB1Flags2NTStatus | wire.SMB1Flags2Unicode}
}

// msg is a message of one command. Its words may be followed by others, in bytes of the caller's making.
func (p *peer1) msg(cmd wire.SMB1Command, words []byte, data []byte) []byte {
	m := make([]byte, wire.SMB1HeaderSize, wire.SMB1HeaderSize+3+len(words)+len(data))
	copy(m, wire.ProtocolSMB1[:])
	m[4] = byte(cmd)
	le.PutUint16(m[10:], p.flags2)
	le.PutUint16(m[24:], p.tid)
	le.PutUint16(m[26:], p.pid)
	le.PutUint16(m[28:], p.uid)
	p.mid++
	le.PutUint16(m[30:], p.mid)
	m = append(append(m, byte(len(words)/2)), words...)
	m = le.AppendUint16(m, uint16(len(data)))
	return append(m, data...)
}

// words makes the words of a command of its values: of 1, 2, 4 or 8 bytes, by their type.
func words(values ...any) (b []byte) {
	for _, v := range values {
		switch v := v.(type) {
		case uint8:
			b = append(b, v)
		case uint16:
			b = le.AppendUint16(b, v)
		case uint32:
			b = le.AppendUint32(b, v)
		case uint64:
			b = le.AppendUint64(b, v)
		default:
			panic("a word of no size")
		}
	}
	return b
}

// andX begins the words of a command that nothing follows.
func andX(values ...any) []byte {
	return words(append([]any{uint8(wire.SMB1NoAndX), uint8(0), uint16(0)}, values...)...)
}

// ask1 sends a message and returns its answer, or nil.
func (p *peer1) ask1(msg []byte) wire.SMB1Header {
	p.t.Helper()
	if err := p.feed(frame(msg)); err != nil {
		p.t.Fatalf("%v: %v", smb1Commands[msg[4]].name, err)
	}
	return p.reply()
}

// want1 demands an answer of a status, and returns its first block.
func (p *peer1) want1(msg []byte, s wire.Status) wire.SMB1Block {
	p.t.Helper()
	r := p.ask1(msg)
	if r == nil {
		p.t.Fatalf("%v: no answer", smb1Commands[msg[4]].name)
	}
	return p.isAnswer(r, msg, s)
}

// want1AndEnd demands that a message succeeds, and then an answer of a status to another one, whose waiting it ends.
func (p *peer1) want1AndEnd(msg, waits []byte, s wire.Status) {
	p.t.Helper()
	p.want1(msg, wire.StatusOK)
	r := wire.SMB1Header(p.reply())
	if r == nil {
		r = p.wake()
	}
	p.isAnswer(r, waits, s)
}

func (p *peer1) isAnswer(r wire.SMB1Header, msg []byte, s wire.Status) wire.SMB1Block {
	p.t.Helper()
	if got := r.Status(); got != s {
		p.t.Fatalf("%v: %v, want %v", smb1Commands[msg[4]].name, got, s)
	}
	if r.MID() != wire.SMB1Header(msg).MID() || byte(r.Command()) != msg[4] || r.Flags()&wire.SMB1FlagReply == 0 {
		p.t.Fatalf("%v: not its answer: % x", smb1Commands[msg[4]].name, r[:wire.SMB1HeaderSize])
	}
	b, err := r.Block(wire.SMB1HeaderSize)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *peer1) negotiate1() {
	p.t.Helper()
	p.want1(p.msg(wire.SMB1Negotiate, nil, []byte("\x02NT LM 0.12\x00")), wire.StatusOK)
}

func (p *peer1) setupMsg1(token []byte) []byte {
	return p.msg(wire.SMB1SessionSetupAndX, andX(uint16(60000), uint16(50), uint16(0), uint32(0), uint16(len(token)), uint32(0),
		uint32(wire.SMB1CapLevel2Oplocks|wire.SMB1CapDynamicReauth)), append(token, 0, 0, 0, 0, 0))
}

func (p *peer1) treeMsg1(share string) []byte {
	path := append([]byte{0}, utf16le(`\\server\`+share)...) // a byte of password, which aligns the path
	return p.msg(wire.SMB1TreeConnectAndX, andX(uint16(0), uint16(1)), append(append(path, 0, 0), "?????\x00"...))
}

// logOn1 negotiates, logs on as nobody and connects to a share.
func (p *peer1) logOn1(share string) *peer1 {
	p.t.Helper()
	p.negotiate1()
	msg := p.setupMsg1(ntlmNegotiate())
	r := p.ask1(msg)
	p.isAnswer(r, msg, wire.StatusMoreProcessingRequired)
	p.uid = r.UID()
	p.want1(p.setupMsg1(ntlmAnonymous()), wire.StatusOK)
	msg = p.treeMsg1(share)
	r = p.ask1(msg)
	p.isAnswer(r, msg, wire.StatusOK)
	p.tid = r.TID()
	return p
}

func (p *peer1) createMsg1(name string, o opening, flags uint32) []byte {
	raw := append(append([]byte{0}, utf16le(name)...), 0, 0)
	return p.msg(wire.SMB1NTCreateAndX, andX(uint8(0), uint16(len(raw)-3), flags, uint32(0), uint32(o.access), uint64(0), uint32(0),
		uint32(o.share), uint32(o.disposition), uint32(o.options), uint32(2), uint8(0)), raw)
}

func (p *peer1) open1(name string, o opening) uint16 {
	p.t.Helper()
	b := p.want1(p.createMsg1(name, o, 0), wire.StatusOK)
	return le.Uint16(b.Words[5:])
}

func (p *peer1) readMsg1(fid uint16, off uint64, n int) []byte {
	return p.msg(wire.SMB1ReadAndX, andX(fid, uint32(off), uint16(n), uint16(0), uint32(n>>16), uint16(0), uint32(off>>32)), nil)
}

func (p *peer1) writeMsg1(fid uint16, off uint64, data []byte) []byte {
	return p.msg(wire.SMB1WriteAndX, andX(fid, uint32(off), uint32(0), uint16(0), uint16(0), uint16(len(data)>>16), uint16(len(data)),
		uint16(wire.SMB1HeaderSize+3+28), uint32(off>>32)), data)
}

// lockMsg1 locks one range, for as many milliseconds as it may wait.
func (p *peer1) lockMsg1(fid uint16, off, n uint64, timeout uint32) []byte {
	return p.msg(wire.SMB1LockingAndX, andX(fid, uint8(smb1LockLargeOffsets), uint8(0), timeout, uint16(0), uint16(1)),
		words(p.pid, uint16(0), uint32(off>>32), uint32(off), uint32(n>>32), uint32(n)))
}

func (p *peer1) unlockMsg1(fid uint16, off, n uint64) []byte {
	m := p.lockMsg1(fid, off, n, 0)
	le.PutUint16(m[wire.SMB1HeaderSize+1+12:], 1)
	le.PutUint16(m[wire.SMB1HeaderSize+1+14:], 0)
	return m
}

// wake has the connection do what others have left it to do, as a wake of its ring does.
func (p *peer1) wake() wire.SMB1Header {
	p.t.Helper()
	if _, err := p.c.Handle(p.a); err != nil {
		p.t.Fatal(err)
	}
	return p.reply()
}

var all1 = opening{wire.AccessAll, shareAll, wire.OpenIf, 0}

func TestSMB1ReadAndWriteAllocateNothing(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", all1)
	p.want1(p.writeMsg1(fid, 0, pattern(500_000)), wire.StatusOK)
	for name, msg := range map[string][]byte{
		"WRITE_ANDX": p.writeMsg1(fid, 0, pattern(60_000)), "READ_ANDX": p.readMsg1(fid, 0, 60_000),
		"large WRITE_ANDX": p.writeMsg1(fid, 0, pattern(500_000)), "large READ_ANDX": p.readMsg1(fid, 0, 500_000),
	} {
		b := frame(msg)
		if n := testing.AllocsPerRun(50, func() {
			if err := p.a.In.Append(ioarea.NoWait, b); err != nil {
				t.Fatal(err)
			}
			if _, err := p.c.Handle(p.a); err != nil {
				t.Fatal(err)
			}
			r := p.a.Out.Peek(p.a.Out.Len())
			if len(r) < wire.FrameHeaderSize+wire.SMB1HeaderSize || wire.SMB1Header(r[wire.FrameHeaderSize:]).Status() != wire.StatusOK {
				t.Fatal("the request was refused")
			}
			p.a.Out.Consume(len(r))
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	r := p.want1(p.readMsg1(fid, 0, 500_000), wire.StatusOK)
	if n := int(r.Word(5)) | int(r.Word(7))<<16; n != 500_000 {
		t.Errorf("%d bytes read", n)
	}
}

// A lock that is in another process's way waits, as long as its client says, and has one answer.
func TestSMB1LocksWait(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid, other := p.open1("file", all1), p.open1("file", all1)
	p.want1(p.lockMsg1(fid, 10, 10, 0), wire.StatusOK)
	p.want1(p.lockMsg1(other, 15, 1, 0), wire.StatusLockNotGranted)
	p.want1(p.lockMsg1(other, 15, 1, 0), wire.StatusFileLockConflict) // a second time
	msg := p.lockMsg1(other, 15, 1, 1<<32-1)
	if r := p.ask1(msg); r != nil {
		t.Fatalf("answered at once: % x", r)
	}
	p.want1(p.writeMsg1(other, 12, []byte("x")), wire.StatusFileLockConflict)
	p.want1AndEnd(p.unlockMsg1(fid, 10, 10), msg, wire.StatusOK)
	p.want1(p.lockMsg1(fid, 15, 1, 0), wire.StatusLockNotGranted)

	// Another process with the same FID is somebody else.
	p.pid++
	p.want1(p.unlockMsg1(other, 15, 1), wire.StatusRangeNotLocked)
	p.pid--
	waits := p.lockMsg1(fid, 15, 1, 1<<32-1)
	p.ask1(waits)
	cancel := p.msg(wire.SMB1NTCancel, nil, nil)
	copy(cancel[30:32], waits[30:32])
	r := p.ask1(cancel)
	if r == nil {
		r = p.wake()
	}
	p.isAnswer(r, waits, wire.StatusFileLockConflict)
}

// A lock that waits is cancelled by its range in the form in which it was asked for, and by nothing else.
func TestSMB1LocksAreCancelledAsTheyWereAskedFor(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	fid := p.open1("file", all1)
	p.want1(p.lockMsg1(fid, 10, 10, 0), wire.StatusOK)
	waits := p.lockMsg1(fid, 10, 10, 1<<32-1)
	if r := p.ask1(waits); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	cancels := func(off uint64) []byte {
		m := p.lockMsg1(fid, off, 10, 0)
		m[wire.SMB1HeaderSize+1+6] |= smb1LockCancel
		return m
	}
	p.want1(cancels(11), wire.StatusCancelFailed)
	p.want1(p.msg(wire.SMB1LockingAndX, andX(fid, uint8(smb1LockCancel), uint8(0), uint32(0), uint16(0), uint16(1)),
		words(p.pid, uint32(10), uint32(10))), wire.StatusCancelFailed)
	p.want1AndEnd(cancels(10), waits, wire.StatusFileLockConflict)
}

// What the first byte of FuzzSMB1Session's input asks for.
const (
	fuzz1Tiny = 1 << iota // of the server limits that are soon reached
	fuzz1RO               // a share that may not be changed
	fuzz1Sign             // give the connection a key, and sign
	fuzz1Pipe             // a share of pipes
)

// FuzzSMB1Session feeds a connection of SMB1, which has logged on and opened a file and a directory, or a pipe: a byte of options, then messages,
// each behind two bytes of length. Whatever comes, nothing panics and nothing stays open.
func FuzzSMB1Session(f *testing.F) {
	limitFileSize(f)
	dir := f.TempDir()
	srv := newServerIn(f, dir, func(c *Config) { allowSMB1(c); watched(c) })
	tiny := newServerIn(f, dir, func(c *Config) { allowSMB1(c); watched(c); c.Limits = tinyLimits() })
	in, out := srv.RingSize()
	pool, err := ioarea.NewPool(in, out, 1)
	if err != nil {
		f.Fatal(err)
	}
	seed := connect1(f, srv, dir).logOn1("pub")
	const fid = 1
	raw := func(s string) []byte { return append(utf16le(s), 0, 0) }
	path := func(s string) []byte { return append([]byte{4, 0}, raw(s)...) }
	for code := range smb1Commands {
		if cmd := &smb1Commands[code]; cmd.run != nil {
			w := make([]byte, 2*cmd.words)
			if cmd.andX && len(w) > 0 {
				w[0] = 0xFF
			}
			if cmd.needs&needOpen != 0 {
				le.PutUint16(w[2*cmd.fid:], fid)
			}
			m := seed.msg(wire.SMB1Command(code), w, append(path(`\a`), path(`\b`)...))
			f.Add(fuzzInput(0, m))
			f.Add(fuzzInput(fuzz1Pipe, m))
		}
	}
	trans := func(fn uint16, params, data []byte) []byte { return seed.trans2(fn, len(data), params, data) }
	f.Add(fuzzInput(0, seed.writeMsg1(fid, 0, pattern(10)), seed.readMsg1(fid, 0, 10), seed.lockMsg1(fid, 0, 1, 5)))
	f.Add(fuzzInput(0, trans(1, append(words(uint16(0x16), uint16(9), uint16(6), uint16(0x104), uint32(0)), raw(`\*`)...), nil)))
	f.Add(fuzzInput(0, trans(2, append(words(uint16(1), uint16(9), uint16(0x104), uint32(0), uint16(8)), raw(`x`)...), nil)))
	f.Add(fuzzInput(0, trans(3, words(uint16(0x105)), nil), trans(3, words(uint16(0x200)), nil)))
	f.Add(fuzzInput(0, trans(5, append(words(uint16(0x107), uint32(0)), raw(`\file`)...), nil)))
	f.Add(fuzzInput(0, trans(6, append(words(uint16(0x101), uint32(0)), raw(`\file`)...), make([]byte, 40))))
	f.Add(fuzzInput(0, trans(7, words(uint16(fid), uint16(0x109)), nil), trans(8, words(uint16(fid), uint16(0x104)), make([]byte, 8))))
	posix := trans(4, words(uint16(0), uint16(wire.SMB1FsUnix)), words(uint16(1), uint16(0), wire.SMB1UnixPathnames))
	f.Add(fuzzInput(0, posix, trans(3, words(uint16(wire.SMB1FsPosix)), nil), trans(3, words(uint16(wire.SMB1FsWho)), nil), seed.pathMsg(5, wire.SMB1InfoUnixBasic, "/file", nil),
		seed.pathMsg(5, wire.SMB1InfoUnixLink, "/file", nil), trans(7, words(uint16(fid), uint16(wire.SMB1InfoUnixInfo2)), nil),
		trans(1, append(words(uint16(0x16), uint16(9), uint16(6), uint16(wire.SMB1FindUnix), uint32(0)), raw("/dir/*")...), nil)))
	info2 := append(noUnixChange(), make([]byte, 16)...)
	f.Add(fuzzInput(0, posix, seed.posixOpenMsg("/new", wire.SMB1PosixReadWrite|wire.SMB1PosixCreate|wire.SMB1PosixTruncate, 0o640),
		seed.posixOpenMsg("/newdir", wire.SMB1PosixDirectory|wire.SMB1PosixCreate, 0o750), seed.linkMsg("/dir/link", "../file"),
		seed.pathMsg(6, wire.SMB1InfoUnixHardLink, "/hard", append(utf16le("/new"), 0, 0)), seed.pathMsg(6, wire.SMB1InfoUnixBasic, "/new", modeOf(0o755)),
		trans(8, words(uint16(fid), uint16(wire.SMB1InfoUnixInfo2), uint16(0)), info2), seed.unlinkMsg("/dir/link", 0), seed.unlinkMsg("/newdir", 1)))
	f.Add(fuzzInput(0, seed.createMsg1(`\dir`, opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}, 0x16)))
	// Chains: of two commands, whose second takes room.
	for _, next := range [][]byte{
		seed.readMsg1(fid, 0, 1<<20), seed.msg(wire.SMB1Search, words(uint16(9), uint16(0x16)), append(path("*"), 5, 0, 0)), trans(3, words(uint16(0x105)), nil),
		seed.msg(wire.SMB1Echo, words(uint16(3)), pattern(9)),
	} {
		w := next[wire.SMB1HeaderSize+1:][:2*next[wire.SMB1HeaderSize]]
		chain, _ := follow(seed.readMsg1(fid, 0, 1<<20), wire.SMB1HeaderSize, wire.SMB1Command(next[4]), w, next[wire.SMB1HeaderSize+3+len(w):])
		for options := byte(0); options <= fuzz1Tiny|fuzz1RO|fuzz1Sign; options++ {
			f.Add(fuzzInput(options, seed.writeMsg1(fid, 0, pattern(3000)), chain))
		}
	}
	seed.hangUp()

	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		options := input[0]
		srv, share, open := srv, "pub", all1
		if options&fuzz1Tiny != 0 {
			srv = tiny
		}
		if options&fuzz1RO != 0 {
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "dir"), 0o755), os.WriteFile(filepath.Join(dir, "file"), pattern(100), 0o644)); err != nil {
				t.Fatal(err)
			}
			share, open = "ro", opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0}
		}
		a, err := pool.Get()
		if err != nil {
			t.Fatal(err)
		}
		p := &peer1{peer: &peer{t: t, dir: dir, srv: srv, a: a, c: srv.NewConn(a)}, pid: 7,
			flags2: wire.SMB1Flags2ExtendedSecurity | wire.SMB1Flags2NTStatus | wire.SMB1Flags2Unicode}
		if options&fuzz1Pipe != 0 {
			p.logOn1("IPC$").open1("srvsvc", open)
		} else {
			p.logOn1(share).open1("file", open)
			open.options = wire.OptionDirectory
			p.open1("dir", open)
		}
		if options&fuzz1Sign != 0 {
			p.c.smb1.signer = crypt.NewSMB1Signer([]byte("key"), nil)
		}
		for input = input[1:]; len(input) >= 2; {
			n := min(int(le.Uint16(input)), len(input)-2)
			m := append([]byte(nil), input[2:2+n]...)
			input = input[2+n:]
			if len(m) >= wire.SMB1HeaderSize {
				copy(m, wire.ProtocolSMB1[:])
				le.PutUint16(m[24:], p.tid)
				le.PutUint16(m[28:], p.uid)
				if s := p.c.smb1; s.signer != nil {
					if err := s.signer.Sign(m, s.seq); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !p.pour(frame(m), 1<<20) {
				break
			}
		}
		if err := p.c.Close(); err != nil {
			t.Log(err)
		}
		if st := srv.Stats(); st.Opens != 0 || st.Sessions != 0 || st.Trees != 0 || st.Connections != 0 || len(srv.files.files) != 0 || srv.budget.Open() != 0 {
			t.Errorf("left: %+v, %d files, %d open", st, len(srv.files.files), srv.budget.Open())
		}
		if err := pool.Put(a); err != nil {
			t.Fatal(err)
		}
		removeAllIn(t, dir)
	})
}
