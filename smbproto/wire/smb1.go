package wire

import "bytes"

// SMB1HeaderSize is the length of the SMB1 header, MS-CIFS 2.2.3.1. All that SMB1 counts from
// "the start of the header" counts from its first byte.
const SMB1HeaderSize = 32

// SMB1Command is a command code, MS-CIFS 2.2.2.1.
type SMB1Command uint8

// The commands that this server knows.
const (
	SMB1CreateDirectory       SMB1Command = 0x00
	SMB1DeleteDirectory       SMB1Command = 0x01
	SMB1Open                  SMB1Command = 0x02
	SMB1Create                SMB1Command = 0x03
	SMB1Close                 SMB1Command = 0x04
	SMB1Flush                 SMB1Command = 0x05
	SMB1Delete                SMB1Command = 0x06
	SMB1Rename                SMB1Command = 0x07
	SMB1QueryInformation      SMB1Command = 0x08
	SMB1SetInformation        SMB1Command = 0x09
	SMB1Read                  SMB1Command = 0x0A
	SMB1Write                 SMB1Command = 0x0B
	SMB1LockByteRange         SMB1Command = 0x0C
	SMB1UnlockByteRange       SMB1Command = 0x0D
	SMB1CreateTemporary       SMB1Command = 0x0E
	SMB1CreateNew             SMB1Command = 0x0F
	SMB1CheckDirectory        SMB1Command = 0x10
	SMB1ProcessExit           SMB1Command = 0x11
	SMB1Seek                  SMB1Command = 0x12
	SMB1LockAndRead           SMB1Command = 0x13
	SMB1WriteAndUnlock        SMB1Command = 0x14
	SMB1SetInformation2       SMB1Command = 0x22
	SMB1QueryInformation2     SMB1Command = 0x23
	SMB1LockingAndX           SMB1Command = 0x24
	SMB1Transaction           SMB1Command = 0x25
	SMB1TransactionSecondary  SMB1Command = 0x26
	SMB1Ioctl                 SMB1Command = 0x27
	SMB1Copy                  SMB1Command = 0x29
	SMB1Echo                  SMB1Command = 0x2B
	SMB1WriteAndClose         SMB1Command = 0x2C
	SMB1OpenAndX              SMB1Command = 0x2D
	SMB1ReadAndX              SMB1Command = 0x2E
	SMB1WriteAndX             SMB1Command = 0x2F
	SMB1Transaction2          SMB1Command = 0x32
	SMB1Transaction2Secondary SMB1Command = 0x33
	SMB1FindClose2            SMB1Command = 0x34
	SMB1TreeConnect           SMB1Command = 0x70
	SMB1TreeDisconnect        SMB1Command = 0x71
	SMB1Negotiate             SMB1Command = 0x72
	SMB1SessionSetupAndX      SMB1Command = 0x73
	SMB1LogoffAndX            SMB1Command = 0x74
	SMB1TreeConnectAndX       SMB1Command = 0x75
	SMB1QueryInformationDisk  SMB1Command = 0x80
	SMB1Search                SMB1Command = 0x81
	SMB1Find                  SMB1Command = 0x82
	SMB1FindUnique            SMB1Command = 0x83
	SMB1FindClose             SMB1Command = 0x84
	SMB1NTTransact            SMB1Command = 0xA0
	SMB1NTTransactSecondary   SMB1Command = 0xA1
	SMB1NTCreateAndX          SMB1Command = 0xA2
	SMB1NTCancel              SMB1Command = 0xA4
	SMB1NTRename              SMB1Command = 0xA5
	SMB1OpenPrintFile         SMB1Command = 0xC0
	SMB1WritePrintFile        SMB1Command = 0xC1
	SMB1ClosePrintFile        SMB1Command = 0xC2
	// SMB1NoAndX ends a chain of AndX commands.
	SMB1NoAndX SMB1Command = 0xFF
)

// Flags of the header, MS-CIFS 2.2.3.1.
const (
	SMB1FlagReply  uint8 = 0x80
	SMB1FlagBatch  uint8 = 0x40 // of an oplock
	SMB1FlagOplock uint8 = 0x20

	SMB1Flags2LongNames        uint16 = 0x0001
	SMB1Flags2Signed           uint16 = 0x0004
	SMB1Flags2ExtendedSecurity uint16 = 0x0800
	SMB1Flags2ReadExecute      uint16 = 0x2000 // who may execute a file may read it
	SMB1Flags2NTStatus         uint16 = 0x4000
	SMB1Flags2Unicode          uint16 = 0x8000
)

// SMB1Header is a view over an SMB1 message from its header to its end.
type SMB1Header []byte

// Valid checks what must hold before any accessor is used: a header, and a word count behind it.
func (h SMB1Header) Valid() error {
	if len(h) < SMB1HeaderSize+3 {
		return malformed("SMB1 message of %d bytes, expected at least %d", len(h), SMB1HeaderSize+3)
	}
	if !IsSMB1(h) {
		return malformed("protocol identifier % x, expected % x", h[:4], ProtocolSMB1)
	}
	return nil
}

