package wire

import (
	"bytes"
	"testing"
)

// smb1Message is a message of one command: words, and bytes.
func smb1Message(cmd SMB1Command, words, data []byte) []byte {
	m := make([]byte, SMB1HeaderSize, SMB1HeaderSize+3+len(words)+len(data))
	copy(m, ProtocolSMB1[:])
	m[4] = byte(cmd)
	m = append(append(m, byte(len(words)/2)), words...)
	m = le.AppendUint16(m, uint16(len(data)))
	return append(m, data...)
}

func FuzzSMB1Header(f *testing.F) {
	f.Add(smb1Message(SMB1Echo, []byte{1, 0}, []byte("hello")))
	f.Add(smb1Message(SMB1ReadAndX, make([]byte, 24), nil))
	fuzz(f, func(m []byte) {
		h := SMB1Header(m)
		if h.Valid() != nil {
			return
		}
		_, _, _, _, _ = h.Command(), h.Status(), h.Flags(), h.Flags2(), h.Signature()
		_, _, _, _ = h.PID(), h.TID(), h.UID(), h.MID()
		out := SMB1Header(make([]byte, SMB1HeaderSize))
		out.PutResponse(h)
		out.PutStatus(StatusAccessDenied)
		for at := SMB1HeaderSize; ; {
			b, err := h.Block(at)
			if err != nil || !b.HasWords(2) {
				return
			}
			_, off := b.AndX()
			if off <= at {
				return
			}
			at = off
		}
	})
}

func FuzzSMB1Strings(f *testing.F) {
	f.Add([]byte("\x04\\a\x00b\x00\x00\x00\x04c\x00"))
	fuzz(f, func(m []byte) {
		for _, unicode := range []bool{false, true} {
			for at := range 2 {
				s := NewSMB1Strings(m, at, unicode)
				for len(s.Rest()) > 0 {
					before := len(s.Rest())
					name, err := s.Path()
					if err != nil {
						if name, err = s.Next(); err != nil {
							break
						}
					}
					if len(s.Rest()) >= before {
						panic("nothing was taken")
					}
					b := make([]byte, SMB1StringSize(name))
					PutSMB1String(b, at, name, unicode)
				}
			}
		}
	})
}

func FuzzSMB1Transaction(f *testing.F) {
	words := make([]byte, 2*SMB1TransWords+2)
	words[0], words[18], words[20], words[26] = 2, 2, SMB1HeaderSize+33, 1
	f.Add(smb1Message(SMB1Transaction2, words, []byte{1, 2}))
	f.Add(smb1Message(SMB1NTTransact, make([]byte, 2*SMB1NTTransWords), nil))
	f.Add(smb1Message(SMB1Transaction2Secondary, make([]byte, 18), nil))
	f.Add(smb1Message(SMB1NTTransactSecondary, make([]byte, 36), nil))
	inside := func(p *SMB1TransPart) {
		if p.ParamsAt+len(p.Params) > p.TotalParams || p.DataAt+len(p.Data) > p.TotalData {
			panic("a part that is not in the whole")
		}
	}
	fuzz(f, func(m []byte) {
		h := SMB1Header(m)
		if h.Valid() != nil {
			return
		}
		b, err := h.Block(SMB1HeaderSize)
		if err != nil {
			return
		}
		if t, err := h.Transaction(&b); err == nil {
			inside(&t.SMB1TransPart)
		}
		if t, err := h.NTTransaction(&b); err == nil {
			inside(&t.SMB1TransPart)
		}
		if p, err := h.TransactionSecondary(&b); err == nil {
			inside(&p)
		}
		if p, err := h.NTTransactionSecondary(&b); err == nil {
			inside(&p)
		}
	})
}

