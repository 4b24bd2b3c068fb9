package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
)

// The magic constants of MS-NLMP 3.4.5.2 and 3.4.5.3; each ends with a zero byte.
const (
	clientSigning = "session key to client-to-server signing key magic constant\x00"
	serverSigning = "session key to server-to-client signing key magic constant\x00"
	clientSealing = "session key to client-to-server sealing key magic constant\x00"
	serverSealing = "session key to server-to-client sealing key magic constant\x00"
)

// macSize is the size of NTLMSSP_MESSAGE_SIGNATURE, MS-NLMP 2.2.2.9.2.
const macSize = 16

// security signs in one direction with extended session security
// (MS-NLMP 3.4.4.2). In SMB its one use is SPNEGO's mechListMIC.
type security struct {
	signing [16]byte
	sealing *rc4.Cipher // nil without key exchange: checksums then go in clear
	seq     uint32
}

func newSecurity(exported [16]byte, flags uint32, signing, sealing string) *security {
	s := &security{signing: md5.Sum(append(exported[:], signing...))}
	if flags&flagKeyExchange != 0 {
		s.sealing = rc4Cipher(sealKey(exported, flags, sealing))
	}
	return s
}

// sealKey weakens the key to what the flags allow, MS-NLMP 3.4.5.3.
func sealKey(exported [16]byte, flags uint32, magic string) [16]byte {
	key := exported[:5]
	switch {
	case flags&flag128 != 0:
		key = exported[:]
	case flags&flag56 != 0:
		key = exported[:7]
	}
	return md5.Sum(append(append([]byte(nil), key...), magic...))
}

// sum returns the signature of the next message and moves the sequence number on.
func (s *security) sum(message []byte) (mac [macSize]byte) {
	var seq [4]byte
	binary.LittleEndian.PutUint32(seq[:], s.seq)
	s.seq++
	checksum := hmacMD5(s.signing[:], seq[:], message)
	if s.sealing != nil {
		s.sealing.XORKeyStream(checksum[:8], checksum[:8])
	}
	binary.LittleEndian.PutUint32(mac[0:], 1) // version
	copy(mac[4:12], checksum[:8])
	copy(mac[12:], seq[:])
	return mac
}

// verify compares a received signature of the next message.
func (s *security) verify(message, mac []byte) bool {
	want := s.sum(message)
	return hmac.Equal(want[:], mac)
}
