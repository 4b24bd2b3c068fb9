package sd

// Well-known SIDs, MS-DTYP 2.4.2.4.
var (
	Everyone           = NewSID(1, 0)
	CreatorOwner       = NewSID(3, 0)
	CreatorGroup       = NewSID(3, 1)
	OwnerRights        = NewSID(3, 4)
	Network            = NewSID(5, 2)
	Anonymous          = NewSID(5, 7)
	AuthenticatedUsers = NewSID(5, 11)
	System             = NewSID(5, 18)
	Administrators     = NewSID(5, 32, 544)
	Users              = NewSID(5, 32, 545)
	Guests             = NewSID(5, 32, 546)
)

// RIDs that every domain has, MS-DTYP 2.4.2.4.
const (
	GuestRID       uint32 = 501
	DomainUsersRID uint32 = 513
)

// UnixUser and UnixGroup are the SIDs by which Linux' own users and groups are told to clients: those that Samba uses,
// and the client in Linux knows.
func UnixUser(uid uint32) SID  { return NewSID(22, 1, uid) }
func UnixGroup(gid uint32) SID { return NewSID(22, 2, gid) }
