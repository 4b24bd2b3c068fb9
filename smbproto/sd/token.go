package sd

// Token is who asks for access, MS-DTYP 2.5.2.
type Token struct {
	User   SID
	Group  SID   // the primary one: what a new file's group is
	Groups []SID // all others; the primary one stands among them

	// Security lets the SACL be read and written (SeSecurityPrivilege), TakeOwnership the owner be changed whatever the
	// DACL says, Restore anybody be made an owner (SeRestorePrivilege).
	Security, TakeOwnership, Restore bool
}

// Has reports whether the token is, or is a member of, what the SID names.
func (t *Token) Has(s SID) bool { return t.has([]byte(s)) }

func (t *Token) has(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	if string(s) == string(t.User) {
		return true
	}
	for _, g := range t.Groups {
		if string(s) == string(g) {
			return true
		}
	}
	return false
}

// MayOwn reports whether the token may make somebody a file's owner: itself, a group that it is in, or with the
// privilege to restore files anybody. MS-FSA 2.1.5.17 leaves open which SIDs are valid.
func (t *Token) MayOwn(s SID) bool { return s != "" && (t.Restore || t.Has(s)) }
