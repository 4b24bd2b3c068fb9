package smbproto

import (
	"testing"
	"time"

	"ustack/smbproto/auth"
	"ustack/smbproto/auth/authtest"
	"ustack/smbproto/wire"
)

// withTickets is a configuration for users of a realm, by whose clock the server goes.
func withTickets(t testing.TB, r *authtest.Realm) func(*Config) {
	return func(c *Config) {
		c.Auth = auth.Config{Kerberos: r.Kerberos(t), Users: testUsers{}}
		c.Now = r.Now
		allowSMB1(c)
	}
}

func aliceWithTicket() *authtest.User {
	return &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[1]}
}

// tellTicket logs alice on by a ticket of an hour: to a new session, or again, or as a channel of the session of of.
func (m *member) tellTicket(r *authtest.Realm, of *member) wire.Status {
	m.t.Helper()
	u, hash, again := aliceWithTicket(), m.preauth, m.signer != nil
	msg := m.setupMsg(authtest.InitToken(ticketMechs, u.Token(m.t, r)))
	switch {
	case of != nil:
		msg[66] = wire.SessionBinding
		wire.Header(msg).PutSessionID(of.session)
		signWith(m.t, of.signerOf(of.key), msg)
	case again:
		m.sign(msg)
	}
	hash.Add(msg)
	answer := m.ask(msg)
	if status(answer) == wire.StatusOK && !again {
		m.session = wire.Header(answer).SessionID()
		m.setKeys(hash, [16]byte(u.Subkey.KeyValue))
		m.key = m.keyOf(hash, [16]byte(u.Subkey.KeyValue))
	}
	return status(answer)
}

func (m *member) logOnByTicket(r *authtest.Realm) *member {
	m.t.Helper()
	if s := m.tellTicket(r, nil); s != wire.StatusOK {
		m.t.Fatalf("log-on: %v", s)
	}
	return m
}

