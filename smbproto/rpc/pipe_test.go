package rpc

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestUnknownOperationsAndContextsAreFaults(t *testing.T) {
	p := boundPipe(t, someServer())
	write(t, p, requestPDU(3, 4, 99, nil))
	wantFault(t, p, 4, 0x1c010002)
	other := requestPDU(3, 5, 15, nil)
	other[20] = 1
	write(t, p, other)
	wantFault(t, p, 5, 0x1c010003)
	unbound := someServer().Open()
	write(t, unbound, requestPDU(3, 6, 15, nil))
	wantFault(t, unbound, 6, 0x1c010003)
	write(t, p, requestPDU(3, 7, 21, append(serverName(), u32s(100)...))) // the pipe lives on
	readReply(t, p, 7)
}

func TestStubsCutShortAreFaultsAtEveryLength(t *testing.T) {
	p := boundPipe(t, someServer())
	for opnum, whole := range map[uint16][]byte{
		15: enumStub(1, 0xffffffff, 0),
		16: slices.Concat(serverName(), wstring("data"), u32s(1)),
		21: append(serverName(), u32s(101)...),
	} {
		for n := range whole {
			write(t, p, requestPDU(3, uint32(n), opnum, whole[:n]))
			wantFault(t, p, uint32(n), faultBadStub)
		}
	}
}

func TestMalformedStubsAreFaults(t *testing.T) {
	p := boundPipe(t, someServer())
	name := func(size, offset, actual uint32, text string) []byte {
		return slices.Concat(u32s(0, size, offset, actual), []byte(text), u32s(1, 1))
	}
	for what, tc := range map[string]struct {
		opnum uint16
		stub  []byte
	}{
		"union of another level":   {15, append(serverName(), u32s(1, 0, 1, 0, 0, 0, 0)...)},
		"entries in a request":     {15, append(serverName(), u32s(1, 1, 1, 1, 1, 1, 0, 0, 0, 0)...)},
		"string longer than array": {16, name(1, 0, 2, "a\x00\x00\x00")},
		"string from the middle":   {16, name(2, 1, 1, "\x00\x00")},
		"string without zero":      {16, name(2, 0, 2, "a\x00b\x00")},
		"empty string":             {16, name(0, 0, 0, "")},
		"huge string":              {16, name(0xffffffff, 0, 0xffffffff, "a\x00\x00\x00")},
	} {
		t.Run(what, func(t *testing.T) {
			write(t, p, requestPDU(3, 3, tc.opnum, tc.stub))
			wantFault(t, p, 3, faultBadStub)
		})
	}
}

func TestRequestsThatClaimAuthenticationAreRefused(t *testing.T) {
	p := boundPipe(t, someServer())
	b := requestPDU(3, 3, 15, enumStub(1, 0xffffffff))
	le.PutUint16(b[10:], 8)
	write(t, p, b)
	wantFault(t, p, 3, faultAccess)
}

func TestBrokenFramingBreaksThePipeForGood(t *testing.T) {
	request := func(edit func(b []byte)) [][]byte {
		b := requestPDU(3, 3, 21, append(serverName(), u32s(100)...))
		edit(b)
		return [][]byte{b}
	}
	long := make([]byte, 4000)
	var tooLong [][]byte
	for range maxRequest/len(long) + 1 {
		tooLong = append(tooLong, requestPDU(0, 3, 15, long))
	}
	tooLong[0][3] = 1
	for name, tc := range map[string]struct {
		pdus [][]byte
		want string
	}{
		"version":             {request(func(b []byte) { b[0] = 4 }), "version 4.0"},
		"minor version":       {request(func(b []byte) { b[1] = 2 }), "version 5.2"},
		"big-endian":          {request(func(b []byte) { b[4] = 0 }), "little-endian"},
		"fragment too short":  {request(func(b []byte) { le.PutUint16(b[8:], 15) }), "fragment of 15"},
		"fragment too long":   {request(func(b []byte) { le.PutUint16(b[8:], maxRecvFrag+1) }), "fragment of 5841"},
		"auth too long":       {request(func(b []byte) { le.PutUint16(b[10:], 1000) }), "authentication of 1000"},
		"request too short":   {[][]byte{pdu(0, 3, 3, make([]byte, 7))}, "request of 23"},
		"object UUID missing": {[][]byte{pdu(0, 0x83, 3, make([]byte, 8))}, "want at least 40"},
		"a server's PDU":      {[][]byte{pdu(2, 3, 3, make([]byte, 8))}, "type 2"},
		"no first fragment":   {[][]byte{requestPDU(2, 3, 15, nil)}, "first one missing"},
		"two first fragments": {[][]byte{requestPDU(1, 3, 15, nil), requestPDU(1, 3, 15, nil)}, "mixed"},
		"another call":        {[][]byte{requestPDU(1, 3, 15, nil), requestPDU(2, 4, 15, nil)}, "call 4, want call 3"},
		"another operation":   {[][]byte{requestPDU(1, 3, 15, nil), requestPDU(2, 3, 16, nil)}, "fragment of call 3"},
		"request too long":    {tooLong, "more than 65536"},
		"bind in fragments":   {[][]byte{pdu(11, 1, 1, make([]byte, 12))}, "more than one fragment"},
	} {
		t.Run(name, func(t *testing.T) {
			p := boundPipe(t, someServer())
			err := p.Write(bytes.Join(tc.pdus, nil))
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q in it", err, tc.want)
			}
			if again := p.Write(requestPDU(3, 3, 99, nil)); again != err || p.Pending() != 0 {
				t.Errorf("a Write after it: %v, %d bytes pending", again, p.Pending())
			}
		})
	}
}

