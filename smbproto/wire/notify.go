package wire

// ChangeNotifyRequest, MS-SMB2 2.2.35.
type ChangeNotifyRequest []byte

// Valid checks the layout.
func (m ChangeNotifyRequest) Valid() error { return checkBody(m, 32) }

// WatchTree asks for the changes in all directories below, too.
const WatchTree uint16 = 1

// Flags of the request.
func (m ChangeNotifyRequest) Flags() uint16 { return le.Uint16(m[66:]) }

// OutputLength is the most the client takes.
func (m ChangeNotifyRequest) OutputLength() uint32 { return le.Uint32(m[68:]) }

// Filter says which changes count.
func (m ChangeNotifyRequest) Filter() NotifyFilter { return NotifyFilter(le.Uint32(m[88:])) }

// NotifyFilter is a set of kinds of changes, MS-SMB2 2.2.35.
type NotifyFilter uint32

// Kinds of changes.
const (
	NotifyFileName    NotifyFilter = 0x0001
	NotifyDirName     NotifyFilter = 0x0002
	NotifyAttributes  NotifyFilter = 0x0004
	NotifySize        NotifyFilter = 0x0008
	NotifyLastWrite   NotifyFilter = 0x0010
	NotifyLastAccess  NotifyFilter = 0x0020
	NotifyCreation    NotifyFilter = 0x0040
	NotifyEA          NotifyFilter = 0x0080
	NotifySecurity    NotifyFilter = 0x0100
	NotifyStreamName  NotifyFilter = 0x0200
	NotifyStreamSize  NotifyFilter = 0x0400
	NotifyStreamWrite NotifyFilter = 0x0800
)

// ChangeAction is what happened to a name, MS-FSCC 2.7.1.
type ChangeAction uint32

// What happened.
const (
	ChangeAdded ChangeAction = iota + 1
	ChangeRemoved
	ChangeModified
	ChangeRenamedOld
	ChangeRenamedNew
)

// NotifyInfoSize is the length of a FILE_NOTIFY_INFORMATION of a name that takes n bytes in UTF-16, MS-FSCC
// 2.7.1; another that follows begins at a multiple of 4.
func NotifyInfoSize(n int) int { return 12 + n }

// AppendNotify adds a FILE_NOTIFY_INFORMATION to those in b, of which the last begins at
// last (-1: there is none). It returns where the new one begins.
func AppendNotify(b []byte, last int, action ChangeAction, name string) (grown []byte, at int) {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	if at = len(b); last >= 0 {
		le.PutUint32(b[last:], uint32(at-last))
	}
	n := UTF16Len(name)
	b = append(b, make([]byte, NotifyInfoSize(n))...)
	le.PutUint32(b[at+4:], uint32(action))
	le.PutUint32(b[at+8:], uint32(n))
	PutUTF16(b[at+12:], name)
	return b, at
}