func FuzzSMB1EAs(f *testing.F) {
	list := []EA{{"a", []byte("1")}, {"bb", nil}}
	b := make([]byte, SMB1EAListSize(list))
	PutSMB1EAs(b, list)
	f.Add(b)
	f.Add([]byte{8, 0, 0, 0, 1, 'a', 0, 0})
	fuzz(f, func(m []byte) {
		if eas, err := SMB1EAs(m); err == nil {
			b := make([]byte, SMB1EAListSize(eas))
			if n := PutSMB1EAs(b, eas); n != len(b) {
				panic("another length is written than was said")
			}
		}
		_, _ = SMB1EANames(m)
	})
}

func FuzzSMB1Times(f *testing.F) {
	f.Add([]byte{0x21, 0, 0, 0})
	fuzz(f, func(m []byte) {
		if len(m) < 4 {
			return
		}
		d := ReadDOSTime(m)
		if t := d.Filetime(); t != 0 && t.Time().Year() <= 2107 {
			if back := DOSTimeOf(t); back.Filetime() != t {
				panic("another time comes back")
			}
		}
		u := UTime(le.Uint32(m))
		if t := u.Filetime(); t != 0 && UTimeOf(t) != u {
			panic("another time comes back")
		}
	})
}

func FuzzSMB1LockRange(f *testing.F) {
	f.Add(make([]byte, 20))
	fuzz(f, func(m []byte) {
		_, _, _, small := SMB1LockRange(m, false)
		_, _, _, large := SMB1LockRange(m, true)
		if small != (len(m) >= 10) || large != (len(m) >= 20) {
			panic("a range of another length")
		}
	})
}

func FuzzSMB1Unix(f *testing.F) {
	f.Add(make([]byte, SMB1UnixFsSize))
	f.Add(make([]byte, SMB1UnixInfo2Size))
	f.Add(bytes.Repeat([]byte{0xFF}, SMB1UnixBasicSize))
	f.Add([]byte{0, 0, 0, 0, 0x11, 0, 0, 0, 0xA4, 1, 0, 0, 0, 0, 0, 0, 0, 2})
	fuzz(f, func(m []byte) {
		if major, capabilities, err := SMB1UnixFs(m); err == nil {
			b := make([]byte, SMB1UnixFsSize)
			if _, status := PutSMB1UnixFs(b, capabilities); status != StatusOK || major == 1 && le.Uint64(b[4:]) != capabilities {
				panic("other capabilities come back")
			}
		}
		if ch, err := ReadSMB1UnixChange(m, SMB1InfoUnixInfo2); err == nil && ch.HasSize && int64(ch.Size) < 0 {
			panic("a negative size")
		}
		_, _ = ReadSMB1UnixChange(m, SMB1InfoUnixBasic)
		open, err := ReadSMB1PosixOpen(m)
		m = bytes.Clone(m)
		if err == nil && len(m) >= open.ReplySize() {
			if n := open.PutReply(m, 1, 2, ActionCreated, &FileInfo{}); n != open.ReplySize() {
				panic("another length is written than was said")
			}
		}
		// Whatever room a client leaves for an answer, nothing is written beyond.
		info := FileInfo{Name: `\name`, Unix: UnixInfo{Mode: 0o120777}}
		for _, unicode := range []bool{false, true} {
			w := NewSMB1DirWriter(m, SMB1FindUnix, unicode, true)
			for key := uint32(1); w.Put("name", &info, key, nil) && key < 10; key++ {
			}
			if w.Len() > len(m) || w.Last() > w.Len() {
				panic("more is written than there is room for")
			}
			_, _ = PutSMB1Text(m, "text", unicode)
		}
		_, _ = info.PutSMB1Unix(m, SMB1InfoUnixBasic)
		_, _ = info.PutSMB1Unix(m, SMB1InfoUnixInfo2)
		_, _ = (&FsInfo{}).PutSMB1PosixFs(m)
		if n, _ := PutSMB1Who(m, true, 1, 2, []string{"a SID", "another"}); n > len(m) {
			panic("more is written than there is room for")
		}
	})
}