func TestUnreadRepliesAreBounded(t *testing.T) {
	p := boundPipe(t, NewSrvsvc("FILES", func() []Share { return manyShares(1000) }))
	request := requestPDU(3, 3, 15, enumStub(1, 0xffffffff))
	for range 100 {
		if err := p.Write(request); err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
			if p.Pending() > maxPending+maxReply {
				t.Errorf("%d bytes pending", p.Pending())
			}
			readReply(t, p, 3) // what was answered can still be read
			return
		}
	}
	t.Fatalf("%d bytes pending, and no end", p.Pending())
}

func TestAReplyThatIsTooLongIsAFault(t *testing.T) {
	s := secondServer(func(_ *decoder, out *encoder) error {
		out.b = make([]byte, maxReply+1)
		return nil
	})
	p := boundPipe(t, s)
	write(t, p, requestPDU(3, 3, 0, nil))
	wantFault(t, p, 3, faultNoMemory)
}

func TestOrphanedCallIsForgotten(t *testing.T) {
	p := boundPipe(t, someServer())
	write(t, p, requestPDU(1, 3, 21, serverName()))
	write(t, p, pdu(19, 3, 3))
	write(t, p, pdu(18, 3, 3)) // a late cancel
	r := call1(t, p, 21, append(serverName(), u32s(100)...))
	r.want(100)
}

func TestRequestWithAnObjectUUIDIsAnswered(t *testing.T) {
	p := boundPipe(t, someServer())
	plain := requestPDU(3, 3, 21, append(serverName(), u32s(100)...))
	b := slices.Insert(plain, 24, make([]byte, 16)...)
	b[3] |= 0x80
	le.PutUint16(b[8:], uint16(len(b)))
	write(t, p, b)
	(&reader{t: t, b: readReply(t, p, 3)}).want(100)
}

func TestReadOfNothingSaysSo(t *testing.T) {
	p := someServer().Open()
	if n, more := p.Read(make([]byte, 10)); n != 0 || more || p.Pending() != 0 {
		t.Errorf("Read: %d, %v, pending %d", n, more, p.Pending())
	}
}

// secondServer has one operation, number 0, and srvsvc's UUID so that boundPipe binds it.
func secondServer(op operation) *Server {
	return &Server{pipeName: `\PIPE\echo`, ifaces: []*iface{
		{syntax: syntax{uuid: uuid(1, 2, 3, 4, 5), major: 1}},
		{
			syntax: syntax{uuid: uuid(0x4b324fc8, 0x1670, 0x01d3, 0x1278, 0x5a47bf6ee188), major: 3},
			ops:    map[uint16]operation{0: op},
		},
	}}
}

