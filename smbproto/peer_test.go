package smbproto

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

var le = binary.LittleEndian

// peer is a client at the other end of an area in memory. It calls the handler
// itself, so a test knows at each point what has been handled.
type peer struct {
	t    testing.TB
	dir  string
	srv  *Server
	c    *Conn
	a    *ioarea.Area
	next ioarea.Next // what the handler last asked for

	message uint64
	session uint64
	tree    uint32
	dialect uint16   // that logOn negotiates, if not 2.1
	guid    [16]byte // the client's
}

func newServerIn(t testing.TB, dir string, change func(*Config)) *Server {
	t.Helper()
	cfg := testConfig(dir)
	if change != nil {
		change(&cfg)
	}
	srv, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if n := len(srv.files.files); n != 0 {
			t.Errorf("%d files left in the table", n)
		}
		if n := len(srv.files.absent) + srv.files.absentLocks; n != 0 {
			t.Errorf("%d opens, or locks of them, are still kept", n)
		}
		if n := len(srv.files.creates); n != 0 {
			t.Errorf("%d creates left that could be replayed", n)
		}
		if n := srv.loans.Out(); n != 0 {
			t.Errorf("%d loans are still out", n)
		}
		if n := srv.budget.Open(); n != 0 {
			t.Errorf("%d files left open", n)
		}
	})
	return srv
}

func newArea(t testing.TB, srv *Server) *ioarea.Area {
	t.Helper()
	in, out := srv.RingSize()
	return newAreaOf(t, 4*in, 4*out)
}

