package smbproto

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

var allCiphers = []crypt.Cipher{crypt.AES128CCM, crypt.AES128GCM, crypt.AES256CCM, crypt.AES256GCM}

// sealedPeer is a client's side of an encrypted session.
type sealedPeer struct {
	p      *peer
	sealer *crypt.Sealer
	opener *crypt.Opener
}

// sealKeys gives the session keys for encryption, as a log-on with a password does.
func (p *peer) sealKeys(c crypt.Cipher) *sealedPeer {
	p.t.Helper()
	size := 16
	if c == crypt.AES256CCM || c == crypt.AES256GCM {
		size = 32
	}
	up, down := bytes.Repeat([]byte{1}, size), bytes.Repeat([]byte{2}, size)
	sess := p.c.sessions[p.session]
	ch := &sealedPeer{p: p}
	var err [4]error
	ch.sealer, err[0] = crypt.NewSealer(c, up, sess.id)
	ch.opener, err[1] = crypt.NewOpener(c, down)
	sess.sealer, err[2] = crypt.NewSealer(c, down, sess.id)
	sess.opener, err[3] = crypt.NewOpener(c, up)
	if e := errors.Join(err[:]...); e != nil {
		p.t.Fatal(e)
	}
	return ch
}

// seal encrypts what a client sends.
func (ch *sealedPeer) seal(msg []byte) []byte {
	b := make([]byte, wire.TransformSize+len(msg)+crypt.SealRoom)
	copy(b[wire.TransformSize:], msg)
	if err := ch.sealer.Seal(b, len(msg)); err != nil {
		ch.p.t.Fatal(err)
	}
	return b[:wire.TransformSize+len(msg)]
}

// ask sends messages in one encrypted frame, and decrypts the answer.
func (ch *sealedPeer) ask(msg []byte) []byte {
	ch.p.t.Helper()
	r := ch.p.ask(ch.seal(msg))
	if err := wire.TransformHeader(r).Valid(); err != nil {
		ch.p.t.Fatal(err)
	}
	if id := wire.TransformHeader(r).SessionID(); id != ch.p.session {
		ch.p.t.Errorf("answer of session %#x, want %#x", id, ch.p.session)
	}
	m, ok := ch.opener.Open(r)
	if !ok {
		ch.p.t.Fatal("the answer does not open")
	}
	return m
}

// Linux's cifs waits for ever for the answers in an encrypted frame that ends in an interim one.
func TestAnInterimAnswerHasAFrameOfItsOwn(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	held, wanted := p.open("file", anyOpen), p.open("file", anyOpen)
	p.want(p.lockMsg(held, 0, 1, exclusive), wire.StatusOK)
	chained := func() []byte {
		return chainOf(false, p.request(wire.CommandEcho, 4, nil), p.lockMsg(wanted, 0, 1, wire.LockExclusive))
	}
	check := func(how string, first, second []byte) {
		t.Helper()
		if second == nil {
			t.Fatalf("%s: one frame", how)
		}
		if h := wire.Header(first); h.Command() != wire.CommandEcho || h.Status() != wire.StatusOK || h.NextCommand() != 0 {
			t.Errorf("%s, the first: %v %v, the next at %d", how, h.Command(), h.Status(), h.NextCommand())
		}
		if h := wire.Header(second); h.Command() != wire.CommandLock || h.Status() != wire.StatusPending || h.NextCommand() != 0 {
			t.Errorf("%s, the second: %v %v, the next at %d", how, h.Command(), h.Status(), h.NextCommand())
		}
	}
	first := p.ask(chained())
	check("plain", first, p.reply())

	p.key()
	msg := chained()
	for rest := msg; rest != nil; {
		var one []byte
		one, rest, _ = element(rest)
		p.signMsg(one)
	}
	first = p.ask(msg)
	check("signed", first, p.reply())
	if !testSigner(t).Verify(first) {
		t.Error("what was signed is not, or wrongly")
	}

	ch := p.sealKeys(crypt.AES128GCM)
	first = ch.ask(chained())
	second, ok := ch.opener.Open(p.reply())
	if !ok {
		t.Fatal("the second frame does not open")
	}
	check("encrypted", first, second)
}

