package wire

// StreamInfo is what FileStreamInformation says about a stream, MS-FSCC 2.4.49.
type StreamInfo struct {
	Name                 string // ":name:$DATA"
	Size, AllocationSize uint64
}

// DefaultStream is the name of the stream that has no name.
const DefaultStream = "::$DATA"

const streamFixed = 24

// PutStreams writes FileStreamInformation into b. With StatusBufferOverflow it has the
// streams that fit.
func PutStreams(b []byte, streams []StreamInfo) (n int, status Status) {
	if len(b) < FileStreamInformation.minSize() {
		return 0, StatusInfoLengthMismatch
	}
	last := -1
	for _, s := range streams {
		at := alignUp(n)
		size := streamFixed + UTF16Len(s.Name)
		if at+size > len(b) {
			return n, StatusBufferOverflow
		}
		clear(b[n:at])
		e := b[at : at+size]
		le.PutUint32(e, 0)
		le.PutUint32(e[4:], uint32(size-streamFixed))
		le.PutUint64(e[8:], s.Size)
		le.PutUint64(e[16:], s.AllocationSize)
		PutUTF16(e[streamFixed:], s.Name)
		if last >= 0 {
			le.PutUint32(b[last:], uint32(at-last))
		}
		last, n = at, at+size
	}
	return n, StatusOK
}