// MS-SMB2 3.3.5.2.9: a session whose ticket has ended closes, unlocks and logs off, and does nothing else until its user logs on again.
func TestASessionExpiresWithItsTicket(t *testing.T) {
	for _, d := range []wire.Dialect{wire.Dialect210, wire.Dialect300, wire.Dialect311} {
		for _, encrypted := range []bool{false, true} {
			if encrypted && d < wire.Dialect300 {
				continue
			}
			r := authtest.NewRealm(t, authtest.AES...)
			m := newMember(t, withTickets(t, r), d).logOnByTicket(r).treeOf("pub")
			want := func(msg []byte, s wire.Status) {
				t.Helper()
				var got []byte
				if encrypted {
					got = m.seal.ask(msg)
				} else if got = m.ask(m.sign(msg)); !m.signer.Verify(got) {
					t.Errorf("%v: the answer is not signed", wire.Header(msg).Command())
				}
				if status(got) != s {
					t.Errorf("%v, %v: %v, want %v", d, wire.Header(msg).Command(), status(got), s)
				}
			}
			id, other := m.newFile("file"), m.newFile("other")
			want(m.lockMsg(id, 0, 1, exclusive), wire.StatusOK)
			refused := func() [][]byte {
				return [][]byte{
					m.readMsg(id, 0, 1), m.writeMsg(id, 0, []byte("x")), m.lockMsg(id, 9, 1, exclusive), m.createMsg("file", anyOpen),
					m.queryMsg(id, wire.InfoFile, uint8(wire.FileAllInformation), 1000), m.treeMsg(`\\server\pub`),
					m.request(wire.CommandTreeDisconnect, 4, nil), m.request(wire.CommandOplockBreak, 24, nil),
				}
			}
			r.Time = r.Time.Add(time.Hour)
			for _, msg := range refused() {
				m.message = le.Uint64(msg[24:]) + 1
				want(msg, wire.StatusNetworkSessionExpired)
			}
			want(m.lockMsg(id, 0, 1, wire.LockUnlock), wire.StatusOK)
			want(m.closeMsg(other), wire.StatusOK)
			want(m.request(wire.CommandEcho, 4, nil), wire.StatusOK)
			m.logOnByTicket(r)
			want(m.writeMsg(id, 0, []byte("x")), wire.StatusOK)
			r.Time = r.Time.Add(time.Hour)
			want(m.readMsg(id, 0, 1), wire.StatusNetworkSessionExpired)
			want(m.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
		}
	}
}

func TestACompoundOfAnExpiredSessionIsRefused(t *testing.T) {
	r, none := authtest.NewRealm(t, authtest.AES...), wire.FileIDNone
	m := newMember(t, withTickets(t, r), wire.Dialect311).logOnByTicket(r).treeOf("pub")
	r.Time = r.Time.Add(time.Hour)
	m.wantAll(chainOf(true, m.createMsg("file", anyOpen), m.writeMsg(none, 0, []byte("x")), m.closeMsg(none)),
		wire.StatusNetworkSessionExpired, wire.StatusNetworkSessionExpired, wire.StatusNetworkSessionExpired)
}

// What arrives of a WRITE goes nowhere when its session has expired.
func TestAWriteOfAnExpiredSessionArrivesInVain(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	m := newMember(t, withTickets(t, r), wire.Dialect210).logOnByTicket(r).treeOf("pub")
	id := m.newFile("file")
	r.Time = r.Time.Add(time.Hour)
	b := frame(m.writeMsg(id, 0, pattern(1000)))
	for _, part := range [][]byte{b[:500], b[500:]} {
		if err := m.feed(part); err != nil {
			t.Fatal(err)
		}
	}
	if s := status(m.reply()); s != wire.StatusNetworkSessionExpired || m.content("file") != "" {
		t.Errorf("%v, %d bytes are in the file", s, len(m.content("file")))
	}
}

// A session expires on all of its channels, and who logs on again on one has it go on on all. A channel is none's log-on again.
func TestChannelsExpireTogether(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	m := newMember(t, withTickets(t, r), wire.Dialect311).logOnByTicket(r).treeOf("pub")
	r.Time = r.Time.Add(30 * time.Minute)
	other := m.another()
	if s := other.tellTicket(r, m); s != wire.StatusOK {
		t.Fatal(s)
	}
	other.tree = m.tree
	r.Time = r.Time.Add(30 * time.Minute)
	for _, ch := range []*member{m, other} {
		ch.want(ch.sign(ch.createMsg("file", anyOpen)), wire.StatusNetworkSessionExpired)
	}
	third := m.another()
	if s := third.tellTicket(r, m); s != wire.StatusNetworkSessionExpired {
		t.Errorf("a channel of a session that has expired: %v", s)
	}
	other.logOnByTicket(r)
	for _, ch := range []*member{m, other} {
		ch.want(ch.sign(ch.createMsg("file", opening{wire.AccessReadData, shareAll, wire.OpenIf, 0})), wire.StatusOK)
	}
	if s := third.tellTicket(r, m); s != wire.StatusOK {
		t.Error(s)
	}
}

// What is durable waits for its client, whose session has expired meanwhile.
func TestAnExpiredSessionLeavesDurableOpens(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	m := newMember(t, withTickets(t, r), wire.Dialect210).logOnByTicket(r).treeOf("pub")
	id := wire.ReadFileID(m.want(withContexts(m.oplockMsg("file", anyOpen, wire.OplockBatch), durableV1()), wire.StatusOK)[128:])
	r.Time = r.Time.Add(time.Hour)
	m.want(m.readMsg(id, 0, 1), wire.StatusNetworkSessionExpired)
	m.hangUp()
	again := m.another().logOnByTicket(r).treeOf("pub")
	again.want(withContexts(again.createMsg("", anyOpen), reconnectV1(id)), wire.StatusOK)
}

func TestALogOnByPasswordDoesNotExpire(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	m := newMember(t, withTickets(t, r), wire.Dialect311).logOn("alice", "secret").treeOf("pub")
	r.Time = r.Time.Add(1000 * time.Hour)
	m.want(m.sign(m.createMsg("file", opening{wire.AccessReadData, shareAll, wire.OpenIf, 0})), wire.StatusOK)
}

// Of SMB1, a client is told who says that it can log on again: MS-SMB 2.2.4.6.1.
func TestASessionOfSMB1ExpiresWhereTheClientKnowsOfIt(t *testing.T) {
	for _, knows := range []bool{true, false} {
		r, dir := authtest.NewRealm(t, authtest.AES...), t.TempDir()
		p := connect1(t, newServerIn(t, dir, withTickets(t, r)), dir)
		p.negotiate1()
		logOn := func() {
			t.Helper()
			msg := p.setupMsg1(authtest.InitToken(ticketMechs, aliceWithTicket().Token(t, r)))
			if !knows {
				le.PutUint32(msg[wire.SMB1HeaderSize+1+20:], wire.SMB1CapLevel2Oplocks)
			}
			answer := p.ask1(msg)
			p.isAnswer(answer, msg, wire.StatusOK)
			p.uid = answer.UID()
		}
		logOn()
		tree := p.treeMsg1("pub")
		answer := p.ask1(tree)
		p.isAnswer(answer, tree, wire.StatusOK)
		p.tid = answer.TID()
		file := opening{wire.AccessAll, shareAll, wire.OpenIf, 0}
		id, other := p.open1("file", file), p.open1("other", file)
		r.Time = r.Time.Add(time.Hour)
		want := wire.StatusOK
		if knows {
			want = wire.StatusNetworkSessionExpired
		}
		p.want1(p.writeMsg1(id, 0, []byte("x")), want)
		p.want1(p.msg(wire.SMB1Close, words(other, uint32(0)), nil), wire.StatusOK)
		logOn()
		p.want1(p.writeMsg1(id, 0, []byte("x")), wire.StatusOK)
	}
}

// A ticket's end is put off by a ticket, or a password: nobody has none.
func TestWhoBecomesNobodyExpiresAllTheSame(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	m := newMember(t, withTickets(t, r), wire.Dialect311).logOnByTicket(r).treeOf("pub")
	id := m.newFile("file")
	becomeNobody := func() {
		t.Helper()
		m.want(m.sign(m.setupMsg(ntlmNegotiate())), wire.StatusMoreProcessingRequired)
		m.want(m.sign(m.setupMsg(ntlmAnonymous())), wire.StatusOK)
	}
	becomeNobody()
	m.want(m.sign(m.writeMsg(id, 0, []byte("x"))), wire.StatusOK)
	r.Time = r.Time.Add(time.Hour)
	m.want(m.sign(m.writeMsg(id, 0, []byte("y"))), wire.StatusNetworkSessionExpired)
	becomeNobody()
	m.want(m.sign(m.writeMsg(id, 0, []byte("y"))), wire.StatusNetworkSessionExpired)
	m.logOnByTicket(r)
	m.want(m.sign(m.writeMsg(id, 0, []byte("y"))), wire.StatusOK)
}
