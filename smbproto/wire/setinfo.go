package wire

// BasicInfo is a view over FileBasicInformation to be set, MS-FSCC 2.4.7.
type BasicInfo []byte

// Valid checks the length.
func (b BasicInfo) Valid() error { return checkInfo("basic", b, 36) }

// Creation time to set.
func (b BasicInfo) Creation() Filetime { return Filetime(le.Uint64(b)) }

// LastAccess time to set.
func (b BasicInfo) LastAccess() Filetime { return Filetime(le.Uint64(b[8:])) }

// LastWrite time to set.
func (b BasicInfo) LastWrite() Filetime { return Filetime(le.Uint64(b[16:])) }

// Change time to set.
func (b BasicInfo) Change() Filetime { return Filetime(le.Uint64(b[24:])) }

// Attributes to set; 0 leaves them.
func (b BasicInfo) Attributes() Attributes { return Attributes(le.Uint32(b[32:])) }

func checkInfo(what string, b []byte, least int) error {
	if len(b) < least {
		return malformed("%s information of %d bytes, expected %d", what, len(b), least)
	}
	return nil
}

// SizeInfo is FileEndOfFile-, FileAllocation- or FilePositionInformation: 8 bytes
// (MS-FSCC 2.4.14, 2.4.4, 2.4.40).
type SizeInfo []byte

// Valid checks the length and that the size is not negative.
func (b SizeInfo) Valid() error {
	if err := checkInfo("size", b, 8); err != nil {
		return err
	}
	if int64(le.Uint64(b)) < 0 {
		return malformed("size %d", int64(le.Uint64(b)))
	}
	return nil
}

// Size is the value.
func (b SizeInfo) Size() int64 { return int64(le.Uint64(b)) }

// ModeInfo is FileModeInformation, MS-FSCC 2.4.
type ModeInfo []byte

// Valid checks the length.
func (b ModeInfo) Valid() error { return checkInfo("mode", b, 4) }

// Mode to set.
func (b ModeInfo) Mode() CreateOptions { return CreateOptions(le.Uint32(b)) }

// DispositionInfo is FileDispositionInformation, MS-FSCC 2.4.11.
type DispositionInfo []byte

// Valid checks the length.
func (b DispositionInfo) Valid() error { return checkInfo("disposition", b, 1) }

// Delete says whether the file's name is to be deleted when its last open is closed.
func (b DispositionInfo) Delete() bool { return b[0]&1 != 0 }

// RenameInfo is FileRenameInformation for SMB2, MS-FSCC 2.4.42.2.
type RenameInfo []byte

// Valid checks the layout.
func (b RenameInfo) Valid() error {
	if err := checkInfo("rename", b, 20); err != nil {
		return err
	}
	if n := uint64(le.Uint32(b[16:])); n == 0 || n > uint64(len(b)-20) {
		return malformed("new name of %d bytes, in %d", n, len(b)-20)
	}
	return nil
}

// Replace says whether a file of the new name is replaced.
func (b RenameInfo) Replace() bool { return b[0]&1 != 0 }

// RootDirectory must be 0.
func (b RenameInfo) RootDirectory() uint64 { return le.Uint64(b[8:]) }

// Name in UTF-16, in place, from the share's root.
func (b RenameInfo) Name() []byte { return b[20 : 20+le.Uint32(b[16:])] }

// NewRenameInfo makes one, of a name from the share's root.
func NewRenameInfo(name string, replace bool) RenameInfo {
	b := make([]byte, 20+UTF16Len(name))
	if replace {
		b[0] = 1
	}
	le.PutUint32(b[16:], uint32(PutUTF16(b[20:], name)))
	return b
}

// NewBasicInfo makes one.
func NewBasicInfo(creation, access, write, change Filetime, a Attributes) BasicInfo {
	b := make([]byte, 40)
	for i, t := range []Filetime{creation, access, write, change} {
		le.PutUint64(b[8*i:], uint64(t))
	}
	le.PutUint32(b[32:], uint32(a))
	return b
}
