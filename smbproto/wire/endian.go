package wire

import "encoding/binary"

// All integers of SMB are little-endian (MS-SMB2 2.2); the NetBIOS length alone is not.
var le = binary.LittleEndian

// alignUp rounds n up to a multiple of 8, the alignment of compounds, create
// contexts and directory entries.
func alignUp(n int) int { return (n + 7) &^ 7 }

// Align8 rounds n up to the next multiple of 8.
func Align8(n int) int { return alignUp(n) }
