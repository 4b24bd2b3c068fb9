package smbproto

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// smb1Negotiate is how old and careful clients begin.
func smb1Negotiate(dialects ...string) []byte {
	b := make([]byte, 35)
	copy(b, wire.ProtocolSMB1[:])
	b[4] = 0x72
	for _, d := range dialects {
		b = append(append(append(b, 2), d...), 0)
	}
	le.PutUint16(b[33:], uint16(len(b)-35))
	return b
}

func TestSMB1NegotiateLeadsToSMB2(t *testing.T) {
	for _, c := range []struct {
		offers []string
		want   wire.Dialect
	}{
		{[]string{"NT LM 0.12", "SMB 2.002", "SMB 2.???"}, wire.DialectWildcard},
		{[]string{"NT LM 0.12", "SMB 2.002"}, wire.Dialect202},
	} {
		p := newPeer(t, nil)
		if err := p.feed(frame(smb1Negotiate(c.offers...))); err != nil {
			t.Fatal(err)
		}
		r := p.reply()
		h := wire.Header(r)
		if err := h.Valid(); err != nil {
			t.Fatal(err)
		}
		if h.MessageID() != 0 || h.Credits() < 1 || h.Status() != wire.StatusOK || wire.Dialect(le.Uint16(r[68:])) != c.want {
			t.Errorf("%v: message %d, %d credits, %v, dialect %#x", c.offers, h.MessageID(), h.Credits(), h.Status(), le.Uint16(r[68:]))
		}
		p.message = 1
		if c.want == wire.DialectWildcard {
			p.logOn("pub")
		} else {
			p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		}
	}
}

func TestSMB1OnlyClientIsRefusedInItsWords(t *testing.T) {
	p := newPeer(t, nil)
	if err := p.feed(frame(smb1Negotiate("NT LM 0.12"))); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the connection closed in order", err)
	}
	if r := p.reply(); !wire.IsSMB1(r) || le.Uint16(r[33:]) != 0xFFFF {
		t.Errorf("answer % x", r)
	}
}

func TestWhatEndsAConnection(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown session packet":    {0x77, 0, 0, 0},
		"long session request":      {0x81, 0, 4, 0},
		"too long a message":        {0, 0xFF, 0xFF, 0xFF},
		"too short a message":       {0, 0, 0, 3},
		"empty message":             {0, 0, 0, 0},
		"unknown protocol":          frame([]byte("GET / HTTP/1.1\r\n")),
		"encrypted message":         frame(append([]byte{0xFD, 'S', 'M', 'B'}, make([]byte, 60)...)),
		"half a header":             frame(append([]byte{0xFE, 'S', 'M', 'B'}, make([]byte, 30)...)),
		"SMB1 that is no negotiate": frame(append([]byte{0xFF, 'S', 'M', 'B', 0x73}, make([]byte, 60)...)),
	} {
		t.Run(name, func(t *testing.T) { newPeer(t, nil).refused(b) })
	}
	for name, change := range map[string]func(p *peer, m []byte){
		"a response":             func(_ *peer, m []byte) { m[16] |= 1 },
		"header size":            func(_ *peer, m []byte) { m[4] = 65 },
		"second negotiate":       func(_ *peer, m []byte) { le.PutUint16(m[12:], 0) },
		"message id used":        func(_ *peer, m []byte) { le.PutUint64(m[24:], 0) },
		"message id not given":   func(_ *peer, m []byte) { le.PutUint64(m[24:], 1<<40) },
		"charge beyond window":   func(_ *peer, m []byte) { le.PutUint16(m[6:], 60000) },
		"next message outside":   func(_ *peer, m []byte) { le.PutUint32(m[20:], 1<<20) },
		"next message unaligned": func(_ *peer, m []byte) { le.PutUint32(m[20:], 68) },
		"next message inside":    func(_ *peer, m []byte) { le.PutUint32(m[20:], 8) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, nil).logOn("pub")
			m := p.request(wire.CommandEcho, 4, nil, make([]byte, 200)...)
			change(p, m)
			p.refused(frame(m))
		})
	}
}

func TestCommandsBeforeNegotiateEndTheConnection(t *testing.T) {
	p := newPeer(t, nil)
	p.refused(frame(p.request(wire.CommandEcho, 4, nil)))
}

