package wire

// TransformSize is the length of the header of an encrypted message, MS-SMB2 2.2.41.
const TransformSize = 52

// TransformAuthenticated is where the part of it begins that is authenticated with the
// message: its nonce and all behind it.
const TransformAuthenticated = 20

// SignatureSize is the length of a signature and of an encrypted message's tag.
const SignatureSize = 16

const transformEncrypted = 1

// TransformHeader is a view over an encrypted message: the header, and the cipher text
// up to the end of the frame.
type TransformHeader []byte

// Valid checks what must hold before it is decrypted, MS-SMB2 3.3.5.2.1.1: all of it is one
// encrypted message.
func (h TransformHeader) Valid() error {
	switch {
	case len(h) < TransformSize+HeaderSize:
		return malformed("encrypted message of %d bytes, expected at least %d", len(h), TransformSize+HeaderSize)
	case !IsTransform(h):
		return malformed("protocol identifier % x, expected % x", h[:4], ProtocolTransform)
	case h.Flags() != transformEncrypted:
		return malformed("flags %#x of an encrypted message, expected %#x", h.Flags(), transformEncrypted)
	case uint64(h.OriginalSize()) != uint64(len(h)-TransformSize):
		return malformed("encrypted message says that it has %d bytes, but has %d", h.OriginalSize(), len(h)-TransformSize)
	}
	return nil
}

// Signature is the tag in place.
func (h TransformHeader) Signature() []byte { return h[4:20] }

// Nonce in place. Ciphers use the first 11 or 12 bytes of it.
func (h TransformHeader) Nonce() []byte { return h[20:36] }

// OriginalSize is the length of what was encrypted.
func (h TransformHeader) OriginalSize() uint32 { return le.Uint32(h[36:]) }

// Flags of the message; dialects 3.0 and 3.0.2 have the cipher's number here, which is the same.
func (h TransformHeader) Flags() uint16 { return le.Uint16(h[42:]) }

// SessionID of the session whose key it is.
func (h TransformHeader) SessionID() uint64 { return le.Uint64(h[44:]) }

// Put writes the header for n bytes of cipher text, all but the nonce and the tag, which are
// zero then.
func (h TransformHeader) Put(n int, session uint64) {
	clear(h[:TransformSize])
	copy(h, ProtocolTransform[:])
	le.PutUint32(h[36:], uint32(n))
	le.PutUint16(h[42:], transformEncrypted)
	le.PutUint64(h[44:], session)
}
