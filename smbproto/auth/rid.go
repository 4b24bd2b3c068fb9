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
// account after a restart and wherever the user file is taken. Two names can have the same; in one user file they don't.
func RID(name string) uint32 {
	sum := sha256.Sum256([]byte(fold(name)))
	return firstRID + binary.LittleEndian.Uint32(sum[:])%allRIDs
}