func TestStatusOfWhatIsMissing(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	session, tree := p.session, p.tree
	p.session++
	p.want(p.closeMsg(id), wire.StatusUserSessionDeleted)
	p.session = session
	p.tree++
	p.want(p.closeMsg(id), wire.StatusNetworkNameDeleted)
	p.tree = tree
	p.want(p.closeMsg(wire.FileID{Persistent: id.Persistent, Volatile: id.Volatile + 1}), wire.StatusFileClosed)
	p.want(p.closeMsg(wire.FileID{Persistent: id.Persistent + 1, Volatile: id.Volatile}), wire.StatusFileClosed)
	p.want(p.closeMsg(id), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusFileClosed)
	p.want(p.treeMsg(`\\server\none`), wire.StatusBadNetworkName)
	p.want(p.treeMsg(`server`), wire.StatusBadNetworkName)
	p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
	p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusNetworkNameDeleted)
	p.want(p.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
	p.want(p.request(wire.CommandLogoff, 4, nil), wire.StatusUserSessionDeleted)
}

// Who ends a tree may have found it before another channel ended it, and connected another one by its id.
func TestATreeThatHasEndedEndsNoOther(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	sess := p.c.sessions[p.session].session
	was := sess.tree(p.tree)
	p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
	p.c.nextTree--
	if r := p.want(p.treeMsg(`\\server\pub`), wire.StatusOK); wire.Header(r).TreeID() != was.id {
		t.Fatal("another id")
	}
	if ended, err := sess.endTree(was); ended || err != nil {
		t.Error(ended, err)
	}
	p.newFile("file")
}

// Each command, its body cut at each byte, is answered with an error or ends the
// connection, and harms nothing.
func TestMessagesCutAtEachByte(t *testing.T) {
	for cmd := wire.CommandNegotiate; cmd < wire.CommandCount; cmd++ {
		t.Run(cmd.String(), func(t *testing.T) {
			srv := newServerIn(t, t.TempDir(), nil)
			whole := len(sample(connectOn(t, srv), cmd))
			var p *peer
			for n := 4; n < whole; n++ {
				if p == nil {
					p = connectOn(t, srv)
				}
				session := p.session
				m := sample(p, cmd)[:n]
				p.session = session
				if err := p.feed(frame(m)); err != nil {
					p.hangUp()
					p = nil
					continue
				}
				r := p.reply()
				if r == nil && cmd != wire.CommandCancel {
					t.Fatalf("%d of %d bytes: no answer", n, whole)
				}
				if n < wire.HeaderSize+commands[cmd].size&^1 && r != nil && status(r) == wire.StatusOK {
					t.Errorf("%d of %d bytes: %v", n, whole, status(r))
				}
			}
		})
	}
}

// connectOn logs on, and gives the message ids that the last request did not use.
func connectOn(t *testing.T, srv *Server) *peer {
	return connect(t, srv, "").logOn("pub")
}

// sample is a good message of each command.
func sample(p *peer, cmd wire.Command) []byte {
	id := p.newFile("file")
	switch cmd {
	case wire.CommandNegotiate:
		return p.negotiateMsg(0x0210)
	case wire.CommandSessionSetup:
		p.session = 0
		return p.setupMsg(ntlmNegotiate())
	case wire.CommandTreeConnect:
		return p.treeMsg(`\\server\pub`)
	case wire.CommandCreate:
		return p.createMsg("another", opening{wire.AccessAll, shareAll, wire.OpenIf, 0})
	case wire.CommandClose:
		return p.closeMsg(id)
	case wire.CommandFlush:
		return p.request(cmd, 24, func(m []byte) { id.Put(m[72:]) })
	case wire.CommandRead:
		return p.readMsg(id, 0, 10)
	case wire.CommandWrite:
		return p.writeMsg(id, 0, pattern(10))
	case wire.CommandLock:
		return p.request(cmd, 48, func(m []byte) {
			le.PutUint16(m[66:], 1)
			id.Put(m[72:])
			le.PutUint64(m[96:], 1)
			le.PutUint32(m[104:], wire.LockExclusive)
		})
	case wire.CommandIoctl:
		return p.request(cmd, 57, func(m []byte) {
			le.PutUint32(m[68:], wire.FsctlValidateNegotiateInfo)
			le.PutUint32(m[88:], 120)
			le.PutUint32(m[92:], 26)
			le.PutUint32(m[108:], 24)
			le.PutUint32(m[112:], 1)
		}, make([]byte, 26)...)
	case wire.CommandQueryDirectory:
		dir := p.open("", opening{wire.AccessReadData, shareAll, wire.Open, 0})
		return p.listMsg(dir, wire.FileIDBothDirectoryInformation, "*", 0, 1000)
	case wire.CommandChangeNotify:
		return p.request(cmd, 32, func(m []byte) { id.Put(m[72:]) })
	case wire.CommandQueryInfo:
		return p.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000)
	case wire.CommandSetInfo:
		return p.setMsg(id, wire.FileEndOfFileInformation, make([]byte, 8))
	case wire.CommandOplockBreak:
		return p.request(cmd, 24, nil)
	}
	return p.request(cmd, 4, nil)
}

