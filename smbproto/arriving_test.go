package smbproto

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ustack/ioarea"
	"ustack/smbproto/wire"
)

func pattern(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// The mail: what can be done with what has arrived is done.
func TestWriteIsInItsFileBeforeItHasWhollyArrived(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	data := pattern(1 << 20)
	b := frame(p.charged(p.writeMsg(id, 0, data)))
	head := len(b) - len(data)

	if err := p.feed(b[:head]); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 100, 64 << 10, 300_000, len(data) - 1} {
		if err := p.feed(b[head+len(p.content("file")) : head+n]); err != nil {
			t.Fatal(err)
		}
		if got := p.content("file"); got != string(data[:n]) {
			t.Fatalf("%d bytes have arrived, %d are in the file", n, len(got))
		}
		if left := p.a.In.Len(); left != 0 {
			t.Errorf("%d bytes stay in the ring", left)
		}
		if p.reply() != nil {
			t.Error("answered before it was there")
		}
	}
	if err := p.feed(b[len(b)-1:]); err != nil {
		t.Fatal(err)
	}
	r := p.reply()
	if status(r) != wire.StatusOK || le.Uint32(r[68:]) != uint32(len(data)) {
		t.Errorf("%v, %d bytes written", status(r), le.Uint32(r[68:]))
	}
	if p.content("file") != string(data) {
		t.Error("the file is not what was written")
	}
	if n := p.srv.Stats().WritesArriving; n != 1 {
		t.Errorf("%d writes counted as written while they arrived", n)
	}
}

// What another locks while a WRITE arrives is not written.
func TestALockHoldsAgainstAWriteThatHasBegun(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	p, q := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	id, other := p.newFile("file"), q.open("file", anyOpen)
	data := pattern(10_000)
	b := frame(p.charged(p.writeMsg(id, 0, data)))
	half := len(b) - 5000
	if err := p.feed(b[:half]); err != nil {
		t.Fatal(err)
	}
	q.want(q.lockMsg(other, 7000, 1, exclusive), wire.StatusOK)
	if err := p.feed(b[half:]); err != nil {
		t.Fatal(err)
	}
	if s := status(p.reply()); s != wire.StatusFileLockConflict {
		t.Errorf("%v", s)
	}
	if got := p.content("file"); got != string(data[:5000]) {
		t.Errorf("%d bytes were written, want what came before the lock", len(got))
	}
}

func TestAnAppendingOpenLeavesWhatThereIs(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.writeMsg(p.newFile("file"), 0, []byte("hello")), wire.StatusOK)
	id := p.open("file", opening{wire.AccessAppendData, shareAll, wire.Open, 0})
	for _, c := range []struct {
		off  uint64
		want wire.Status
	}{
		{0, wire.StatusAccessDenied}, {4, wire.StatusAccessDenied}, {5, wire.StatusOK}, {5, wire.StatusAccessDenied}, {6, wire.StatusOK},
	} {
		p.want(p.writeMsg(id, c.off, []byte("!")), c.want)
		p.wantAll(chainOf(false, p.writeMsg(id, 0, []byte("J")), p.request(wire.CommandEcho, 4, nil)), wire.StatusAccessDenied, wire.StatusOK)
	}
	if got := p.content("file"); got != "hello!!" {
		t.Errorf("the file has %q", got)
	}
}

