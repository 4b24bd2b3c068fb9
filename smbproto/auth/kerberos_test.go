package auth_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/types"

	"ustack/smbproto/auth"
	"ustack/smbproto/auth/authtest"
)

func exchangeOf(t testing.TB, r *authtest.Realm) *auth.Exchange {
	t.Helper()
	return auth.NewExchange(auth.Config{Kerberos: r.Kerberos(t), Now: r.Now})
}

func respOf(t testing.TB, b []byte) authtest.NegResp {
	t.Helper()
	r, err := authtest.ParseResp(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func finish(t testing.TB, u *authtest.User, token []byte) (types.EncryptionKey, uint64) {
	t.Helper()
	key, seq, err := u.Finish(token)
	if err != nil {
		t.Fatal(err)
	}
	return key, seq
}

func checkKeys(t testing.TB, id auth.Identity, key types.EncryptionKey) {
	t.Helper()
	if !bytes.Equal(id.FullSessionKey, key.KeyValue) || !bytes.Equal(id.SessionKey[:], key.KeyValue[:16]) {
		t.Errorf("session key % x of % x, want % x", id.SessionKey, id.FullSessionKey, key.KeyValue)
	}
}

func TestATicketProvesAUser(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	for _, etype := range authtest.AES {
		for _, mutual := range []uint32{0, 2} {
			for _, noSubkey := range []bool{false, true} {
				e, u := exchangeOf(t, r), &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: etype, ContextFlags: mutual, NoSubkey: noSubkey}
				reply, done, err := e.Step(authtest.InitToken(authtest.MechList(authtest.MSKerberosOID, authtest.KerberosOID, authtest.NTLMOID), u.Token(t, r)))
				if err != nil || !done {
					t.Fatalf("etype %d: %v, %v", etype, done, err)
				}
				id := e.Identity()
				if id.User != "alice" || id.Domain != authtest.RealmName || id.Guest || id.Anonymous {
					t.Errorf("%+v", id)
				}
				resp := respOf(t, reply)
				if resp.State != 0 || resp.Mech.String() != "1.2.840.48018.1.2.2" {
					t.Errorf("%+v", resp)
				}
				key := u.Subkey
				switch {
				case mutual != 0:
					key, _ = finish(t, u, resp.Token)
				case noSubkey:
					key = u.Session
				}
				if mutual == 0 && resp.Token != nil {
					t.Error("an answer that was not asked for")
				}
				checkKeys(t, id, key)
			}
		}
	}
}

// named is a file of users with one of any password.
type named string

func (n named) Lookup(name string) ([16]byte, bool) {
	return [16]byte{}, auth.SameName(name, string(n))
}

func TestARealmsUserWithoutAnAccountIsOfTheRealm(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES...)
	for name, realm := range map[string]string{"bob": authtest.RealmName, "alice": ""} {
		e := auth.NewExchange(auth.Config{Kerberos: r.Kerberos(t), Now: r.Now, Users: named("Alice")})
		u := &authtest.User{Name: name, Realm: authtest.RealmName, Etype: authtest.AES[0]}
		if _, _, err := e.Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r))); err != nil {
			t.Fatal(err)
		}
		if id := e.Identity(); id.User != name || id.Realm != realm {
			t.Errorf("%s is %s of %q, want %q", name, id.User, id.Realm, realm)
		}
	}
}

// Kerberos is not the client's first choice: then its list is proved, by the key that the server's answer brings.
func TestAListOfMechanismsIsProvedByTheTicketsKey(t *testing.T) {
	r := authtest.NewRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	for name, change := range map[string]func([]byte) []byte{
		"right": func(mic []byte) []byte { return mic },
		"wrong": func(mic []byte) []byte { mic[len(mic)-1]++; return mic },
		"none":  func([]byte) []byte { return nil },
		"short": func(mic []byte) []byte { return mic[:10] },
	} {
		e, u := exchangeOf(t, r), &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: etypeID.AES256_CTS_HMAC_SHA1_96, ContextFlags: 2}
		list := authtest.MechList(authtest.OtherOID, authtest.KerberosOID, authtest.NTLMOID)
		reply, done, err := e.Step(authtest.InitToken(list, []byte("of another mechanism")))
		if err != nil || done {
			t.Fatal(done, err)
		}
		if resp := respOf(t, reply); resp.State != 3 || resp.Mech.String() != "1.2.840.113554.1.2.2" {
			t.Errorf("%+v, want request-mic", resp)
		}
		if reply, done, err = e.Step(authtest.RespToken(u.Token(t, r), nil)); err != nil || done {
			t.Fatal(done, err)
		}
		resp := respOf(t, reply)
		key, seq := finish(t, u, resp.Token)
		var mic gssapi.MICToken
		if err := mic.Unmarshal(resp.MIC, true); err != nil {
			t.Fatal(err)
		}
		mic.Payload = list
		if ok, err := mic.Verify(key, keyusage.GSSAPI_ACCEPTOR_SIGN); !ok || mic.SndSeqNum != seq || mic.Flags != 5 {
			t.Errorf("the server's MIC: %v, %+v", err, mic)
		}
		raw := authtest.MIC(t, key, gssapi.MICTokenFlagAcceptorSubkey, list)
		_, done, err = e.Step(authtest.RespToken(nil, change(raw)))
		if right := name == "right"; done != right || (err == nil) != right {
			t.Errorf("%s: %v, %v", name, done, err)
		}
		if done {
			checkKeys(t, e.Identity(), key)
		}
	}
}

