package smbproto

import (
	"testing"

	"ustack/smbproto/wire"
)

// after marks a message as sent after n breaks of a channel.
func after(n uint16, msg []byte) []byte {
	le.PutUint16(msg[8:], n)
	return msg
}

func replayed(msg []byte) []byte {
	h := wire.Header(msg)
	h.PutFlags(h.Flags() | wire.FlagReplay)
	return msg
}

func TestWhatComesAfterItsChannelBrokeChangesNothing(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	write := func() []byte { return m.writeMsg(id, 0, []byte("x")) }
	set := func() []byte { return m.setMsg(id, wire.FilePositionInformation, make([]byte, 8)) }
	control := func() []byte { return m.ioctlMsg(wire.FsctlGetCompression, id, nil, 100) }
	read := func() []byte { return m.readMsg(id, 0, 1) }
	m.want(after(0, write()), wire.StatusOK)
	for _, c := range []struct {
		number uint16
		want   wire.Status
	}{
		{1, wire.StatusOK},
		{0, wire.StatusFileNotAvailable},
		{0x8000, wire.StatusOK},
		{1, wire.StatusFileNotAvailable},
		{0xFFFF, wire.StatusOK},
		{0, wire.StatusOK}, // it has come round
		{0xFFFF, wire.StatusFileNotAvailable},
	} {
		for _, msg := range [][]byte{write(), set(), control()} {
			m.want(after(c.number, msg), c.want)
		}
		m.want(m.sign(after(c.number, write())), c.want) // which does not arrive in pieces
		m.want(after(c.number, read()), wire.StatusOK)   // that changes nothing
	}
	two := newMember(t, nil, wire.Dialect210).logOn("alice", "secret").treeOf("pub")
	id2 := two.newFile("file")
	two.want(after(1, two.writeMsg(id2, 0, []byte("x"))), wire.StatusOK)
	two.want(after(0, two.writeMsg(id2, 0, []byte("x"))), wire.StatusOK) // before SMB 3 nobody counts
}

func TestNothingIsReplayedWhileItMayStillBeDone(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	other := m.another().mustBind(m)
	write := other.writeMsg(id, 0, []byte("slow"))
	if err := other.feed(frame(write)[:wire.FrameHeaderSize+wire.WriteRequestFixed+1]); err != nil {
		t.Fatal(err)
	}
	m.want(replayed(after(1, m.writeMsg(id, 0, []byte("slow")))), wire.StatusFileNotAvailable)
	other.hangUp() // with the rest of it
	m.want(replayed(after(1, m.writeMsg(id, 0, []byte("slow")))), wire.StatusOK)

	async := m.pends(after(1, m.lockMsg(m.lockedByAnother("file"), 0, 1, wire.LockExclusive)))
	if err := m.feed(frame(m.cancelMsg(async))); err != nil {
		t.Fatal(err)
	}
	m.wantLater(async, wire.StatusCancelled)
	for _, o := range m.c.sessions[m.session].opens {
		if s := &o.sequence; s.outstanding != 0 || s.before != 0 {
			t.Errorf("%d and %d requests count that have been answered", s.outstanding, s.before)
		}
	}
}

// lockedByAnother opens a file of which another open has locked a byte.
func (m *member) lockedByAnother(name string) wire.FileID {
	m.t.Helper()
	m.want(m.lockMsg(m.open(name, anyOpen), 0, 1, wire.LockExclusive), wire.StatusOK)
	return m.open(name, anyOpen)
}