// Command of the message, the first of a chain.
func (h SMB1Header) Command() SMB1Command { return SMB1Command(h[4]) }

// Status as it stands, an NTSTATUS or a class and a code.
func (h SMB1Header) Status() Status { return Status(le.Uint32(h[5:])) }

// Flags and Flags2 of the message.
func (h SMB1Header) Flags() uint8   { return h[9] }
func (h SMB1Header) Flags2() uint16 { return le.Uint16(h[10:]) }

// Has reports whether all the given bits of Flags2 are set.
func (h SMB1Header) Has(flags2 uint16) bool { return h.Flags2()&flags2 == flags2 }

// PID of the client's process. Its high half (MS-CIFS 2.2.3.1) is left alone: locks name processes by the low one.
func (h SMB1Header) PID() uint32 { return uint32(le.Uint16(h[26:])) }

// Signature is the 8 bytes of SecurityFeatures in place.
func (h SMB1Header) Signature() []byte { return h[14:22] }

// TID, UID and MID of the message.
func (h SMB1Header) TID() uint16 { return le.Uint16(h[24:]) }
func (h SMB1Header) UID() uint16 { return le.Uint16(h[28:]) }
func (h SMB1Header) MID() uint16 { return le.Uint16(h[30:]) }

// PutResponse fills all of h[:SMB1HeaderSize] for an answer to req, without a status and a signature.
func (h SMB1Header) PutResponse(req SMB1Header) {
	copy(h[:SMB1HeaderSize], req[:SMB1HeaderSize])
	clear(h[5:9])
	clear(h[14:24])
	h[9] = SMB1FlagReply | 0x08 // paths are compared without case
	const kept = SMB1Flags2NTStatus | SMB1Flags2Unicode | SMB1Flags2ExtendedSecurity | SMB1Flags2LongNames
	h.PutFlags2(req.Flags2()&kept | SMB1Flags2LongNames)
}

// PutStatus sets the status: an NTSTATUS, or for a client that does not know them a class and a code.
func (h SMB1Header) PutStatus(s Status) {
	if !h.Has(SMB1Flags2NTStatus) {
		s = s.DOS()
	}
	if s.IsDOS() { // which a client of the others is told too
		h.PutFlags2(h.Flags2() &^ SMB1Flags2NTStatus)
	}
	le.PutUint32(h[5:], uint32(s))
}

// PutFlags2, PutTID and PutUID set the fields.
func (h SMB1Header) PutFlags2(f uint16) { le.PutUint16(h[10:], f) }
func (h SMB1Header) PutTID(id uint16)   { le.PutUint16(h[24:], id) }
func (h SMB1Header) PutUID(id uint16)   { le.PutUint16(h[28:], id) }

// SMB1Block is the words and the bytes of one command: of the message, or of a chain of AndX
// commands in it (MS-CIFS 2.2.3.2, 2.2.3.3).
type SMB1Block struct {
	Words []byte
	Bytes []byte
	At    int // where Bytes begins, from the header
}

// Block cuts the block out that begins at a place of the message.
func (h SMB1Header) Block(at int) (b SMB1Block, err error) {
	if at < SMB1HeaderSize || at+1 > len(h) {
		return b, malformed("SMB1 words at %d in a message of %d", at, len(h))
	}
	n := 2 * int(h[at])
	count := at + 1 + n
	if count+2 > len(h) {
		return b, malformed("SMB1 words of %d bytes at %d in a message of %d", n, at, len(h))
	}
	b.At = count + 2
	m := int(le.Uint16(h[count:]))
	if m > len(h)-b.At {
		return b, malformed("SMB1 byte count %d, but only %d bytes follow", m, len(h)-b.At)
	}
	b.Words = h[at+1 : count : count]
	b.Bytes = h[b.At : b.At+m : b.At+m]
	return b, nil
}

// Count is the number of words.
func (b *SMB1Block) Count() int { return len(b.Words) / 2 }

// Word i, U32 and U64 that begin at a byte of the words. They must be there: the table of commands says
// how many words each has at least.
func (b *SMB1Block) Word(i int) uint16   { return le.Uint16(b.Words[2*i:]) }
func (b *SMB1Block) U32(at int) uint32   { return le.Uint32(b.Words[at:]) }
func (b *SMB1Block) U64(at int) uint64   { return le.Uint64(b.Words[at:]) }
func (b *SMB1Block) Byte(at int) uint8   { return b.Words[at] }
func (b *SMB1Block) HasWords(n int) bool { return b.Count() >= n }

// AndX says which command follows and where, of a block that has two words at least.
func (b *SMB1Block) AndX() (SMB1Command, int) { return SMB1Command(b.Words[0]), int(b.Word(1)) }

// Tail cuts n bytes at off, counted from the header, out of a message: false if they are not there.
func (h SMB1Header) Tail(off, n int) ([]byte, bool) {
	if n == 0 {
		return nil, true
	}
	if off < SMB1HeaderSize || off > len(h) || n < 0 || n > len(h)-off {
		return nil, false
	}
	return h[off : off+n : off+n], true
}