func TestLimitsOfAConnection(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Limits = Limits{MaxOpens: 2, MaxTrees: 2, MaxSessions: 2, MaxCompound: 3} }).logOn("pub")
	p.newFile("a")
	p.newFile("b")
	if _, s := p.tryOpen("c", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}); s != wire.StatusTooManyOpenedFiles {
		t.Errorf("third open: %v", s)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "c")); err == nil {
		t.Error("the file was made all the same")
	}
	p.want(p.treeMsg(`\\s\pub`), wire.StatusOK)
	p.want(p.treeMsg(`\\s\pub`), wire.StatusInsufficientResources)
	session := p.session
	p.session = 0
	p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.want(p.setupMsg(ntlmNegotiate()), wire.StatusInsufficientResources)
	p.session = session
	var bomb []byte
	for i := range 4 {
		m := pad(p.request(wire.CommandEcho, 4, nil))
		if i < 3 {
			wire.Header(m).PutNextCommand(uint32(len(m)))
		}
		bomb = append(bomb, m...)
	}
	p.refused(frame(bomb))
}

func TestCreditsAreGrantedUpToTheLimit(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for range 5000 {
		m := p.request(wire.CommandEcho, 4, nil)
		le.PutUint16(m[14:], 8192)
		p.want(m, wire.StatusOK)
		if w := &p.c.credits; w.unused > DefaultMaxCredits || w.unused < 1 {
			t.Fatalf("%d credits out", w.unused)
		}
	}
	if n := p.c.credits.unused; n != DefaultMaxCredits {
		t.Errorf("%d credits out, want %d", n, DefaultMaxCredits)
	}
	// One id stays unused: the window can't move on for ever, but is never empty
	// of what was granted.
	p.message++
	for i := range 2 * windowSpan {
		m := p.request(wire.CommandEcho, 4, nil)
		le.PutUint16(m[14:], 8192)
		if err := p.feed(frame(m)); err != nil {
			if i < windowSpan-DefaultMaxCredits {
				t.Fatalf("after %d requests: %v", i, err)
			}
			return
		}
		p.reply()
	}
	t.Error("the window is not bounded")
}

func TestPreviousSessionIsEnded(t *testing.T) {
	srv := newServerIn(t, t.TempDir(), nil)
	old := connect(t, srv, "").logOn("pub")
	old.open("file", opening{wire.AccessAll, 0, wire.OpenIf, 0})
	p := connect(t, srv, "")
	p.want(p.negotiateMsg(0x0210), wire.StatusOK)
	r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.session = wire.Header(r).SessionID()
	m := p.setupMsg(ntlmAnonymous())
	le.PutUint64(m[80:], old.session)
	p.want(m, wire.StatusOK)
	p.tree = wire.Header(p.want(p.treeMsg(`\\s\pub`), wire.StatusOK)).TreeID()
	p.open("file", opening{wire.AccessAll, 0, wire.Open, 0})
	old.want(old.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusUserSessionDeleted)
}

func TestWhoBreaksTheProtocolGetsWhatCameBefore(t *testing.T) {
	ts := startServer(t, nil)
	conn, err := net.Dial("tcp", ts.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := &peer{t: t}
	if _, err := conn.Write(append(frame(p.negotiateMsg(0x0210)), frame([]byte("no SMB message"))...)); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn) // an error if the connection is reset
	if err != nil || len(b) < wire.FrameHeaderSize+wire.HeaderSize || wire.Header(b[wire.FrameHeaderSize:]).Status() != wire.StatusOK {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
