package crypt

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"hash"

	"ustack/smbproto/wire"
)

// SMB1Signer signs and verifies SMB1 messages, MS-CIFS 3.1.4.1. There is one for a connection, with the key of its
// first log-on. A message reaches from its header to its end.
type SMB1Signer struct {
	key []byte
	md5 hash.Hash
	sum [md5.Size]byte
	seq [8]byte
}

// NewSMB1Signer makes a signer. response is what a client without extended security has proved its
// password with, and nil of others.
func NewSMB1Signer(sessionKey, response []byte) *SMB1Signer {
	return &SMB1Signer{key: append(append([]byte(nil), sessionKey...), response...), md5: md5.New()}
}

// Sign writes the signature of a message that has a sequence number into its header. The caller has set all else
// that the header says.
func (s *SMB1Signer) Sign(msg []byte, seq uint32) error {
	if len(msg) < wire.SMB1HeaderSize {
		return ErrShortMessage
	}
	copy(wire.SMB1Header(msg).Signature(), s.compute(msg, seq))
	return nil
}

// Verify tells whether a message bears its right signature.
func (s *SMB1Signer) Verify(msg []byte, seq uint32) bool {
	if len(msg) < wire.SMB1HeaderSize {
		return false
	}
	want := s.compute(msg, seq)
	return hmac.Equal(want[:8], wire.SMB1Header(msg).Signature())
}

// compute is the code of a message with its sequence number in place of the signature.
func (s *SMB1Signer) compute(msg []byte, seq uint32) []byte {
	binary.LittleEndian.PutUint64(s.seq[:], uint64(seq))
	s.md5.Reset()
	s.md5.Write(s.key)
	s.md5.Write(msg[:14])
	s.md5.Write(s.seq[:])
	s.md5.Write(msg[22:])
	return s.md5.Sum(s.sum[:0])
}