func newAreaOf(t testing.TB, in, out int) *ioarea.Area {
	t.Helper()
	pool, err := ioarea.NewPool(in, out, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(pool.Put(a), pool.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// newPeer connects to a new server.
func newPeer(t testing.TB, change func(*Config)) *peer {
	t.Helper()
	dir := t.TempDir()
	return connect(t, newServerIn(t, dir, change), dir)
}

func connect(t testing.TB, srv *Server, dir string) *peer {
	t.Helper()
	return connectOver(t, srv, dir, newArea(t, srv))
}

func connectOver(t testing.TB, srv *Server, dir string, a *ioarea.Area) *peer {
	t.Helper()
	p := &peer{t: t, dir: dir, srv: srv, a: a}
	p.c = srv.NewConn(p.a)
	t.Cleanup(p.hangUp)
	return p
}

func (p *peer) hangUp() {
	if p.c != nil {
		if err := p.c.Close(); err != nil {
			p.t.Error(err)
		}
		p.c = nil
	}
}

// feed lets bytes arrive and calls the handler.
func (p *peer) feed(b []byte) error {
	p.t.Helper()
	if err := p.a.In.Append(ioarea.NoWait, b); err != nil {
		p.t.Fatal(err)
	}
	var err error
	p.next, err = p.c.Handle(p.a)
	return err
}

// reply takes the next frame out of the out ring, or nil.
func (p *peer) reply() []byte {
	head := p.a.Out.Peek(wire.FrameHeaderSize)
	if len(head) < wire.FrameHeaderSize {
		return nil
	}
	n := wire.FrameHeader(head).Length()
	b := append([]byte(nil), p.a.Out.Peek(wire.FrameHeaderSize + n)[wire.FrameHeaderSize:]...)
	p.a.Out.Consume(wire.FrameHeaderSize + n)
	return b
}

func frame(msg []byte) []byte {
	b := make([]byte, wire.FrameHeaderSize, wire.FrameHeaderSize+len(msg))
	wire.FrameHeader(b).Put(wire.FrameMessage, len(msg))
	return append(b, msg...)
}

// request makes a message with the next id: a body of the structure size, changed
// by set, and what follows.
func (p *peer) request(cmd wire.Command, size int, set func(m []byte), tail ...byte) []byte {
	m := make([]byte, wire.HeaderSize+size&^1, wire.HeaderSize+size+len(tail))
	copy(m, wire.ProtocolSMB2[:])
	le.PutUint16(m[4:], wire.HeaderSize)
	le.PutUint16(m[12:], uint16(cmd))
	le.PutUint16(m[14:], 32)
	le.PutUint64(m[24:], p.message)
	le.PutUint32(m[36:], p.tree)
	le.PutUint64(m[40:], p.session)
	le.PutUint16(m[64:], uint16(size))
	p.message++
	if set != nil {
		set(m)
	}
	return append(m, tail...)
}

// ask sends one message and returns the one answer.
func (p *peer) ask(msg []byte) []byte {
	p.t.Helper()
	if err := p.feed(frame(msg)); err != nil {
		p.t.Fatalf("%v: %v", wire.Header(msg).Command(), err)
	}
	r := p.reply()
	if r == nil {
		p.t.Fatalf("%v: no answer", wire.Header(msg).Command())
	}
	return r
}

func status(msg []byte) wire.Status { return wire.Header(msg).Status() }

func (p *peer) want(msg []byte, s wire.Status) []byte {
	p.t.Helper()
	r := p.ask(msg)
	if status(r) != s {
		p.t.Fatalf("%v: %v, want %v", wire.Header(msg).Command(), status(r), s)
	}
	return r
}

func utf16le(s string) []byte {
	b := make([]byte, wire.UTF16Len(s))
	wire.PutUTF16(b, s)
	return b
}

func (p *peer) negotiateMsg(dialects ...uint16) []byte {
	var list []byte
	for _, d := range dialects {
		list = le.AppendUint16(list, d)
	}
	return p.request(wire.CommandNegotiate, 36, func(m []byte) {
		le.PutUint16(m[66:], uint16(len(dialects)))
		le.PutUint16(m[68:], 1)
		copy(m[76:92], p.guid[:])
	}, list...)
}

func (p *peer) setupMsg(token []byte) []byte {
	return p.request(wire.CommandSessionSetup, 25, func(m []byte) {
		le.PutUint16(m[76:], wire.HeaderSize+24)
		le.PutUint16(m[78:], uint16(len(token)))
	}, token...)
}

// ntlmNegotiate and ntlmAnonymous are the two NTLMSSP messages of a client without
// a name, MS-NLMP 2.2.1.1 and 2.2.1.3.
func ntlmNegotiate() []byte {
	b := append([]byte("NTLMSSP\x00"), 1, 0, 0, 0)
	b = le.AppendUint32(b, 0x00088205)
	return append(b, make([]byte, 16)...)
}

func ntlmAnonymous() []byte {
	b := append([]byte("NTLMSSP\x00"), 3, 0, 0, 0)
	for range 6 {
		b = append(b, 0, 0, 0, 0, 64, 0, 0, 0)
	}
	return le.AppendUint32(b, 0x00088a05)
}

func (p *peer) treeMsg(path string) []byte {
	name := utf16le(path)
	return p.request(wire.CommandTreeConnect, 9, func(m []byte) {
		le.PutUint16(m[68:], wire.HeaderSize+8)
		le.PutUint16(m[70:], uint16(len(name)))
	}, name...)
}

// logOn negotiates 2.1, or p.dialect, logs on as nobody and connects to a share.
func (p *peer) logOn(share string) *peer {
	p.t.Helper()
	dialects := []uint16{0x0202, 0x0210}
	if p.dialect != 0 {
		dialects = []uint16{p.dialect}
	}
	p.want(p.negotiateMsg(dialects...), wire.StatusOK)
	r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.session = wire.Header(r).SessionID()
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
	r = p.want(p.treeMsg(`\\server\`+share), wire.StatusOK)
	p.tree = wire.Header(r).TreeID()
	return p
}

// opening are the fields of a CREATE that tests change.
type opening struct {
	access      wire.Access
	share       wire.ShareAccess
	disposition wire.Disposition
	options     wire.CreateOptions
}

const shareAll = wire.ShareRead | wire.ShareWrite | wire.ShareDelete

func (p *peer) createMsg(name string, o opening) []byte {
	raw := utf16le(name)
	return p.request(wire.CommandCreate, 57, func(m []byte) {
		le.PutUint32(m[68:], 2)
		le.PutUint32(m[88:], uint32(o.access))
		le.PutUint32(m[96:], uint32(o.share))
		le.PutUint32(m[100:], uint32(o.disposition))
		le.PutUint32(m[104:], uint32(o.options))
		le.PutUint16(m[108:], wire.HeaderSize+56)
		le.PutUint16(m[110:], uint16(len(raw)))
	}, raw...)
}

func (p *peer) tryOpen(name string, o opening) (wire.FileID, wire.Status) {
	p.t.Helper()
	r := p.ask(p.createMsg(name, o))
	if s := status(r); s != wire.StatusOK {
		return wire.FileID{}, s
	}
	return wire.ReadFileID(r[128:]), wire.StatusOK
}

func (p *peer) open(name string, o opening) wire.FileID {
	p.t.Helper()
	id, s := p.tryOpen(name, o)
	if s != wire.StatusOK {
		p.t.Fatalf("open %q: %v", name, s)
	}
	return id
}

// newFile makes a file that can be read and written.
func (p *peer) newFile(name string) wire.FileID {
	p.t.Helper()
	return p.open(name, opening{wire.AccessAll, shareAll, wire.OverwriteIf, 0})
}

func (p *peer) closeMsg(id wire.FileID) []byte {
	return p.request(wire.CommandClose, 24, func(m []byte) { id.Put(m[72:]) })
}

func (p *peer) readMsg(id wire.FileID, off uint64, n int) []byte {
	return p.request(wire.CommandRead, 49, func(m []byte) {
		charge(m, n)
		le.PutUint32(m[68:], uint32(n))
		le.PutUint64(m[72:], off)
		id.Put(m[80:])
	}, 0)
}

func (p *peer) writeMsg(id wire.FileID, off uint64, data []byte) []byte {
	return p.request(wire.CommandWrite, 49, func(m []byte) {
		charge(m, len(data))
		le.PutUint16(m[66:], wire.WriteRequestFixed)
		le.PutUint32(m[68:], uint32(len(data)))
		le.PutUint64(m[72:], off)
		id.Put(m[80:])
	}, data...)
}

// charge sets the credit charge for a payload. The ids that it takes up are
// skipped by charged.
func charge(m []byte, n int) { le.PutUint16(m[6:], uint16(chargeFor(n))) }

// charged moves the message id on by what msg costs beyond one.
func (p *peer) charged(msg []byte) []byte {
	p.message += uint64(max(wire.Header(msg).CreditCharge(), 1)) - 1
	return msg
}

func (p *peer) setMsg(id wire.FileID, class wire.FileInfoClass, b []byte) []byte {
	return p.request(wire.CommandSetInfo, 33, func(m []byte) {
		m[66], m[67] = byte(wire.InfoFile), byte(class)
		le.PutUint32(m[68:], uint32(len(b)))
		le.PutUint16(m[72:], wire.HeaderSize+32)
		id.Put(m[80:])
	}, b...)
}

func (p *peer) queryMsg(id wire.FileID, kind wire.InfoType, class uint8, n int) []byte {
	return p.request(wire.CommandQueryInfo, 41, func(m []byte) {
		m[66], m[67] = byte(kind), class
		le.PutUint32(m[68:], uint32(n))
		le.PutUint32(m[80:], 7)
		id.Put(m[88:])
	}, 0)
}

func (p *peer) listMsg(id wire.FileID, class wire.FileInfoClass, pattern string, flags uint8, n int) []byte {
	raw := utf16le(pattern)
	return p.request(wire.CommandQueryDirectory, 33, func(m []byte) {
		m[66], m[67] = byte(class), flags
		id.Put(m[72:])
		le.PutUint16(m[88:], wire.HeaderSize+32)
		le.PutUint16(m[90:], uint16(len(raw)))
		le.PutUint32(m[92:], uint32(n))
	}, raw...)
}

func renameInfo(to string, replace bool) []byte {
	raw := utf16le(to)
	b := make([]byte, 20, 20+len(raw))
	if replace {
		b[0] = 1
	}
	le.PutUint32(b[16:], uint32(len(raw)))
	return append(b, raw...)
}

func (p *peer) content(name string) string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// refused feeds a frame that must end the connection with an error.
func (p *peer) refused(b []byte) {
	p.t.Helper()
	err := p.feed(b)
	if err == nil || errors.Is(err, io.EOF) {
		p.t.Errorf("%v, want the connection aborted", err)
	}
	if err != nil && !errors.Is(err, wire.ErrMalformed) {
		p.t.Errorf("error %v does not say that the message was malformed", err)
	}
}
