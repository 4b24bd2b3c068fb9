package smbproto

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ustack/smbproto/wire"
)

// request1 is a good request of SMB1.
type request1 struct {
	name   string
	onOpen bool // it has a FID
	msg    func(p *peer1, fid uint16) []byte
}

// transaction1 is a TRANSACTION, whose function is the first word of its setup.
func (p *peer1) transaction1(name string, params, data []byte, setup ...uint16) []byte {
	text := append([]byte(name), 0)
	at := wire.SMB1HeaderSize + 1 + 28 + 2*len(setup) + 2 + len(text)
	w := words(uint16(len(params)), uint16(len(data)), uint16(100), uint16(4000), uint8(0), uint8(0), uint16(0), uint32(0), uint16(0),
		uint16(len(params)), uint16(at), uint16(len(data)), uint16(at+len(params)), uint16(len(setup)))
	for _, s := range setup {
		w = append(w, words(s)...)
	}
	return p.msg(wire.SMB1Transaction, w, slices.Concat(text, params, data))
}

func (p *peer1) ntTransaction1(fn uint16, setup, params, data []byte) []byte {
	at := uint32(wire.SMB1HeaderSize + 1 + 38 + len(setup) + 2)
	w := words(uint8(0), uint16(0), uint32(len(params)), uint32(len(data)), uint32(4000), uint32(4000), uint32(len(params)), at,
		uint32(len(data)), at+uint32(len(params)), uint8(len(setup)/2), fn)
	return p.msg(wire.SMB1NTTransact, append(w, setup...), slices.Concat(params, data))
}

// oem says of a message that its strings are not in Unicode.
func oem(msg []byte) []byte {
	h := wire.SMB1Header(msg)
	le.PutUint16(h[10:], le.Uint16(h[10:])&^wire.SMB1Flags2Unicode)
	return msg
}

// levels1 are all that a TRANSACTION2 can ask for, and some that it can't.
func levels1() (list []uint16) {
	for _, r := range [][2]uint16{{0, 7}, {0x101, 0x10C}, {0x200, 0x20C}, {wire.SMB1Passthru + 1, wire.SMB1Passthru + 70}} {
		for l := r[0]; l < r[1]; l++ {
			list = append(list, l)
		}
	}
	return list
}