// However requests are cut into fragments and writes, and replies into reads,
// the same stub comes in and the same stub goes out.
func TestBytesSurviveAnySplitting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var seen []byte
		reply := rapid.SliceOfN(rapid.Byte(), 0, 10000).Draw(rt, "reply")
		p := boundPipe(t, secondServer(func(in *decoder, out *encoder) error {
			seen, out.b = bytes.Clone(in.b), reply
			return nil
		}))
		stub := rapid.SliceOfN(rapid.Byte(), 0, 10000).Draw(rt, "stub")
		var stream []byte
		for flags, rest := byte(1), stub; ; flags = 0 {
			n := rapid.IntRange(min(1, len(rest)), min(len(rest), 4000)).Draw(rt, "fragment")
			if n == len(rest) {
				flags |= 2
			}
			stream = append(stream, requestPDU(flags, 8, 0, rest[:n])...)
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(rt, "write")
			write(t, p, stream[:n])
			stream = stream[n:]
		}
		if !bytes.Equal(seen, stub) {
			rt.Fatalf("the operation saw %d bytes, want %d", len(seen), len(stub))
		}
		var got, message []byte
		for p.Pending() > 0 {
			buf := make([]byte, rapid.IntRange(1, 5000).Draw(rt, "read"))
			n, more := p.Read(buf)
			message = append(message, buf[:n]...)
			if len(message) < headerSize {
				continue
			}
			if whole := int(le.Uint16(message[8:])); more != (len(message) < whole) {
				rt.Fatalf("%d of %d bytes of a message: more %v", len(message), whole, more)
			}
			if !more {
				got = append(got, message[24:]...)
				message = nil
			}
		}
		if !bytes.Equal(got, reply) {
			rt.Fatalf("%d bytes of reply, want %d", len(got), len(reply))
		}
	})
}

func FuzzPipeWrite(f *testing.F) {
	both := func() *Server {
		s := someServer()
		s.ifaces = append(s.ifaces, NewWkssvc("FILES", "HOME").ifaces...)
		return s
	}
	bind := bindPDU(11, 4280, wantContext(f, 0, wireSrvsvc, wireNDR), wantContext(f, 1, wireSrvsvc, wireBTFN))
	f.Add(slices.Concat(bind, requestPDU(3, 2, 15, enumStub(1, 0xffffffff, 0))), 100)
	f.Add(slices.Concat(bind, requestPDU(3, 2, 16, slices.Concat(serverName(), wstring("data"), u32s(1)))), 1)
	f.Add(slices.Concat(bind, requestPDU(1, 2, 21, serverName()), requestPDU(2, 2, 21, u32s(101))), 17)
	f.Add(slices.Concat(bind, bindPDU(14, 4280, wantContext(f, 3, wireSrvsvc, wireNDR64)), pdu(19, 3, 2)), 50)
	f.Add(slices.Concat(bindPDU(11, 4280, wantContext(f, 0, wireWkssvc, wireNDR)), requestPDU(3, 2, 0, slices.Concat(serverName(), u32s(101)))), 30)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole, parts := both().Open(), both().Open()
		err := whole.Write(b)
		if err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("error %v is not ErrProtocol", err)
		}
		if cut < 1 {
			cut = 1
		}
		var err2 error
		for part := range slices.Chunk(b, cut) {
			err2 = parts.Write(part)
		}
		if (err == nil) != (err2 == nil) || whole.Pending() != parts.Pending() {
			t.Fatalf("in one: %v, %d pending; in parts: %v, %d pending", err, whole.Pending(), err2, parts.Pending())
		}
		if whole.Pending() > maxPending+maxReply {
			t.Errorf("%d bytes pending", whole.Pending())
		}
		for whole.Pending() > 0 {
			if a, b := readPDU(t, whole), readPDU(t, parts); len(a) != len(b) || a[2] != b[2] {
				t.Fatalf("reply % x in one, % x in parts", a, b)
			}
		}
	})
}

// The smallest replies, unread, cost no more than their bytes.
func TestUnreadRepliesAreOneBuffer(t *testing.T) {
	p := boundPipe(t, someServer())
	fault := requestPDU(3, 3, 99, nil)
	var err error
	for err == nil {
		err = p.Write(fault)
	}
	if !errors.Is(err, ErrProtocol) || p.Pending() < maxPending || cap(p.out) > 2*maxPending {
		t.Errorf("%v; %d bytes pending in %d", err, p.Pending(), cap(p.out))
	}
	for p.Pending() > 0 {
		readPDU(t, p)
	}
	if p.out != nil {
		t.Error("the buffer is kept when all was read")
	}
}