func TestEncryptedRequestsAreAnsweredEncrypted(t *testing.T) {
	for _, c := range allCiphers {
		t.Run(c.String(), func(t *testing.T) {
			p := newPeer(t, nil).logOn("pub")
			ch := p.sealKeys(c)
			p.key()
			p.c.sessions[p.session].mustSign = true // encryption is enough
			r := ch.ask(p.createMsg("file", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}))
			if status(r) != wire.StatusOK || wire.Header(r).Has(wire.FlagSigned) {
				t.Fatalf("%v, flags %#x", status(r), wire.Header(r).Flags())
			}
			id := wire.ReadFileID(r[128:])
			for _, n := range []int{1, 15, 16, 4096, 1 << 20} {
				if r := ch.ask(p.charged(p.writeMsg(id, 0, pattern(n)))); status(r) != wire.StatusOK {
					t.Fatalf("WRITE of %d: %v", n, status(r))
				}
				r := ch.ask(p.charged(p.readMsg(id, 0, n)))
				if status(r) != wire.StatusOK || !bytes.Equal(r[wire.ReadResponseData:], pattern(n)) {
					t.Errorf("READ of %d: %v, or other bytes", n, status(r))
				}
			}
			none := wire.FileIDNone
			r = ch.ask(chainOf(true, p.createMsg("file", opening{wire.AccessAll, shareAll, wire.Open, 0}), p.readMsg(none, 0, 5), p.closeMsg(none)))
			for n := 0; n < 3; n++ {
				first, rest, err := element(r)
				if err != nil || status(first) != wire.StatusOK || (rest == nil) != (n == 2) {
					t.Fatalf("message %d of the compound: %v, %v", n, status(first), err)
				}
				r = rest
			}
			if err := p.feed(frame(ch.seal(p.request(wire.CommandCancel, 4, nil)))); err != nil || p.reply() != nil {
				t.Errorf("CANCEL: %v, or an answer", err)
			}
			if r := ch.ask(p.request(wire.CommandLogoff, 4, nil)); status(r) != wire.StatusOK {
				t.Errorf("LOGOFF: %v", status(r))
			}
			p.refused(frame(ch.seal(p.request(wire.CommandEcho, 4, nil)))) // the session has ended
		})
	}
}

