package auth

import (
	"crypto/sha256"
	"encoding/binary"
)

// Relative identifiers of accounts, MS-DTYP 2.4.2: those below firstRID are well-known.
const (
	firstRID = 1000
	allRIDs  = 1<<31 - firstRID
)

// RID is the number that an account has in SIDs. It comes of its name, in whatever case, so files belong to the same
// account after a restart and wherever the user file is taken. Two names can have the same; in one user file they don't. Nobody
// looks for that in a realm, whose users are told apart by RealmNumbers.
func RID(name string) uint32 {
	sum := sha256.Sum256([]byte(fold(name)))
	return firstRID + binary.LittleEndian.Uint32(sum[:])%allRIDs
}

// RealmNumbers are what a realm's user has in SIDs in the place of a RID. They come of both names, in whatever case. They are
// 128 bits of a hash, since whoever may choose the name of a principal would find one soon that has the RID of somebody else.
func RealmNumbers(user, realm string) (n [4]uint32) {
	sum := sha256.Sum256([]byte(fold(user) + "\x00" + fold(realm)))
	for i := range n {
		n[i] = binary.LittleEndian.Uint32(sum[4*i:])
	}
	return n
}
