package crypt

import (
	"crypto/md5"
	"errors"
	"testing"

	"ustack/smbproto/wire"
)

// The signature is the first half of a digest of the key and the message, in which the sequence number stands for it.
func TestSMB1SignatureIsOfKeyNumberAndMessage(t *testing.T) {
	key, response := []byte("0123456789abcdef"), []byte("response")
	msg := make([]byte, wire.SMB1HeaderSize+5)
	copy(msg, "\xffSMBr")
	s := NewSMB1Signer(key, response)
	if err := s.Sign(msg, 0x01020304); err != nil {
		t.Fatal(err)
	}
	hashed := append([]byte(nil), msg...)
	copy(hashed[14:22], []byte{4, 3, 2, 1, 0, 0, 0, 0})
	want := md5.Sum(append(append(append([]byte(nil), key...), response...), hashed...))
	if string(msg[14:22]) != string(want[:8]) {
		t.Errorf("% x, want % x", msg[14:22], want[:8])
	}
	if !s.Verify(msg, 0x01020304) {
		t.Error("it is not taken for its own")
	}
	if s.Verify(msg, 0x01020305) || NewSMB1Signer(key, nil).Verify(msg, 0x01020304) {
		t.Error("another number or key will do")
	}
	msg[len(msg)-1]++
	if s.Verify(msg, 0x01020304) {
		t.Error("another message will do")
	}
	if err := s.Sign(msg[:20], 0); !errors.Is(err, ErrShortMessage) || s.Verify(msg[:20], 0) {
		t.Errorf("a message without a header: %v", err)
	}
}