// The server never uses a nonce twice, and a log-on that is renewed does not begin anew.
func TestNoncesGoOnWhenALogOnIsRenewed(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	ch := p.sealKeys(crypt.AES128GCM)
	seen := map[string]bool{}
	next := func(msg []byte, want wire.Status) {
		t.Helper()
		r := p.ask(ch.seal(msg))
		nonce := string(wire.TransformHeader(r).Nonce())
		if seen[nonce] {
			t.Errorf("nonce % x a second time", nonce)
		}
		seen[nonce] = true
		if m, ok := ch.opener.Open(r); !ok || status(m) != want {
			t.Errorf("opens: %v, want %v", ok, want)
		}
	}
	for range 3 {
		next(p.request(wire.CommandEcho, 4, nil), wire.StatusOK)
		next(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		next(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
	}
}

func TestEachChangedBitOfAnEncryptedFrameIsRefused(t *testing.T) {
	for _, c := range allCiphers {
		p := newPeer(t, nil).logOn("pub")
		ch := p.sealKeys(c)
		b := ch.seal(p.request(wire.CommandEcho, 4, nil))
		for bit := range 8 * len(b) {
			m := bytes.Clone(b)
			m[bit/8] ^= 1 << (bit % 8)
			p.refused(frame(m))
			if p.reply() != nil {
				t.Fatalf("%v: bit %d changed, and there is an answer", c, bit)
			}
		}
		if p.ask(b) == nil {
			t.Errorf("%v: the frame itself is refused", c)
		}
	}
}

func TestWhatEndsAnEncryptedConnection(t *testing.T) {
	echo := func(p *peer) []byte { return p.request(wire.CommandEcho, 4, nil) }
	for name, build := range map[string]func(p *peer, ch *sealedPeer) []byte{
		"unknown session": func(p *peer, ch *sealedPeer) []byte {
			other, err := crypt.NewSealer(crypt.AES128GCM, bytes.Repeat([]byte{1}, 16), p.session+1)
			if err != nil {
				p.t.Fatal(err)
			}
			ch.sealer = other
			return ch.seal(echo(p))
		},
		"session without keys": func(p *peer, ch *sealedPeer) []byte {
			p.c.sessions[p.session].opener = nil
			return ch.seal(echo(p))
		},
		"session that another connection has ended": func(p *peer, ch *sealedPeer) []byte {
			if err := p.c.sessions[p.session].end(); err != nil {
				p.t.Fatal(err)
			}
			return ch.seal(echo(p))
		},
		"other session inside": func(p *peer, ch *sealedPeer) []byte {
			m := echo(p)
			wire.Header(m).PutSessionID(p.session + 1)
			return ch.seal(m)
		},
		"other session in the second message": func(p *peer, ch *sealedPeer) []byte {
			m := chainOf(false, echo(p), echo(p))
			wire.Header(m[wire.Header(m).NextCommand():]).PutSessionID(p.session + 1)
			return ch.seal(m)
		},
		"other session in the first message, which says that it is related": func(p *peer, ch *sealedPeer) []byte {
			m := chainOf(true, echo(p), echo(p))
			wire.Header(m).PutSessionID(p.session + 1)
			wire.Header(m).PutFlags(wire.FlagRelated)
			return ch.seal(m)
		},
		"nested":          func(p *peer, ch *sealedPeer) []byte { return ch.seal(ch.seal(echo(p))) },
		"SMB1 inside":     func(p *peer, ch *sealedPeer) []byte { return ch.seal(slices.Grow(smb1Negotiate("SMB 2.???"), 64)[:64]) },
		"only the header": func(p *peer, ch *sealedPeer) []byte { return ch.seal(echo(p))[:wire.TransformSize] },
		"cut":             func(p *peer, ch *sealedPeer) []byte { b := ch.seal(echo(p)); return b[:len(b)-1] },
		"too long":        func(p *peer, ch *sealedPeer) []byte { return append(ch.seal(echo(p)), 0) },
		"sent again":      func(p *peer, ch *sealedPeer) []byte { b := ch.seal(echo(p)); p.ask(bytes.Clone(b)); return b },
		"negotiate":       func(p *peer, ch *sealedPeer) []byte { return ch.seal(p.negotiateMsg(0x0210)) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, nil).logOn("pub")
			p.refused(frame(build(p, p.sealKeys(crypt.AES128GCM))))
		})
	}
}

func TestWhatIsNotEncryptedIsRefused(t *testing.T) {
	p := newPeer(t, nil).logOn("pub")
	ch := p.sealKeys(crypt.AES128GCM)
	id := p.newFile("file")
	sess := p.c.sessions[p.session]
	share := sess.tree(p.tree).share
	for name, must := range map[string]*bool{"session": &sess.mustSeal, "share": &share.Encrypt} {
		*must = true
		p.want(p.writeMsg(id, 0, []byte("plain")), wire.StatusAccessDenied)
		p.want(p.readMsg(id, 0, 5), wire.StatusAccessDenied)
		p.want(p.request(wire.CommandTreeDisconnect, 4, nil), wire.StatusAccessDenied)
		if got := p.content("file"); got != "" {
			t.Errorf("%s: %q was written", name, got)
		}
		if r := ch.ask(p.readMsg(id, 0, 5)); status(r) != wire.StatusEndOfFile {
			t.Errorf("%s: %v", name, status(r))
		}
		*must = false
	}
	sess.mustSeal = true
	p.want(p.treeMsg(`\\server\pub`), wire.StatusAccessDenied)
	p.want(p.request(wire.CommandLogoff, 4, nil), wire.StatusAccessDenied)
}