// everyRequest1 has at least one request of each command, and of each function of the transactions.
func everyRequest1() (list []request1) {
	add := func(onOpen bool, msg func(p *peer1, fid uint16) []byte, name string, more ...any) {
		list = append(list, request1{fmt.Sprintf(name, more...), onOpen, msg})
	}
	files := func(names ...string) (b []byte) {
		for _, n := range names {
			b = append(b, path1(n)...)
		}
		return b
	}
	search := append(files("*"), 5, 0, 0)
	data := append([]byte{1, 1, 0}, 'x')
	tails := map[wire.SMB1Command][]byte{
		wire.SMB1Search: search, wire.SMB1Find: search, wire.SMB1FindUnique: search, wire.SMB1Write: data, wire.SMB1WriteAndUnlock: data,
		wire.SMB1WriteAndClose: {0, 'x'}, wire.SMB1TreeConnect: append(files(`\\server\IPC$`, ""), files("?????")...),
		wire.SMB1OpenAndX: []byte("file\x00"), wire.SMB1NTRename: files("file", "other"),
	}
	own := map[wire.SMB1Command][][]byte{ // words, where zeros don't do
		wire.SMB1Open: {words(uint16(0x42), uint16(0x16))}, wire.SMB1OpenAndX: {andX(uint16(0), uint16(0x42), uint16(0), uint16(0), uint32(0), uint16(0x11), uint32(0), uint32(0), uint32(0))},
		wire.SMB1Search: {words(uint16(9), uint16(0x16)), words(uint16(9), uint16(8))}, wire.SMB1Find: {words(uint16(9), uint16(8))}, wire.SMB1Echo: {words(uint16(1))},
		wire.SMB1SetInformation: {make([]byte, 16)}, wire.SMB1Copy: {words(uint16(0xFFFF), uint16(0x12), uint16(0))},
	}
	for kind := uint16(smb1RenameMoveClusters); kind <= smb1RenameCopy; kind++ {
		own[wire.SMB1NTRename] = append(own[wire.SMB1NTRename], words(uint16(0x16), kind, uint32(0)))
	}
	for i := range smb1Commands {
		code, cmd := wire.SMB1Command(i), &smb1Commands[i]
		if cmd.run == nil {
			continue
		}
		w := make([]byte, 2*cmd.words)
		if cmd.andX && len(w) > 0 {
			w[0] = 0xFF
		}
		variants := own[code]
		if variants == nil {
			variants = [][]byte{w}
		}
		tail := tails[code]
		if tail == nil {
			tail = files("file", "other")
		}
		for _, w := range variants {
			add(cmd.needs&needOpen != 0 || code == wire.SMB1Flush, func(p *peer1, fid uint16) []byte {
				w := slices.Clone(w)
				if cmd.needs&needOpen != 0 || code == wire.SMB1Flush {
					le.PutUint16(w[2*cmd.fid:], fid)
				}
				switch code {
				case wire.SMB1Read, wire.SMB1Write, wire.SMB1WriteAndUnlock, wire.SMB1LockAndRead, wire.SMB1WriteAndClose:
					le.PutUint16(w[2:], 1)
				}
				return oem(p.msg(code, w, tail))
			}, "%s % x", cmd.name, w)
		}
	}
	add(true, func(p *peer1, fid uint16) []byte { return p.lockMsg1(fid, 0, 1, 0) }, "lock")
	add(true, func(p *peer1, fid uint16) []byte { return p.unlockMsg1(fid, 0, 1) }, "unlock")
	add(true, func(p *peer1, fid uint16) []byte { return p.writeMsg1(fid, 0, []byte("x")) }, "write")
	add(true, func(p *peer1, fid uint16) []byte { return p.readMsg1(fid, 0, 1) }, "read")
	add(true, func(p *peer1, fid uint16) []byte {
		return p.msg(wire.SMB1LockingAndX, andX(fid, uint8(smb1LockOplockBreak), uint8(0), uint32(0), uint16(0), uint16(0)), nil)
	}, "acknowledgment")
	add(false, func(p *peer1, _ uint16) []byte { return p.setupMsg1(ntlmNegotiate()) }, "log on")
	for _, share := range []string{"pub", "IPC$", "none"} {
		add(false, func(p *peer1, _ uint16) []byte { return p.treeMsg1(share) }, "connect to %s", share)
	}
	for _, name := range []string{"file", "srvsvc", ""} {
		for flags := uint32(0); flags < 0x20; flags += 8 {
			add(true, func(p *peer1, fid uint16) []byte {
				m := p.createMsg1(name, all1, flags)
				le.PutUint32(m[wire.SMB1HeaderSize+1+11:], uint32(fid))
				return m
			}, "create %s, %#x, in a directory", name, flags)
			add(false, func(p *peer1, _ uint16) []byte { return p.createMsg1(name, all1, flags) }, "create %s, %#x", name, flags)
		}
	}
	for _, fn := range slices.Sorted(maps.Keys(pipeFunctions)) {
		for _, name := range []string{`\PIPE\`, `\PIPE\srvsvc`} {
			add(true, func(p *peer1, fid uint16) []byte {
				return oem(p.transaction1(name, make([]byte, 4), bindPDU, fn, fid))
			}, "%s of %s", pipeFunctions[fn].name, name)
		}
	}
	add(false, func(p *peer1, _ uint16) []byte { return oem(p.transaction1(`\PIPE\LANMAN`, make([]byte, 4), nil)) }, "LANMAN")
	rename := append(append(words(uint32(1), uint32(0), uint32(2)), 'b', 0), make([]byte, 120)...)
	ea := append(words(uint32(4+4+2+2), uint8(0), uint8(1), uint16(2)), 'K', 0, 'v', 0)
	eaName := append(words(uint32(4+1+2), uint8(1)), 'K', 0)
	for _, fn := range slices.Sorted(maps.Keys(trans2Functions)) {
		f := trans2Functions[fn]
		for _, level := range levels1() {
			if fn <= 4 && level > wire.SMB1Passthru+12 {
				break // of files, not of file systems
			}
			inputs := [][]byte{rename}
			if level < 0x100 {
				inputs = append(inputs, ea, eaName)
			}
			for i, in := range inputs {
				params := make([]byte, 28)
				switch fn {
				case 0: // OPEN2
					params = words(uint16(0), uint16(0x42), uint16(0), uint16(0), uint32(0), uint16(0x11), uint32(0), uint64(0), uint16(0))
				case 1:
					params = words(uint16(0x16), uint16(9), uint16(7), level, uint32(0))
				case 2:
					params = words(uint16(1), uint16(9), level, uint32(0), uint16(0))
				case 4, 7, 8:
					params = words(uint16(0), level, uint16(0))
				case 5, 6:
					params = words(level, uint32(0))
				case 3:
					params = words(level)
				case 0xD:
					params = make([]byte, 4)
				}
				if name := "file\x00"; f.needs&needOpen == 0 {
					params = append(params, name...)
				}
				add(f.needs&needOpen != 0, func(p *peer1, fid uint16) []byte {
					params := slices.Clone(params)
					if f.needs&needOpen != 0 {
						le.PutUint16(params, fid)
					}
					return oem(p.trans2(fn, len(in), params, in))
				}, "%s, level %#x, %d", f.name, level, i)
			}
			if !slices.Contains([]uint16{1, 2, 3, 4, 5, 6, 7, 8}, fn) {
				break // it has no levels
			}
		}
	}
	unix := words(uint16(1), uint16(0), wire.SMB1UnixPathnames)
	add(false, func(p *peer1, _ uint16) []byte {
		return p.trans2(4, len(unix), words(uint16(0), uint16(wire.SMB1FsUnix)), unix)
	}, "UNIX extensions")
	for _, fn := range slices.Sorted(maps.Keys(ntFunctions)) {
		onOpen := ntFunctions[fn].needs&needOpen != 0
		controls := []uint32{0}
		if fn == 2 {
			controls = everyControl
		}
		for _, code := range controls {
			add(onOpen, func(p *peer1, fid uint16) []byte {
				params := words(fid, uint16(0), uint32(7), uint32(0))
				if fn == 1 {
					params = append(words(uint32(0x10), uint32(0), uint32(wire.AccessAll), uint64(0), uint32(0), uint32(7), uint32(wire.OpenIf), uint32(0),
						uint32(0), uint32(len(ea)), uint32(5), uint32(2), uint8(0)), "file\x00"...)
				}
				setup := words(code, fid, uint8(1), uint8(0))
				if fn == 4 {
					setup = words(uint32(0xFFF), fid, uint8(1), uint8(0))
				}
				return oem(p.ntTransaction1(fn, setup, params, ea))
			}, "%s %#x", ntFunctions[fn].name, code)
		}
	}
	return list
}

// Whatever is asked for, of whatever there is or is not, nothing panics, and IPC$ has no files.
func TestSMB1EveryRequestOfEveryTarget(t *testing.T) {
	requests := everyRequest1()
	dir := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}
	attributes := opening{wire.AccessReadAttributes, shareAll, wire.Open, 0}
	read := opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0}
	session := func(p *peer1) *session { return p.c.smb1.sessions[p.uid].session }
	closed := func(p *peer1, fid uint16) { p.want1(p.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK) }
	half := func(p *peer1, _ uint16) { p.uid = 0; p.uid = p.ask1(p.setupMsg1(ntlmNegotiate())).UID() }
	anything := []string{""}
	noSession := []string{"ECHO", "TREE_DISCONNECT"}
	noOpen := []string{"PROCESS_EXIT", "ECHO", "TREE_", "LOGOFF", "connect", "create srvsvc", "WAIT_NMPIPE", "LANMAN"}
	pipe := append(noOpen, "CLOSE", "FLUSH", "WRITE", "write", "LOCKING_ANDX", "TRANS2_QUERY_FILE", "NT_TRANSACT_RENAME", "NT_TRANSACT_QUERY_SEC",
		"SET_NMPIPE", "QUERY_NMPIPE", "PEEK_", "TRANSACT_NMPIPE", "READ", "read", "NT_TRANSACT_IOCTL 0x11c017")
	for _, c := range []struct {
		what, share, name string
		o                 opening
		may               []string // what succeeds, by how its name begins
		then              func(p *peer1, fid uint16)
	}{
		{"a file", "pub", "file", all1, anything, nil},
		{"a directory", "pub", "dir", dir, anything, nil},
		{"the root", "pub", "", dir, anything, nil},
		{"a stream", "pub", "file:s", all1, anything, nil},
		{"attributes", "pub", "file", attributes, anything, nil},
		{"a file that is only read", "ro", "file", read, anything, nil},
		{"a directory that is only read", "ro", "dir", read, anything, nil},
		{"a pipe", "IPC$", "srvsvc", all1, pipe, nil},
		{"a pipe that is bound", "IPC$", "srvsvc", all1, pipe, func(p *peer1, fid uint16) { p.want1(p.writeMsg1(fid, 0, bindPDU), wire.StatusOK) }},
		{"a pipe that was closed", "IPC$", "srvsvc", all1, noOpen, closed},
		{"a file that was closed", "pub", "file", all1, anything, closed},
		{"a file to be deleted", "pub", "file", all1, anything, func(p *peer1, fid uint16) {
			p.want1(p.trans2(8, 1, words(fid, uint16(0x102), uint16(0)), []byte{1}), wire.StatusOK)
		}},
		{"a file that was replaced", "pub", "file", all1, anything, func(p *peer1, _ uint16) {
			path := filepath.Join(p.dir, "file")
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
		{"a share whose directory has gone", "pub", "dir", dir, anything, func(p *peer1, _ uint16) {
			if err := os.RemoveAll(p.dir); err != nil {
				t.Fatal(err)
			}
		}},
		{"a share that has gone", "pub", "file", all1, noOpen, func(p *peer1, _ uint16) {
			p.reconfigure(func(c *Config) { allowSMB1(c); c.Shares = c.Shares[1:] })
		}},
		{"another tree's file", "pub", "file", all1, noOpen, func(p *peer1, _ uint16) { p.tid = p.ask1(p.treeMsg1("IPC$")).TID() }},
		{"a tree that is not there", "pub", "file", all1, []string{"ECHO", "PROCESS_EXIT", "LOGOFF", "TREE_CONNECT", "connect"}, func(p *peer1, _ uint16) { p.tid = 99 }},
		{"a session that is not there", "pub", "file", all1, noSession, func(p *peer1, _ uint16) { p.uid = 99 }},
		{"a session half logged on", "pub", "file", all1, noSession, half},
		{"a session half logged on, pipe", "IPC$", "srvsvc", all1, noSession, half},
		{"a session that has ended", "pub", "file", all1, noSession, func(p *peer1, _ uint16) {
			p.want1(p.msg(wire.SMB1LogoffAndX, andX(), nil), wire.StatusOK)
		}},
		{"a session that has expired", "pub", "file", all1, append(noSession, "CLOSE", "LOGOFF"), func(p *peer1, _ uint16) { session(p).expires.Store(1) }},
		{"a file by the UNIX extensions", "pub", "file", all1, anything, func(p *peer1, _ uint16) { p.posix() }},
		{"a user", "pub", "file", all1, anything, func(p *peer1, _ uint16) { p.peer.session = session(p).id; p.as("alice") }},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			var p *peer1
			var fid uint16
			var want string
			// state is what a request may have changed of what the next is to find.
			state := func() string {
				s := p.c.smb1
				open := "none"
				if o := s.files[fid]; o != nil {
					open = fmt.Sprint(o.closed, !o.closed && o.file != nil && p.srv.files.pending(o), o.renamed)
				}
				n := &p.srv.counters
				return fmt.Sprint(len(p.c.pending), len(s.files), len(s.trees), len(s.transactions), s.sessions[p.uid] != nil, s.trees[p.tid] != nil, open, n.sessions.Load(), n.opens.Load())
			}
			before := ""
			for _, r := range requests {
				kind, _, _ := strings.Cut(r.name, ",")
				if c.what == "a share that has gone" && kind == before {
					continue // each request takes the tree away
				}
				before = kind
				if p == nil || p.c == nil || state() != want {
					if p != nil {
						p.hangUp()
						wantNothingLeft(t, p.srv)
					}
					p = newPeer1(t, watched)
					if err := errors.Join(os.WriteFile(filepath.Join(p.dir, "file"), nil, 0o600), os.Mkdir(filepath.Join(p.dir, "dir"), 0o700)); err != nil {
						t.Fatal(err)
					}
					p.logOn1(c.share)
					fid = p.open1(c.name, c.o)
					if c.then != nil {
						c.then(p, fid)
					}
					want = state()
				}
				a := p.ask1(r.msg(p, fid))
				if a == nil {
					if len(p.c.pending) == 0 && !strings.HasPrefix(r.name, "NT_CANCEL") && r.name != "acknowledgment" {
						t.Errorf("%s has no answer", r.name)
					}
					continue
				}
				if begins := func(name string) bool { return strings.HasPrefix(r.name, name) }; a.Status() == wire.StatusOK && !slices.ContainsFunc(c.may, begins) {
					t.Errorf("%s succeeds", r.name)
				}
			}
			p.hangUp()
			wantNothingLeft(t, p.srv)
		})
	}
}
