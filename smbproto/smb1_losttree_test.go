package smbproto

import (
	"os"
	"path/filepath"
	"testing"

	"ustack/smbproto/wire"
)

// A share that is there no more takes its files with it. What an open does beside to be one is over by then.
func TestSMB1AnOpenLosesItsShareMeanwhile(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub").posix()
	const when = uint32(1 << 30)
	raw := append(utf16le("file"), 0, 0)
	dated := func(cmd wire.SMB1Command) []byte {
		return p.msg(cmd, words(uint16(0), when), append([]byte{4}, raw...))
	}
	open2 := append(words(uint16(0), uint16(0x42), uint16(0), uint16(0), uint32(0), uint16(0x11), uint32(0), uint64(0), uint16(0)), raw...)
	nt := append(words(uint32(smb1CreateExtended), uint32(0), uint32(wire.AccessAll), uint64(0), uint32(0), uint32(7), uint32(wire.OpenIf), uint32(0),
		uint32(0), uint32(0), uint32(len(raw)-2), uint32(2), uint8(0), uint8(0)), raw...)
	path := filepath.Join(p.dir, "file")
	sess := p.c.smb1.sessions[p.uid].session
	for name, msg := range map[string]func() []byte{
		"OPEN_ANDX": func() []byte {
			m := p.openXMsg("file", 0x42, 0x12, 0)
			le.PutUint32(m[wire.SMB1HeaderSize+1+12:], when)
			return m
		},
		"CREATE":             func() []byte { return dated(wire.SMB1Create) },
		"CREATE_TEMPORARY":   func() []byte { return p.msg(wire.SMB1CreateTemporary, words(uint16(0), when), []byte{4, 0, 0, 0}) },
		"OPEN2":              func() []byte { return p.trans2(0, 0, open2, nil) },
		"NT_CREATE_ANDX":     func() []byte { return p.createMsg1("file", all1, smb1CreateExtended) },
		"NT_TRANSACT_CREATE": func() []byte { return p.ntTransaction1(1, nil, nt, nil) },
		"POSIX open": func() []byte {
			if err := os.WriteFile(path, make([]byte, 8<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			return p.posixOpenMsg("/file", wire.SMB1PosixReadWrite|wire.SMB1PosixTruncate, 0o600)
		},
	} {
		for range 10 {
			m, ended := msg(), make(chan bool)
			go func() {
				defer close(ended)
				for has := false; !has; {
					sess.mu.Lock()
					has = len(sess.opens) > 0
					sess.mu.Unlock()
				}
				if _, err := sess.endTree(sess.tree(uint32(p.tid))); err != nil {
					t.Error(err)
				}
			}()
			if r := p.ask1(m); r == nil || r.Status() != wire.StatusOK {
				t.Fatalf("%s: % x", name, r)
			}
			<-ended
			if p.srv.Stats().Opens != 0 {
				t.Errorf("%s: it is still open", name)
			}
		}
	}
}
