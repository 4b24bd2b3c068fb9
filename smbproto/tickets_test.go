package smbproto

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"

	"ustack/smbproto/auth"
	"ustack/smbproto/auth/authtest"
	"ustack/smbproto/crypt"
	"ustack/smbproto/wire"
)

// What the first byte of FuzzTickets's input asks for, besides what FuzzMembers's does.
const (
	ticketsSMB1      = 2         // of the lowest two bits: SMB1
	ticketsStrangers = membersRO // nobody has logged on before
	ticketsSealed    = membersEncrypt
	ticketsTiny      = membersTiny
	ticketsAlone     = membersAlone
)

// What the byte before a part says: of its lowest two bits, over which connection it is said; the last has time pass instead.
const (
	ticketSigns  = memberSigns
	ticketSeals  = memberSeals
	ticketWild   = memberWild
	ticketRaw    = 32 // it is a message; else a recipe of a log-on
	ticketPasses = 3
)

// A recipe begins with two bytes of these, and one of what is done with the log-on; what follows are three bytes for each change that is
// made: of which part, where, and what.
const (
	recipeMutual    = 4 << iota // of the lowest two bits, the encryption type
	recipeNoSubkey              //
	recipeNoOptions             //
	recipeDCE                   //
	recipeName                  // and the one above it: whose ticket
)

const (
	recipeInit   = iota // the first message, with the ticket
	recipeSecond        // the first, for another mechanism
	recipeResp          // the second
	recipeBare          // without SPNEGO
)

const (
	recipeMIC     = 4 << iota // the client's
	recipeRepMIC              // that made with the key of the answer before, without a ticket
	recipeExpired             // the ticket
	recipeLate                // the client's clock
	recipeShort               // the ticket is good for a minute
)

const (
	setupBinds    = 1 << iota // to the session of the first connection
	setupNew                  // of a new session
	setupPrevious             // ends the first connection's
)

// tickets are clients with tickets, or who have none yet.
type tickets struct {
	*members
	realm  *authtest.Realm
	smb1   [3]*peer1
	logs   [3]ticketLogOn
	forged bool // the KDC itself said what the fuzzer liked
}

// ticketLogOn is a log-on that a connection has under way.
type ticketLogOn struct {
	user  authtest.User
	hash  crypt.Preauth
	key   types.EncryptionKey
	fresh bool // of a new session
}

var ticketMechs = authtest.MechList(authtest.MSKerberosOID, authtest.KerberosOID, authtest.NTLMOID)

// cook makes the token of a recipe.
func (ts *tickets) cook(i int, recipe []byte) []byte {
	a, b, changes := recipe[0], recipe[1], recipe[3:]
	l := &ts.logs[i]
	if b&recipeRepMIC != 0 {
		if len(l.key.KeyValue) == 0 {
			return authtest.RespToken(nil, changed(changes, 3, []byte("no key")))
		}
		return changed(changes, 3, authtest.RespToken(nil, authtest.MIC(ts.t, l.key, 4, ticketMechs)))
	}
	u := &l.user
	*u = authtest.User{
		Name: []string{"alice", "bob", "ALICE", "host/client"}[a>>6], Realm: authtest.RealmName, Etype: authtest.AES[int(a&3)%3],
		NoSubkey: a&recipeNoSubkey != 0, NoOptions: a&recipeNoOptions != 0,
	}
	if a&recipeMutual != 0 {
		u.ContextFlags |= authtest.FlagMutual
	}
	if a&recipeDCE != 0 {
		u.ContextFlags |= authtest.FlagDCE
	}
	switch {
	case b&recipeExpired != 0:
		u.Life = -time.Hour
	case b&recipeShort != 0:
		u.Life = time.Minute
	}
	if b&recipeLate != 0 {
		u.Clock = -time.Hour
	}
	u.Change = func(part authtest.Part, b []byte) []byte {
		was := bytes.Clone(b)
		b = changed(changes, int(part), b)
		ts.forged = ts.forged || part == authtest.Ticket && !bytes.Equal(was, b)
		return b
	}
	token := u.Token(ts.t, ts.realm)
	l.key = u.Subkey
	if u.NoSubkey {
		l.key = u.Session
	}
	var mic []byte
	if b&recipeMIC != 0 {
		mic = authtest.MIC(ts.t, l.key, 0, ticketMechs)
	}
	switch b & 3 {
	case recipeInit:
		token = authtest.InitToken(ticketMechs, token)
	case recipeSecond:
		token = authtest.InitToken(authtest.MechList(authtest.OtherOID, authtest.KerberosOID), token)
	case recipeResp:
		token = authtest.RespToken(token, mic)
	}
	return changed(changes, 3, token)
}

