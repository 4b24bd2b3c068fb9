package auth_test

import (
	"bytes"
	"crypto/hmac"
	"encoding/asn1"
	"errors"
	"reflect"
	"testing"

	smb2 "github.com/cloudsoda/go-smb2"
	"github.com/google/go-cmp/cmp"

	"ustack/smbproto/auth"
)

func newExchange(guest bool) *auth.Exchange { return auth.NewExchange(config(guest, "8 random")) }

// step fails the test unless the exchange goes on.
func step(t testing.TB, e *auth.Exchange, token []byte) []byte {
	t.Helper()
	reply, done, err := e.Step(token)
	if err != nil || done {
		t.Fatalf("Step: done %v, %v; want it to go on", done, err)
	}
	return reply
}

// rawLogon drives an exchange without SPNEGO to its end.
func rawLogon(t testing.TB, e *auth.Exchange, c *client) error {
	t.Helper()
	challenge := step(t, e, c.type1())
	reply, done, err := e.Step(c.type3(t, challenge))
	if err == nil && (!done || reply != nil) {
		t.Fatalf("last Step: reply % x, done %v; want none and true", reply, done)
	}
	return err
}

// spnegoLogon drives an exchange with SPNEGO, and with mechListMIC where the client has what makes it, to its end.
func spnegoLogon(t testing.TB, e *auth.Exchange, c *client) error {
	t.Helper()
	list := marshal(t, []asn1.ObjectIdentifier{oidNTLM})
	first := parseResp(t, step(t, e, initToken(t, c.type1(), oidNTLM)))
	if first.State != 1 || !first.Mech.Equal(oidNTLM) {
		t.Fatalf("first reply %+v, want accept-incomplete of NTLMSSP", first)
	}
	last := c.type3(t, first.Token)
	var mic []byte
	if c.flags&fExtended != 0 {
		mic = c.sum("client-to-server", list)
	}
	reply, done, err := e.Step(respToken(t, last, mic))
	if err != nil {
		return err
	}
	got := parseResp(t, reply)
	if !done || got.State != 0 || got.Token != nil {
		t.Fatalf("last reply %+v, done %v; want accept-completed without a token", got, done)
	}
	if got.MIC != nil && !bytes.Equal(got.MIC, c.sum("server-to-client", list)) {
		t.Fatalf("mechListMIC % x is wrong", got.MIC)
	}
	return nil
}