func TestATicketThatProvesNothingIsRefused(t *testing.T) {
	r := authtest.NewRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.RC4_HMAC)
	other := authtest.NewRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	other.AddKey(t, authtest.Service, "another secret", etypeID.AES256_CTS_HMAC_SHA1_96)
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	for name, c := range map[string]struct {
		user authtest.User
		kdc  *authtest.Realm
		want string
	}{
		"late":             {authtest.User{Clock: -6 * time.Minute}, r, "clock"},
		"early":            {authtest.User{Clock: 6 * time.Minute}, r, "clock"},
		"expired":          {authtest.User{Life: -time.Hour}, r, "expired"},
		"another's":        {authtest.User{Claims: "mallory"}, r, "authenticator of another"},
		"RC4":              {authtest.User{Etype: etypeID.RC4_HMAC}, r, "want AES"},
		"another realm":    {authtest.User{Realm: "ELSEWHERE.ORG"}, r, "another realm"},
		"a service":        {authtest.User{Name: "host/client"}, r, "no user"},
		"no UTF-8":         {authtest.User{Name: "al\xffice"}, r, "no user"},
		"another key":      {authtest.User{}, other, "ticket for cifs"},
		"three messages":   {authtest.User{ContextFlags: 0x1000}, r, "three messages"},
		"cut to nothing":   {authtest.User{Cut: 1}, r, "ticket for cifs"},
		"cut to the MAC":   {authtest.User{Cut: 12}, r, "ticket for cifs"},
		"cut to one block": {authtest.User{Cut: 28}, r, "ticket for cifs"},
	} {
		u := c.user
		if u.Name == "" {
			u.Name = "alice"
		}
		if u.Realm == "" {
			u.Realm = authtest.RealmName
		}
		if u.Etype == 0 {
			u.Etype = aes
		}
		e := exchangeOf(t, r)
		_, done, err := e.Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, &authtest.Realm{Keys: c.kdc.Keys, Time: r.Time})))
		if done || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, done, err)
		}
		if errors.Is(err, auth.ErrMalformed) == errors.Is(err, auth.ErrLogonFailure) && !errors.Is(err, auth.ErrUnsupported) {
			t.Errorf("%s: %v is of no kind", name, err)
		}
	}
}

// Options that are left out are not set: who they are sent by need not have shown who he is.
func TestOptionsMayBeMissing(t *testing.T) {
	r := authtest.NewRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: etypeID.AES256_CTS_HMAC_SHA1_96, NoOptions: true}
	_, done, err := exchangeOf(t, r).Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r)))
	if err != nil || !done {
		t.Errorf("%v, %v", done, err)
	}
	u.Cut = 1
	if _, _, err = exchangeOf(t, r).Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r))); !errors.Is(err, auth.ErrLogonFailure) {
		t.Errorf("without a ticket: %v", err)
	}
}

func TestAnAuthenticatorIsTakenOnce(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES[0])
	k := r.Kerberos(t)
	u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[0]}
	token := authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r))
	again, err := auth.OpenKeytab(r.File, k) // as when settings are read again
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range []*auth.Kerberos{k, k, again} {
		_, done, err := auth.NewExchange(auth.Config{Kerberos: k, Now: r.Now}).Step(token)
		if done != (i == 0) || i > 0 && !strings.Contains(err.Error(), "used before") {
			t.Errorf("time %d: %v, %v", i, done, err)
		}
	}
}

// What a ticket proves ends with it. One that has ended is taken from a client whose clock is slow, and holds as long as it is taken.
func TestALogOnEndsWithItsTicket(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES[0])
	for life, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, -time.Minute: 4 * time.Minute} {
		u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[0], Life: life}
		e := exchangeOf(t, r)
		if _, done, err := e.Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r))); err != nil || !done {
			t.Fatal(err)
		}
		if got := e.Identity().Expires.Sub(r.Time); got != want {
			t.Errorf("by a ticket of %v: %v, want %v", life, got, want)
		}
	}
}

// Whoever has the key of another of the machine's services, or is asked by its users, is no user of this one.
func TestATicketForAnotherServiceIsRefused(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES[0])
	r.AddKey(t, "host/files.example.com", "secret", authtest.AES[0])
	r.AddKey(t, "HTTP/files.example.com", "the web server's", authtest.AES[0])
	for service, want := range map[string]bool{authtest.Service: true, "host/files.example.com": true, "HTTP/files.example.com": false} {
		u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[0], Service: service}
		if _, done, err := exchangeOf(t, r).Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, r))); done != want {
			t.Errorf("%s: %v, %v", service, done, err)
		}
	}
	if s := r.Kerberos(t).Services(); len(s) != 2 {
		t.Errorf("%q", s)
	}
}

