package smbproto

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"ustack/smbproto/vfs"
	"ustack/smbproto/wire"
)

// lent makes the peer one that only the kernel reads for.
func (p *peer) lent() *peer {
	p.a.Out.TakeLoans()
	return p
}

// sent is what waits in the out ring, as the kernel would send it.
func (p *peer) sent() []byte {
	out := p.a.Out
	var all []byte
	for _, b := range out.Borrow(nil, out.Start(), out.Len()) {
		all = append(all, b...)
	}
	out.Return()
	return all
}

// take consumes all that waits, and returns it.
func (p *peer) take() []byte {
	b := p.sent()
	p.a.Out.Consume(len(b))
	return b
}

func (p *peer) handle(msg []byte) {
	p.t.Helper()
	if err := p.feed(frame(msg)); err != nil {
		p.t.Fatal(err)
	}
}

func TestALargeReadIsLent(t *testing.T) {
	content := pattern(1<<20 + 77)
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	for off := 0; off < len(content); off += 1 << 19 {
		p.want(p.charged(p.writeMsg(id, uint64(off), content[off:min(off+1<<19, len(content))])), wire.StatusOK)
	}
	p.lent()
	for _, c := range []struct{ off, n, lent int }{
		{0, 1 << 20, 1}, {123, 1 << 20, 1}, {1 << 20, 1 << 20, 0}, {5, vfs.LendLeast, 1}, {5, vfs.LendLeast - 1, 0},
	} {
		p.handle(p.charged(p.readMsg(id, uint64(c.off), c.n)))
		if n := p.srv.loans.Out(); n != c.lent {
			t.Errorf("%d bytes at %d: %d loans, want %d", c.n, c.off, n, c.lent)
		}
		r := p.take()[wire.FrameHeaderSize:]
		want := content[c.off:min(c.off+c.n, len(content))]
		if status(r) != wire.StatusOK || !bytes.Equal(r[wire.ReadResponseData:], want) {
			t.Errorf("%d bytes at %d: %v, or others", c.n, c.off, status(r))
		}
		if p.srv.loans.Out() != 0 {
			t.Error("what was sent is still lent")
		}
	}
}

// A READ that was answered says what the file held then, whoever changes it before that is sent.
func TestALentReadSaysWhatWas(t *testing.T) {
	const size = 256 << 10
	content := pattern(size)
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	p, q := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	id, other := p.newFile("file"), q.open("file", anyOpen)
	fill := func() { q.want(q.charged(q.writeMsg(other, 0, content)), wire.StatusOK) }
	p.lent()
	for name, change := range map[string]func(){
		"WRITE":                 func() { q.want(q.writeMsg(other, 1000, []byte("other")), wire.StatusOK) },
		"WRITE of its own":      func() { p.handle(p.writeMsg(id, 1000, []byte("other"))) },
		"SET_INFO, end of file": func() { q.want(q.setMsg(other, wire.FileEndOfFileInformation, le.AppendUint64(nil, 5)), wire.StatusOK) },
		"SET_INFO, allocation": func() {
			q.want(q.setMsg(other, wire.FileAllocationInformation, le.AppendUint64(nil, 5)), wire.StatusOK)
		},
		"WRITE, after its LOGOFF": func() { p.hangUp(); q.want(q.writeMsg(other, 1000, []byte("other")), wire.StatusOK) },
	} {
		if p.c == nil {
			p = connect(t, srv, dir).logOn("pub").lent()
			id = p.open("file", anyOpen)
		}
		fill()
		p.handle(p.charged(p.readMsg(id, 0, size)))
		if srv.loans.Out() != 1 {
			t.Fatalf("%s: %d loans", name, srv.loans.Out())
		}
		change()
		if srv.loans.Out() != 0 {
			t.Errorf("%s: still lent", name)
		}
		if r := p.take()[wire.FrameHeaderSize:]; !bytes.Equal(r[wire.ReadResponseData:wire.ReadResponseData+size], content) {
			t.Errorf("%s: it changed what was read", name)
		}
	}
}

func TestWhatTheServerReadsItselfIsNotLent(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(256<<10))), wire.StatusOK)
	p.lent()
	p.handle(chainOf(false, p.charged(p.readMsg(id, 0, vfs.LendLeast)), p.charged(p.readMsg(id, 0, vfs.LendLeast))))
	if p.srv.loans.Out() != 0 {
		t.Error("a compound is lent")
	}
	p.take()
	p.key()
	msg := p.charged(p.readMsg(id, 0, vfs.LendLeast))
	p.signMsg(msg)
	p.handle(msg)
	if p.srv.loans.Out() != 0 {
		t.Error("what is signed is lent")
	}
	p.take()
	// Neither is what its receiver would read.
	q := connect(t, p.srv, p.dir).logOn("pub")
	q.handle(q.charged(q.readMsg(q.open("file", anyOpen), 0, vfs.LendLeast)))
	if p.srv.loans.Out() != 0 {
		t.Error("lent to a stream that does not take loans")
	}
	q.take()
}

// Its bytes are returned when nobody is there to take them.
func TestAConnectionThatEndsReturnsItsLoans(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(256<<10))), wire.StatusOK)
	p.lent()
	for range 3 {
		p.handle(p.charged(p.readMsg(id, 0, 256<<10)))
	}
	if n := p.srv.loans.Out(); n != 3 {
		t.Fatalf("%d loans", n)
	}
	p.hangUp()
	p.a.Out.DropLoans()
	if n := p.srv.loans.Out(); n != 0 {
		t.Errorf("%d loans left", n)
	}
}

// A READ that meets another's cutting the file says what was there before or after, or less: never zeros.
func TestAReadOfWhatIsBeingCutShowsNoZeros(t *testing.T) {
	content := bytes.Repeat([]byte{'x'}, 1<<20)
	p := newPeer(t, nil).logOn("pub")
	q := connect(t, p.srv, p.dir).logOn("pub")
	id, other := p.newFile("file"), q.open("file", anyOpen)
	p.lent()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			cut := q.ask(q.setMsg(other, wire.FileEndOfFileInformation, le.AppendUint64(nil, 0)))
			if written := q.ask(q.charged(q.writeMsg(other, 0, content))); status(cut) != wire.StatusOK || status(written) != wire.StatusOK {
				t.Error(status(cut), status(written))
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		p.handle(p.charged(p.readMsg(id, 0, len(content))))
		r := p.take()[wire.FrameHeaderSize:]
		if status(r) == wire.StatusOK && bytes.IndexByte(r[wire.ReadResponseData:], 0) >= 0 {
			t.Error("zeros")
		}
	}
}

// What is asked back before the connection has it is read in place of that.
func TestWhatIsAskedBackEarlyIsRead(t *testing.T) {
	content := pattern(256 << 10)
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, content)), wire.StatusOK)
	p.lent()
	var done atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for other := new(vfs.Loan); !done.Load(); {
			p.c.TakeBack(other)
		}
	})
	read := 0
	for i := 0; i < 100_000 && read < 10; i++ {
		p.handle(p.charged(p.readMsg(id, 0, len(content))))
		if p.srv.loans.Out() == 0 {
			read++
		}
		if r := p.take()[wire.FrameHeaderSize:]; status(r) != wire.StatusOK || !bytes.Equal(r[wire.ReadResponseData:], content) {
			t.Fatal(status(r), "or other bytes")
		}
	}
	done.Store(true)
	running.Wait()
	if read == 0 {
		t.Error("all was lent")
	}
}
