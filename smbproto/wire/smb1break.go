package wire

// SMB1BreakSize is the whole LOCKING_ANDX by which a server tells of an oplock's break, MS-CIFS 2.2.4.32.1.
const SMB1BreakSize = SMB1HeaderSize + 1 + 16 + 2

// PutSMB1Break writes it. It has the MessageId of no request.
func PutSMB1Break(b []byte, uid, tid, fid uint16, level2 bool) {
	clear(b[:SMB1BreakSize])
	copy(b, ProtocolSMB1[:])
	h := SMB1Header(b)
	b[4] = byte(SMB1LockingAndX)
	h.PutTID(tid)
	h.PutUID(uid)
	le.PutUint16(b[26:], 0xFFFF)
	le.PutUint16(b[30:], 0xFFFF)
	b[SMB1HeaderSize] = 8
	w := b[SMB1HeaderSize+1:]
	w[0] = byte(SMB1NoAndX)
	le.PutUint16(w[4:], fid)
	w[6] = 2 // the oplock is to be released
	if level2 {
		w[7] = 1
	}
}