// What a stranger sends does not fill the log.
func TestWhatIsSaidOfATokenIsShort(t *testing.T) {
	r, kdc := authtest.NewRealm(t, authtest.AES[0]), authtest.NewRealm(t, authtest.AES[0])
	long := bytes.Repeat([]byte{1}, 30_000)
	u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[0]}
	ticketFor := func(service string) []byte {
		kdc.AddKey(t, service, "secret", authtest.AES[0])
		u.Service = service
		return authtest.InitToken(authtest.MechList(authtest.KerberosOID), u.Token(t, kdc))
	}
	for name, token := range map[string][]byte{
		"service":         ticketFor("cifs/" + string(long)),
		"no such service": ticketFor(string(long)),
		"mechanism":       authtest.DER(0x60, authtest.DER(6, long)),
		"inner mechanism": authtest.InitToken(authtest.MechList(authtest.KerberosOID), authtest.DER(0x60, authtest.DER(6, long))),
	} {
		if _, _, err := exchangeOf(t, r).Step(token); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	e := exchangeOf(t, r)
	if _, _, err := e.Step(authtest.InitToken(authtest.MechList(authtest.KerberosOID), nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Step(authtest.DER(0xa1, authtest.DER(0x30, authtest.DER(0xa1, authtest.DER(6, long))))); err == nil || len(err.Error()) > 500 {
		t.Errorf("supportedMech: an error of %d bytes", len(err.Error()))
	}
}

func TestKerberosIsOfferedWhereItIs(t *testing.T) {
	r := authtest.NewRealm(t, authtest.AES[0])
	k := r.Kerberos(t)
	with, without := auth.Config{Kerberos: k}, auth.Config{}
	for _, oid := range [][]byte{authtest.KerberosOID, authtest.MSKerberosOID} {
		if !bytes.Contains(with.Offer(), authtest.DER(6, oid)) || bytes.Contains(without.Offer(), authtest.DER(6, oid)) {
			t.Errorf("mechanism % x", oid)
		}
	}
	if s := k.Services(); len(s) != 1 || s[0] != authtest.Service+"@"+authtest.RealmName {
		t.Errorf("%q", s)
	}
	// Without a keytab, a client that would rather have Kerberos has to go on by NTLM.
	reply, done, err := auth.NewExchange(without).Step(authtest.InitToken(authtest.MechList(authtest.MSKerberosOID, authtest.KerberosOID, authtest.NTLMOID), []byte("a ticket")))
	if err != nil || done || respOf(t, reply).State != 3 {
		t.Errorf("%v, %v, %+v", done, err, respOf(t, reply))
	}
}

func TestAKeytabIsChecked(t *testing.T) {
	r := authtest.NewRealm(t, etypeID.RC4_HMAC)
	if _, err := auth.OpenKeytab(r.File, nil); err == nil || !strings.Contains(err.Error(), "no key of AES") {
		t.Error(err)
	}
	r = authtest.NewRealm(t, authtest.AES...)
	raw, err := os.ReadFile(r.File)
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		_ = os.WriteFile(r.File, raw[:n], 0o600)
		_, _ = auth.OpenKeytab(r.File, nil) // an error or fewer keys, but no panic
	}
	if err := os.Chmod(r.File, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.OpenKeytab(r.File, nil); err == nil {
		t.Error("a keytab that everybody can read was taken")
	}
}

func FuzzKerberos(f *testing.F) {
	r := authtest.NewRealm(f, authtest.AES...)
	u := &authtest.User{Name: "alice", Realm: authtest.RealmName, Etype: authtest.AES[1], ContextFlags: 2}
	token := u.Token(f, r)
	f.Add(authtest.InitToken(authtest.MechList(authtest.MSKerberosOID, authtest.NTLMOID), token), []byte(nil))
	f.Add(authtest.InitToken(authtest.MechList(authtest.OtherOID, authtest.KerberosOID), nil), authtest.RespToken(token, []byte("\x04\x04\x00\xff\xff\xff\xff\xff12345678")))
	f.Add(authtest.InitToken(authtest.MechList(authtest.KerberosOID), authtest.DER(0x60, authtest.DER(6, authtest.KerberosOID), []byte{1, 0}, authtest.DER(0x6e, authtest.DER(0x30)))), []byte(nil))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		e := exchangeOf(t, r)
		for _, token := range [][]byte{first, second, second} {
			_, done, err := e.Step(token)
			if done && e.Identity().User != "alice" {
				t.Errorf("%+v was let in", e.Identity())
			}
			if done || err != nil {
				return
			}
		}
	})
}