func TestUserWithPasswordGetsTheClientsSessionKey(t *testing.T) {
	alice := client{user: "Alice", domain: "Lab", host: "PC", password: "secret"}
	with := func(edit func(*client)) client { c := alice; edit(&c); return c }
	for name, c := range map[string]client{
		"all options":     alice,
		"no MIC":          with(func(c *client) { c.noMIC = true }),
		"no key exchange": with(func(c *client) { c.flags = allFlags &^ fKeyExch }),
		"56 bits":         with(func(c *client) { c.flags = allFlags &^ f128 }),
		"40 bits":         with(func(c *client) { c.flags = allFlags &^ (f128 | f56) }),
		"only to sign":    with(func(c *client) { c.flags = allFlags &^ (fSeal | fVersion | fTarget) }),
		"not to sign":     with(func(c *client) { c.flags = allFlags &^ (fSeal | fSign) }),
		"no Unicode":      with(func(c *client) { c.flags = allFlags&^fUnicode | fOEM }),
		"flags once":      with(func(c *client) { c.flags, c.noFlags = allFlags&^fKeyExch, true }),
		"and a key":       with(func(c *client) { c.flags, c.noFlags = allFlags, true }),
		"no new security": with(func(c *client) { c.flags = allFlags &^ fExtended }),
		"no domain":       with(func(c *client) { c.domain, c.host = "", "" }),
		"beyond ASCII":    {user: "žOFIE", domain: "LÁB", host: "PČ", password: "heslo€"},
	} {
		for how, logon := range map[string]func(testing.TB, *auth.Exchange, *client) error{"raw": rawLogon, "SPNEGO": spnegoLogon} {
			t.Run(name+"/"+how, func(t *testing.T) {
				c, e := c, newExchange(false)
				if err := logon(t, e, &c); err != nil {
					t.Fatal(err)
				}
				want := auth.Identity{User: c.user, Domain: c.domain, Workstation: c.host, SessionKey: c.key}
				if diff := cmp.Diff(want, e.Identity()); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestLogonDecisions(t *testing.T) {
	// old is what clients ask for that speak NTLMv1 alone.
	const old = fUnicode | fOEM | fNTLM | fAlways
	for _, tc := range []struct {
		name         string
		c            client
		refused      bool // without guest
		refusedGuest bool // with guest
		anonymous    bool
	}{
		{name: "right password", c: client{user: "alice", password: "secret"}},
		{name: "wrong password", c: client{user: "alice", password: "Secret"}, refused: true, refusedGuest: true},
		{name: "empty password", c: client{user: "alice"}, refused: true, refusedGuest: true},
		{name: "known user, NTLMv1", c: client{user: "alice", v1: true}, refused: true, refusedGuest: true},
		{name: "unknown user", c: client{user: "bob", password: "x"}, refused: true},
		{name: "unknown user, NTLMv1", c: client{user: "bob", v1: true}, refused: true},
		{name: "known user, NTLMv1 and no more", c: client{user: "alice", v1: true, flags: old}, refused: true, refusedGuest: true},
		{name: "unknown user, NTLMv1 and no more", c: client{user: "bob", v1: true, flags: old}, refused: true},
		{name: "unknown user, NTLMv1 and flags once", c: client{user: "bob", v1: true, flags: old, noFlags: true}, refused: true},
		{name: "guest with the empty password", c: client{user: "guest"}, refused: true},
		{name: "empty name with a response", c: client{password: "x"}, refused: true},
		{name: "anonymous", c: client{anonymous: true}, refused: true, anonymous: true},
	} {
		for _, guest := range []bool{false, true} {
			name := tc.name + "/no guest"
			if guest {
				name = tc.name + "/guest"
			}
			t.Run(name, func(t *testing.T) {
				c, e := tc.c, newExchange(guest)
				err := spnegoLogon(t, e, &c)
				if guest && tc.refusedGuest || !guest && tc.refused {
					if !errors.Is(err, auth.ErrLogonFailure) {
						t.Fatalf("got %v, want ErrLogonFailure", err)
					}
					if id := e.Identity(); !reflect.DeepEqual(id, auth.Identity{}) {
						t.Fatalf("identity %+v after a failure", id)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				id := e.Identity()
				if id.User != c.user || id.Guest != tc.refused || id.Anonymous != tc.anonymous {
					t.Errorf("identity %+v", id)
				}
				if (id.Guest && !id.Anonymous) != (id.SessionKey == [16]byte{}) {
					t.Errorf("guest %v with session key %x", id.Guest, id.SessionKey)
				}
			})
		}
	}
}

func TestNoErrorTellsWhoHasAnAccount(t *testing.T) {
	set := func(at int, v byte) func([]byte) []byte {
		return func(nt []byte) []byte { nt[at] = v; return nt }
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"as it should be":  func(nt []byte) []byte { return nt },
		"empty":            func([]byte) []byte { return nil },
		"1 byte":           func(nt []byte) []byte { return nt[:1] },
		"NTLMv1":           func(nt []byte) []byte { return nt[:24] },
		"30 bytes":         func(nt []byte) []byte { return nt[:30] },
		"43 bytes":         func(nt []byte) []byte { return nt[:43] },
		"44 bytes":         func(nt []byte) []byte { return nt[:44] },
		"version 2/1":      set(16, 2),
		"version 1/2":      set(17, 2),
		"cut AV_PAIR":      func(nt []byte) []byte { return nt[:46] },
		"AV_PAIR too long": set(47, 0xff),
		"proof":            set(0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			logon := func(user string) error {
				c := client{user: user, password: "not it", spoil: spoil}
				return rawLogon(t, newExchange(false), &c)
			}
			has, hasNot := logon("alice"), logon("bob")
			for _, kind := range []error{auth.ErrLogonFailure, auth.ErrMalformed, auth.ErrUnsupported} {
				if errors.Is(has, kind) != errors.Is(hasNot, kind) {
					t.Errorf("with an account: %v; without: %v", has, hasNot)
				}
			}
			if has == nil || hasNot == nil {
				t.Errorf("logged on: %v, %v", has, hasNot)
			}
		})
	}
}

// The hash that stands in for a missing account is no password.
func TestTheZeroHashLogsNobodyOn(t *testing.T) {
	e := newExchange(false)
	c := client{user: "bob", password: "x"}
	challenge := step(t, e, c.type1())
	c.spoil = func(nt []byte) []byte {
		key := mac5(make([]byte, 16), units("BOB"), nil)
		return append(mac5(key, challenge[24:32], nt[16:]), nt[16:]...)
	}
	if _, _, err := e.Step(c.type3(t, challenge)); !errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want ErrLogonFailure", err)
	}
}

func TestNobodyHasAnAccountWithoutUsers(t *testing.T) {
	e := auth.NewExchange(auth.Config{})
	if err := rawLogon(t, e, &client{user: "alice", password: "secret"}); !errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want ErrLogonFailure", err)
	}
}

func TestAReplayedAuthenticateIsRefused(t *testing.T) {
	c := client{user: "alice", password: "secret", noMIC: true}
	first := newExchange(false)
	message := c.type3(t, step(t, first, c.type1()))
	if _, _, err := first.Step(message); err != nil {
		t.Fatal(err)
	}
	second := auth.NewExchange(config(true, "8 others"))
	step(t, second, c.type1())
	if _, _, err := second.Step(message); !errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want ErrLogonFailure", err)
	}
}

func TestEveryFlippedBitOfAMessageWithMICIsRefused(t *testing.T) {
	c := client{user: "alice", domain: "LAB", host: "PC", password: "secret"}
	message := c.type3(t, step(t, newExchange(false), c.type1()))
	for bit := range 8 * len(message) {
		bad := bytes.Clone(message)
		bad[bit/8] ^= 1 << (bit % 8)
		e := newExchange(false)
		step(t, e, c.type1())
		if _, _, err := e.Step(bad); err == nil {
			t.Errorf("byte %d, bit %d flipped: accepted", bit/8, bit%8)
		}
	}
}

func TestADowngradedNegotiateIsRefusedByTheMIC(t *testing.T) {
	c := client{user: "alice", password: "secret"}
	weak := c.type1()
	weak[15] &^= f128 >> 24
	e := newExchange(false)
	if _, _, err := e.Step(c.type3(t, step(t, e, weak))); !errors.Is(err, auth.ErrLogonFailure) {
		t.Fatalf("got %v, want ErrLogonFailure", err)
	}
}

func TestAChangedMechListMICIsRefused(t *testing.T) {
	for bit := range 8 * 16 {
		c, e := client{user: "alice", password: "secret"}, newExchange(false)
		last := c.type3(t, parseResp(t, step(t, e, initToken(t, c.type1(), oidNTLM))).Token)
		mic := c.sum("client-to-server", marshal(t, []asn1.ObjectIdentifier{oidNTLM}))
		mic[bit/8] ^= 1 << (bit % 8)
		if _, _, err := e.Step(respToken(t, last, mic)); !errors.Is(err, auth.ErrLogonFailure) {
			t.Fatalf("bit %d: got %v, want ErrLogonFailure", bit, err)
		}
	}
}

// When the client would rather use Kerberos, it must prove that its list arrived as it was sent.
func TestSecondChoiceNeedsAMechListMIC(t *testing.T) {
	list := []asn1.ObjectIdentifier{oidKrb5, oidNTLM}
	for _, send := range []bool{true, false} {
		c, e := client{user: "alice", password: "secret"}, newExchange(false)
		first := parseResp(t, step(t, e, initToken(t, []byte("a ticket"), list...)))
		if first.State != 3 || first.Token != nil || !first.Mech.Equal(oidNTLM) {
			t.Fatalf("first reply %+v, want request-mic for NTLMSSP", first)
		}
		last := c.type3(t, parseResp(t, step(t, e, respToken(t, c.type1(), nil))).Token)
		var mic []byte
		if send {
			mic = c.sum("client-to-server", marshal(t, list))
		}
		reply, done, err := e.Step(respToken(t, last, mic))
		if !send {
			if !errors.Is(err, auth.ErrLogonFailure) {
				t.Fatalf("without mechListMIC: got %v, want ErrLogonFailure", err)
			}
			continue
		}
		if err != nil || !done {
			t.Fatalf("done %v, %v", done, err)
		}
		if got := parseResp(t, reply); !hmac.Equal(got.MIC, c.sum("server-to-client", marshal(t, list))) {
			t.Errorf("mechListMIC % x is wrong", got.MIC)
		}
	}
}

// Of mechListMIC the older form is not known here, so that a client without extended session security cannot prove its list.
func TestASecondChoiceNeedsExtendedSessionSecurity(t *testing.T) {
	for name, mic := range map[string][]byte{"without mechListMIC": nil, "with some": make([]byte, 16)} {
		t.Run(name, func(t *testing.T) {
			c, e := client{user: "alice", password: "secret", flags: allFlags &^ fExtended}, newExchange(false)
			step(t, e, initToken(t, []byte("a ticket"), oidKrb5, oidNTLM))
			last := c.type3(t, parseResp(t, step(t, e, respToken(t, c.type1(), nil))).Token)
			if _, _, err := e.Step(respToken(t, last, mic)); !errors.Is(err, auth.ErrLogonFailure) {
				t.Fatalf("got %v, want ErrLogonFailure", err)
			}
		})
	}
}

// Another implementation of NTLM agrees on the key and on the signatures.
func TestGoSMB2InitiatorIsAuthenticated(t *testing.T) {
	e := newExchange(false)
	i := &smb2.NTLMInitiator{User: "alice", Password: "secret", Domain: "LAB", Workstation: "PC"}
	negotiate, err := i.InitSecContext()
	if err != nil {
		t.Fatal(err)
	}
	last, err := i.AcceptSecContext(parseResp(t, step(t, e, initToken(t, negotiate, oidNTLM))).Token)
	if err != nil {
		t.Fatal(err)
	}
	mic := i.Sum(marshal(t, []asn1.ObjectIdentifier{oidNTLM}))
	if _, done, err := e.Step(respToken(t, last, mic)); err != nil || !done {
		t.Fatalf("done %v, %v", done, err)
	}
	if key := e.Identity().SessionKey; !bytes.Equal(key[:], i.SessionKey()) {
		t.Errorf("session key %x, the client's is %x", key, i.SessionKey())
	}
}
