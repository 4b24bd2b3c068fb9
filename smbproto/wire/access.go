package wire

import "fmt"

// Access is an access mask, MS-SMB2 2.2.13.1.
type Access uint32

// Rights of files; a directory gives some bits another name (MS-SMB2 2.2.13.1.2).
const (
	AccessReadData        Access = 0x00000001 // list a directory
	AccessWriteData       Access = 0x00000002 // add a file
	AccessAppendData      Access = 0x00000004 // add a subdirectory
	AccessReadEA          Access = 0x00000008
	AccessWriteEA         Access = 0x00000010
	AccessExecute         Access = 0x00000020 // traverse
	AccessDeleteChild     Access = 0x00000040
	AccessReadAttributes  Access = 0x00000080
	AccessWriteAttributes Access = 0x00000100
	AccessDelete          Access = 0x00010000
	AccessReadControl     Access = 0x00020000
	AccessWriteDAC        Access = 0x00040000
	AccessWriteOwner      Access = 0x00080000
	AccessSynchronize     Access = 0x00100000
	AccessSystemSecurity  Access = 0x01000000
	AccessMaximumAllowed  Access = 0x02000000
	AccessGenericAll      Access = 0x10000000
	AccessGenericExecute  Access = 0x20000000
	AccessGenericWrite    Access = 0x40000000
	AccessGenericRead     Access = 0x80000000

	// AccessAll is every specific right: FILE_ALL_ACCESS.
	AccessAll Access = 0x001F01FF
	// AccessReadOnly is what a share that may not be changed grants.
	AccessReadOnly Access = 0x001200A9
	// AccessChanges are the rights that change something.
	AccessChanges = AccessWriteData | AccessAppendData | AccessWriteEA | AccessDeleteChild |
		AccessWriteAttributes | AccessDelete | AccessWriteDAC | AccessWriteOwner
)

// Has reports whether any of the rights is there.
func (a Access) Has(rights Access) bool { return a&rights != 0 }

// Specific replaces the generic rights by what they stand for with files.
func (a Access) Specific() Access {
	const standard = AccessReadControl | AccessSynchronize
	if a&AccessGenericAll != 0 {
		a |= AccessAll
	}
	if a&AccessGenericRead != 0 {
		a |= AccessReadData | AccessReadAttributes | AccessReadEA | standard
	}
	if a&AccessGenericWrite != 0 {
		a |= AccessWriteData | AccessAppendData | AccessWriteAttributes | AccessWriteEA | standard
	}
	if a&AccessGenericExecute != 0 {
		a |= AccessExecute | AccessReadAttributes | standard
	}
	return a &^ (AccessGenericAll | AccessGenericRead | AccessGenericWrite | AccessGenericExecute)
}

// ShareAccess is what an open lets others do, MS-SMB2 2.2.13.
type ShareAccess uint32

// Share modes.
const (
	ShareRead   ShareAccess = 1
	ShareWrite  ShareAccess = 2
	ShareDelete ShareAccess = 4
)

// Disposition of a create, MS-SMB2 2.2.13.
type Disposition uint32

// Dispositions.
const (
	Supersede Disposition = iota
	Open
	Create
	OpenIf
	Overwrite
	OverwriteIf
)

// String is the value's name in MS-SMB2, without what all begin with.
func (d Disposition) String() string {
	names := [...]string{"supersede", "open", "create", "open_if", "overwrite", "overwrite_if"}
	if int64(d) >= int64(len(names)) {
		return fmt.Sprintf("%#x", uint32(d))
	}
	return names[d]
}

// CreateAction is what a create did, MS-SMB2 2.2.14.
type CreateAction uint32

// Actions.
const (
	ActionSuperseded CreateAction = iota
	ActionOpened
	ActionCreated
	ActionOverwritten
)

// CreateOptions of a create, MS-SMB2 2.2.13.
type CreateOptions uint32

// Options.
const (
	OptionDirectory        CreateOptions = 0x00000001
	OptionWriteThrough     CreateOptions = 0x00000002
	OptionSequentialOnly   CreateOptions = 0x00000004
	OptionNoBuffering      CreateOptions = 0x00000008
	OptionSyncAlert        CreateOptions = 0x00000010
	OptionSyncNonAlert     CreateOptions = 0x00000020
	OptionNonDirectory     CreateOptions = 0x00000040
	OptionTreeConnection   CreateOptions = 0x00000080
	OptionDeleteOnClose    CreateOptions = 0x00001000
	OptionOpenByFileID     CreateOptions = 0x00002000
	OptionReserveOpfilter  CreateOptions = 0x00100000
	OptionOpenReparsePoint CreateOptions = 0x00200000

	// OptionsMode are those that an open's mode has, OptionsModeSettable those of them that can be set later
	// (MS-FSCC 2.4, FileModeInformation).
	OptionsMode         = OptionsModeSettable | OptionDeleteOnClose
	OptionsModeSettable = OptionWriteThrough | OptionSequentialOnly | OptionNoBuffering | OptionSyncAlert | OptionSyncNonAlert
	// OptionsValid are the bits that mean something.
	OptionsValid CreateOptions = 0x00FFFFFF
)

// Attributes of a file, MS-FSCC 2.6.
type Attributes uint32

// File attributes.
const (
	AttributeReadOnly   Attributes = 0x00000001
	AttributeHidden     Attributes = 0x00000002
	AttributeSystem     Attributes = 0x00000004
	AttributeDirectory  Attributes = 0x00000010
	AttributeArchive    Attributes = 0x00000020
	AttributeNormal     Attributes = 0x00000080
	AttributeTemporary  Attributes = 0x00000100
	AttributeSparse     Attributes = 0x00000200
	AttributeReparse    Attributes = 0x00000400
	AttributeCompressed Attributes = 0x00000800
	AttributeOffline    Attributes = 0x00001000
	AttributeNotIndexed Attributes = 0x00002000
	AttributeEncrypted  Attributes = 0x00004000

	// AttributesSettable are those that a client may set.
	AttributesSettable = AttributeReadOnly | AttributeHidden | AttributeSystem | AttributeArchive |
		AttributeTemporary | AttributeOffline | AttributeNotIndexed
	// AttributesValid are those that a client may name.
	AttributesValid = AttributesSettable | AttributeDirectory | AttributeNormal | AttributeSparse | AttributeReparse |
		AttributeCompressed | AttributeEncrypted
)
