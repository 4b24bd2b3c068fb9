package wire

// FsInfoClass is a level of information about a volume, MS-FSCC 2.5.
type FsInfoClass uint8

// File system information classes.
const (
	FsVolumeInformation     FsInfoClass = 1
	FsSizeInformation       FsInfoClass = 3
	FsDeviceInformation     FsInfoClass = 4
	FsAttributeInformation  FsInfoClass = 5
	FsControlInformation    FsInfoClass = 6
	FsFullSizeInformation   FsInfoClass = 7
	FsObjectIDInformation   FsInfoClass = 8
	FsSectorSizeInformation FsInfoClass = 11
)

// File system attributes, MS-FSCC 2.5.1.
const (
	FsCaseSensitiveSearch uint32 = 0x00000001
	FsCasePreservedNames  uint32 = 0x00000002
	FsUnicodeOnDisk       uint32 = 0x00000004
	FsPersistentACLs      uint32 = 0x00000008
	FsSparseFiles         uint32 = 0x00000040
	FsObjectIDs           uint32 = 0x00010000
	FsNamedStreams        uint32 = 0x00040000
	FsReadOnlyVolume      uint32 = 0x00080000
	FsExtendedAttributes  uint32 = 0x00800000
)

// FsInfo is all that the levels say about a volume.
type FsInfo struct {
	Label, FileSystem string
	Serial            uint32
	ObjectID          [16]byte
	Creation          Filetime
	Attributes        uint32
	MaxName           uint32
	UnitSize          uint32 // bytes per allocation unit: a multiple of 512
	Total, Free       uint64 // units; Free is what a caller may use
	ActuallyFree      uint64 // units
	Files, FreeFiles  uint64 // that the volume can have, and could have besides
	ReadOnly          bool
}

const sectorSize = 512

// minSize is the least output buffer for each class. A class that is not here cannot
// be queried.
func (c FsInfoClass) minSize() int {
	switch c {
	case FsVolumeInformation:
		return 24 // with what pads the structure, though the answer may be shorter
	case FsSizeInformation:
		return 24
	case FsDeviceInformation:
		return 8
	case FsAttributeInformation:
		return 16 // likewise
	case FsControlInformation:
		return 48
	case FsFullSizeInformation:
		return 32
	case FsObjectIDInformation:
		return 64
	case FsSectorSizeInformation:
		return 28
	}
	return 0
}

// PutFsInfo writes the information of a class into b, which is as long as the
// client allows. With StatusBufferOverflow what is written counts all the same.
func PutFsInfo(b []byte, class FsInfoClass, f *FsInfo) (n int, status Status) {
	least := class.minSize()
	if least == 0 {
		return 0, StatusInvalidInfoClass
	}
	if len(b) < least {
		return 0, StatusInfoLengthMismatch
	}
	clear(b[:least])
	switch class {
	case FsVolumeInformation: // MS-FSCC 2.5.9
		le.PutUint64(b, uint64(f.Creation))
		le.PutUint32(b[8:], f.Serial)
		return putFsName(b, 12, 18, f.Label)
	case FsSizeInformation: // 2.5.8
		le.PutUint64(b, f.Total)
		le.PutUint64(b[8:], f.Free)
		f.putUnits(b[16:])
	case FsDeviceInformation: // 2.5.10: a disk, mounted
		le.PutUint32(b, 7)
		le.PutUint32(b[4:], 0x20)
		if f.ReadOnly {
			le.PutUint32(b[4:], 0x22)
		}
	case FsAttributeInformation: // 2.5.1
		le.PutUint32(b, f.Attributes)
		le.PutUint32(b[4:], f.MaxName)
		return putFsName(b, 8, 12, f.FileSystem)
	case FsControlInformation: // 2.5.2: no quotas
		le.PutUint64(b[24:], ^uint64(0))
		le.PutUint64(b[32:], ^uint64(0))
	case FsFullSizeInformation: // 2.5.4
		le.PutUint64(b, f.Total)
		le.PutUint64(b[8:], f.Free)
		le.PutUint64(b[16:], f.ActuallyFree)
		f.putUnits(b[24:])
	case FsObjectIDInformation: // 2.5.6
		copy(b, f.ObjectID[:])
	case FsSectorSizeInformation: // 2.5.7
		for i := 0; i < 16; i += 4 {
			le.PutUint32(b[i:], sectorSize)
		}
		le.PutUint32(b[4:], f.UnitSize)
		le.PutUint32(b[8:], f.UnitSize)
		le.PutUint32(b[16:], 3) // aligned device, partition aligned
	}
	return least, StatusOK
}

func (f *FsInfo) putUnits(b []byte) {
	le.PutUint32(b, f.UnitSize/sectorSize)
	le.PutUint32(b[4:], sectorSize)
}

func putFsName(b []byte, lenAt, nameAt int, name string) (int, Status) {
	le.PutUint32(b[lenAt:], uint32(UTF16Len(name)))
	if nameAt+UTF16Len(name) > len(b) {
		return nameAt + putTruncated(b[nameAt:], name), StatusBufferOverflow
	}
	return nameAt + PutUTF16(b[nameAt:], name), StatusOK
}
