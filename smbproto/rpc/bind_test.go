package rpc

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answer is what a bind_ack says about one context.
type answer struct {
	Result, Reason uint16
	Transfer       string
}

// parseAck reads a bind_ack's or alter_context_resp's address and results.
func parseAck(t *testing.T, b []byte) (address string, answers []answer) {
	t.Helper()
	at := 26 + int(le.Uint16(b[24:]))
	address = string(b[26:at])
	at = (at + 3) &^ 3
	n := int(b[at])
	at += 4
	if len(b) != at+24*n {
		t.Fatalf("%d results in %d bytes from %d", n, len(b), at)
	}
	for ; at < len(b); at += 24 {
		transfer := ""
		if s := b[at+4 : at+24]; !bytes.Equal(s, make([]byte, 20)) {
			transfer = string(s)
		}
		answers = append(answers, answer{le.Uint16(b[at:]), le.Uint16(b[at+2:]), transfer})
	}
	return address, answers
}

func TestBindJudgesEachContextByItself(t *testing.T) {
	ndr := string(unhex(t, wireNDR))
	const otherVersion = "c84f324b7016d30112785a47bf6ee188 04000000"
	const newerMinor = "c84f324b7016d30112785a47bf6ee188 03000100"
	const wkssvc = "98d0ff6b12a11036983346c3f87e345a 01000000"
	p := someServer().Open()
	write(t, p, bindPDU(11, 4280,
		wantContext(t, 0, wireSrvsvc, wireNDR),
		wantContext(t, 1, wireSrvsvc, wireNDR64), // these three are Windows's own bind
		wantContext(t, 2, wireSrvsvc, wireBTFN),
		wantContext(t, 3, wkssvc, wireNDR),
		wantContext(t, 4, otherVersion, wireNDR),
		wantContext(t, 5, newerMinor, wireNDR),
		wantContext(t, 6, wireSrvsvc, wireNDR64, wireNDR),
		wantContext(t, 7, wireSrvsvc)))
	ack := readPDU(t, p)
	if ack[2] != 12 || ack[3] != 3 || le.Uint32(ack[12:]) != 1 || le.Uint32(ack[20:]) == 0 {
		t.Fatalf("bind_ack % x", ack)
	}
	address, got := parseAck(t, ack)
	if address != "\\PIPE\\srvsvc\x00" {
		t.Errorf("secondary address %q", address)
	}
	want := []answer{
		{accepted, 0, ndr},
		{providerRejection, reasonTransferSyntax, ""},
		{negotiateAck, 0, ""},
		{providerRejection, reasonAbstractSyntax, ""},
		{providerRejection, reasonAbstractSyntax, ""},
		{providerRejection, reasonAbstractSyntax, ""},
		{accepted, 0, ndr},
		{providerRejection, reasonTransferSyntax, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAlterContextAddsAContext(t *testing.T) {
	p := boundPipe(t, someServer())
	write(t, p, bindPDU(14, 4280, wantContext(t, 9, wireSrvsvc, wireNDR)))
	ack := readPDU(t, p)
	address, got := parseAck(t, ack)
	if ack[2] != 15 || address != "" || len(got) != 1 || got[0].Result != accepted {
		t.Fatalf("alter_context_resp % x", ack)
	}
	request := requestPDU(3, 5, 21, append(serverName(), u32s(100)...))
	request[20] = 9
	write(t, p, request)
	readReply(t, p, 5)
}

func TestBindsThatCannotBeAreRefused(t *testing.T) {
	good := wantContext(t, 0, wireSrvsvc, wireNDR)
	bound := func(t *testing.T) *Pipe { return boundPipe(t, someServer()) }
	fresh := func(*testing.T) *Pipe { return someServer().Open() }
	withAuth := func() []byte {
		b := append(bindPDU(11, 4280, good), make([]byte, 16)...)
		le.PutUint16(b[8:], uint16(len(b)))
		le.PutUint16(b[10:], 8)
		return b
	}
	many := make([][]byte, maxBindContexts+1)
	for i := range many {
		many[i] = good
	}
	for name, tc := range map[string]struct {
		pipe   func(*testing.T) *Pipe
		bind   []byte
		reason uint16
	}{
		"a second bind":          {bound, bindPDU(11, 4280, good), nakReasonNone},
		"alter_context at first": {fresh, bindPDU(14, 4280, good), nakReasonNone},
		"authentication":         {fresh, withAuth(), nakAuthTypeUnknown},
		"too many contexts":      {fresh, bindPDU(11, 4280, many...), nakLocalLimit},
	} {
		t.Run(name, func(t *testing.T) {
			p := tc.pipe(t)
			write(t, p, tc.bind)
			b := readPDU(t, p)
			if b[2] != 13 || le.Uint16(b[16:]) != tc.reason || !bytes.Equal(b[18:], []byte{1, 5, 0}) {
				t.Errorf("reply % x, want a bind_nak of reason %d", b, tc.reason)
			}
		})
	}
}

func TestContextsOfOnePipeAreLimited(t *testing.T) {
	p := boundPipe(t, someServer())
	accepts := 1
	for id := uint16(1); id < 2*maxContexts; id++ {
		write(t, p, bindPDU(14, 4280, wantContext(t, id, wireSrvsvc, wireNDR)))
		_, got := parseAck(t, readPDU(t, p))
		if got[0].Result == accepted {
			accepts++
		} else if got[0].Reason != reasonLocalLimit {
			t.Fatalf("context %d: %+v", id, got[0])
		}
	}
	if accepts != maxContexts {
		t.Errorf("%d contexts, want %d", accepts, maxContexts)
	}
}

func TestFragmentSizeIsWhatBothCanDo(t *testing.T) {
	for client, want := range map[uint16]int{0: mustFrag, 1000: mustFrag, 2048: 2048, 4280: maxFrag, 65535: maxFrag} {
		p := NewSrvsvc("FILES", func() []Share { return manyShares(200) }).Open()
		write(t, p, bindPDU(11, client, wantContext(t, 0, wireSrvsvc, wireNDR)))
		if got := int(le.Uint16(readPDU(t, p)[16:])); got != want {
			t.Errorf("client's %d: max_xmit_frag %d, want %d", client, got, want)
		}
		write(t, p, requestPDU(3, 2, 15, enumStub(1, 0xffffffff)))
		b := readPDU(t, p)
		if len(b) > want || len(b) < want-8 {
			t.Errorf("client's %d: first fragment of %d bytes, want nearly %d", client, len(b), want)
		}
	}
}

func TestBindsCutShortBreakThePipe(t *testing.T) {
	whole := bindPDU(11, 4280, wantContext(t, 0, wireSrvsvc, wireNDR64, wireNDR))
	for n := headerSize; n < len(whole); n++ {
		cut := bytes.Clone(whole[:n])
		le.PutUint16(cut[8:], uint16(n))
		if err := someServer().Open().Write(cut); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}
