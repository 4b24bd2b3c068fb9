package auth_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"ustack/smbproto/auth"
)

// realm plays the KDC: what it knows is the keytab that it shares with the server.
type realm struct {
	keys *keytab.Keytab
	file string
	now  time.Time
}

const (
	realmName = "EXAMPLE.COM"
	service   = "cifs/files.example.com"
)

func newRealm(t testing.TB, etypes ...int32) *realm {
	t.Helper()
	r := &realm{keys: keytab.New(), file: filepath.Join(t.TempDir(), "keytab"), now: time.Now().UTC().Truncate(time.Second)}
	for _, e := range etypes {
		if err := r.keys.AddEntry(service, realmName, "secret", r.now, 2, e); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := r.keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *realm) exchange(t testing.TB) *auth.Exchange {
	t.Helper()
	k, err := auth.OpenKeytab(r.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewExchange(auth.Config{Kerberos: k, Now: func() time.Time { return r.now }})
}

// ticketUser is a client with a ticket. What a test changes of it is in fields.
type ticketUser struct {
	name, realm  string
	etype        int32
	clock        time.Duration // off
	expired      bool
	claims       string // in the authenticator, if not name
	noSubkey     bool
	contextFlags uint32
	cut          int // bytes of the ticket's cipher that are left
	noOptions    bool

	session, subkey types.EncryptionKey
	ctime           time.Time
	cusec           int
}

// token makes the AP-REQ in its framing.
func (u *ticketUser) token(t testing.TB, r *realm) []byte {
	t.Helper()
	cname := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, u.name)
	sname := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, service)
	end := r.now.Add(time.Hour)
	if u.expired {
		end = r.now.Add(-time.Hour)
	}
	ticket, key, err := messages.NewTicket(cname, u.realm, sname, realmName, types.NewKrbFlags(), r.keys, u.etype, 2, r.now, r.now, end, end)
	if err != nil {
		t.Fatal(err)
	}
	u.session = key
	a, err := types.NewAuthenticator(u.realm, cname)
	if err != nil {
		t.Fatal(err)
	}
	if u.claims != "" {
		a.CName = types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, u.claims)
	}
	a.CTime, a.Cusec = r.now.Add(u.clock), 7
	u.ctime, u.cusec = a.CTime, a.Cusec
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], u.contextFlags)
	a.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	if !u.noSubkey {
		e, err := crypto.GetEtype(u.etype)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.GenerateSeqNumberAndSubKey(u.etype, e.GetKeyByteSize()); err != nil {
			t.Fatal(err)
		}
		u.subkey = a.SubKey
	}
	req, err := messages.NewAPReq(ticket, key, a)
	if err != nil {
		t.Fatal(err)
	}
	if u.contextFlags&2 != 0 {
		types.SetFlag(&req.APOptions, flags.APOptionMutualRequired)
	}
	if u.cut > 0 {
		req.Ticket.EncPart.Cipher = req.Ticket.EncPart.Cipher[:u.cut]
	}
	if u.noOptions {
		req.APOptions = asn1.BitString{}
	}
	raw, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der(0x60, der(6, krbOID), []byte{1, 0}, raw)
}

var (
	krbOID   = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
	msKrbOID = []byte{0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02}
	ntlmOID  = []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a}
	otherOID = []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e} // NEGOEX
)

func der(tag byte, parts ...[]byte) []byte {
	b, err := asn1.Marshal(asn1.RawValue{Class: int(tag >> 6), Tag: int(tag & 31), IsCompound: tag&0x20 != 0, Bytes: bytes.Join(parts, nil)})
	if err != nil {
		panic(err)
	}
	return b
}

// krbMechList is the MechTypeList, and krbInitToken the NegTokenInit with it.
func krbMechList(mechs ...[]byte) []byte {
	var all [][]byte
	for _, oid := range mechs {
		all = append(all, der(6, oid))
	}
	return der(0x30, all...)
}

