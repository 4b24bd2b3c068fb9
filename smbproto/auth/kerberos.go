package auth

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
)

const (
	// maxSkew is how far a client's clock may be from the server's, RFC 4120 3.1.3.
	maxSkew = 5 * time.Minute
	// maxReplays bounds the authenticators that are remembered: some 130 log-ons a second.
	maxReplays = 80_000
	// maxUserReplays is the share of one user, who could keep all others off with more.
	maxUserReplays = maxReplays / 10
)

// A Kerberos proves who a user is by tickets for the services whose keys are in a keytab (RFC 4120, RFC 4121). It may be used
// from any goroutine, and does not change but for the authenticators that it has seen.
type Kerberos struct {
	keys *keytab.Keytab
	seen *replays
}

// OpenKeytab reads a keytab, as ktadd of MIT's kadmin writes it, to which nobody but its owner has access. before, if not
// nil, is what was used until now: what that has seen is not taken again. A keytab without keys of AES for cifs, or host, is an error.
func OpenKeytab(path string, before *Kerberos) (*Kerberos, error) {
	raw, _, err := readUserFile(path)
	if err != nil {
		return nil, fmt.Errorf("auth: keytab: %w", err)
	}
	k := &Kerberos{keys: new(keytab.Keytab)}
	if err := guarded(func() error { return k.keys.Unmarshal(raw) }); err != nil {
		return nil, fmt.Errorf("auth: keytab %s: %w", path, err)
	}
	if len(k.Services()) == 0 {
		return nil, fmt.Errorf("auth: keytab %s: no key of AES for cifs in it", path)
	}
	if before != nil {
		k.seen = before.seen
	} else {
		k.seen = &replays{until: map[[32]byte]time.Time{}, users: map[string]int{}}
	}
	return k, nil
}

// serves says whether a principal stands for file services. A ticket for another one that has its key in the same keytab, which may
// be a machine's whole, is none for this server: who has only that key would make tickets for anybody, and who is given such tickets
// could pass them on.
func serves(name []string) bool { return len(name) > 0 && (name[0] == "cifs" || name[0] == "host") }

// Services are the principals for which tickets are taken, as service/host@REALM.
func (k *Kerberos) Services() (names []string) {
	for _, e := range k.keys.Entries {
		if name := e.Principal.String(); aes(e.Key.KeyType) && serves(e.Principal.Components) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// aes says whether an encryption type is of RFC 3962 or RFC 8009: others, RC4 and DES among them, are not taken.
func aes(etype int32) bool {
	switch etype {
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192:
		return true
	}
	return false
}

// guarded calls a decoder of gokrb5's, of which not all look at every length that is a stranger's: what would end the
// program is a malformed token.
func guarded(decode func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = malformed("Kerberos message: %v", p)
		}
	}()
	return decode()
}

// replays are the authenticators that were taken, RFC 4120 3.2.3, until nobody would take them any more for their age.
type replays struct {
	mu    sync.Mutex
	until map[[32]byte]time.Time
	order []replay // by age
	users map[string]int
}

type replay struct {
	sum  [32]byte
	user string
}

// add remembers a user's authenticator; it is refused if it was there already, and when more are remembered than may be.
func (r *replays) add(sum [32]byte, user string, now time.Time) error {
	user = fold(user)
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 && now.After(r.until[r.order[0].sum]) {
		old := r.order[0]
		delete(r.until, old.sum)
		if r.users[old.user]--; r.users[old.user] == 0 {
			delete(r.users, old.user)
		}
		r.order = r.order[1:]
	}
	if _, again := r.until[sum]; again {
		return refused("an authenticator that was used before")
	}
	if len(r.order) >= maxReplays || r.users[user] >= maxUserReplays {
		return refused("%d log-ons by Kerberos in %v, %d of them of %s, are more than can be remembered", len(r.order), 2*maxSkew, r.users[user], user)
	}
	r.until[sum] = now.Add(2 * maxSkew)
	r.order = append(r.order, replay{sum, user})
	r.users[user]++
	return nil
}
