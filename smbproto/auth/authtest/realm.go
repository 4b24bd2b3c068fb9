package authtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"ustack/smbproto/auth"
)

// Whose keys a realm's keytab has.
const (
	RealmName = "EXAMPLE.COM"
	Service   = "cifs/files.example.com"
)

// AES leaves out AES256_CTS_HMAC_SHA384_192, for which gokrb5's KDC makes keys that are too short.
var AES = []int32{etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128}

// Realm plays the KDC: what it knows is the keytab that it shares with the server.
type Realm struct {
	Keys *keytab.Keytab
	File string
	Time time.Time // by the server's clock, too
}

// NewRealm makes the keytab, with keys of these encryption types.
func NewRealm(t testing.TB, etypes ...int32) *Realm {
	t.Helper()
	r := &Realm{Keys: keytab.New(), File: filepath.Join(t.TempDir(), "keytab"), Time: time.Now().UTC().Truncate(time.Second)}
	for _, e := range etypes {
		r.AddKey(t, Service, "secret", e)
	}
	return r
}

// AddKey adds a service to the keytab, or a newer key of one.
func (r *Realm) AddKey(t testing.TB, service, password string, etype int32) {
	t.Helper()
	made := r.Time.Add(time.Duration(len(r.Keys.Entries)) * time.Second)
	if err := r.Keys.AddEntry(service, RealmName, password, made, 2, etype); err != nil {
		t.Fatal(err)
	}
	raw, err := r.Keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.File, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Now is Time, for auth.Config.
func (r *Realm) Now() time.Time { return r.Time }

// Kerberos opens the keytab.
func (r *Realm) Kerberos(t testing.TB) *auth.Kerberos {
	t.Helper()
	k, err := auth.OpenKeytab(r.File, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
