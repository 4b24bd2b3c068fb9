package smbproto

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"ustack/smbproto/auth"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

var threes = []wire.Dialect{wire.Dialect300, wire.Dialect302, wire.Dialect311}

func TestRequestsComeOverAnyChannel(t *testing.T) {
	for _, d := range threes {
		m := newMember(t, nil, d).logOn("alice", "secret").treeOf("pub")
		id := m.newFile("file")
		other := m.another().mustBind(m)
		other.want(other.sign(other.writeMsg(id, 0, []byte("over there"))), wire.StatusOK)
		r := m.want(m.sign(m.readMsg(id, 0, 100)), wire.StatusOK)
		if got := string(r[wire.ReadResponseData:]); got != "over there" {
			t.Errorf("%v: read %q", d, got)
		}
		r = other.seal.ask(other.readMsg(id, 5, 100))
		if got := string(r[wire.ReadResponseData:]); status(r) != wire.StatusOK || got != "there" {
			t.Errorf("%v: %v and %q over the other channel, encrypted", d, status(r), got)
		}
		third := other.treeOf("ro") // a tree that the first channel did not ask for
		m.tree = third.tree
		m.want(m.createMsg("file", opening{wire.AccessReadData, shareAll, wire.Open, 0}), wire.StatusOK)
	}
}

