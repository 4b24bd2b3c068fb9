package smbproto

import (
	"slices"
	"testing"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// testSigner signs with the key that key gives.
func testSigner(tb testing.TB) *crypt.Signer {
	tb.Helper()
	key := [16]byte{1}
	s, err := crypt.NewSigner(crypt.HMACSHA256, key[:])
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// key gives the session a key, as a log-on with a password does.
func (p *peer) key() {
	ch := p.c.sessions[p.session]
	ch.signer, ch.anonymous = testSigner(p.t), false
}

func (p *peer) signMsg(m []byte) []byte {
	h := wire.Header(m)
	h.PutFlags(h.Flags() | wire.FlagSigned)
	if err := testSigner(p.t).Sign(m); err != nil {
		p.t.Fatal(err)
	}
	return m
}

func TestSigningRule(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.key()
	verify := testSigner(t)
	list := func() []byte {
		return p.createMsg("", opening{wire.AccessReadData, shareAll, wire.Open, 0})
	}
	if r := p.want(list(), wire.StatusOK); wire.Header(r).Has(wire.FlagSigned) {
		t.Error("the answer to an unsigned request is signed")
	}
	if r := p.want(p.signMsg(list()), wire.StatusOK); !wire.Header(r).Has(wire.FlagSigned) || !verify.Verify(r) {
		t.Error("the answer to a signed request is not signed")
	}
	forged := p.signMsg(list())
	forged[50] ^= 1
	p.want(forged, wire.StatusAccessDenied)

	p.c.sessions[p.session].mustSign = true
	if r := p.want(list(), wire.StatusAccessDenied); !verify.Verify(r) {
		t.Error("the refusal is not signed")
	}
	if r := p.want(p.signMsg(list()), wire.StatusOK); !verify.Verify(r) {
		t.Error("the answer is not signed")
	}
	write := p.writeMsg(wire.FileID{Persistent: 1, Volatile: 1}, 0, pattern(100))
	p.want(write, wire.StatusAccessDenied)
}

func TestCompoundIsSignedMessageByMessage(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	p.key()
	a := pad(p.createMsg("file", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}))
	wire.Header(a).PutNextCommand(uint32(len(a)))
	b := p.closeMsg(wire.FileIDNone)
	wire.Header(b).PutFlags(wire.FlagRelated)
	r := p.ask(append(p.signMsg(a), p.signMsg(b)...))
	verify := testSigner(t)
	for len(r) > 0 {
		first, rest, err := element(r)
		if err != nil {
			t.Fatal(err)
		}
		if status(first) != wire.StatusOK || !verify.Verify(first) {
			t.Errorf("%v: %v, signature right: %v", wire.Header(first).Command(), status(first), verify.Verify(first))
		}
		r = rest
	}
}

// Also where the room of a compound runs out.
func TestEveryAnswerOfASessionThatMustSignIsSigned(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.want(p.charged(p.writeMsg(id, 0, pattern(1<<20))), wire.StatusOK)
	p.key()
	p.c.sessions[p.session].mustSign = true
	a := pad(p.charged(p.readMsg(id, 0, 1<<20)))
	wire.Header(a).PutNextCommand(uint32(len(a)))
	b := pad(p.charged(p.readMsg(id, 0, 1<<20)))
	wire.Header(b).PutNextCommand(uint32(len(b)))
	forged := p.signMsg(p.charged(p.readMsg(id, 0, 1<<20)))
	forged[80] ^= 1
	r := p.askAll(slices.Concat(p.signMsg(a), p.signMsg(b), forged))
	verify := testSigner(t)
	for i, want := range []wire.Status{wire.StatusOK, wire.StatusInsufficientResources, wire.StatusAccessDenied} {
		if status(r[i]) != want || !verify.Verify(r[i]) {
			t.Errorf("answer %d: %v, want %v; signature right: %v", i, status(r[i]), want, verify.Verify(r[i]))
		}
	}
}

// Clients that sign take an answer that is not signed for one of somebody else's.
func TestWhatIsRelatedToNothingIsRefusedWithASignature(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	id := p.newFile("file")
	p.key()
	verify := testSigner(t)
	related := func() []byte {
		m := p.readMsg(id, 0, 0)
		wire.Header(m).PutFlags(wire.FlagRelated)
		return m
	}
	want := func(m []byte, want ...wire.Status) {
		t.Helper()
		for i, r := range p.askAll(m) {
			if status(r) != want[i] || !verify.Verify(r) {
				t.Errorf("answer %d: %v, want %v; signature right: %v", i, status(r), want[i], verify.Verify(r))
			}
		}
	}
	want(p.signMsg(related()), wire.StatusInvalidParameter)
	a := pad(related())
	wire.Header(a).PutNextCommand(uint32(len(a)))
	want(slices.Concat(p.signMsg(a), p.signMsg(related())), wire.StatusInvalidParameter, wire.StatusInvalidParameter)

	p.c.sessions[p.session].mustSign = true
	want(related(), wire.StatusAccessDenied)
}

func pad(m []byte) []byte {
	for len(m)%8 != 0 {
		m = append(m, 0)
	}
	return m
}
