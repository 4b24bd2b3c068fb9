package wire

// Parts of a security descriptor that a query asks for, MS-SMB2 2.2.37.
const (
	SecurityOwner uint32 = 1
	SecurityGroup uint32 = 2
	SecurityDACL  uint32 = 4
)

// everyone is the SID S-1-1-0, MS-DTYP 2.4.2.4.
var everyone = [12]byte{1, 1, 0, 0, 0, 0, 0, 1}

const (
	securityFixed = 20
	aclSize       = 8 + 8 + len(everyone) // an ACL with one entry
)

// SecuritySize is the length of a descriptor of these parts.
func SecuritySize(parts uint32) int {
	n := securityFixed
	if parts&SecurityOwner != 0 {
		n += len(everyone)
	}
	if parts&SecurityGroup != 0 {
		n += len(everyone)
	}
	if parts&SecurityDACL != 0 {
		n += aclSize
	}
	return n
}

// PutSecurity writes a self-relative descriptor (MS-DTYP 2.4.6) that gives access to everyone.
func PutSecurity(b []byte, parts uint32, access Access, dir bool) {
	clear(b[:securityFixed])
	b[0] = 1
	control := uint16(0x8000) // self-relative
	n := securityFixed
	if parts&SecurityOwner != 0 {
		le.PutUint32(b[4:], uint32(n))
		n += copy(b[n:], everyone[:])
	}
	if parts&SecurityGroup != 0 {
		le.PutUint32(b[8:], uint32(n))
		n += copy(b[n:], everyone[:])
	}
	if parts&SecurityDACL != 0 {
		control |= 4 // DACL present
		le.PutUint32(b[16:], uint32(n))
		acl := b[n : n+aclSize]
		clear(acl)
		acl[0] = 2
		le.PutUint16(acl[2:], uint16(aclSize))
		le.PutUint16(acl[4:], 1)
		if dir {
			acl[9] = 3 // inherited by files and directories
		}
		le.PutUint16(acl[10:], uint16(aclSize-8))
		le.PutUint32(acl[12:], uint32(access))
		copy(acl[16:], everyone[:])
	}
	le.PutUint16(b[2:], control)
}
