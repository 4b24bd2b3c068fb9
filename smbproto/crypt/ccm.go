package crypt

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// ccm is AES-CCM, RFC 3610, in place and with the tag apart. SMB has nonces of 11
// bytes, tags of 16 and 32 bytes that are authenticated only; the tests use the RFC's
// own sizes.
type ccm struct {
	block     cipher.Block
	mac       *cbcMAC
	nonceSize int
	tagSize   int

	head   [blockSize]byte // B_0, and the beginning of what is authenticated only
	ctr    [blockSize]byte
	stream [chunk]byte
	tag    [blockSize]byte
}

func newCCM(b cipher.Block, nonceSize, tagSize int) *ccm {
	return &ccm{block: b, mac: newCBCMAC(b), nonceSize: nonceSize, tagSize: tagSize}
}

// authenticate computes the tag of plain text into c.tag.
func (c *ccm) authenticate(nonce, aad, plain []byte) {
	lengthSize := blockSize - 1 - c.nonceSize
	h := &c.head
	clear(h[:])
	binary.BigEndian.PutUint64(h[8:], uint64(len(plain))) // the nonce covers what is too much
	h[0] = byte((c.tagSize-2)/2<<3 | (lengthSize - 1))
	if len(aad) > 0 {
		h[0] |= 0x40
	}
	copy(h[1:], nonce)
	c.mac.begin(h)
	if len(aad) > 0 {
		// Its length, two bytes, comes first in the same block: less than 0xFF00, RFC 3610 2.2.
		clear(h[:])
		binary.BigEndian.PutUint16(h[:], uint16(len(aad)))
		n := copy(h[2:], aad)
		c.mac.add(h[:])
		c.mac.addPadded(aad[n:])
	}
	c.mac.addPadded(plain)
	c.counter(nonce)
	c.block.Encrypt(c.stream[:blockSize], c.ctr[:])
	subtle.XORBytes(c.tag[:], c.mac.chain[:], c.stream[:blockSize])
}

// crypt adds the key stream to b.
func (c *ccm) crypt(nonce, b []byte) {
	c.counter(nonce)
	for len(b) > 0 {
		n := min(len(b), chunk)
		for at := 0; at < n; at += blockSize {
			c.next()
			c.block.Encrypt(c.stream[at:at+blockSize], c.ctr[:])
		}
		subtle.XORBytes(b[:n], b[:n], c.stream[:n])
		b = b[n:]
	}
}

// counter sets the counter to 0, whose block of the key stream is the tag's.
func (c *ccm) counter(nonce []byte) {
	clear(c.ctr[:])
	c.ctr[0] = byte(blockSize - 2 - c.nonceSize)
	copy(c.ctr[1:], nonce)
}

// next counts in the bytes behind the nonce. A message is shorter than they can count.
func (c *ccm) next() {
	for i := blockSize - 1; i > c.nonceSize; i-- {
		if c.ctr[i]++; c.ctr[i] != 0 {
			return
		}
	}
}

// seal encrypts b in place. The tag is good until the next call.
func (c *ccm) seal(nonce, aad, b []byte) (tag []byte) {
	c.authenticate(nonce, aad, b)
	c.crypt(nonce, b)
	return c.tag[:c.tagSize]
}

// open decrypts b in place, and clears it if the tag is not right.
func (c *ccm) open(nonce, aad, b, tag []byte) bool {
	c.crypt(nonce, b)
	c.authenticate(nonce, aad, b)
	if subtle.ConstantTimeCompare(c.tag[:c.tagSize], tag) != 1 {
		clear(b)
		return false
	}
	return true
}
