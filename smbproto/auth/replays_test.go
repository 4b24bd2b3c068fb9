package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

// Who logs on again and again keeps nobody else off, and himself only for a time.
func TestAUserHasAShareOfTheReplays(t *testing.T) {
	r, now := &replays{until: map[[32]byte]time.Time{}, users: map[string]int{}}, time.Now()
	var sum [32]byte
	add := func(user string) error {
		binary.LittleEndian.PutUint32(sum[:], binary.LittleEndian.Uint32(sum[:])+1)
		return r.add(sum, user, now)
	}
	refused := 0
	for range maxReplays / 2 {
		for _, same := range []string{"mallory@EXAMPLE.COM", "MALLORY@EXAMPLE.COM"} { // some KDCs make tickets for either
			if add(same) != nil {
				refused++
			}
		}
	}
	if err := add("alice@EXAMPLE.COM"); err != nil || refused != maxReplays-maxUserReplays {
		t.Errorf("%v, after %d refused of another", err, refused)
	}
	now = now.Add(2*maxSkew + time.Second)
	if err := add("mallory@EXAMPLE.COM"); err != nil || len(r.until) != 1 || len(r.users) != 1 {
		t.Errorf("%v, %d are remembered of %d users", err, len(r.until), len(r.users))
	}
}
