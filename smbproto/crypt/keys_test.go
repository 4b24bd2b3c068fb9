package crypt

import (
	"encoding/hex"
	"testing"

	"ustack/smbproto/wire"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What Microsoft has published of its own servers' keys.
func TestKeysArePublishedOnes(t *testing.T) {
	for _, c := range []struct {
		name, session, preauth string
		dialect                wire.Dialect
		want                   string
	}{
		{"3.0", "7CD451825D0450D235424E44BA6E78CC", "", wire.Dialect300, "0B7E9C5CAC36C0F6EA9AB275298CEDCE"},
		{"3.1.1", "270E1BA896585EEB7AF3472D3B4C75A7",
			"0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB7928622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01",
			wire.Dialect311, "73FE7A9A77BEF0BDE49C650D8CCB5F76"},
	} {
		p := Parameters{Dialect: c.dialect}
		copy(p.Preauth[:], unhex(t, c.preauth))
		if got := DeriveKeys(p, [16]byte(unhex(t, c.session))); hex.EncodeToString(got.Signing) != hex.EncodeToString(unhex(t, c.want)) {
			t.Errorf("%s: signing key %x, want %s", c.name, got.Signing, c.want)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	for _, p := range []Parameters{
		{Dialect: wire.Dialect300, Cipher: AES128CCM},
		{Dialect: wire.Dialect302, Cipher: AES128CCM},
		{Dialect: wire.Dialect311, Cipher: AES128GCM},
		{Dialect: wire.Dialect311, Cipher: AES256GCM},
	} {
		k := DeriveKeys(p, [16]byte{1})
		seen := map[string]bool{}
		for _, b := range [][]byte{k.Signing, k.Application, k.Encryption[:16], k.Decryption[:16]} {
			seen[string(b)] = true
		}
		if len(seen) != 4 || len(k.Encryption) != p.Cipher.keySize() || len(k.Decryption) != p.Cipher.keySize() {
			t.Errorf("%+v: %+v", p, k)
		}
	}
}
