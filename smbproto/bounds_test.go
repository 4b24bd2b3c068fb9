package smbproto

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// A pattern that is dear to compare does not keep the server from others for long.
func TestASearchIsGivenUp(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	for i := range maxSteps/(wire.MaxPattern*wire.MaxPattern) + 100 {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("%0255d", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := p.open("", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	search := func(pattern string) wire.Status {
		return status(p.ask(p.listMsg(dir, wire.FileNamesInformation, pattern, wire.RestartScans, 1000)))
	}
	for _, c := range []struct {
		pattern string
		want    wire.Status
	}{
		{strings.Repeat("*?", 127) + "x", wire.StatusInsufficientResources},
		{strings.Repeat("x", 256), wire.StatusObjectNameInvalid},
		{"*x", wire.StatusNoSuchFile},
		{"*0", wire.StatusOK},
	} {
		if s := search(c.pattern); s != c.want {
			t.Errorf("pattern %.10q: %v, want %v", c.pattern, s, c.want)
		}
	}
}

// lockMsg locks n bytes of every other one from off on.
func (p *peer) lockMsg(id wire.FileID, off uint64, n int, flags uint32) []byte {
	var more []byte
	for i := range n - 1 {
		more = le.AppendUint64(le.AppendUint64(more, off+2*uint64(i+1)), 1)
		more = le.AppendUint64(more, uint64(flags))
	}
	return p.request(wire.CommandLock, 48, func(m []byte) {
		le.PutUint16(m[66:], uint16(n))
		id.Put(m[72:])
		le.PutUint64(m[88:], off)
		le.PutUint64(m[96:], 1)
		le.PutUint32(m[104:], flags)
	}, more...)
}

const exclusive = wire.LockExclusive | wire.LockFailImmediately

func TestLocksOfAConnectionAreBounded(t *testing.T) {
	dir := t.TempDir()
	srv := newServerIn(t, dir, nil)
	p, q := connect(t, srv, dir).logOn("pub"), connect(t, srv, dir).logOn("pub")
	const perFile, files = maxLocks / 2, 2 * maxConnLocks / maxLocks
	var ids []wire.FileID
	for i := range files {
		id := p.newFile(fmt.Sprint(i))
		for off := uint64(0); off < 2*perFile; off += 2 * maxLockElements {
			p.want(p.lockMsg(id, off, maxLockElements, exclusive), wire.StatusOK)
		}
		ids = append(ids, id)
	}
	one := p.newFile("one more")
	p.want(p.lockMsg(one, 0, 1, exclusive), wire.StatusInsufficientResources)
	q.want(q.lockMsg(q.newFile("another's"), 0, 1, exclusive), wire.StatusOK)
	for i, giveBack := range map[int]func(id wire.FileID) []byte{
		0: p.closeMsg,
		1: func(id wire.FileID) []byte { return p.lockMsg(id, 0, 1, wire.LockUnlock) },
	} {
		p.want(giveBack(ids[i]), wire.StatusOK)
		p.want(p.lockMsg(one, uint64(10*i), 1, exclusive), wire.StatusOK)
	}
	if p.hangUp(); p.locksOf(srv) != 1 {
		t.Errorf("%d locks are left, want the other connection's", p.locksOf(srv))
	}
}

func (p *peer) locksOf(srv *Server) (n int) {
	for _, st := range srv.files.files {
		n += len(st.locks)
	}
	return n
}

func TestLocksThatAreGivenUpCostNothing(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	for _, flags := range []uint32{exclusive, wire.LockUnlock} {
		for off := uint64(0); off < 2*maxLocks; off += 2 * maxLockElements {
			p.want(p.lockMsg(id, off, maxLockElements, flags), wire.StatusOK)
		}
	}
	if room := cap(p.openOf(id).state.locks); room > maxLockElements {
		t.Errorf("room for %d locks is kept for none", room)
	}
}

func TestPipesOfAConnectionAreBounded(t *testing.T) {
	p := newPeer(t, nil).logOn("IPC$")
	srvsvc := opening{rd | wr, shareAll, wire.Open, 0}
	for range maxPipes / 2 {
		p.open("srvsvc", srvsvc)
	}
	p.session = 0
	r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	p.session = wire.Header(r).SessionID()
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
	p.tree = wire.Header(p.want(p.treeMsg(`\\s\IPC$`), wire.StatusOK)).TreeID()
	for range maxPipes / 2 {
		p.open("srvsvc", srvsvc)
	}
	if _, s := p.tryOpen("srvsvc", srvsvc); s != wire.StatusPipeNotAvailable {
		t.Errorf("of both sessions, one more: %v", s)
	}
}

// Who has not shown who he is can have little kept for him.
func TestLogOnsUnderWayAreBounded(t *testing.T) {
	p := newPeer(t, nil)
	p.want(p.negotiateMsg(0x0210), wire.StatusOK)
	p.want(p.setupMsg(append(ntlmNegotiate(), make([]byte, 4096)...)), wire.StatusInvalidParameter)
	var last uint64
	for range maxFirstLogOns {
		r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		last = wire.Header(r).SessionID()
	}
	p.want(p.setupMsg(ntlmNegotiate()), wire.StatusInsufficientResources)
	p.session = last
	p.want(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
	p.session = 0
	p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
}

// Nobody guesses passwords for as long as he likes, not even a guest.
func TestRefusedLogOnsEndTheConnection(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	alice := ntlmNamed("alice")
	for i := 1; ; i++ {
		p.session = 0
		r := p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		p.session = wire.Header(r).SessionID()
		err := p.feed(frame(p.setupMsg(alice)))
		if s := status(p.reply()); s != wire.StatusLogonFailure {
			t.Fatalf("wrong password: %v", s)
		}
		if i == maxRefusals {
			if err != io.EOF {
				t.Errorf("after %d: %v, want the connection ended", i, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
}

// ntlmNamed is an AUTHENTICATE_MESSAGE with a name, and an NTLMv2 response that proves nothing.
func ntlmNamed(name string) []byte {
	b := ntlmAnonymous()
	user, response := utf16le(name), bytes.Repeat([]byte{1}, 60)
	copy(response[16:], []byte{1, 1, 0, 0, 0, 0, 0, 0})
	clear(response[24:])
	for _, f := range []struct {
		at   int
		data []byte
	}{{20, response}, {36, user}} {
		le.PutUint16(b[f.at:], uint16(len(f.data)))
		le.PutUint16(b[f.at+2:], uint16(len(f.data)))
		le.PutUint32(b[f.at+4:], uint32(len(b)))
		b = append(b, f.data...)
	}
	return b
}