func krbInitToken(list, token []byte) []byte {
	fields := [][]byte{der(0xa0, list)}
	if token != nil {
		fields = append(fields, der(0xa2, der(4, token)))
	}
	return der(0x60, der(6, []byte{0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}), der(0xa0, der(0x30, fields...)))
}

func krbRespToken(token, mic []byte) []byte {
	var fields [][]byte
	if token != nil {
		fields = append(fields, der(0xa2, der(4, token)))
	}
	if mic != nil {
		fields = append(fields, der(0xa3, der(4, mic)))
	}
	return der(0xa1, der(0x30, fields...))
}

// krbNegResp is a server's NegTokenResp.
type krbNegResp struct {
	State asn1.Enumerated       `asn1:"explicit,optional,tag:0"`
	Mech  asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token []byte                `asn1:"explicit,optional,tag:2"`
	MIC   []byte                `asn1:"explicit,optional,tag:3"`
}

func krbParseResp(t testing.TB, b []byte) (r krbNegResp) {
	t.Helper()
	if _, err := asn1.UnmarshalWithParams(b, &r, "explicit,tag:1"); err != nil {
		t.Fatal(err)
	}
	return r
}

// finish opens the AP-REP, and returns the key that both ends have then.
func (u *ticketUser) finish(t testing.TB, token []byte) (key types.EncryptionKey, seq uint64) {
	t.Helper()
	head := len(der(6, krbOID)) + 2
	var app asn1.RawValue
	if _, err := asn1.Unmarshal(token, &app); err != nil || app.Bytes[head-2] != 2 || app.Bytes[head-1] != 0 {
		t.Fatalf("no AP-REP: %v, % x", err, token)
	}
	var rep messages.APRep
	if err := rep.Unmarshal(app.Bytes[head:]); err != nil {
		t.Fatal(err)
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, u.session, keyusage.AP_REP_ENCPART)
	if err != nil {
		t.Fatal(err)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		t.Fatal(err)
	}
	if !part.CTime.Equal(u.ctime) || part.Cusec != u.cusec {
		t.Errorf("the server answers to %v %d, want %v %d", part.CTime, part.Cusec, u.ctime, u.cusec)
	}
	return part.Subkey, uint64(part.SequenceNumber)
}

func checkKeys(t testing.TB, id auth.Identity, key types.EncryptionKey) {
	t.Helper()
	if !bytes.Equal(id.FullSessionKey, key.KeyValue) || !bytes.Equal(id.SessionKey[:], key.KeyValue[:16]) {
		t.Errorf("session key % x of % x, want % x", id.SessionKey, id.FullSessionKey, key.KeyValue)
	}
}

// allAES leaves out AES256_CTS_HMAC_SHA384_192, for which gokrb5's KDC makes keys that are too short.
var allAES = []int32{etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128}

func TestATicketProvesAUser(t *testing.T) {
	r := newRealm(t, allAES...)
	for _, etype := range allAES {
		for _, mutual := range []uint32{0, 2} {
			for _, noSubkey := range []bool{false, true} {
				e, u := r.exchange(t), &ticketUser{name: "alice", realm: realmName, etype: etype, contextFlags: mutual, noSubkey: noSubkey}
				reply, done, err := e.Step(krbInitToken(krbMechList(msKrbOID, krbOID, ntlmOID), u.token(t, r)))
				if err != nil || !done {
					t.Fatalf("etype %d: %v, %v", etype, done, err)
				}
				id := e.Identity()
				if id.User != "alice" || id.Domain != realmName || id.Guest || id.Anonymous {
					t.Errorf("%+v", id)
				}
				resp := krbParseResp(t, reply)
				if resp.State != 0 || resp.Mech.String() != "1.2.840.48018.1.2.2" {
					t.Errorf("%+v", resp)
				}
				key := u.subkey
				switch {
				case mutual != 0:
					key, _ = u.finish(t, resp.Token)
				case noSubkey:
					key = u.session
				}
				if mutual == 0 && resp.Token != nil {
					t.Error("an answer that was not asked for")
				}
				checkKeys(t, id, key)
			}
		}
	}
}

