package crypt

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"

	"ustack/smbproto/wire"
)

// deriveKey is the KDF of SP 800-108 in counter mode with HMAC-SHA256 and counters of 32
// bits (MS-SMB2 3.1.4.2). size is in bytes, and one round of 32 at most.
func deriveKey(key []byte, label string, context []byte, size int) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{0, 0, 0, 1})
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(context)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(8*size)))
	return h.Sum(nil)[:size]
}

// Preauth is the pre-authentication integrity hash of a connection or a session:
// SHA-512 over the hash so far and the next message (MS-SMB2 3.1.4.4.1). It begins with zeros.
type Preauth [sha512.Size]byte

// Add takes the next message, from its SMB2 header to its end.
func (p *Preauth) Add(msg []byte) {
	h := sha512.New()
	h.Write(p[:])
	h.Write(msg)
	h.Sum(p[:0])
}

// Parameters are what the keys of a session depend on besides its session key.
type Parameters struct {
	Dialect wire.Dialect // 3.0 or later
	Cipher  Cipher       // how long the keys for encryption are
	Preauth Preauth      // of the session, in dialect 3.1.1
	// FullKey is Session.FullSessionKey, from which keys of AES-256 are made; nil if it is the session key.
	FullKey []byte
}

// Keys of a session, as the server uses them (MS-SMB2 3.3.5.5.3).
type Keys struct {
	Signing     []byte // 16 bytes, for both directions
	Application []byte // 16 bytes, for what runs over the session
	Encryption  []byte // of what the server sends
	Decryption  []byte // of what the client sends
}

// Labels and contexts end in a zero byte, which counts, MS-SMB2 3.3.5.5.3.
const (
	signingLabel300     = "SMB2AESCMAC\x00"
	signingContext300   = "SmbSign\x00"
	applicationLabel300 = "SMB2APP\x00"
	applicationContext  = "SmbRpc\x00"
	cipherLabel300      = "SMB2AESCCM\x00"
	fromServer300       = "ServerOut\x00"
	fromClient300       = "ServerIn \x00" // the space is part of it

	signingLabel311     = "SMBSigningKey\x00"
	applicationLabel311 = "SMBAppKey\x00"
	fromServerLabel311  = "SMBS2CCipherKey\x00"
	fromClientLabel311  = "SMBC2SCipherKey\x00"
)

// DeriveKeys makes the keys of a session of dialect 3.0 or later.
func DeriveKeys(p Parameters, sessionKey [16]byte) Keys {
	key := sessionKey[:]
	if p.Dialect >= wire.Dialect311 {
		context, size := p.Preauth[:], p.Cipher.keySize()
		sealing := key
		if size > len(key) && p.FullKey != nil {
			sealing = p.FullKey
		}
		return Keys{
			Signing:     deriveKey(key, signingLabel311, context, 16),
			Application: deriveKey(key, applicationLabel311, context, 16),
			Encryption:  deriveKey(sealing, fromServerLabel311, context, size),
			Decryption:  deriveKey(sealing, fromClientLabel311, context, size),
		}
	}
	return Keys{
		Signing:     deriveKey(key, signingLabel300, []byte(signingContext300), 16),
		Application: deriveKey(key, applicationLabel300, []byte(applicationContext), 16),
		Encryption:  deriveKey(key, cipherLabel300, []byte(fromServer300), 16),
		Decryption:  deriveKey(key, cipherLabel300, []byte(fromClient300), 16),
	}
}
