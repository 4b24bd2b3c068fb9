package rpc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"testing"
	"unicode/utf16"
)

var le = binary.LittleEndian

// UUIDs as they stand on the wire, and their versions.
const (
	wireSrvsvc = "c84f324b7016d30112785a47bf6ee188 03000000"
	wireNDR    = "045d888aeb1cc9119fe808002b104860 02000000"
	wireNDR64  = "33057171babe37498319b5dbef9ccc36 01000000"
	wireBTFN   = "2c1cb76c129840450300000000000000 01000000"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pdu makes a PDU of a body.
func pdu(ptype, flags byte, callID uint32, body ...[]byte) []byte {
	b := append([]byte{5, 0, ptype, flags, 0x10, 0, 0, 0}, make([]byte, 8)...)
	for _, p := range body {
		b = append(b, p...)
	}
	le.PutUint16(b[8:], uint16(len(b)))
	le.PutUint32(b[12:], callID)
	return b
}

// wantContext is a context element: its number, an interface and its transfer syntaxes.
func wantContext(t testing.TB, id uint16, abstract string, transfers ...string) []byte {
	t.Helper()
	b := append(le.AppendUint16(nil, id), byte(len(transfers)), 0)
	b = append(b, unhex(t, abstract)...)
	for _, s := range transfers {
		b = append(b, unhex(t, s)...)
	}
	return b
}

// bindPDU makes a bind or alter_context of a client that takes fragments of up to maxRecv bytes.
func bindPDU(ptype byte, maxRecv uint16, contexts ...[]byte) []byte {
	head := le.AppendUint16([]byte{0xb8, 0x10}, maxRecv)
	head = append(head, 0, 0, 0, 0, byte(len(contexts)), 0, 0, 0)
	return pdu(ptype, 3, 1, head, bytes.Join(contexts, nil))
}

// requestPDU makes a fragment of a request in context 0.
func requestPDU(flags byte, callID uint32, opnum uint16, stub []byte) []byte {
	head := le.AppendUint32(nil, uint32(len(stub)))
	head = append(head, 0, 0)
	return pdu(0, flags, callID, le.AppendUint16(head, opnum), stub)
}

// wstring is a [string] wchar_t* in NDR.
func wstring(s string) []byte {
	units := append(utf16.Encode([]rune(s)), 0)
	var b []byte
	for _, n := range []int{len(units), 0, len(units)} {
		b = le.AppendUint32(b, uint32(n))
	}
	for _, u := range units {
		b = le.AppendUint16(b, u)
	}
	for len(b)%4 != 0 {
		b = append(b, 0xaa) // padding may be anything
	}
	return b
}

// serverName is the first parameter of each operation.
func serverName() []byte { return append([]byte{1, 0, 2, 0}, wstring(`\\FILES`)...) }

func u32s(values ...uint32) (b []byte) {
	for _, v := range values {
		b = le.AppendUint32(b, v)
	}
	return b
}

// enumStub is NetrShareEnum's input.
func enumStub(level, maxLength uint32, resume ...uint32) []byte {
	b := append(serverName(), u32s(level, level, 0x20000, 0, 0, maxLength)...)
	if len(resume) == 0 {
		return append(b, 0, 0, 0, 0)
	}
	return append(b, u32s(0x20004, resume[0])...)
}

// readPDU reads one whole message, and checks that Read ends where the PDU does.
func readPDU(t testing.TB, p *Pipe) []byte {
	t.Helper()
	before := p.Pending()
	buf := make([]byte, 65536)
	n, more := p.Read(buf)
	if more || p.Pending() != before-n {
		t.Fatalf("Read of %d bytes: more %v, pending %d after %d", n, more, p.Pending(), before)
	}
	b := buf[:n]
	if n > 0 && (n < 16 || int(le.Uint16(b[8:])) != n || b[0] != 5 || b[4] != 0x10) {
		t.Fatalf("message % x is not one PDU", b)
	}
	return b
}

func write(t testing.TB, p *Pipe, b []byte) {
	t.Helper()
	if err := p.Write(b); err != nil {
		t.Fatal(err)
	}
}

// boundPipe has srvsvc in context 0.
func boundPipe(t testing.TB, s *Server) *Pipe {
	t.Helper()
	p := s.Open()
	write(t, p, bindPDU(11, 4280, wantContext(t, 0, wireSrvsvc, wireNDR)))
	if ack := readPDU(t, p); ack[2] != 12 {
		t.Fatalf("reply to bind has type %d", ack[2])
	}
	return p
}

// readReply reads the fragments of a reply to their end and returns the stub.
func readReply(t testing.TB, p *Pipe, callID uint32) (stub []byte) {
	t.Helper()
	for i := 0; ; i++ {
		b := readPDU(t, p)
		if len(b) < 24 || b[2] != 2 || le.Uint32(b[12:]) != callID {
			t.Fatalf("fragment %d: % x is not a response to call %d", i, b, callID)
		}
		if first := b[3]&1 != 0; first != (i == 0) {
			t.Fatalf("fragment %d: first %v", i, first)
		}
		stub = append(stub, b[24:]...)
		if b[3]&2 != 0 {
			return stub
		}
		if (len(b)-24)%8 != 0 {
			t.Fatalf("fragment %d has %d bytes of stub, want a multiple of 8", i, len(b)-24)
		}
	}
}

func call1(t testing.TB, p *Pipe, opnum uint16, stub []byte) *reader {
	t.Helper()
	write(t, p, requestPDU(3, 7, opnum, stub))
	return &reader{t: t, b: readReply(t, p, 7)}
}

// wantFault reads a fault.
func wantFault(t testing.TB, p *Pipe, callID, status uint32) {
	t.Helper()
	b := readPDU(t, p)
	if len(b) != 32 || b[2] != 3 || b[3]&3 != 3 || le.Uint32(b[12:]) != callID || le.Uint32(b[24:]) != status {
		t.Fatalf("reply % x, want fault 0x%x of call %d", b, status, callID)
	}
}

// reader reads a reply's NDR, strictly.
type reader struct {
	t  testing.TB
	b  []byte
	at int
}

func (r *reader) u32() uint32 {
	r.t.Helper()
	for ; r.at%4 != 0; r.at++ {
		if r.b[r.at] != 0 {
			r.t.Fatalf("padding at %d is not zero", r.at)
		}
	}
	if r.at+4 > len(r.b) {
		r.t.Fatalf("reply ends at %d: % x", r.at, r.b)
	}
	r.at += 4
	return le.Uint32(r.b[r.at-4:])
}

// want reads numbers; ptr stands for any pointer that is not null.
func (r *reader) want(values ...uint32) {
	r.t.Helper()
	for i, v := range values {
		if got := r.u32(); got != v && !(v == ptr && got != 0) {
			r.t.Fatalf("number %d is 0x%x, want 0x%x", i, got, v)
		}
	}
}

const ptr = 0xfefefefe

func (r *reader) str() string {
	r.t.Helper()
	size := r.u32()
	r.want(0, size)
	if r.at+2*int(size) > len(r.b) || size == 0 {
		r.t.Fatalf("string of %d units at %d of %d", size, r.at, len(r.b))
	}
	units := make([]uint16, size)
	for i := range units {
		units[i] = le.Uint16(r.b[r.at+2*i:])
	}
	r.at += 2 * int(size)
	if units[size-1] != 0 {
		r.t.Fatal("string without its zero")
	}
	return string(utf16.Decode(units[:size-1]))
}

func (r *reader) end() {
	r.t.Helper()
	if r.at != len(r.b) {
		r.t.Fatalf("%d bytes after the reply", len(r.b)-r.at)
	}
}

// shares1 reads a container of level 1.
func (r *reader) shares1() (shares []Share) {
	r.t.Helper()
	r.want(1, 1, ptr)
	n := r.u32()
	r.want(ptr, n)
	for range n {
		r.want(ptr)
		shares = append(shares, Share{Type: r.u32()})
		r.want(ptr)
	}
	for i := range shares {
		shares[i].Name, shares[i].Comment = r.str(), r.str()
	}
	return shares
}
