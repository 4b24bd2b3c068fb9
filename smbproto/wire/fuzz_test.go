package wire

import (
	"errors"
	"strings"
	"testing"
)

// fuzz feeds a decoder: what Valid lets pass must be safe to use.
func fuzz(f *testing.F, use func(m []byte)) {
	f.Add([]byte{})
	f.Add(make([]byte, 256))
	f.Fuzz(func(t *testing.T, m []byte) {
		before := string(m)
		use(m)
		if string(m) != before {
			t.Error("a decoder changed its message")
		}
	})
}

func FuzzFrameHeader(f *testing.F) {
	fuzz(f, func(m []byte) {
		if len(m) >= FrameHeaderSize {
			h := FrameHeader(m)
			var back [FrameHeaderSize]byte
			FrameHeader(back[:]).Put(h.Type(), h.Length())
			if string(back[:]) != string(m[:FrameHeaderSize]) {
				f.Errorf("% x is read as %v %d", m[:4], h.Type(), h.Length())
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	fuzz(f, func(m []byte) {
		h := Header(m)
		if h.Valid() != nil {
			return
		}
		_, _, _, _, _ = h.CreditCharge(), h.Status(), h.Command().String(), h.Credits(), h.Flags()
		_, _, _, _, _, _ = h.NextCommand(), h.MessageID(), h.AsyncID(), h.TreeID(), h.SessionID(), h.Signature()
	})
}

func FuzzTransformHeader(f *testing.F) {
	seed := make([]byte, TransformSize+HeaderSize)
	TransformHeader(seed).Put(HeaderSize, 1)
	f.Add(seed)
	fuzz(f, func(m []byte) {
		if h := TransformHeader(m); h.Valid() == nil {
			_, _, _, _, _ = h.Signature(), h.Nonce(), h.OriginalSize(), h.Flags(), h.SessionID()
		}
	})
}

func FuzzSMB1Negotiate(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := SMB1NegotiateRequest(m); r.Valid() == nil {
			r.Offers(SMB1DialectWildcard)
			r.Offers(SMB1Dialect202)
			PutSMB1Refusal(make([]byte, SMB1RefusalSize), r)
		}
	})
}

func FuzzNegotiateRequest(f *testing.F) {
	f.Add(negotiate311(preauth311(), context311(ContextSigning, 2, 0, 2, 0, 1, 0), context311(ContextEncryption, 1, 0, 2, 0)))
	fuzz(f, func(m []byte) {
		if r := NegotiateRequest(m); r.Valid() == nil {
			for i := range r.DialectCount() {
				_ = r.Dialect(i).String()
			}
			_, _, _ = r.SecurityMode(), r.Capabilities(), r.ClientGUID()
			_ = r.EachContext(func(_ NegotiateContextType, data []byte) error {
				if p := PreauthCapabilities(data); p.Valid() == nil {
					p.Offers(PreauthSHA512)
				}
				if a := Algorithms(data); a.Valid() == nil {
					a.Offers(1)
				}
				return nil
			})
		}
	})
}

func FuzzSessionSetupRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := SessionSetupRequest(m); r.Valid() == nil {
			_, _, _, _ = r.Flags(), r.SecurityMode(), r.Token(), r.PreviousSessionID()
		}
	})
}

func FuzzTreeConnectRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := TreeConnectRequest(m); r.Valid() == nil {
			_, _ = UTF16ToString(r.Path())
		}
	})
}

func FuzzCreateRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		r := CreateRequest(m)
		if r.Valid() != nil {
			return
		}
		_, _, _, _ = r.OplockLevel(), r.ImpersonationLevel(), r.DesiredAccess().Specific(), r.FileAttributes()
		_, _, _ = r.ShareAccess(), r.Disposition(), r.Options()
		_, _ = UTF16ToString(r.Name())
		n := 0
		for name, data := range r.Contexts {
			_, _ = string(name), string(data)
			if n++; n > len(m) {
				f.Fatal("the contexts have no end")
			}
		}
	})
}

func FuzzFixedRequests(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := CloseRequest(m); r.Valid() == nil {
			_ = r.Flags()
		}
		_, _, _, _ = EmptyRequest(m).Valid(), FlushRequest(m).Valid(), OplockBreak(m).Valid(), ChangeNotifyRequest(m).Valid()
	})
}