// The dialect strings that lead an SMB1 client to SMB2 (MS-SMB2 3.3.5.3), and that of SMB1 itself.
const (
	SMB1DialectWildcard = "SMB 2.???"
	SMB1Dialect202      = "SMB 2.002"
	SMB1DialectNT1      = "NT LM 0.12"
)

// SMB1NegotiateRequest is a view over an SMB1 negotiate: header, word count, byte count,
// and dialects, each a 0x02 and a string that ends in 0 (MS-CIFS 2.2.4.52).
type SMB1NegotiateRequest []byte

// Valid checks that this is an SMB1 negotiate whose lengths hold.
func (m SMB1NegotiateRequest) Valid() error {
	h := SMB1Header(m)
	if err := h.Valid(); err != nil {
		return err
	}
	if h.Command() != SMB1Negotiate {
		return malformed("SMB1 command %#x, expected a negotiate", m[4])
	}
	if m[SMB1HeaderSize] != 0 {
		return malformed("SMB1 negotiate with %d words, expected 0", m[SMB1HeaderSize])
	}
	_, err := h.Block(SMB1HeaderSize)
	return err
}

// Index is the place of a dialect in the client's list, or -1.
func (m SMB1NegotiateRequest) Index(dialect string) int {
	rest := m[SMB1HeaderSize+3:]
	rest = rest[:le.Uint16(m[SMB1HeaderSize+1:])]
	for i := 0; len(rest) > 0 && rest[0] == 2; i++ {
		end := bytes.IndexByte(rest[1:], 0)
		if end < 0 {
			return -1
		}
		if string(rest[1:1+end]) == dialect {
			return i
		}
		rest = rest[end+2:]
	}
	return -1
}

// Offers reports whether the client names the dialect.
func (m SMB1NegotiateRequest) Offers(dialect string) bool { return m.Index(dialect) >= 0 }

// SMB1RefusalSize is the length of the answer to a negotiate without a dialect that we speak.
const SMB1RefusalSize = SMB1HeaderSize + 5

// PutSMB1Refusal writes the answer that no dialect is acceptable: one word, the
// dialect index 0xFFFF (MS-CIFS 2.2.4.52.2). req has been found Valid.
func PutSMB1Refusal(b []byte, req SMB1NegotiateRequest) {
	clear(b[:SMB1RefusalSize])
	copy(b, req[:SMB1HeaderSize])
	clear(b[5:9]) // status
	b[9] |= SMB1FlagReply
	b[SMB1HeaderSize] = 1
	b[SMB1HeaderSize+1], b[SMB1HeaderSize+2] = 0xFF, 0xFF
}

// SMB1NegotiateValues are what the answer to a negotiate says, MS-SMB 2.2.4.5.2.
type SMB1NegotiateValues struct {
	Index        int
	SecurityMode uint8
	MaxMpx       uint16
	MaxBuffer    uint32
	Capabilities uint32
	Time         Filetime
	Challenge    []byte // without extended security
}

// PutSMB1Negotiate writes the 34 bytes of the words. The server's time zone is UTC.
func PutSMB1Negotiate(w []byte, v *SMB1NegotiateValues) {
	le.PutUint16(w, uint16(v.Index))
	w[2] = v.SecurityMode
	le.PutUint16(w[3:], v.MaxMpx)
	le.PutUint16(w[5:], 1)
	le.PutUint32(w[7:], v.MaxBuffer)
	le.PutUint32(w[11:], 64<<10)
	le.PutUint32(w[15:], 0)
	le.PutUint32(w[19:], v.Capabilities)
	le.PutUint64(w[23:], uint64(v.Time))
	le.PutUint16(w[31:], 0)
	w[33] = byte(len(v.Challenge))
}

// SMB1NegotiateWords is the word count of the answer of NT LM 0.12.
const SMB1NegotiateWords = 17

// Bits of SecurityMode and Capabilities, MS-CIFS 2.2.4.52.2 and MS-SMB 2.2.4.5.2.1.
const (
	SMB1SecurityUser            uint8 = 0x01
	SMB1SecurityEncrypt         uint8 = 0x02
	SMB1SecuritySigningEnabled  uint8 = 0x04
	SMB1SecuritySigningRequired uint8 = 0x08

	SMB1CapUnicode          uint32 = 0x00000004
	SMB1CapLargeFiles       uint32 = 0x00000008
	SMB1CapNTSMBs           uint32 = 0x00000010
	SMB1CapRPCRemoteAPIs    uint32 = 0x00000020
	SMB1CapStatus32         uint32 = 0x00000040
	SMB1CapLevel2Oplocks    uint32 = 0x00000080
	SMB1CapLockAndRead      uint32 = 0x00000100
	SMB1CapNTFind           uint32 = 0x00000200
	SMB1CapPassthru         uint32 = 0x00002000
	SMB1CapLargeReadX       uint32 = 0x00004000
	SMB1CapLargeWriteX      uint32 = 0x00008000
	SMB1CapUnix             uint32 = 0x00800000
	SMB1CapDynamicReauth    uint32 = 0x20000000 // MS-SMB 2.2.4.5.2.1
	SMB1CapExtendedSecurity uint32 = 0x80000000
)
