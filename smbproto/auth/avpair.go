package auth

import (
	"encoding/binary"
	"strings"
	"time"
)

// AV_PAIR identifiers, MS-NLMP 2.2.2.1.
const (
	avEOL             = 0
	avNbComputerName  = 1
	avNbDomainName    = 2
	avDNSComputerName = 3
	avFlags           = 6
	avTimestamp       = 7
)

// avFlagMIC in MsvAvFlags: the AUTHENTICATE_MESSAGE has a MIC, MS-NLMP 2.2.2.1.
const avFlagMIC = 0x2

// targetInfo is the list that the server puts into its challenge. With MsvAvTimestamp in it, a
// client adds a MIC and leaves out the weak LM response (MS-NLMP 3.1.5.1.2).
func targetInfo(server, domain string, now time.Time) []byte {
	var b []byte
	b = appendAV(b, avNbDomainName, utf16le(domain))
	b = appendAV(b, avNbComputerName, utf16le(server))
	b = appendAV(b, avDNSComputerName, utf16le(strings.ToLower(server)))
	b = appendAV(b, avTimestamp, binary.LittleEndian.AppendUint64(nil, filetime(now)))
	return appendAV(b, avEOL, nil)
}

func appendAV(b []byte, id uint16, value []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// clientFlags finds MsvAvFlags in the list that a client put into its response; 0 when absent.
func clientFlags(b []byte) (uint32, error) {
	var flags uint32
	for len(b) > 0 {
		if len(b) < 4 {
			return 0, malformed("AV_PAIR of %d bytes, want at least 4", len(b))
		}
		id, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		if size > len(b) {
			return 0, malformed("AV_PAIR %d of %d bytes, but %d follow", id, size, len(b))
		}
		switch id {
		case avEOL:
			return flags, nil // clients put zeros behind it
		case avFlags:
			if size != 4 {
				return 0, malformed("MsvAvFlags of %d bytes, want 4", size)
			}
			// Ored, so that a second one cannot take the MIC back.
			flags |= binary.LittleEndian.Uint32(b)
		}
		b = b[size:]
	}
	return flags, nil
}

// filetime counts 100 ns since 1601-01-01 (MS-DTYP 2.3.3).
func filetime(t time.Time) uint64 {
	const to1970 = 11644473600
	return uint64(t.Unix()+to1970)*10_000_000 + uint64(t.Nanosecond()/100)
}