func FuzzOplocks(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := OplockBreak(m); r.Valid() == nil {
			_, _ = r.Level().State().Level(), r.FileID()
		}
		if r := LeaseAck(m); r.Is() && r.Valid() == nil {
			_, _ = r.Key(), r.State()
		}
		if r := LeaseContext(m); r.Valid() == nil {
			_, _, _ = r.Key(), r.State(), r.Flags()
			if r.V2() {
				_, _ = r.Parent(), r.Epoch()
			}
		}
	})
}

func FuzzLockRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := LockRequest(m); r.Valid() == nil {
			for i := range r.Count() {
				r.Element(i)
			}
		}
	})
}

func FuzzReadRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := ReadRequest(m); r.Valid() == nil {
			_, _, _, _ = r.Length(), r.Offset(), r.MinimumCount(), r.Channel()
		}
	})
}

func FuzzWriteRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := WriteRequest(m); r.Valid(len(m)) == nil {
			_, _, _, _ = r.Offset(), r.FileID(), r.Channel(), r.Flags()
			if len(r.Data()) != int(r.Length()) {
				f.Errorf("%d bytes of data, length %d", len(r.Data()), r.Length())
			}
		}
	})
}

func FuzzIoctlRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := IoctlRequest(m); r.Valid() == nil {
			_, _, _, _ = r.Code(), r.FileID(), r.MaxOutput(), r.IsFsctl()
			if v := ValidateNegotiate(r.Input()); v.Valid() == nil {
				_, _, _ = v.Capabilities(), v.GUID(), v.SecurityMode()
				for i := range v.DialectCount() {
					v.Dialect(i)
				}
			}
		}
	})
}

func FuzzFsctlInputs(f *testing.F) {
	chunks := make([]byte, copyChunkFixed+copyChunkLen)
	chunks[resumeKeyLen] = 1
	f.Add(chunks)
	fuzz(f, func(m []byte) {
		if c := CopyChunks(m); c.Valid() == nil {
			_, _ = c.Source()
			for i := range int(c.Count()) {
				c.Chunk(i)
			}
		}
		if v := Compression(m); v.Valid() == nil {
			v.Format()
		}
		if r := FileRange(m); r.Valid() == nil {
			_, _ = r.First(), r.Second()
		}
	})
}

func FuzzQueryDirectoryRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := QueryDirectoryRequest(m); r.Valid() == nil {
			_, _, _ = r.InfoClass(), r.Flags(), r.OutputLength()
			_, _ = UTF16ToString(r.Pattern())
		}
	})
}

func FuzzQueryInfoRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		if r := QueryInfoRequest(m); r.Valid() == nil {
			_, _, _, _ = r.Type(), r.Class(), r.OutputLength(), r.Additional()
			_, _ = r.Input(), r.Flags()
		}
	})
}

func FuzzSetInfoRequest(f *testing.F) {
	fuzz(f, func(m []byte) {
		r := SetInfoRequest(m)
		if r.Valid() != nil {
			return
		}
		b := r.Buffer()
		if v := BasicInfo(b); v.Valid() == nil {
			_, _, _, _, _ = v.Creation().Time(), v.LastAccess(), v.LastWrite(), v.Change(), v.Attributes()
		}
		if v := SizeInfo(b); v.Valid() == nil && v.Size() < 0 {
			f.Errorf("size %d", v.Size())
		}
		if v := ModeInfo(b); v.Valid() == nil {
			v.Mode()
		}
		if v := DispositionInfo(b); v.Valid() == nil {
			v.Delete()
		}
		if v := RenameInfo(b); v.Valid() == nil {
			_, _, _ = v.Replace(), v.RootDirectory(), v.Name()
		}
	})
}

func FuzzUTF16(f *testing.F) {
	f.Add([]byte("a\x00\x3d\xd8\x00\xde"))
	fuzz(f, func(m []byte) {
		s, err := UTF16ToString(m)
		if err != nil {
			return
		}
		back := make([]byte, UTF16Len(s))
		if n := PutUTF16(back, s); string(back[:n]) != string(m) {
			f.Errorf("% x becomes %q and % x", m, s, back[:n])
		}
	})
}