// Kerberos is not the client's first choice: then its list is proved, by the key that the server's answer brings.
func TestAListOfMechanismsIsProvedByTheTicketsKey(t *testing.T) {
	r := newRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	for name, change := range map[string]func([]byte) []byte{
		"right": func(mic []byte) []byte { return mic },
		"wrong": func(mic []byte) []byte { mic[len(mic)-1]++; return mic },
		"none":  func([]byte) []byte { return nil },
		"short": func(mic []byte) []byte { return mic[:10] },
	} {
		e, u := r.exchange(t), &ticketUser{name: "alice", realm: realmName, etype: etypeID.AES256_CTS_HMAC_SHA1_96, contextFlags: 2}
		list := krbMechList(otherOID, krbOID, ntlmOID)
		reply, done, err := e.Step(krbInitToken(list, []byte("of another mechanism")))
		if err != nil || done {
			t.Fatal(done, err)
		}
		if resp := krbParseResp(t, reply); resp.State != 3 || resp.Mech.String() != "1.2.840.113554.1.2.2" {
			t.Errorf("%+v, want request-mic", resp)
		}
		if reply, done, err = e.Step(krbRespToken(u.token(t, r), nil)); err != nil || done {
			t.Fatal(done, err)
		}
		resp := krbParseResp(t, reply)
		key, seq := u.finish(t, resp.Token)
		var mic gssapi.MICToken
		if err := mic.Unmarshal(resp.MIC, true); err != nil {
			t.Fatal(err)
		}
		mic.Payload = list
		if ok, err := mic.Verify(key, keyusage.GSSAPI_ACCEPTOR_SIGN); !ok || mic.SndSeqNum != seq || mic.Flags != 5 {
			t.Errorf("the server's MIC: %v, %+v", err, mic)
		}
		ours := gssapi.MICToken{Flags: gssapi.MICTokenFlagAcceptorSubkey, Payload: list}
		if err := ours.SetChecksum(key, keyusage.GSSAPI_INITIATOR_SIGN); err != nil {
			t.Fatal(err)
		}
		raw, err := ours.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, done, err = e.Step(krbRespToken(nil, change(raw)))
		if right := name == "right"; done != right || (err == nil) != right {
			t.Errorf("%s: %v, %v", name, done, err)
		}
		if done {
			checkKeys(t, e.Identity(), key)
		}
	}
}

func TestATicketThatProvesNothingIsRefused(t *testing.T) {
	r := newRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.RC4_HMAC)
	other := newRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	if err := other.keys.AddEntry(service, realmName, "another secret", other.now.Add(time.Second), 2, etypeID.AES256_CTS_HMAC_SHA1_96); err != nil {
		t.Fatal(err)
	}
	const aes = etypeID.AES256_CTS_HMAC_SHA1_96
	for name, c := range map[string]struct {
		user ticketUser
		kdc  *realm
		want string
	}{
		"late":             {ticketUser{clock: -6 * time.Minute}, r, "clock"},
		"early":            {ticketUser{clock: 6 * time.Minute}, r, "clock"},
		"expired":          {ticketUser{expired: true}, r, "expired"},
		"another's":        {ticketUser{claims: "mallory"}, r, "authenticator of another"},
		"RC4":              {ticketUser{etype: etypeID.RC4_HMAC}, r, "want AES"},
		"another realm":    {ticketUser{realm: "ELSEWHERE.ORG"}, r, "another realm"},
		"a service":        {ticketUser{name: "host/client"}, r, "no user"},
		"another key":      {ticketUser{}, other, "ticket for cifs"},
		"three messages":   {ticketUser{contextFlags: 0x1000}, r, "three messages"},
		"cut to nothing":   {ticketUser{cut: 1}, r, "ticket for cifs"},
		"cut to the MAC":   {ticketUser{cut: 12}, r, "ticket for cifs"},
		"cut to one block": {ticketUser{cut: 28}, r, "ticket for cifs"},
	} {
		u := c.user
		if u.name == "" {
			u.name = "alice"
		}
		if u.realm == "" {
			u.realm = realmName
		}
		if u.etype == 0 {
			u.etype = aes
		}
		e := r.exchange(t)
		_, done, err := e.Step(krbInitToken(krbMechList(krbOID), u.token(t, &realm{keys: c.kdc.keys, now: r.now})))
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
	r := newRealm(t, etypeID.AES256_CTS_HMAC_SHA1_96)
	u := &ticketUser{name: "alice", realm: realmName, etype: etypeID.AES256_CTS_HMAC_SHA1_96, noOptions: true}
	_, done, err := r.exchange(t).Step(krbInitToken(krbMechList(krbOID), u.token(t, r)))
	if err != nil || !done {
		t.Errorf("%v, %v", done, err)
	}
	u.cut = 1
	if _, _, err = r.exchange(t).Step(krbInitToken(krbMechList(krbOID), u.token(t, r))); !errors.Is(err, auth.ErrLogonFailure) {
		t.Errorf("without a ticket: %v", err)
	}
}