// changed makes the changes of a part.
func changed(changes []byte, part int, b []byte) []byte {
	for ; len(changes) >= 3; changes = changes[3:] {
		if int(changes[0]&3) == part && len(b) > 0 {
			b[(int(changes[0]>>2)<<8+int(changes[1]))%len(b)] ^= changes[2]
		}
	}
	return b
}

// setup makes a log-on, or a step of one.
func (ts *tickets) setup(i int, recipe []byte) []byte {
	recipe = append(bytes.Clone(recipe), make([]byte, max(3-len(recipe), 0))...)
	m, l, does := ts.conns[i], &ts.logs[i], recipe[2]
	token := ts.cook(i, recipe)
	if p := ts.smb1[i]; p != nil {
		if does&setupNew != 0 {
			p.uid = 0
		}
		return p.setupMsg1(token)
	}
	if does&setupNew != 0 {
		m.session = 0
	}
	if first := m.session == 0 || does&setupBinds != 0; first || recipe[1]&3 != recipeResp && recipe[1]&recipeRepMIC == 0 {
		l.hash, l.fresh = m.preauth, first
	}
	m.message = m.c.credits.low
	msg := m.setupMsg(token)
	if does&setupBinds != 0 {
		le.PutUint64(msg[40:], ts.conns[0].session)
		msg[66] = wire.SessionBinding
	}
	if does&setupPrevious != 0 {
		le.PutUint64(msg[80:], ts.conns[0].session)
	}
	return msg
}

// hear learns from an answer what a client would, and returns its status.
func (ts *tickets) hear(i int, r []byte) wire.Status {
	m := ts.conns[i]
	if wire.IsTransform(r) && m.seal != nil {
		if r, _ = m.seal.opener.Open(r); r == nil {
			return 0
		}
	}
	if p := ts.smb1[i]; p != nil {
		h := wire.SMB1Header(r)
		b, err := h.Block(wire.SMB1HeaderSize)
		switch {
		case err != nil:
		case h.Command() == wire.SMB1SessionSetupAndX && b.Count() == 4:
			p.uid = h.UID()
			ts.hearToken(i, b.Bytes[:min(int(b.Word(3)), len(b.Bytes))])
		case h.Command() == wire.SMB1TreeConnectAndX:
			p.tid = h.TID()
		}
		return h.Status()
	}
	switch h := wire.Header(r); h.Command() {
	case wire.CommandSessionSetup:
		ts.hearSetup(i, r)
	case wire.CommandTreeConnect:
		m.tree = h.TreeID()
	}
	return status(r)
}

// hearToken takes the key that the server's answer brings.
func (ts *tickets) hearToken(i int, token []byte) {
	l := &ts.logs[i]
	if resp, err := authtest.ParseResp(token); err == nil && resp.Token != nil {
		if key, _, err := l.user.Finish(resp.Token); err == nil {
			l.key = key
		}
	}
}

func (ts *tickets) hearSetup(i int, r []byte) {
	m, l, of := ts.conns[i], &ts.logs[i], ts.conns[0]
	if s := status(r); s != wire.StatusOK && s != wire.StatusMoreProcessingRequired {
		return
	}
	m.session = wire.Header(r).SessionID()
	ts.hearToken(i, r[wire.SessionSetupFixed:])
	switch {
	case status(r) == wire.StatusMoreProcessingRequired:
		l.hash.Add(r)
	case l.fresh && len(l.key.KeyValue) >= 16:
		key := [16]byte(l.key.KeyValue)
		m.setKeys(l.hash, key)
		if m.key = m.keyOf(l.hash, key); of != m && of.session == m.session && of.seal != nil {
			m.key, m.seal = of.key, &sealedPeer{p: m.peer, sealer: of.seal.sealer.Another(), opener: of.seal.opener.Another()}
		}
	}
}

