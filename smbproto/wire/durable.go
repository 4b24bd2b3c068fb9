package wire

import "time"

// Names of the create contexts of durable handles, MS-SMB2 2.2.13.2, and of those that name an instance of an application, by
// which a client takes over what it had open on another machine.
const (
	ContextDurableRequest     = "DHnQ"
	ContextDurableReconnect   = "DHnC"
	ContextDurableRequestV2   = "DH2Q"
	ContextDurableReconnectV2 = "DH2C"
	ContextAppInstanceID      = "\x45\xBC\xA6\x6A\xEF\xA7\xF7\x4A\x90\x08\xFA\x46\x2E\x14\x4D\x74"
)

// GUID of 16 bytes, which the server compares and nothing else.
type GUID [16]byte

// DurableRequestSize is the data of SMB2_CREATE_DURABLE_HANDLE_REQUEST, which says nothing (MS-SMB2 2.2.13.2.3), and
// DurableResponseSize that of its response, neither (2.2.14.2.3).
const (
	DurableRequestSize  = 16
	DurableResponseSize = 8
)

// DurableReconnect is the data of SMB2_CREATE_DURABLE_HANDLE_RECONNECT, MS-SMB2 2.2.13.2.4.
type DurableReconnect []byte

// Valid checks the size.
func (b DurableReconnect) Valid() error {
	if len(b) != FileIDSize {
		return malformed("durable reconnect context of %d bytes", len(b))
	}
	return nil
}

// FileID of the open, of which the persistent part counts.
func (b DurableReconnect) FileID() FileID { return ReadFileID(b) }

// DurablePersistent is SMB2_DHANDLE_FLAG_PERSISTENT, of requests, reconnects and responses.
const DurablePersistent uint32 = 2

// DurableRequestV2 is the data of SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, MS-SMB2 2.2.13.2.11.
type DurableRequestV2 []byte

// Valid checks the size.
func (b DurableRequestV2) Valid() error {
	if len(b) != 32 {
		return malformed("durable request context of %d bytes", len(b))
	}
	return nil
}

// Timeout is how long the open is to be kept; 0 leaves that to the server.
func (b DurableRequestV2) Timeout() time.Duration {
	return time.Duration(le.Uint32(b)) * time.Millisecond
}

// Flags of the request.
func (b DurableRequestV2) Flags() uint32 { return le.Uint32(b[4:]) }

// CreateGUID names the create.
func (b DurableRequestV2) CreateGUID() GUID { return GUID(b[16:32]) }

// DurableReconnectV2 is the data of SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, MS-SMB2 2.2.13.2.12.
type DurableReconnectV2 []byte

// Valid checks the size.
func (b DurableReconnectV2) Valid() error {
	if len(b) != 36 {
		return malformed("durable reconnect context of %d bytes", len(b))
	}
	return nil
}

// FileID of the open, of which the persistent part counts.
func (b DurableReconnectV2) FileID() FileID { return ReadFileID(b) }

// CreateGUID is that of the create by which the file was opened.
func (b DurableReconnectV2) CreateGUID() GUID { return GUID(b[16:32]) }

// Flags of the reconnect.
func (b DurableReconnectV2) Flags() uint32 { return le.Uint32(b[32:]) }

// DurableResponseV2Size is the data of SMB2_CREATE_DURABLE_HANDLE_RESPONSE_V2.
const DurableResponseV2Size = 8

// PutDurableResponseV2 writes it, MS-SMB2 2.2.14.2.12: no handle is persistent here.
func PutDurableResponseV2(b []byte, timeout time.Duration) {
	clear(b[:DurableResponseV2Size])
	le.PutUint32(b, uint32(timeout.Milliseconds()))
}

// AppInstanceID is the data of SMB2_CREATE_APP_INSTANCE_ID, MS-SMB2 2.2.13.2.13.
type AppInstanceID []byte

// Valid checks the size.
func (b AppInstanceID) Valid() error {
	if len(b) != 20 || le.Uint16(b) != 20 {
		return malformed("application instance context of %d bytes", len(b))
	}
	return nil
}

// ID of the instance.
func (b AppInstanceID) ID() GUID { return GUID(b[4:20]) }

// ResiliencyRequest is the input of FSCTL_LMR_REQUEST_RESILIENCY, MS-SMB2 2.2.31.3.
type ResiliencyRequest []byte

// Valid checks the size.
func (b ResiliencyRequest) Valid() error {
	if len(b) < 8 {
		return malformed("resiliency request of %d bytes", len(b))
	}
	return nil
}

// Timeout is how long the open is to be kept; 0 leaves that to the server.
func (b ResiliencyRequest) Timeout() time.Duration {
	return time.Duration(le.Uint32(b)) * time.Millisecond
}
