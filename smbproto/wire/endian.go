package wire

import "encoding/binary"

// All integers of SMB are little-endian (MS-SMB2 2.2); the NetBIOS length alone is not.
var le = binary.LittleEndian

// alignUp rounds n up to a multiple of 8, the alignment of compounds, create
// contexts and directory entries.
func alignUp(n int) int { return (n + 7) &^ 7 }

// Align8 rounds n up to the next multiple of 8.
func Align8(n int) int { return alignUp(n) }

// PutSMB1U16, PutSMB1U32 and PutSMB1U64 write an integer of an SMB1 answer, whose words have no type of their own.
func PutSMB1U16(b []byte, v uint16) { le.PutUint16(b, v) }
func PutSMB1U32(b []byte, v uint32) { le.PutUint32(b, v) }
func PutSMB1U64(b []byte, v uint64) { le.PutUint64(b, v) }

// SMB1U16, SMB1U32 and SMB1U64 read an integer of the parameters of a transaction, which must be there.
func SMB1U16(b []byte) uint16 { return le.Uint16(b) }
func SMB1U32(b []byte) uint32 { return le.Uint32(b) }
func SMB1U64(b []byte) uint64 { return le.Uint64(b) }