// sayPart says a message, and returns the status of its answer.
func (ts *tickets) sayPart(i int, how byte, msg []byte, isSetup bool) (got wire.Status) {
	m := ts.conns[i]
	if p := ts.smb1[i]; p != nil {
		if how&ticketWild == 0 && !isSetup && len(msg) >= wire.SMB1HeaderSize {
			le.PutUint16(msg[24:], p.tid)
			le.PutUint16(msg[28:], p.uid)
		}
	} else {
		msg = ts.dressed(i, how, msg, isSetup)
	}
	if len(msg) == 0 || m.feed(frame(msg)) != nil {
		ts.hangUp(i)
		return 0
	}
	for r := m.reply(); r != nil; r = m.reply() {
		got = ts.hear(i, r)
	}
	return got
}

// dressed makes a message one of the session's; a log-on has its ids already.
func (ts *tickets) dressed(i int, how byte, msg []byte, isSetup bool) []byte {
	m := ts.conns[i]
	if m.signer == nil {
		how &^= ticketSigns
	}
	if isSetup {
		how |= ticketWild
		if key := ts.conns[0].key; msg[66] == wire.SessionBinding && key != nil && how&ticketSigns == 0 {
			signWith(ts.t, m.signerOf(key), msg)
		}
	}
	msg = m.dress(msg, how&^ticketSeals)
	if isSetup {
		ts.logs[i].hash.Add(msg)
	}
	if how&ticketSeals != 0 && m.seal != nil {
		return m.seal.seal(msg)
	}
	return msg
}

// say has all parts said: each behind a byte of how, and two bytes of length.
func (ts *tickets) say(input []byte) {
	for len(input) >= 3 {
		how, n := input[0], min(int(le.Uint16(input[1:])), len(input)-3)
		part := bytes.Clone(input[3 : 3+n])
		input = input[3+n:]
		i := int(how & 3)
		switch {
		case i == ticketPasses:
			ts.realm.Time = ts.realm.Time.Add(time.Duration(n) * time.Minute)
		case ts.over[i]:
			continue
		case how&ticketRaw != 0:
			ts.sayPart(i, how, part, false)
		default:
			ts.sayPart(i, how, ts.setup(i, part), true)
		}
		ts.listen()
	}
}

// begin connects, and has alice log on twice, and bob, unless they are strangers.
func (ts *tickets) begin(dir string, d wire.Dialect, share string, strangers bool) {
	for i, name := range []byte{0, 0, 1 << 6} {
		if d == wire.DialectNT1 {
			a, err := ts.pool.Get()
			if err != nil {
				ts.t.Fatal(err)
			}
			ts.smb1[i] = &peer1{peer: &peer{t: ts.t, dir: dir, srv: ts.srv, a: a, c: ts.srv.NewConn(a)}, pid: 7,
				flags2: wire.SMB1Flags2ExtendedSecurity | wire.SMB1Flags2NTStatus | wire.SMB1Flags2Unicode}
			ts.smb1[i].negotiate1()
			ts.conns[i] = &member{peer: ts.smb1[i].peer}
		} else {
			ts.conns[i] = ts.connect(dir, d)
		}
		if strangers {
			continue
		}
		if s := ts.sayPart(i, 0, ts.setup(i, []byte{1 | recipeMutual | name, recipeInit, setupNew}), true); s != wire.StatusOK {
			ts.t.Fatalf("log-on: %v", s)
		}
		if ts.smb1[i] == nil {
			ts.conns[i].treeOfAny(share)
		}
	}
}

func ticketPart(how byte, b ...byte) []byte {
	return append(le.AppendUint16([]byte{how}, uint16(len(b))), b...)
}

