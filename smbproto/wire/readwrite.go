package wire

// ReadRequest, MS-SMB2 2.2.19.
type ReadRequest []byte

// Valid checks the layout. Where the information of a channel lies is no matter: there is no channel on TCP.
func (m ReadRequest) Valid() error { return checkBody(m, 49) }

// Length asked for.
func (m ReadRequest) Length() uint32 { return le.Uint32(m[68:]) }

// Offset in the file.
func (m ReadRequest) Offset() uint64 { return le.Uint64(m[72:]) }

// MinimumCount below which the read fails.
func (m ReadRequest) MinimumCount() uint32 { return le.Uint32(m[96:]) }

// Channel of an RDMA read; 0 on TCP.
func (m ReadRequest) Channel() uint32 { return le.Uint32(m[100:]) }

// ReadResponseData is where a READ response's data begins, from its header: right
// behind the fixed body (MS-SMB2 2.2.20).
const ReadResponseData = HeaderSize + 16

// ReadResponse is a view of at least ReadResponseData bytes.
type ReadResponse []byte

// Put writes the fixed body for n bytes of data behind it.
func (m ReadResponse) Put(n int) {
	clear(m[HeaderSize:ReadResponseData])
	le.PutUint16(m[64:], 17)
	m[66] = ReadResponseData
	le.PutUint32(m[68:], uint32(n))
}

// WriteRequestFixed is the length of a WRITE up to where its data may begin: what
// must have arrived to know which file it goes to.
const WriteRequestFixed = HeaderSize + 48

// WriteRequest, MS-SMB2 2.2.21. Unlike all others it may be a view of the message's
// beginning only, while its data still arrives.
type WriteRequest []byte

// Valid checks the layout of a message that will be total bytes long, of which m
// holds at least the first WriteRequestFixed.
func (m WriteRequest) Valid(total int) error {
	if err := checkBody(m, 49); err != nil {
		return err
	}
	off, n := uint64(m.DataOffset()), uint64(m.Length())
	if n > 0 && (off < WriteRequestFixed || off > uint64(total) || n > uint64(total)-off) {
		return malformed("data at %d, %d bytes long, in a message of %d", off, n, total)
	}
	// A client may put the data at the last byte of the structure only; 0x100 is
	// the most that MS-SMB2 3.3.5.13 lets DataOffset be.
	if off > 0x100 {
		return malformed("data at %d, at most 256 allowed", off)
	}
	return nil
}

// DataOffset from the header.
func (m WriteRequest) DataOffset() int { return int(le.Uint16(m[66:])) }

// Length of the data.
func (m WriteRequest) Length() uint32 { return le.Uint32(m[68:]) }

// Offset in the file.
func (m WriteRequest) Offset() uint64 { return le.Uint64(m[72:]) }

// FileID of the open.
func (m WriteRequest) FileID() FileID { return ReadFileID(m[80:]) }

// Channel of an RDMA write; 0 on TCP.
func (m WriteRequest) Channel() uint32 { return le.Uint32(m[96:]) }

// Flags of the request.
func (m WriteRequest) Flags() uint32 { return le.Uint32(m[108:]) }

// Data in place; the whole message must be there.
func (m WriteRequest) Data() []byte { return cut(m, m.DataOffset(), int(m.Length())) }

// WriteThrough asks that the data be on disk before the response.
const WriteThrough uint32 = 1

// WriteResponseSize is the whole response, MS-SMB2 2.2.22.
const WriteResponseSize = HeaderSize + 16

// WriteResponse is a view of WriteResponseSize bytes.
type WriteResponse []byte

// Put writes the body for n bytes written.
func (m WriteResponse) Put(n uint32) {
	clear(m[HeaderSize:WriteResponseSize])
	le.PutUint16(m[64:], 17)
	le.PutUint32(m[68:], n)
}