// A short name is one, and its own.
func FuzzShortName(f *testing.F) {
	for _, name := range []string{"a.txt", "A long name.text", ".profile", "日本.d", "a.b.c", "..."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		short := ShortName(name)
		if short != name && (!MayBeMade(short) || !MayBeMade(strings.ToLower(short))) {
			t.Errorf("%q has the short name %q, which is taken for none that was made", name, short)
		}
		if !IsShortName(short) || ShortName(short) != short {
			t.Errorf("%q has the short name %q", name, short)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("*.txt", "a.txt")
	f.Add("<>\"?*", "a.b.c")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p := NewPattern(pattern)
		got := p.Match(name)
		if !p.HasWildcard() && got != EqualFold(pattern, name) {
			t.Errorf("pattern %q, name %q: %v", pattern, name, got)
		}
	})
}

func FuzzFullEAList(f *testing.F) {
	b := make([]byte, 64)
	w := NewEAWriter(b)
	w.Put("a", []byte("value"))
	w.Put("bc", nil)
	f.Add(b[:w.Len()])
	fuzz(f, func(m []byte) {
		l := FullEAList(m)
		if l.Valid() != nil {
			return
		}
		var list []EA
		for _, ea := range l.All() {
			_ = ValidEAName(ea.Name)
			if list = append(list, ea); len(list) > len(m) {
				f.Fatal("the list has no end")
			}
		}
		b := make([]byte, EAListSize(list))
		w := NewEAWriter(b)
		for _, ea := range list {
			if !w.Put(ea.Name, ea.Value) {
				f.Fatalf("%d bytes do not hold the list", len(b))
			}
		}
		i := 0
		for _, ea := range FullEAList(b).All() {
			if ea.Name != list[i].Name || string(ea.Value) != string(list[i].Value) {
				f.Errorf("%q becomes %q", list[i], ea)
			}
			i++
		}
		if len(b) != w.Len() || FullEAList(b).Valid() != nil || i != len(list) {
			f.Errorf("%d bytes, of %d, with %d EAs of %d", w.Len(), len(b), i, len(list))
		}
	})
}

func FuzzGetEAList(f *testing.F) {
	f.Add([]byte("\x08\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x02bc\x00"))
	fuzz(f, func(m []byte) {
		l := GetEAList(m)
		if l.Valid() != nil {
			return
		}
		n := 0
		for name := range l.All {
			_ = FoldEAName(name)
			if n++; n > len(m) {
				f.Fatal("the list has no end")
			}
		}
	})
}

func FuzzSessionRequest(f *testing.F) {
	const server = "\x20CKFDENECFDEFFCFGEFFCCACACACACACA\x00"
	f.Add([]byte(server + "\x20EDEMEJEFEOFECACACACACACACACACAAA\x00"))
	f.Add([]byte(server[:33] + "\x05scope\x00" + server))
	f.Fuzz(func(t *testing.T, b []byte) {
		called, calling, err := SessionRequest(b).Names()
		if err != nil && (!errors.Is(err, ErrMalformed) || called != "" && calling != "") {
			t.Errorf("%q, %q, %v", called, calling, err)
		}
		if len(called) > 15 || len(calling) > 15 {
			t.Errorf("%q, %q: too long", called, calling)
		}
	})
}

func FuzzDurableContexts(f *testing.F) {
	f.Add(make([]byte, FileIDSize))
	f.Add(make([]byte, 32))
	f.Add(make([]byte, 36))
	f.Add(append([]byte{20, 0, 0, 0}, make([]byte, 16)...))
	fuzz(f, func(m []byte) {
		if b := DurableReconnect(m); b.Valid() == nil {
			_ = b.FileID()
		}
		if b := DurableRequestV2(m); b.Valid() == nil {
			if b.Timeout() < 0 {
				f.Errorf("%x: timeout %v", m, b.Timeout())
			}
			_, _ = b.Flags(), b.CreateGUID()
		}
		if b := DurableReconnectV2(m); b.Valid() == nil {
			_, _, _ = b.FileID(), b.CreateGUID(), b.Flags()
		}
		if b := AppInstanceID(m); b.Valid() == nil {
			_ = b.ID()
		}
		if b := ResiliencyRequest(m); b.Valid() == nil && b.Timeout() < 0 {
			f.Errorf("%x: timeout %v", m, b.Timeout())
		}
		if r := LockRequest(m); r.Valid() == nil {
			if _, number := r.Sequence(); number > 15 {
				f.Errorf("%x: number %d", m, number)
			}
		}
	})
}
