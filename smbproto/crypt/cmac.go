package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

const blockSize = aes.BlockSize

// chunk is how much of a message goes through the cipher at a time, bytes: enough that
// the call does not count, little enough to stay in the first cache.
const chunk = 4 << 10

// cbcMAC is the chain that CMAC and CCM have in common: each block is added to
// the cipher of those before it.
type cbcMAC struct {
	mode  cipher.BlockMode
	chain [blockSize]byte // what the mode will add to the next block
	block [blockSize]byte
	out   [chunk]byte
}

func newCBCMAC(b cipher.Block) *cbcMAC {
	m := &cbcMAC{}
	m.mode = cipher.NewCBCEncrypter(b, m.chain[:])
	return m
}

// begin starts a message with its first block. The mode can't be set back to zeros,
// so what it will add is taken out of the block before.
func (m *cbcMAC) begin(first *[blockSize]byte) {
	subtle.XORBytes(m.block[:], first[:], m.chain[:])
	m.mode.CryptBlocks(m.chain[:], m.block[:])
}

// add takes whole blocks.
func (m *cbcMAC) add(b []byte) {
	for len(b) > 0 {
		n := min(len(b), chunk)
		m.mode.CryptBlocks(m.out[:n], b[:n])
		copy(m.chain[:], m.out[n-blockSize:n])
		b = b[n:]
	}
}

// addPadded takes bytes, and zeros up to a whole block.
func (m *cbcMAC) addPadded(b []byte) {
	whole := len(b) &^ (blockSize - 1)
	m.add(b[:whole])
	if rest := b[whole:]; len(rest) > 0 {
		clear(m.block[copy(m.block[:], rest):])
		m.mode.CryptBlocks(m.chain[:], m.block[:])
	}
}

// cmac is AES-CMAC, RFC 4493.
type cmac struct {
	cbc    *cbcMAC
	k1, k2 [blockSize]byte
	first  [blockSize]byte
}

func newCMAC(key []byte) (*cmac, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	m := &cmac{cbc: newCBCMAC(b)}
	b.Encrypt(m.k1[:], m.k1[:])
	double(&m.k1)
	m.k2 = m.k1
	double(&m.k2)
	return m, nil
}

// double multiplies by x in GF(2^128), RFC 4493 2.3.
func double(k *[blockSize]byte) {
	carry := k[0] >> 7
	for i := range blockSize - 1 {
		k[i] = k[i]<<1 | k[i+1]>>7
	}
	k[blockSize-1] = k[blockSize-1]<<1 ^ carry*0x87
}

// sum computes the code of b, which is good until the next one.
func (m *cmac) sum(b []byte) []byte {
	last := max(len(b)-1, 0) &^ (blockSize - 1) // where the last block begins
	var k *[blockSize]byte
	if len(b)-last == blockSize {
		k = &m.k1
	} else {
		k = &m.k2
	}
	final := &m.first
	clear(final[:])
	if n := copy(final[:], b[last:]); n < blockSize {
		final[n] = 0x80
	}
	subtle.XORBytes(final[:], final[:], k[:])
	if last == 0 {
		m.cbc.begin(final)
		return m.cbc.chain[:]
	}
	m.cbc.begin((*[blockSize]byte)(b))
	m.cbc.add(b[blockSize:last])
	m.cbc.add(final[:])
	return m.cbc.chain[:]
}