func TestAnAuthenticatorIsTakenOnce(t *testing.T) {
	r := newRealm(t, allAES[0])
	k, err := auth.OpenKeytab(r.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	u := &ticketUser{name: "alice", realm: realmName, etype: allAES[0]}
	token := krbInitToken(krbMechList(krbOID), u.token(t, r))
	again, err := auth.OpenKeytab(r.file, k) // as when settings are read again
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range []*auth.Kerberos{k, k, again} {
		_, done, err := auth.NewExchange(auth.Config{Kerberos: k, Now: func() time.Time { return r.now }}).Step(token)
		if done != (i == 0) || i > 0 && !strings.Contains(err.Error(), "used before") {
			t.Errorf("time %d: %v, %v", i, done, err)
		}
	}
}

func TestKerberosIsOfferedWhereItIs(t *testing.T) {
	r := newRealm(t, allAES[0])
	k, err := auth.OpenKeytab(r.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	with, without := auth.Config{Kerberos: k}, auth.Config{}
	for _, oid := range [][]byte{krbOID, msKrbOID} {
		if !bytes.Contains(with.Offer(), der(6, oid)) || bytes.Contains(without.Offer(), der(6, oid)) {
			t.Errorf("mechanism % x", oid)
		}
	}
	if s := k.Services(); len(s) != 1 || s[0] != service+"@"+realmName {
		t.Errorf("%q", s)
	}
	// Without a keytab, a client that would rather have Kerberos has to go on by NTLM.
	reply, done, err := auth.NewExchange(without).Step(krbInitToken(krbMechList(msKrbOID, krbOID, ntlmOID), []byte("a ticket")))
	if err != nil || done || krbParseResp(t, reply).State != 3 {
		t.Errorf("%v, %v, %+v", done, err, krbParseResp(t, reply))
	}
}

func TestAKeytabIsChecked(t *testing.T) {
	r := newRealm(t, etypeID.RC4_HMAC)
	if _, err := auth.OpenKeytab(r.file, nil); err == nil || !strings.Contains(err.Error(), "no key of AES") {
		t.Error(err)
	}
	r = newRealm(t, allAES...)
	raw, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		_ = os.WriteFile(r.file, raw[:n], 0o600)
		_, _ = auth.OpenKeytab(r.file, nil) // an error or fewer keys, but no panic
	}
	if err := os.Chmod(r.file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.OpenKeytab(r.file, nil); err == nil {
		t.Error("a keytab that everybody can read was taken")
	}
}

func FuzzKerberos(f *testing.F) {
	r := newRealm(f, allAES...)
	u := &ticketUser{name: "alice", realm: realmName, etype: allAES[1], contextFlags: 2}
	token := u.token(f, r)
	f.Add(krbInitToken(krbMechList(msKrbOID, ntlmOID), token), []byte(nil))
	f.Add(krbInitToken(krbMechList(otherOID, krbOID), nil), krbRespToken(token, []byte("\x04\x04\x00\xff\xff\xff\xff\xff12345678")))
	f.Add(krbInitToken(krbMechList(krbOID), der(0x60, der(6, krbOID), []byte{1, 0}, der(0x6e, der(0x30)))), []byte(nil))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		e := r.exchange(t)
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