// ticketSeeds are conversations of each kind.
func ticketSeeds(tb testing.TB) (seeds [][]byte) {
	dir := tb.TempDir()
	p := connect(tb, newServerIn(tb, dir, nil), dir).logOn("pub")
	use := ticketPart(ticketRaw|ticketSigns, sample(p, wire.CommandCreate)...)
	tree := ticketPart(ticketRaw|ticketSigns, p.treeMsg(`\\server\pub`)...)
	p.hangUp()
	p1 := &peer1{peer: p, flags2: wire.SMB1Flags2NTStatus | wire.SMB1Flags2Unicode}
	tree1 := ticketPart(ticketRaw, p1.treeMsg1("pub")...)
	use1 := ticketPart(ticketRaw, p1.createMsg1("x", opening{wire.AccessAll, shareAll, wire.OpenIf, 0}, 0)...)
	wait := ticketPart(ticketPasses, make([]byte, 3)...)
	for _, logOn := range [][]byte{
		ticketPart(0, 0, recipeInit, setupNew),
		ticketPart(0, 1|recipeMutual, recipeInit, setupNew),
		ticketPart(0, 2|recipeMutual|recipeNoSubkey, recipeInit|recipeShort, setupNew),
		ticketPart(0, recipeNoOptions, recipeInit, setupNew|setupPrevious),
		bytes.Join([][]byte{
			ticketPart(0, 0, recipeSecond, setupNew), ticketPart(0, 1|recipeMutual, recipeResp, 0), ticketPart(0, 0, recipeRepMIC, 0),
		}, nil),
		bytes.Join([][]byte{ticketPart(0, 0, recipeSecond, setupNew), ticketPart(0, 1, recipeResp|recipeMIC, 0)}, nil),
		ticketPart(ticketSigns, 1|recipeMutual|recipeShort, recipeInit, 0),                  // again
		ticketPart(ticketSigns|ticketSeals, 1|recipeMutual|2<<6, recipeInit|recipeShort, 0), // and by a name in another case
		ticketPart(1, 1|recipeMutual, recipeInit, setupBinds),
		ticketPart(2, 1, recipeInit, setupBinds|setupPrevious),
		ticketPart(0, recipeDCE, recipeInit, setupNew),
		ticketPart(0, 3<<6, recipeInit, setupNew),
		ticketPart(0, 0, recipeInit|recipeExpired, setupNew),
		ticketPart(0, 0, recipeInit|recipeLate, setupNew),
		ticketPart(0, 0, recipeBare, setupNew),
		ticketPart(0, 0, recipeInit, setupNew, byte(authtest.Ticket), 60, 1, byte(authtest.Authenticator), 9, 1, byte(authtest.APReq), 3, 7, 3, 20, 1),
	} {
		for _, asks := range []byte{0, 1, ticketsStrangers, 3 | membersSign, ticketsSealed, ticketsTiny, ticketsAlone} {
			seeds = append(seeds, bytes.Join([][]byte{{asks}, logOn, tree, use, wait, use, logOn, use}, nil))
		}
		for _, asks := range []byte{ticketsSMB1, ticketsSMB1 | ticketsStrangers} {
			seeds = append(seeds, bytes.Join([][]byte{{asks}, logOn, tree1, use1, wait, use1, logOn, use1}, nil))
		}
	}
	return seeds
}

// FuzzTickets feeds a server with a keytab: log-ons by tickets, right ones and others, new and renewed, of channels too, and what is
// asked between them. Whatever comes, nothing panics, nothing is left, and nobody is let in but who has a ticket.
func FuzzTickets(f *testing.F) {
	limitFileSize(f)
	pool, dir, realm := poolFor(f), f.TempDir(), authtest.NewRealm(f, authtest.AES...)
	began := realm.Time
	for _, seed := range ticketSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) == 0 {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), pattern(100), 0o644); err != nil {
			t.Fatal(err)
		}
		asks := input[0]
		isSMB1 := asks&3 == ticketsSMB1
		if isSMB1 {
			asks &^= membersSign | membersEncrypt | membersSealed
		}
		cfg, d, share := membersConfig(dir, asks&^ticketsStrangers)
		if isSMB1 {
			allowSMB1(&cfg)
			d = wire.DialectNT1
		}
		realm.Time = began
		cfg.Now, cfg.Auth = realm.Now, auth.Config{Kerberos: realm.Kerberos(t)}
		srv, err := NewServer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ts := &tickets{members: &members{t: t, srv: srv, pool: pool}, realm: realm}
		ts.begin(dir, d, share, asks&ticketsStrangers != 0)
		ts.say(input[1:])
		for _, s := range srv.sessions {
			if id := s.who(); s.valid && !ts.forged && !auth.SameName(id.User, "alice") && id.User != "bob" && !id.Anonymous {
				t.Errorf("%+v was let in", id)
			}
		}
		for i := range ts.conns {
			if !ts.over[i] {
				ts.hangUp(i)
			}
		}
		closeEmpty(t, srv)
		removeAllIn(t, dir)
	})
}
