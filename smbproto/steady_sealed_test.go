package smbproto

import (
	"testing"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// once encrypts a request with the next id, feeds it, and opens its answer where it
// lies. b is the frame, with room for the tag behind it.
func (ch *sealedPeer) once(tb testing.TB, s *steady, b []byte) {
	s.renumber()
	wire.FrameHeader(b).Put(wire.FrameMessage, wire.TransformSize+len(s.msg))
	copy(b[wire.FrameHeaderSize+wire.TransformSize:], s.msg)
	if err := ch.sealer.Seal(b[wire.FrameHeaderSize:], len(s.msg)); err != nil {
		tb.Fatal(err)
	}
	r := s.exchange(tb, b[:len(b)-crypt.SealRoom], len(b))
	if wire.TransformHeader(r).Valid() != nil {
		tb.Fatal("the answer is not encrypted")
	}
	if m, ok := ch.opener.Open(r); !ok || wire.Header(m).Status() != wire.StatusOK {
		tb.Fatal("the request was refused")
	}
	s.p.a.Out.Consume(s.p.a.Out.Len())
}

func TestEncryptedReadAndWriteAllocateNothing(t *testing.T) {
	for _, c := range allCiphers {
		for name, s := range map[string]*steady{
			"READ 4 KiB": steadyRead(t, 4<<10), "READ 1 MiB": steadyRead(t, 1<<20),
			"WRITE 4 KiB": steadyWrite(t, 4<<10), "WRITE 1 MiB": steadyWrite(t, 1<<20),
		} {
			ch := s.p.sealKeys(c)
			b := make([]byte, wire.FrameHeaderSize+wire.TransformSize+len(s.msg)+crypt.SealRoom)
			if n := testing.AllocsPerRun(50, func() { ch.once(t, s, b) }); n != 0 {
				t.Errorf("%v, %s: %v allocations", c, name, n)
			}
			if s.p.c.maxRead != 1<<20 {
				t.Errorf("reads of %d at most", s.p.c.maxRead)
			}
		}
	}
}