func TestASessionLivesUntilItsLastChannelEnds(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.open("file", opening{wire.AccessAll, 0, wire.Create, wire.OptionDeleteOnClose})
	b := m.another().mustBind(m)
	c := m.another().mustBind(m)
	sess, first := m.c.sessions[m.session].session, m.c
	if got := sess.pick(first); got != first {
		t.Error("a channel that lives is not taken")
	}
	m.hangUp() // with it goes the channel on which the file was opened
	if got := sess.pick(first); got != b.c && got != c.c {
		t.Error("no channel that lives is taken in the place of one that is gone")
	}
	b.want(b.sign(b.writeMsg(id, 0, []byte("x"))), wire.StatusOK)
	b.hangUp()
	c.want(c.sign(c.readMsg(id, 0, 1)), wire.StatusOK)
	if n := m.srv.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	c.hangUp()
	if got := sess.pick(first); got != nil {
		t.Error("a session that has ended has a channel")
	}
	if st := m.srv.Stats(); st.Sessions != 0 || st.Trees != 0 || st.Opens != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

func (s *session) pick(want *Conn) *Conn {
	c, _ := s.untried(want, nil)
	return c
}

func TestALogoffEndsAllChannels(t *testing.T) {
	m := newMember(t, nil, wire.Dialect300).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	other := m.another().mustBind(m)
	other.want(other.sign(other.request(wire.CommandLogoff, 4, nil)), wire.StatusOK)
	m.want(m.sign(m.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted)
	other.want(other.sign(other.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted)
	if s := m.another().bind(m, binding{name: "alice", password: "secret"}); s != wire.StatusUserSessionDeleted {
		t.Errorf("binding to a session that has ended: %v", s)
	}
}

func TestAPreviousSessionEndsWithAllItsChannels(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	other := m.another().mustBind(m)
	next := m.another()
	r := next.want(next.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	next.session = wire.Header(r).SessionID()
	token, _ := ntlmAuthenticate(r[wire.SessionSetupFixed:], "alice", "secret")
	msg := next.setupMsg(token)
	le.PutUint64(msg[80:], m.session)
	next.want(msg, wire.StatusOK)
	m.want(m.sign(m.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted)
	other.want(other.sign(other.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted)
}

func TestARequestIsCancelledOverAnotherChannel(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	held, wanted := m.newFile("file"), m.newFile("file")
	m.want(m.lockMsg(held, 0, 1, wire.LockExclusive), wire.StatusOK)
	async := m.pends(m.lockMsg(wanted, 0, 1, wire.LockExclusive))
	stranger := m.another().logOn("alice", "secret")
	if err := stranger.feed(frame(stranger.cancelMsg(async))); err != nil {
		t.Fatal(err)
	}
	m.still() // it is not that session's
	other := m.another().mustBind(m)
	if err := other.feed(frame(other.cancelMsg(async))); err != nil {
		t.Fatal(err)
	}
	m.wantLater(async, wire.StatusCancelled)
}

func TestWhatWaitsEndsWithItsChannel(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	held, wanted := m.newFile("file"), m.newFile("file")
	other := m.another().mustBind(m)
	m.want(m.lockMsg(held, 0, 1, wire.LockExclusive), wire.StatusOK)
	other.pends(other.sign(other.lockMsg(wanted, 0, 1, wire.LockExclusive)))
	other.hangUp()
	if n := len(m.c.sessions[m.session].waiting); n != 0 {
		t.Errorf("%d requests wait whose channel is gone", n)
	}
	m.want(m.lockMsg(held, 0, 1, wire.LockUnlock), wire.StatusOK)
	m.want(m.lockMsg(held, 0, 1, wire.LockExclusive|wire.LockFailImmediately), wire.StatusOK) // nobody else has got it
}

func TestWhoMayNotBind(t *testing.T) {
	strangersKey := bytes.Repeat([]byte{7}, 16)
	for name, c := range map[string]struct {
		b    binding
		want wire.Status
	}{
		"another user":     {binding{name: "bob", password: "hidden"}, wire.StatusAccessDenied},
		"a wrong password": {binding{name: "alice", password: "guessed"}, wire.StatusLogonFailure},
		"a guest":          {binding{name: "nobody", password: ""}, wire.StatusAccessDenied},
		"without the key":  {binding{name: "alice", password: "secret", key: strangersKey}, wire.StatusAccessDenied},
		"unsigned":         {binding{name: "alice", password: "secret", unsigned: true}, wire.StatusInvalidParameter},
	} {
		m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
		id := m.newFile("file")
		other := m.another()
		if s := other.bind(m, c.b); s != c.want {
			t.Errorf("%s: %v, want %v", name, s, c.want)
		}
		other.signer = m.signerOf(m.key)
		other.want(other.sign(other.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted)
		m.want(m.sign(m.readMsg(id, 0, 0)), wire.StatusOK) // the session is as it was
		other.mustBind(m)                                  // and who may, can still
	}
}

// With GMAC, a request that is sent again over another connection has no second signature with the nonce of its first answer, but
// where the client knows of channels.
func TestGMACDoesNotSignOnAConnectionOfNobodys(t *testing.T) {
	for caps, want := range map[uint32]bool{0: false, wire.CapabilityMultiChannel: true} {
		m := newMember(t, nil, wire.Dialect311)
		m.c.clientCaps |= caps
		m.logOn("alice", "secret").treeOf("pub")
		m.c.sessions[m.session].keys.with.signing = crypt.AESGMAC
		gmac, err := crypt.NewSigner(crypt.AESGMAC, m.key)
		if err != nil {
			t.Fatal(err)
		}
		other := m.another()
		other.session = m.session
		binding := other.setupMsg(ntlmNegotiate())
		binding[66] = wire.SessionBinding
		for _, msg := range [][]byte{other.treeMsg(`\\server\pub`), other.setupMsg(ntlmNegotiate()), binding} {
			other.message = le.Uint64(msg[24:]) + 1
			r := other.ask(signWith(t, gmac, msg))
			if status(r) == wire.StatusOK || status(r) == wire.StatusMoreProcessingRequired {
				t.Errorf("%v", status(r))
			}
			if signed := wire.Header(r).Has(wire.FlagSigned); signed != want {
				t.Errorf("capabilities %#x, %v: %v, signed: %v", caps, wire.Header(msg).Command(), status(r), signed)
			}
		}
	}
}

func TestConnectionsThatDoNotFitASession(t *testing.T) {
	for name, c := range map[string]struct {
		first, second wire.Dialect
		change        func(other *member)
		want          wire.Status
	}{
		"another dialect":     {wire.Dialect302, wire.Dialect311, nil, wire.StatusInvalidParameter},
		"no dialect of SMB 3": {wire.Dialect311, wire.Dialect210, nil, wire.StatusRequestNotAccepted},
		"a session of SMB 2":  {wire.Dialect210, wire.Dialect311, nil, wire.StatusInvalidParameter},
		"another cipher": {wire.Dialect311, wire.Dialect311, func(other *member) {
			other.c.protection.cipher = crypt.AES256GCM
		}, wire.StatusInvalidParameter},
		"GMAC where the session has CMAC": {wire.Dialect311, wire.Dialect311, func(other *member) {
			other.c.protection.signing = crypt.AESGMAC
		}, wire.StatusNotSupported},
	} {
		m := newMember(t, nil, c.first).logOn("alice", "secret")
		other := memberOf(t, m.srv, m.dir, c.second)
		if c.change != nil {
			c.change(other)
		}
		if s := other.bind(m, binding{name: "alice", password: "secret"}); s != c.want {
			t.Errorf("%s: %v, want %v", name, s, c.want)
		}
	}
	// A session is no other's channel, and no channel twice.
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret")
	if s := m.bind(m, binding{name: "alice", password: "secret"}); s != wire.StatusRequestNotAccepted {
		t.Errorf("binding to the session that the connection has: %v", s)
	}
	guest := memberOf(t, m.srv, m.dir, wire.Dialect311)
	r := guest.want(guest.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	guest.session = wire.Header(r).SessionID()
	other := m.another()
	other.session = guest.session
	msg := other.setupMsg(ntlmNegotiate())
	msg[66] = wire.SessionBinding
	other.want(msg, wire.StatusRequestNotAccepted) // it is not logged on yet
	guest.want(guest.setupMsg(ntlmAnonymous()), wire.StatusOK)
	msg = other.setupMsg(ntlmNegotiate())
	msg[66] = wire.SessionBinding
	other.want(msg, wire.StatusNotSupported) // it is nobody's
}

func TestASessionHasNoMoreChannelsThanTheLimit(t *testing.T) {
	m := newMember(t, func(c *Config) { c.Limits.MaxChannels = 3 }, wire.Dialect311).logOn("alice", "secret")
	m.another().mustBind(m)
	third := m.another().mustBind(m)
	fourth := m.another()
	if s := fourth.bind(m, binding{name: "alice", password: "secret"}); s != wire.StatusInsufficientResources {
		t.Errorf("a channel too many: %v", s)
	}
	third.hangUp()
	fourth.mustBind(m)

	alone := newMember(t, func(c *Config) { c.Limits.MaxChannels = 1 }, wire.Dialect311).logOn("alice", "secret")
	if s := alone.another().bind(alone, binding{name: "alice", password: "secret"}); s != wire.StatusRequestNotAccepted {
		t.Errorf("where sessions have one channel: %v", s)
	}
}

func TestABindingThatIsNotEndedIsNoChannel(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	other := m.another()
	other.session, other.tree = m.session, m.tree
	begin := func() []byte {
		msg := other.setupMsg(ntlmNegotiate())
		msg[66] = wire.SessionBinding
		return signWith(t, m.signerOf(m.key), msg)
	}
	other.want(begin(), wire.StatusMoreProcessingRequired)
	other.want(other.readMsg(id, 0, 1), wire.StatusUserSessionDeleted)
	other.want(signWith(t, m.signerOf(m.key), other.setupMsg(ntlmNegotiate())), wire.StatusUserSessionDeleted) // it does not bind
	other.want(begin(), wire.StatusMoreProcessingRequired)
	m.hangUp() // the last channel
	other.want(begin(), wire.StatusUserSessionDeleted)
}

// TestChannelsWorkAtTheSameTime has each channel write to a file, read it, and open and close others, while one comes and goes.
func TestChannelsWorkAtTheSameTime(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	shared := m.newFile("shared")
	m.want(m.writeMsg(shared, 0, pattern(300)), wire.StatusOK)
	channels := []*member{m, m.another().mustBind(m), m.another().mustBind(m)}
	var wg sync.WaitGroup
	errs := make([]error, len(channels))
	for i, ch := range channels {
		wg.Go(func() { errs[i] = ch.work(i, shared) })
	}
	comes := m.another()
	for range 20 {
		comes.mustBind(m)
		comes.want(comes.sign(comes.readMsg(shared, 0, 10)), wire.StatusOK)
		comes.hangUp()
		comes = m.another()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func (m *member) work(i int, shared wire.FileID) error {
	mine := bytes.Repeat([]byte{byte('a' + i)}, 100)
	for range 100 {
		for _, msg := range [][]byte{
			m.writeMsg(shared, uint64(100*i), mine),
			m.sign(m.writeMsg(shared, uint64(100*i), mine)),
		} {
			if err := m.feed(frame(msg)); err != nil {
				return err
			}
			if s := status(m.reply()); s != wire.StatusOK {
				return fmt.Errorf("channel %d: WRITE: %v", i, s)
			}
		}
		r := m.seal.ask(m.readMsg(shared, uint64(100*i), 100))
		if !bytes.Equal(r[wire.ReadResponseData:], mine) {
			return fmt.Errorf("channel %d reads %q", i, r[wire.ReadResponseData:])
		}
		id, s := m.tryOpen(fmt.Sprintf("file%d", i), opening{wire.AccessAll, shareAll, wire.OpenIf, 0})
		if s != wire.StatusOK {
			return fmt.Errorf("channel %d: CREATE: %v", i, s)
		}
		if s := status(m.ask(m.closeMsg(id))); s != wire.StatusOK {
			return fmt.Errorf("channel %d: CLOSE: %v", i, s)
		}
	}
	return nil
}

// Two channels copy from one open to another, and the other way round: neither waits for the other for good.
func TestCopiesBothWaysOverTwoChannels(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	a, b := m.newFile("a"), m.newFile("b")
	m.want(m.writeMsg(a, 0, pattern(1000)), wire.StatusOK)
	m.want(m.writeMsg(b, 0, pattern(1000)), wire.StatusOK)
	other := m.another().mustBind(m)
	var wg sync.WaitGroup
	for ch, way := range map[*member][2]wire.FileID{m: {a, b}, other: {b, a}} {
		wg.Go(func() {
			for range 200 {
				if s := status(ch.ask(ch.copyMsg(way[0], way[1]))); s != wire.StatusOK {
					t.Error(s)
				}
			}
		})
	}
	wg.Wait()
}

// copyMsg copies the first 1000 bytes.
func (m *member) copyMsg(from, to wire.FileID) []byte {
	in := make([]byte, 24, 32+24)
	wire.PutResumeKey(in, from)
	in = append(in[:24], 1, 0, 0, 0, 0, 0, 0, 0)
	in = append(in, make([]byte, 16)...)
	in = le.AppendUint32(in, 1000)
	in = append(in, 0, 0, 0, 0)
	return m.ioctlMsg(wire.FsctlCopyChunkWrite, to, in, 100)
}

func TestNobodyHasAKeyThatProvesNothing(t *testing.T) {
	m := newMember(t, func(c *Config) {
		c.Shares[1].Encrypt = true
	}, wire.Dialect311)
	hash := m.preauth
	ask := func(token []byte, want wire.Status) []byte {
		msg := m.setupMsg(token)
		hash.Add(msg)
		return m.want(msg, want)
	}
	r := ask(ntlmNegotiate(), wire.StatusMoreProcessingRequired)
	hash.Add(r)
	m.session = wire.Header(r).SessionID()
	if r = ask(ntlmAnonymous(), wire.StatusOK); wire.Header(r).Has(wire.FlagSigned) {
		t.Error("the log-on of nobody is signed")
	}
	m.setKeys(hash, [16]byte{}) // MS-NLMP 3.3.2: that of a null session
	m.want(m.treeMsg(`\\server\pub`), wire.StatusOK)
	if r := m.want(m.sign(m.treeMsg(`\\server\pub`)), wire.StatusOK); !m.signer.Verify(r) {
		t.Error("a signed request is not answered signed")
	}
	if r := m.seal.ask(m.treeMsg(`\\server\pub`)); status(r) != wire.StatusOK {
		t.Errorf("encrypted: %v", status(r))
	}
	m.want(signWith(t, m.signerOf(make([]byte, 16)), m.treeMsg(`\\server\pub`)), wire.StatusAccessDenied) // a wrong key
	if r := m.seal.ask(m.treeMsg(`\\server\ro`)); status(r) != wire.StatusAccessDenied {
		t.Errorf("to a share that must be encrypted, with a key that anyone has: %v", status(r))
	}
	m.refused(frame((&sealedPeer{p: m.peer, sealer: m.wrongSealer()}).seal(m.treeMsg(`\\server\pub`))))
}

func (m *member) wrongSealer() *crypt.Sealer {
	s, err := crypt.NewSealer(m.c.protection.cipher, make([]byte, 16), m.session)
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// The refusal of what had to be encrypted is signed as any answer is: MS-SMB2 3.3.5.2.9.
func TestWhatIsNotEncryptedIsRefusedSigned(t *testing.T) {
	m := newMember(t, func(c *Config) { c.Encryption = EncryptionRequired }, wire.Dialect311).logOn("alice", "secret")
	if r := m.want(m.sign(m.treeMsg(`\\server\pub`)), wire.StatusAccessDenied); !m.signer.Verify(r) {
		t.Error("not signed")
	}
	if r := m.seal.ask(m.treeMsg(`\\server\pub`)); status(r) != wire.StatusOK {
		t.Errorf("encrypted: %v", status(r))
	}
}

func TestWhoIsLoggedOnMayBecomeNobodyAndComeBack(t *testing.T) {
	m := newMember(t, func(c *Config) { c.Auth = auth.Config{Users: testUsers{}} }, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	m.want(m.sign(m.setupMsg(ntlmNegotiate())), wire.StatusMoreProcessingRequired)
	m.want(m.sign(m.setupMsg(ntlmAnonymous())), wire.StatusOK)
	m.want(m.sign(m.writeMsg(id, 0, []byte("x"))), wire.StatusOK) // what is open stays open
	m.want(m.sign(m.createMsg("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})), wire.StatusAccessDenied)
	m.want(m.sign(m.treeMsg(`\\server\ro`)), wire.StatusAccessDenied)
	r := m.want(m.sign(m.setupMsg(ntlmNegotiate())), wire.StatusMoreProcessingRequired)
	token, _ := ntlmAuthenticate(r[wire.SessionSetupFixed:], "alice", "secret")
	m.want(m.sign(m.setupMsg(token)), wire.StatusOK)
	m.want(m.sign(m.createMsg("file", opening{wire.AccessReadData, shareAll, wire.Open, 0})), wire.StatusOK)

	stranger := m.another()
	stranger.want(stranger.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	stranger.session = 0
	r = stranger.want(stranger.setupMsg(ntlmNegotiate()), wire.StatusMoreProcessingRequired)
	stranger.session = wire.Header(r).SessionID()
	stranger.want(stranger.setupMsg(ntlmAnonymous()), wire.StatusLogonFailure) // who is nobody from the first is not let in
}

// A client that must sign takes no word for it that a session has ended, or is none of this connection, but a signed one.
func TestRefusalsForWantOfASessionAreSigned(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	id := m.newFile("file")
	other := m.another()
	other.session, other.tree = m.session, m.tree
	theirs := m.signerOf(m.key)
	if r := other.want(signWith(t, theirs, other.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted); !theirs.Verify(r) {
		t.Error("the refusal on a connection that is no channel is not signed with the session's key")
	}
	m.want(m.sign(m.request(wire.CommandLogoff, 4, nil)), wire.StatusOK)
	if r := m.want(m.sign(m.readMsg(id, 0, 1)), wire.StatusUserSessionDeleted); !m.signer.Verify(r) {
		t.Error("the refusal after the session's end is not signed")
	}
	if r := m.want(m.readMsg(id, 0, 1), wire.StatusUserSessionDeleted); wire.Header(r).Has(wire.FlagSigned) {
		t.Error("the refusal of an unsigned request is signed")
	}
}

// A connection that is no channel of a session gets nothing signed with the session's key, unless it has shown that it has the key.
func TestTheKeyOfASessionSignsNothingForStrangers(t *testing.T) {
	m := newMember(t, func(c *Config) { c.RequireSigning = true }, wire.Dialect311).logOn("alice", "secret")
	stranger := m.another()
	stranger.session = m.session
	theirs := m.signerOf(bytes.Repeat([]byte{7}, 16))
	for _, r := range [][]byte{
		stranger.ask(signWith(t, theirs, stranger.treeMsg(`\\server\pub`))),
		stranger.ask(signWith(t, theirs, stranger.setupMsg(ntlmNegotiate()))),
	} {
		if wire.Header(r).Has(wire.FlagSigned) {
			t.Errorf("%v to %v is signed", status(r), wire.Header(r).Command())
		}
	}
}

// Each step of binding shows that the client has the session's key, not the first alone.
func TestEachStepOfBindingIsSigned(t *testing.T) {
	m := newMember(t, nil, wire.Dialect311).logOn("alice", "secret")
	other := m.another()
	other.session = m.session
	step := func(token []byte, signed bool) []byte {
		msg := other.setupMsg(token)
		msg[66] = wire.SessionBinding
		if signed {
			signWith(t, m.signerOf(m.key), msg)
		}
		return other.ask(msg)
	}
	r := step(ntlmNegotiate(), true)
	token, _ := ntlmAuthenticate(r[wire.SessionSetupFixed:], "alice", "secret")
	if s := status(step(token, false)); s != wire.StatusInvalidParameter {
		t.Errorf("the last step, unsigned: %v", s)
	}
	if n := len(other.c.sessions) + len(other.c.binding); n != 0 {
		t.Errorf("the connection has %d channels", n)
	}
}
