package auth

import (
	"errors"
	"testing"
)

type oneUser struct{}

func (oneUser) Lookup(name string) ([16]byte, bool) { return NTHash("secret"), name == "alice" }

// respond makes an NTLMv2 response to a challenge.
func respond(password, user, domain string, challenge []byte) []byte {
	blob := make([]byte, blobHeader+4)
	blob[0], blob[1] = 1, 1
	key := ntowfv2(NTHash(password), utf16le(user), utf16le(domain))
	proof := hmacMD5(key[:], challenge, blob)
	return append(proof[:], blob...)
}

func TestClassicLogOn(t *testing.T) {
	for _, c := range []struct {
		name, user, password string
		guest                bool
		nt                   func([]byte) []byte
		want                 error
		asGuest, anonymous   bool
	}{
		{name: "user", user: "alice", password: "secret"},
		{name: "wrong password", user: "alice", password: "other", want: ErrLogonFailure},
		{name: "no account", user: "bob", password: "secret", want: ErrLogonFailure},
		{name: "guest", user: "bob", password: "secret", guest: true, asGuest: true},
		{name: "NTLMv1", user: "alice", nt: func([]byte) []byte { return make([]byte, oldResponse) }, want: ErrLogonFailure},
		{name: "nothing", user: "alice", nt: func([]byte) []byte { return nil }, want: ErrLogonFailure},
		{name: "short", user: "alice", nt: func(b []byte) []byte { return b[:20] }, want: ErrMalformed},
		{name: "nobody", nt: func([]byte) []byte { return nil }, want: ErrLogonFailure},
		{name: "nobody, who may", nt: func([]byte) []byte { return nil }, guest: true, asGuest: true, anonymous: true},
	} {
		l, err := NewClassic(Config{Users: oneUser{}, Guest: c.guest})
		if err != nil {
			t.Fatal(err)
		}
		nt := respond(c.password, c.user, "DOM", l.Challenge())
		if c.nt != nil {
			nt = c.nt(nt)
		}
		id, err := l.LogOn(c.user, "DOM", nil, nt)
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if err == nil && (id.Guest != c.asGuest || id.Anonymous != c.anonymous || (id.SessionKey == [16]byte{}) != c.asGuest) {
			t.Errorf("%s: %+v", c.name, id)
		}
	}
}