// A session that must be encrypted is not made another's, or nobody's, by who has no key.
func TestALogOnIsRenewedEncryptedWhereThatMustBe(t *testing.T) {
	m := newMember(t, func(c *Config) { c.Encryption = EncryptionRequired }, wire.Dialect311).logOn("alice", "secret")
	m.want(m.setupMsg(ntlmNegotiate()), wire.StatusAccessDenied)
	if r := m.seal.ask(m.setupMsg(ntlmNegotiate())); status(r) != wire.StatusMoreProcessingRequired {
		t.Errorf("encrypted: %v", status(r))
	}
	m.want(m.setupMsg(ntlmAnonymous()), wire.StatusAccessDenied)
	if who := m.c.sessions[m.session].who(); who.User != "alice" {
		t.Errorf("the session is %q's", who.User)
	}
}

func TestTreeConnectIsSignedOrEncryptedIn311(t *testing.T) {
	for name, c := range map[string]struct {
		send func(p *peer, ch *sealedPeer) []byte
		ok   bool
	}{
		"plain":     {func(p *peer, ch *sealedPeer) []byte { return p.treeMsg(`\\s\pub`) }, false},
		"signed":    {func(p *peer, ch *sealedPeer) []byte { return p.signMsg(p.treeMsg(`\\s\pub`)) }, true},
		"encrypted": {func(p *peer, ch *sealedPeer) []byte { return ch.seal(p.treeMsg(`\\s\pub`)) }, true},
	} {
		p := newPeer(t, nil).logOn("pub")
		p.key()
		ch := p.sealKeys(crypt.AES128GCM)
		p.c.dialect = wire.Dialect311
		if err := p.feed(frame(c.send(p, ch))); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// negotiate311Msg offers dialect 3.1.1 with these ciphers; with none, it has no context for them.
func (p *peer) negotiate311Msg(ciphers ...crypt.Cipher) []byte {
	m := pad(p.negotiateMsg(0x0311))
	le.PutUint32(m[92:], uint32(len(m)))
	preauth := make([]byte, 8+6+wire.PreauthSaltSize)
	wire.PutPreauth(preauth, make([]byte, wire.PreauthSaltSize))
	m = append(m, preauth...)
	le.PutUint16(m[96:], 1)
	if len(ciphers) == 0 {
		return m
	}
	m = pad(m)
	m = le.AppendUint16(m, uint16(wire.ContextEncryption))
	m = le.AppendUint16(m, uint16(2+2*len(ciphers)))
	m = le.AppendUint32(m, 0)
	m = le.AppendUint16(m, uint16(len(ciphers)))
	for _, c := range ciphers {
		m = le.AppendUint16(m, uint16(c))
	}
	le.PutUint16(m[96:], 2)
	return m
}

func TestCipherIsTheBestThatBothHave(t *testing.T) {
	const none = -1 // no context in the answer
	for _, c := range []struct {
		encryption Encryption
		offers     []crypt.Cipher
		want       int
	}{
		{EncryptionOffered, allCiphers, int(crypt.AES128GCM)},
		{EncryptionOffered, []crypt.Cipher{crypt.AES256CCM, crypt.AES128CCM, crypt.AES256GCM}, int(crypt.AES256GCM)},
		{EncryptionOffered, []crypt.Cipher{crypt.AES256CCM, crypt.AES128CCM}, int(crypt.AES128CCM)},
		{EncryptionRequired, []crypt.Cipher{crypt.AES256CCM}, int(crypt.AES256CCM)},
		{EncryptionOffered, []crypt.Cipher{99}, 0},
		{EncryptionOffered, nil, none},
		{EncryptionOff, allCiphers, none},
	} {
		p := newPeer(t, func(cfg *Config) { cfg.Encryption = c.encryption })
		r := p.want(p.negotiate311Msg(c.offers...), wire.StatusOK)
		got, at := none, int(le.Uint32(r[124:]))
		for range le.Uint16(r[70:]) {
			if le.Uint16(r[at:]) == uint16(wire.ContextEncryption) {
				got = int(le.Uint16(r[at+10:]))
				if n := le.Uint16(r[at+8:]); n != 1 {
					t.Errorf("%d ciphers in the answer", n)
				}
			}
			at += wire.Align8(8 + int(le.Uint16(r[at+2:])))
		}
		if got != c.want || le.Uint32(r[88:])&wire.CapabilityEncryption != 0 {
			t.Errorf("%v, %v: cipher %d, want %d; capabilities %#x", c.encryption, c.offers, got, c.want, le.Uint32(r[88:]))
		}
		if c.encryption == EncryptionRequired {
			p.want(p.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
		}
	}
}

func TestCapabilityOfEncryptionBefore311(t *testing.T) {
	for _, c := range []struct {
		dialect    uint16
		encryption Encryption
		client     uint32
		want       bool
	}{
		{0x0300, EncryptionOffered, wire.CapabilityEncryption, true},
		{0x0302, EncryptionRequired, wire.CapabilityEncryption, true},
		{0x0302, EncryptionOffered, 0, false},
		{0x0302, EncryptionRequired, 0, false},
		{0x0300, EncryptionOff, wire.CapabilityEncryption, false},
		{0x0210, EncryptionOffered, wire.CapabilityEncryption, false},
		{0x0210, EncryptionRequired, wire.CapabilityEncryption, false},
	} {
		p := newPeer(t, func(cfg *Config) { cfg.Encryption = c.encryption })
		m := p.negotiateMsg(c.dialect)
		le.PutUint32(m[72:], c.client)
		r := p.want(m, wire.StatusOK)
		if got := le.Uint32(r[88:])&wire.CapabilityEncryption != 0; got != c.want {
			t.Errorf("%+v: capability %v", c, got)
		}
		want := wire.StatusMoreProcessingRequired
		if c.encryption == EncryptionRequired && !c.want {
			want = wire.StatusAccessDenied // MS-SMB2 3.3.5.5
		}
		first := p.setupMsg(ntlmNegotiate())
		r = p.want(first, want)
		if p.session = wire.Header(r).SessionID(); c.encryption == EncryptionRequired && c.want {
			p.want(p.setupMsg(ntlmAnonymous()), wire.StatusAccessDenied) // has no key
		}
	}
}

func TestGuestsDoNotReachEncryptedShares(t *testing.T) {
	p := newPeer(t, func(c *Config) { c.Shares[0].Encrypt = true }).logOn("ro")
	p.want(p.treeMsg(`\\server\pub`), wire.StatusAccessDenied)
}

func TestEncryptionThatLetsNobodyInIsNoConfiguration(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"required below 3.0":      func(c *Config) { c.Encryption, c.MaxDialect = EncryptionRequired, wire.Dialect210 },
		"share, encryption off":   func(c *Config) { c.Encryption, c.Shares[0].Encrypt = EncryptionOff, true },
		"share, dialects too low": func(c *Config) { c.MaxDialect, c.Shares[0].Encrypt = wire.Dialect210, true },
		"unknown":                 func(c *Config) { c.Encryption = 3 },
		"dialects out of order":   func(c *Config) { c.MinDialect, c.MaxDialect = wire.Dialect311, wire.Dialect300 },
		"unknown dialect":         func(c *Config) { c.MinDialect = 0x0299 },
	} {
		cfg := testConfig(t.TempDir())
		change(&cfg)
		if _, err := NewServer(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
