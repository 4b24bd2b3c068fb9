package authtest

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// What a client may ask for, RFC 4121 4.1.1.
const (
	FlagMutual = 2
	FlagDCE    = 0x1000
)

// User is a client with a ticket. What a test changes of it is in fields.
type User struct {
	Name, Realm  string
	Service      string // if not the realm's
	Etype        int32
	Life         time.Duration // of the ticket, from the realm's time on; an hour, if 0
	Clock        time.Duration // off
	Claims       string        // in the authenticator, if not Name
	NoSubkey     bool
	ContextFlags uint32
	Cut          int // bytes of the ticket's cipher that are left
	NoOptions    bool
	// Change, if not nil, may change the ticket and the authenticator before they are encrypted, and then the AP-REQ.
	Change func(part Part, b []byte) []byte

	Session, Subkey types.EncryptionKey
	CTime           time.Time
	Cusec           int
}

// Part is what of a token Change gets.
type Part int

// The parts of a token.
const (
	Ticket Part = iota
	Authenticator
	APReq
)

func (u *User) change(part Part, b []byte) []byte {
	if u.Change == nil {
		return b
	}
	return u.Change(part, b)
}

// ticket is what the KDC makes, RFC 4120 5.3. Its session key is u.Session.
func (u *User) ticket(t testing.TB, r *Realm) messages.Ticket {
	t.Helper()
	etype, err := crypto.GetEtype(u.Etype)
	if err != nil {
		t.Fatal(err)
	}
	if u.Session, err = types.GenerateEncryptionKey(etype); err != nil {
		t.Fatal(err)
	}
	life, service := u.Life, u.Service
	if life == 0 {
		life = time.Hour
	}
	if service == "" {
		service = Service
	}
	end := r.Time.Add(life)
	plain, err := asn1.Marshal(messages.EncTicketPart{
		Flags: types.NewKrbFlags(), Key: u.Session, CRealm: u.Realm, CName: types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, u.Name),
		AuthTime: r.Time, StartTime: r.Time, EndTime: end, RenewTill: end,
	})
	if err != nil {
		t.Fatal(err)
	}
	sname := types.NewPrincipalName(nametype.KRB_NT_SRV_INST, service)
	key, _, err := r.Keys.GetEncryptionKey(sname, RealmName, 2, u.Etype)
	if err != nil {
		t.Fatal(err)
	}
	plain = u.change(Ticket, asn1tools.AddASNAppTag(plain, asnAppTag.EncTicketPart))
	return messages.Ticket{TktVNO: iana.PVNO, Realm: RealmName, SName: sname, EncPart: seal(t, plain, key, keyusage.KDC_REP_TICKET, 2)}
}

func seal(t testing.TB, plain []byte, key types.EncryptionKey, usage uint32, kvno int) types.EncryptedData {
	t.Helper()
	d, err := crypto.GetEncryptedData(plain, key, usage, kvno)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// authenticator is RFC 4120 5.5.1's. Its key is u.Subkey.
func (u *User) authenticator(t testing.TB, r *Realm) []byte {
	t.Helper()
	claims := u.Claims
	if claims == "" {
		claims = u.Name
	}
	a, err := types.NewAuthenticator(u.Realm, types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, claims))
	if err != nil {
		t.Fatal(err)
	}
	a.CTime, a.Cusec = r.Time.Add(u.Clock), 7
	u.CTime, u.Cusec = a.CTime, a.Cusec
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], u.ContextFlags)
	a.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	if !u.NoSubkey {
		e, err := crypto.GetEtype(u.Etype)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.GenerateSeqNumberAndSubKey(u.Etype, e.GetKeyByteSize()); err != nil {
			t.Fatal(err)
		}
	}
	u.Subkey = a.SubKey
	plain, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return u.change(Authenticator, plain)
}

// Token makes the AP-REQ in its framing, with a new ticket.
func (u *User) Token(t testing.TB, r *Realm) []byte {
	t.Helper()
	req := messages.APReq{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REQ, APOptions: types.NewKrbFlags(), Ticket: u.ticket(t, r)}
	req.EncryptedAuthenticator = seal(t, u.authenticator(t, r), u.Session, keyusage.AP_REQ_AUTHENTICATOR, 2)
	if u.ContextFlags&FlagMutual != 0 {
		types.SetFlag(&req.APOptions, flags.APOptionMutualRequired)
	}
	if u.Cut > 0 {
		req.Ticket.EncPart.Cipher = req.Ticket.EncPart.Cipher[:u.Cut]
	}
	if u.NoOptions {
		req.APOptions = asn1.BitString{}
	}
	raw, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return DER(0x60, DER(6, KerberosOID), []byte{1, 0}, u.change(APReq, raw))
}

var errNoAPRep = errors.New("no AP-REP")

// Finish opens the AP-REP, and returns the key that both ends have then.
func (u *User) Finish(token []byte) (key types.EncryptionKey, seq uint64, err error) {
	var app asn1.RawValue
	head := len(DER(6, KerberosOID)) + 2
	if _, err := asn1.Unmarshal(token, &app); err != nil || len(app.Bytes) < head || app.Bytes[head-2] != 2 || app.Bytes[head-1] != 0 {
		return key, 0, errNoAPRep
	}
	var rep messages.APRep
	if err := rep.Unmarshal(app.Bytes[head:]); err != nil {
		return key, 0, err
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, u.Session, keyusage.AP_REP_ENCPART)
	if err != nil {
		return key, 0, err
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return key, 0, err
	}
	if !part.CTime.Equal(u.CTime) || part.Cusec != u.Cusec {
		return key, 0, errors.New("the AP-REP is for another AP-REQ")
	}
	return part.Subkey, uint64(part.SequenceNumber), nil
}

// MIC is a client's, of its list of mechanisms, once it has a key.
func MIC(t testing.TB, key types.EncryptionKey, flags byte, list []byte) []byte {
	t.Helper()
	m := gssapi.MICToken{Flags: flags, Payload: list}
	if err := m.SetChecksum(key, keyusage.GSSAPI_INITIATOR_SIGN); err != nil {
		t.Fatal(err)
	}
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
