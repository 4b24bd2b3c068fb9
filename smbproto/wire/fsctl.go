package wire

// File system controls, MS-SMB2 2.2.31 and MS-FSCC 2.3.
const (
	FsctlDFSGetReferrals        uint32 = 0x00060194
	FsctlDFSGetReferralsEx      uint32 = 0x000601B0
	FsctlGetCompression         uint32 = 0x0009003C
	FsctlSetCompression         uint32 = 0x0009C040
	FsctlGetObjectID            uint32 = 0x0009009C
	FsctlGetReparsePoint        uint32 = 0x000900A8
	FsctlCreateOrGetObjectID    uint32 = 0x000900C0
	FsctlSetSparse              uint32 = 0x000900C4
	FsctlQueryAllocatedRanges   uint32 = 0x000940CF
	FsctlSetZeroData            uint32 = 0x000980C8
	FsctlPipeWait               uint32 = 0x00110018
	FsctlPipePeek               uint32 = 0x0011400C
	FsctlPipeTransceive         uint32 = 0x0011C017
	FsctlRequestResumeKey       uint32 = 0x00140078
	FsctlRequestResiliency      uint32 = 0x001401D4
	FsctlQueryNetworkInterfaces uint32 = 0x001401FC
	FsctlValidateNegotiateInfo  uint32 = 0x00140204
	FsctlCopyChunk              uint32 = 0x001440F2
	FsctlCopyChunkWrite         uint32 = 0x001480F2
)

// Sizes of what the controls take and give.
const (
	ObjectIDSize          = 64
	ResumeKeySize         = 32
	CopyChunkResponseSize = 12
	FileRangeSize         = 16
	CompressionSize       = 2

	resumeKeyLen   = 24 // of the key alone
	copyChunkFixed = 32
	copyChunkLen   = 24
)

// PutObjectID writes a FILE_OBJECTID_BUFFER of type 1 (MS-FSCC 2.1.3): the id of a file on its volume,
// which is where it was born.
func PutObjectID(b []byte, f *FileInfo, volume [16]byte) int {
	clear(b[:ObjectIDSize])
	le.PutUint64(b, f.FileIndex)
	le.PutUint64(b[8:], f.Volume)
	copy(b[16:32], volume[:])
	copy(b[32:48], b[:16])
	return ObjectIDSize
}

// PutResumeKey writes the answer to FSCTL_SRV_REQUEST_RESUME_KEY, MS-SMB2 2.2.32.3. The key is the FileId: it is good
// in the session that has the open, and nowhere else.
func PutResumeKey(b []byte, id FileID) int {
	clear(b[:ResumeKeySize])
	id.Put(b)
	return ResumeKeySize
}

// CompressionNone is COMPRESSION_FORMAT_NONE, MS-FSCC 2.3, FSCTL_GET_COMPRESSION.
const CompressionNone = 0

// PutCompression writes the answer to FSCTL_GET_COMPRESSION.
func PutCompression(b []byte, format uint16) int {
	le.PutUint16(b, format)
	return CompressionSize
}

// Compression is the input of FSCTL_SET_COMPRESSION.
type Compression []byte

// Valid checks the length.
func (m Compression) Valid() error {
	if len(m) < CompressionSize {
		return malformed("compression of %d bytes", len(m))
	}
	return nil
}

// Format asked for.
func (m Compression) Format() uint16 { return le.Uint16(m) }

// CopyChunks is the input of FSCTL_SRV_COPYCHUNK, MS-SMB2 2.2.31.1.
type CopyChunks []byte

// Valid checks the layout.
func (m CopyChunks) Valid() error {
	if len(m) < copyChunkFixed || uint64(len(m)-copyChunkFixed) < copyChunkLen*uint64(m.Count()) {
		return malformed("copy chunks of %d bytes", len(m))
	}
	return nil
}

// Source is the open that is copied from; false if the key is none of ours.
func (m CopyChunks) Source() (id FileID, ok bool) {
	return ReadFileID(m), le.Uint64(m[FileIDSize:]) == 0
}

// Count is the number of chunks.
func (m CopyChunks) Count() uint32 { return le.Uint32(m[resumeKeyLen:]) }

// Chunk i.
func (m CopyChunks) Chunk(i int) (source, target uint64, length uint32) {
	b := m[copyChunkFixed+copyChunkLen*i:]
	return le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:])
}

// PutCopyChunk writes the answer, MS-SMB2 2.2.32.1: what was written, or the limits.
func PutCopyChunk(b []byte, chunks, chunkBytes, total uint32) int {
	le.PutUint32(b, chunks)
	le.PutUint32(b[4:], chunkBytes)
	le.PutUint32(b[8:], total)
	return CopyChunkResponseSize
}

// FileRange is FILE_ZERO_DATA_INFORMATION or FILE_ALLOCATED_RANGE_BUFFER: two offsets, or an offset and a length
// (MS-FSCC 2.3, FSCTL_SET_ZERO_DATA and FSCTL_QUERY_ALLOCATED_RANGES).
type FileRange []byte

// Valid checks the length, and that nothing is negative.
func (m FileRange) Valid() error {
	if len(m) < FileRangeSize || m.First() < 0 || m.Second() < 0 {
		return malformed("file range of %d bytes", len(m))
	}
	return nil
}

// First and Second value.
func (m FileRange) First() int64  { return int64(le.Uint64(m)) }
func (m FileRange) Second() int64 { return int64(le.Uint64(m[8:])) }

// PutAllocatedRange writes one.
func PutAllocatedRange(b []byte, off, length int64) {
	le.PutUint64(b, uint64(off))
	le.PutUint64(b[8:], uint64(length))
}
