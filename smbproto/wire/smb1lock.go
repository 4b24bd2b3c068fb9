package wire

// SMB1LockRange reads a range of a LOCKING_ANDX, MS-CIFS 2.2.4.32.1: of 10 bytes, or of 20 with large offsets; false if
// it is shorter.
func SMB1LockRange(b []byte, large bool) (pid uint32, off, length uint64, ok bool) {
	switch {
	case large && len(b) >= 20:
		high := func(at int) uint64 { return uint64(le.Uint32(b[at:]))<<32 | uint64(le.Uint32(b[at+4:])) }
		return uint32(le.Uint16(b)), high(4), high(12), true
	case !large && len(b) >= 10:
		return uint32(le.Uint16(b)), uint64(le.Uint32(b[2:])), uint64(le.Uint32(b[6:])), true
	}
	return 0, 0, 0, false
}