// What another has appended while a WRITE arrived stays.
func TestAnAppendingWriteThatArrivesLeavesWhatHasCome(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.want(p.writeMsg(p.newFile("file"), 0, []byte("hello")), wire.StatusOK)
	id := p.open("file", opening{wire.AccessAppendData, shareAll, wire.Open, 0})
	b := frame(p.writeMsg(id, 5, []byte("other")))
	if err := p.feed(b[:len(b)-5]); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(p.dir, "file"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("67890"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.feed(b[len(b)-5:]); err != nil {
		t.Fatal(err)
	}
	if s := status(p.reply()); s != wire.StatusAccessDenied || p.content("file") != "hello67890" {
		t.Errorf("%v, the file has %q", s, p.content("file"))
	}
}

// A WRITE that fails is skipped to its end, and answered there; the next request is found.
func TestWriteThatFailsIsSkipped(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	reader := p.open("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	for name, c := range map[string]struct {
		msg  func() []byte
		want wire.Status
	}{
		"no such open":  {func() []byte { return p.writeMsg(wire.FileID{Persistent: 9, Volatile: 9}, 0, pattern(5000)) }, wire.StatusFileClosed},
		"only to read":  {func() []byte { return p.writeMsg(reader, 0, pattern(5000)) }, wire.StatusAccessDenied},
		"no such place": {func() []byte { return p.writeMsg(id, 1<<63-1, pattern(5000)) }, wire.StatusInvalidParameter},
		"data elsewhere": {func() []byte {
			m := p.writeMsg(id, 0, pattern(5000))
			le.PutUint16(m[66:], 40)
			return m
		}, wire.StatusInvalidParameter},
		"data too long": {func() []byte {
			m := p.writeMsg(id, 0, pattern(5000))
			le.PutUint32(m[68:], 5001)
			return m
		}, wire.StatusInvalidParameter},
		"data far too long": {func() []byte {
			m := p.writeMsg(id, 0, pattern(5000))
			le.PutUint32(m[68:], 1<<31)
			return m
		}, wire.StatusInvalidParameter},
	} {
		t.Run(name, func(t *testing.T) {
			b := append(frame(c.msg()), frame(p.request(wire.CommandEcho, 4, nil))...)
			for len(b) > 0 { // in pieces
				n := min(len(b), 1999)
				if err := p.feed(b[:n]); err != nil {
					t.Fatal(err)
				}
				b = b[n:]
			}
			if got := status(p.reply()); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if r := p.reply(); r == nil || wire.Header(r).Command() != wire.CommandEcho || status(r) != wire.StatusOK {
				t.Error("the ECHO behind it was not answered")
			}
		})
	}
	if p.content("file") != "" {
		t.Error("something was written")
	}
}

// Data may stand behind padding, and padding may follow.
func TestWriteWithPadding(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	data := pattern(70_000)
	m := p.charged(p.writeMsg(id, 10, nil))
	le.PutUint16(m[6:], 2)
	p.message++
	le.PutUint16(m[66:], wire.WriteRequestFixed+24)
	le.PutUint32(m[68:], uint32(len(data)))
	m = append(append(append(m, make([]byte, 24)...), data...), make([]byte, 7)...)
	for b := frame(m); len(b) > 0; {
		n := min(len(b), 117)
		if err := p.feed(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if s := status(p.reply()); s != wire.StatusOK {
		t.Fatal(s)
	}
	if got := p.content("file"); got != string(make([]byte, 10))+string(data) {
		t.Error("the file is not what was written")
	}
}

// What has arrived stays in the file; the end is not taken for an orderly one.
func TestStreamThatEndsInAWrite(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	data := pattern(100_000)
	b := frame(p.charged(p.writeMsg(p.newFile("file"), 0, data)))
	if err := p.feed(b[:50_000]); err != nil {
		t.Fatal(err)
	}
	p.a.In.Close(nil)
	if err := ioarea.Serve(p.a, p.c); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ended with %v", err)
	}
	if got := p.content("file"); got == "" || got != string(data[:len(got)]) {
		t.Errorf("%d bytes in the file", len(got))
	}
}

// A signed WRITE waits for its end: nothing unverified reaches a file.
func TestSignedWriteIsVerifiedFirst(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.key()
	data := pattern(200_000)
	for _, forged := range []bool{true, false} {
		m := p.charged(p.writeMsg(id, 0, data))
		p.signMsg(m)
		if forged {
			m[len(m)-1] ^= 1
		}
		b := frame(m)
		if err := p.feed(b[:len(b)-1]); err != nil {
			t.Fatal(err)
		}
		if p.content("file") != "" {
			t.Fatal("written before it was verified")
		}
		if err := p.feed(b[len(b)-1:]); err != nil {
			t.Fatal(err)
		}
		want := wire.StatusOK
		if forged {
			want = wire.StatusAccessDenied
		}
		if s := status(p.reply()); s != want {
			t.Errorf("forged %v: %v", forged, s)
		}
	}
	if p.content("file") != string(data) {
		t.Error("the file is not what was written")
	}
}

func TestReadComesFromTheFile(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	data := pattern(1<<20 + 5)
	if err := os.WriteFile(filepath.Join(p.dir, "file"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	id := p.open("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	for _, c := range []struct {
		off  uint64
		n    int
		want []byte
		st   wire.Status
	}{
		{0, 100, data[:100], wire.StatusOK},
		{7, 1 << 20, data[7:], wire.StatusOK},
		{1 << 20, 100, data[1<<20:], wire.StatusOK},
		{0, 0, nil, wire.StatusOK},
		{1<<20 + 5, 1, nil, wire.StatusEndOfFile},
		{1 << 62, 1, nil, wire.StatusEndOfFile},
		{1<<63 - 1, 1, nil, wire.StatusInvalidParameter},
		{1 << 63, 1, nil, wire.StatusInvalidParameter},
		{0, 1<<20 + 1, nil, wire.StatusInvalidParameter},
	} {
		r := p.want(p.charged(p.readMsg(id, c.off, c.n)), c.st)
		if c.st != wire.StatusOK {
			continue
		}
		if got := r[80:]; !bytes.Equal(got, c.want) || le.Uint32(r[68:]) != uint32(len(c.want)) || r[66] != 80 {
			t.Errorf("at %d, %d bytes: %d came, %d said", c.off, c.n, len(got), le.Uint32(r[68:]))
		}
	}
}

// A tree's id may be another tree's a moment later, when another channel disconnects the one and connects the other: a WRITE that began
// to arrive for a file finds a pipe.
func TestAWriteThatBeginsToArriveMayFindAPipe(t *testing.T) {
	meanwhile := func() {}
	m := newMember(t, func(c *Config) {
		c.Latency, c.Now = true, func() time.Time {
			do := meanwhile
			meanwhile = func() {}
			do()
			return time.Now()
		}
	}, wire.Dialect302).logOn("alice", "secret").treeOf("pub")
	other := m.another().mustBind(m)
	pipe := wire.FileID{}
	meanwhile = func() {
		other.want(other.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusOK)
		other.treeOf("IPC$")
		pipe = other.open("srvsvc", anyOpen)
	}
	id := m.srv.newFileID()
	id = wire.FileID{Persistent: id.Persistent + 1, Volatile: id.Volatile + 1} // that of the next open
	m.want(m.writeMsg(id, 0, bindPDU), wire.StatusFileClosed)
	if pipe != id || other.tree != m.tree {
		t.Fatalf("the pipe is %v in tree %d, want %v in %d", pipe, other.tree, id, m.tree)
	}
	m.want(m.writeMsg(id, 0, bindPDU), wire.StatusOK) // whole, as it should be
}
