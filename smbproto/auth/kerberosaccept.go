package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Token identifiers, RFC 4121 4.1.
var (
	tokenAPReq = []byte{1, 0}
	tokenAPRep = []byte{2, 0}
)

// What the checksum of an authenticator says, RFC 4121 4.1.1.
const (
	checksumGSS = 0x8003
	flagMutual  = 2
	flagDCE     = 0x1000 // three messages: for DCE RPC, RFC 4757 7.3
)

// kerberosAcceptor is the server's side of one authentication by Kerberos, without SPNEGO: one message, and an answer to
// it if the client wants to know who the server is.
type kerberosAcceptor struct {
	cfg *Config

	id      Identity
	claimed Identity
	key     types.EncryptionKey // that protects messages of the context
	flags   byte                // of its tokens
	seq     uint64              // of the next token that is sent
}

// accept judges a token with an AP-REQ. reply is nil if the client asks for none.
func (a *kerberosAcceptor) accept(token []byte) (reply []byte, err error) {
	raw, err := parseGSSToken(token, tokenAPReq)
	if err != nil {
		return nil, err
	}
	var req messages.APReq
	if err := guarded(func() error { return req.Unmarshal(raw) }); err != nil {
		return nil, malformed("AP-REQ: %w", err)
	}
	if err := a.decrypt(&req); err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	if err := a.check(&req, now); err != nil {
		return nil, err
	}
	wanted, err := contextFlags(req.Authenticator.Cksum)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Kerberos.seen.add(sha256.Sum256(req.EncryptedAuthenticator.Cipher), a.claimed.User+"@"+a.claimed.Domain, now); err != nil {
		return nil, err
	}
	a.key = req.Ticket.DecryptedEncPart.Key
	if sub := req.Authenticator.SubKey; len(sub.KeyValue) > 0 {
		if err := checkKey(sub); err != nil {
			return nil, err
		}
		a.key = sub
	}
	if wanted&flagMutual != 0 || isSet(req.APOptions, flags.APOptionMutualRequired) {
		if reply, err = a.answer(&req); err != nil {
			return nil, err
		}
	}
	id := a.claimed
	if _, known := a.cfg.account(id.User); !known {
		id.Realm = id.Domain
	}
	copy(id.SessionKey[:], a.key.KeyValue) // its first 16 bytes, MS-SMB2 3.3.5.5.3
	id.FullSessionKey = a.key.KeyValue
	if id.Expires = req.Ticket.DecryptedEncPart.EndTime; !now.Before(id.Expires) {
		id.Expires = id.Expires.Add(maxSkew) // it still is good by the clock of a client that has no other yet
	}
	a.id = id
	return reply, nil
}

// maxService bounds the name of a service and its realm, bytes: nobody has proved anything who sends it, and it is logged.
const maxService = 512

// decrypt opens the ticket by a key of the keytab, and the authenticator by the key in the ticket.
func (a *kerberosAcceptor) decrypt(req *messages.APReq) error {
	t := &req.Ticket
	service := t.SName.PrincipalNameString()
	switch {
	case len(service)+len(t.Realm) > maxService:
		return malformed("a ticket for a name of %d bytes", len(service)+len(t.Realm))
	case !aes(t.EncPart.EType):
		return refused("a ticket of encryption type %d, want AES", t.EncPart.EType)
	case !serves(t.SName.NameString):
		return refused("a ticket for %q, want one for cifs or host", service)
	case isSet(req.APOptions, flags.APOptionUseSessionKey):
		return unsupported("authentication from user to user")
	}
	if err := guarded(func() error { return t.DecryptEncPart(a.cfg.Kerberos.keys, &t.SName) }); err != nil {
		return refused("ticket for %s@%s: %v", service, t.Realm, err)
	}
	if err := checkKey(t.DecryptedEncPart.Key); err != nil {
		return err
	}
	// From here on it is known that the KDC made the ticket.
	a.claimed = Identity{User: t.DecryptedEncPart.CName.PrincipalNameString(), Domain: t.DecryptedEncPart.CRealm}
	if err := guarded(func() error { return req.DecryptAuthenticator(t.DecryptedEncPart.Key) }); err != nil {
		return refused("authenticator of %s@%s: %v", a.claimed.User, a.claimed.Domain, err)
	}
	return nil
}

// isSet asks for a flag of RFC 4120 5.2.8, of which there may be fewer than there should: gokrb5's own question has it that none is
// missing.
func isSet(f asn1.BitString, i int) bool { return f.At(i) == 1 }

// checkKey refuses what is no key of AES.
func checkKey(key types.EncryptionKey) error {
	if !aes(key.KeyType) {
		return refused("a key of encryption type %d, want AES", key.KeyType)
	}
	want := 16
	if key.KeyType == etypeID.AES256_CTS_HMAC_SHA1_96 || key.KeyType == etypeID.AES256_CTS_HMAC_SHA384_192 {
		want = 32
	}
	if len(key.KeyValue) != want {
		return malformed("a key of %d bytes, want %d", len(key.KeyValue), want)
	}
	return nil
}

