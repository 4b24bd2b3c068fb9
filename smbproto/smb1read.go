package smbproto

import (
	"math"

	"ustack/smbproto/wire"
)

// smb1ReadFixed is the answer to a READ_ANDX before its data: 12 words, the byte count and what aligns the data.
const smb1ReadFixed = 1 + 24 + 2 + 3

func readAndXLength(c *Conn, b *wire.SMB1Block) int {
	n := int(b.Word(5))
	if b.HasWords(12) { // MaxCountHigh, which older clients use for a timeout
		if high := b.U32(14); high != math.MaxUint32 && high < 0x100 {
			n |= int(high) << 16
		}
	}
	return min(n, c.maxRead)
}

func readAndXRoom(c *Conn, _ wire.SMB1Header, b *wire.SMB1Block) int { return readAndXLength(c, b) }

// readAndX: MS-CIFS 3.3.5.36. The file is read into the out ring, at the place from which it is sent.
func (c *Conn) readAndX(r *smb1Request, w *smb1Reply) wire.Status {
	b, o := &r.block, r.open
	off := uint64(b.U32(6))
	if b.HasWords(12) {
		off |= uint64(b.U32(20)) << 32
	}
	at := w.at + smb1ReadFixed
	at -= at % 4
	dst := w.msg[at:]
	dst = dst[:min(readAndXLength(c, b), len(dst))]
	n, status := c.readSMB1(r, o, dst, off)
	if status != wire.StatusOK && status != wire.StatusBufferOverflow {
		return status
	}
	words := w.andX(12)
	wire.PutSMB1U16(words[4:], math.MaxUint16) // Available, of pipes
	wire.PutSMB1U16(words[10:], uint16(n))
	wire.PutSMB1U16(words[12:], uint16(at))
	wire.PutSMB1U16(words[14:], uint16(n>>16))
	clear(w.msg[w.n:at])
	w.grow(at - w.n + n)
	return status
}

// mayRead reports whether an open has the rights to be read: who reads to execute may also read what he may execute.
func (r *smb1Request) mayRead(o *open) bool {
	rights := wire.AccessReadData
	if r.header().Has(wire.SMB1Flags2ReadExecute) {
		rights |= wire.AccessExecute
	}
	return o.access.Has(rights)
}

// readSMB1 reads a file, where at its end there is nothing to read, or a pipe.
func (c *Conn) readSMB1(r *smb1Request, o *open, dst []byte, off uint64) (int, wire.Status) {
	if !r.mayRead(o) {
		return 0, wire.StatusAccessDenied
	}
	if o.file == nil {
		return o.readPipe(dst)
	}
	n, status := c.readAt(o, dst, off, len(dst))
	switch status {
	case wire.StatusOK:
		c.haveRead(o, off, n)
		o.smb1.seek = o.position
	case wire.StatusEndOfFile:
		o.smb1.seek = off
		return 0, wire.StatusOK
	case wire.StatusInvalidParameter: // an offset that no file has
		return 0, wire.StatusOK
	}
	return n, status
}

func readCoreRoom(_ *Conn, _ wire.SMB1Header, b *wire.SMB1Block) int { return int(b.Word(1)) }

// readCore: MS-CIFS 2.2.4.11, READ; and LOCK_AND_READ, 2.2.4.20.
func (c *Conn) readCore(r *smb1Request, w *smb1Reply) wire.Status {
	b, o := &r.block, r.open
	n, off := int(b.Word(1)), uint64(b.U32(4))
	if r.code == wire.SMB1LockAndRead {
		if !r.mayRead(o) {
			return wire.StatusAccessDenied // before there is a lock that the client does not know of
		}
		if status := c.lockCore(r, off, uint64(n)); status != wire.StatusOK {
			return status
		}
	}
	const fixed = 1 + 10 + 2 + 3
	dst := w.msg[w.at+fixed:]
	dst = dst[:min(n, len(dst), c.smb1.maxBuffer-wire.SMB1HeaderSize-fixed)]
	n, status := c.readSMB1(r, o, dst, off)
	if status != wire.StatusOK && status != wire.StatusBufferOverflow {
		return status
	}
	words := w.words(5)
	wire.PutSMB1U16(words, uint16(n))
	head := w.room()
	head[0] = wire.SMB1FormatData
	wire.PutSMB1U16(head[1:], uint16(n))
	w.grow(3 + n)
	return status
}