// check applies the rules of RFC 4120 3.2.3. A user is a principal of one component, of the realm of the service: the
// names of others could be taken for a user's. Addresses in tickets, which hardly any has, are not looked at.
func (a *kerberosAcceptor) check(req *messages.APReq, now time.Time) error {
	t, auth := &req.Ticket.DecryptedEncPart, &req.Authenticator
	sent := auth.CTime.Add(time.Duration(auth.Cusec) * time.Microsecond)
	begin := t.StartTime
	if begin.IsZero() {
		begin = t.AuthTime
	}
	who := a.claimed.User + "@" + a.claimed.Domain
	switch {
	case !auth.CName.Equal(t.CName) || auth.CRealm != t.CRealm:
		return refused("authenticator of another than %s", who)
	case now.Sub(sent) > maxSkew || sent.Sub(now) > maxSkew:
		return refused("the clock of %s is off by %v: more than %v", who, now.Sub(sent).Round(time.Second), maxSkew)
	case begin.Sub(now) > maxSkew || isSet(t.Flags, flags.Invalid):
		return refused("the ticket of %s is not valid yet", who)
	case now.Sub(t.EndTime) > maxSkew:
		return refused("the ticket of %s has expired", who)
	case t.CRealm != req.Ticket.Realm:
		return refused("%s is of another realm than the service, %s", who, req.Ticket.Realm)
	case len(t.CName.NameString) != 1 || a.claimed.User == "" || !utf8.ValidString(a.claimed.User):
		return refused("%s is no user: want a name of one component", who)
	}
	return nil
}

// contextFlags are what a client asks for in the checksum that is no checksum, RFC 4121 4.1.1; 0 where there is none.
func contextFlags(sum types.Checksum) (uint32, error) {
	const fixed = 24 // a length, 16 bytes of channel bindings, flags
	if sum.CksumType != checksumGSS {
		return 0, nil
	}
	if len(sum.Checksum) < fixed || binary.LittleEndian.Uint32(sum.Checksum) != 16 {
		return 0, malformed("checksum of an authenticator of %d bytes, want at least %d", len(sum.Checksum), fixed)
	}
	f := binary.LittleEndian.Uint32(sum.Checksum[20:])
	if f&flagDCE != 0 {
		return 0, unsupported("authentication in three messages")
	}
	return f, nil
}

// answer makes the AP-REP, RFC 4120 3.2.4, with a key of the acceptor's, which is then the context's (RFC 4121 2).
func (a *kerberosAcceptor) answer(req *messages.APReq) ([]byte, error) {
	sub := types.EncryptionKey{KeyType: a.key.KeyType, KeyValue: make([]byte, len(a.key.KeyValue))}
	var seq [4]byte
	for _, b := range [][]byte{sub.KeyValue, seq[:]} {
		if _, err := io.ReadFull(a.cfg.Rand, b); err != nil {
			return nil, fmt.Errorf("auth: no randomness for a key: %w", err)
		}
	}
	a.seq = uint64(binary.BigEndian.Uint32(seq[:]) >> 2) // clients may take it for a signed number
	part, err := asn1.Marshal(messages.EncAPRepPart{
		CTime: req.Authenticator.CTime, Cusec: req.Authenticator.Cusec, Subkey: sub, SequenceNumber: int64(a.seq),
	})
	if err != nil {
		return nil, fmt.Errorf("auth: AP-REP: %w", err)
	}
	part = asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart)
	sealed, err := crypto.GetEncryptedData(part, req.Ticket.DecryptedEncPart.Key, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		return nil, fmt.Errorf("auth: AP-REP: %w", err)
	}
	rep, err := asn1.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, fmt.Errorf("auth: AP-REP: %w", err)
	}
	a.key, a.flags = sub, gssapi.MICTokenFlagAcceptorSubkey
	return encodeGSSToken(tokenAPRep, asn1tools.AddASNAppTag(rep, asnAppTag.APREP)), nil
}

// sum is the MIC of a message, RFC 4121 4.2.6.1.
func (a *kerberosAcceptor) sum(message []byte) ([]byte, error) {
	t := gssapi.MICToken{Flags: a.flags | gssapi.MICTokenFlagSentByAcceptor, SndSeqNum: a.seq, Payload: message}
	a.seq++
	if err := t.SetChecksum(a.key, keyusage.GSSAPI_ACCEPTOR_SIGN); err != nil {
		return nil, fmt.Errorf("auth: MIC: %w", err)
	}
	return t.Marshal()
}

// verify looks at a client's MIC of a message.
func (a *kerberosAcceptor) verify(message, mic []byte) error {
	var t gssapi.MICToken
	if err := t.Unmarshal(mic, false); err != nil {
		return malformed("MIC: %w", err)
	}
	if t.Flags != a.flags {
		return refused("MIC with flags %#x, want %#x", t.Flags, a.flags)
	}
	t.Payload = message
	if ok, _ := t.Verify(a.key, keyusage.GSSAPI_INITIATOR_SIGN); !ok {
		return errors.New("MIC does not fit")
	}
	return nil
}

// parseGSSToken opens the framing of RFC 2743 3.1 around a Kerberos message.
func parseGSSToken(b, id []byte) ([]byte, error) {
	app, err := onlyElement(b, tagApplication, "Kerberos token")
	if err != nil {
		return nil, err
	}
	oid, rest, err := wantElement(app.body, tagOID, "mechanism of the Kerberos token")
	if err != nil {
		return nil, err
	}
	if !isKerberos(oid.body) {
		return nil, unsupported("token of mechanism % .32x, want Kerberos", oid.body)
	}
	if !bytes.HasPrefix(rest, id) {
		return nil, malformed("Kerberos token without the identifier % x", id)
	}
	return rest[len(id):], nil
}

func encodeGSSToken(id, message []byte) []byte {
	return encode(tagApplication, encode(tagOID, oidKerberos), id, message)
}
