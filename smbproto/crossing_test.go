package smbproto

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// request2 is a good request of SMB2.
type request2 struct {
	name   string
	onOpen bool // it has a FileId
	msg    func(p *peer, id wire.FileID) []byte
}

// everyControl has some that there are not.
var everyControl = []uint32{
	wire.FsctlDFSGetReferrals, wire.FsctlDFSGetReferralsEx, wire.FsctlGetCompression, wire.FsctlSetCompression, wire.FsctlGetObjectID,
	wire.FsctlGetReparsePoint, wire.FsctlCreateOrGetObjectID, wire.FsctlSetSparse, wire.FsctlQueryAllocatedRanges, wire.FsctlSetZeroData,
	wire.FsctlPipeWait, wire.FsctlPipePeek, wire.FsctlPipeTransceive, wire.FsctlRequestResumeKey, wire.FsctlRequestResiliency,
	wire.FsctlQueryNetworkInterfaces, wire.FsctlCopyChunk, wire.FsctlCopyChunkWrite, 0x90000,
}

// bindPDU binds a pipe to srvsvc.
var bindPDU = []byte{5, 0, 11, 3, 16, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0, 0xb8, 0x10, 0xb8, 0x10, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0,
	0xc8, 0x4f, 0x32, 0x4b, 0x70, 0x16, 0xd3, 0x01, 0x12, 0x78, 0x5a, 0x47, 0xbf, 0x6e, 0xe1, 0x88, 3, 0, 0, 0,
	0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60, 2, 0, 0, 0}

// everyRequest2 has at least one request of each command, class, control and create context.
func everyRequest2() (list []request2) {
	add := func(onOpen bool, name string, msg func(p *peer, id wire.FileID) []byte) {
		list = append(list, request2{name, onOpen, msg})
	}
	for cmd := wire.CommandNegotiate + 1; cmd < wire.CommandCount; cmd++ { // zeros, which some take
		c := &commands[cmd]
		add(c.fileID != 0 || cmd == wire.CommandIoctl || cmd == wire.CommandOplockBreak, cmd.String()+" of zeros", func(p *peer, id wire.FileID) []byte {
			return p.request(cmd, c.size, func(m []byte) {
				switch at := c.fileID; {
				case at != 0:
					id.Put(m[at:])
				case cmd == wire.CommandIoctl, cmd == wire.CommandOplockBreak:
					id.Put(m[72:])
				}
			}, 0)
		})
	}
	add(false, "SESSION_SETUP", func(p *peer, _ wire.FileID) []byte { return p.setupMsg(ntlmNegotiate()) })
	for _, share := range []string{"pub", "ro", "IPC$", "none"} {
		add(false, "TREE_CONNECT "+share, func(p *peer, _ wire.FileID) []byte { return p.treeMsg(`\\server\` + share) })
	}
	add(true, "READ", func(p *peer, id wire.FileID) []byte { return p.readMsg(id, 0, 1000) })
	add(true, "WRITE", func(p *peer, id wire.FileID) []byte { return p.writeMsg(id, 0, bindPDU) })
	for _, flags := range []uint32{exclusive, wire.LockUnlock, wire.LockExclusive, wire.LockShared} {
		add(true, fmt.Sprint("LOCK ", flags), func(p *peer, id wire.FileID) []byte { return p.lockMsg(id, 0, 1, flags) })
	}
	add(true, "CHANGE_NOTIFY", func(p *peer, id wire.FileID) []byte { return p.notifyMsg(id, 1000, 0xFFF, true) })
	add(true, "CLOSE, with attributes", func(p *peer, id wire.FileID) []byte {
		m := p.closeMsg(id)
		m[66] = 1
		return m
	})
	add(true, "OPLOCK_BREAK", func(p *peer, id wire.FileID) []byte { return p.ackMsg(id, wire.OplockII) })
	add(false, "OPLOCK_BREAK, of a lease", func(p *peer, _ wire.FileID) []byte { return p.leaseAckMsg(1, leaseRH) })
	for _, code := range everyControl {
		for name, in := range map[string][]byte{"nothing": nil, "ranges": twoOffsets(0, 5), "chunks": copyChunkInput(make([]byte, 24), chunk{0, 0, 1}), "bind": bindPDU} {
			add(true, fmt.Sprintf("IOCTL %#x, %s", code, name), func(p *peer, id wire.FileID) []byte { return p.ioctlMsg(code, id, in, 4000) })
		}
	}
	add(true, "IOCTL, copy of itself", func(p *peer, id wire.FileID) []byte {
		key := make([]byte, wire.ResumeKeySize)
		wire.PutResumeKey(key, id)
		return p.ioctlMsg(wire.FsctlCopyChunk, id, copyChunkInput(key, chunk{0, 9, 1}), 4000)
	})
	security := sd.Open(sd.Everyone, sd.Everyone, wire.AccessAll, false).Append(nil)
	add(true, "QUERY_INFO, named EAs", func(p *peer, id wire.FileID) []byte { return p.eaMsg(id, 0, 0, 1000, eaNames("A")) })
	add(true, "QUERY_INFO, security", func(p *peer, id wire.FileID) []byte { return p.securityMsg(id, allParts, 1000) })
	add(true, "SET_INFO, security", func(p *peer, id wire.FileID) []byte {
		return p.setSecurityMsg(id, sd.PartDACL, security)
	})
	for class := range uint8(wire.FileRenameInformationEx) + 2 {
		add(true, fmt.Sprintf("QUERY_INFO 1, %d", class), func(p *peer, id wire.FileID) []byte { return p.queryMsg(id, wire.InfoFile, class, 4000) })
		add(true, fmt.Sprintf("QUERY_DIRECTORY, %d", class), func(p *peer, id wire.FileID) []byte {
			return p.listMsg(id, wire.FileInfoClass(class), "*", wire.RestartScans, 4000)
		})
		for i, in := range [][]byte{make([]byte, 40), renameInfo("other", true), eaList("A", "x")} {
			add(true, fmt.Sprintf("SET_INFO 1, %d, %d", class, i), func(p *peer, id wire.FileID) []byte { return p.setMsg(id, wire.FileInfoClass(class), in) })
		}
	}
	for _, kind := range []wire.InfoType{wire.InfoFilesystem, wire.InfoQuota} {
		for class := range uint8(16) {
			add(true, fmt.Sprintf("QUERY_INFO %d, %d", kind, class), func(p *peer, id wire.FileID) []byte { return p.queryMsg(id, kind, class, 4000) })
			add(true, fmt.Sprintf("SET_INFO %d, %d", kind, class), func(p *peer, id wire.FileID) []byte {
				m := p.setMsg(id, wire.FileInfoClass(class), make([]byte, 40))
				m[66] = byte(kind)
				return m
			})
		}
	}
	leaseV2 := make([]byte, wire.LeaseV2ContextSize)
	leaseV2[0], leaseV2[16] = 1, byte(leaseRWH)
	lost := wire.FileID{Persistent: 1, Volatile: 1}
	for name, x := range map[string]struct {
		level    wire.OplockLevel
		contexts []createContext
	}{
		"alone": {}, "exclusive": {wire.OplockExclusive, nil}, "MxAc": {0, []createContext{{wire.ContextMaximalAccess, nil}}},
		"QFid": {0, []createContext{{wire.ContextQueryOnDiskID, nil}}}, "TWrp": {0, []createContext{{wire.ContextTimewarp, make([]byte, 8)}}},
		"ExtA": {0, []createContext{{wire.ContextEABuffer, eaList("A", "x")}}}, "AlSi": {0, []createContext{{wire.ContextAllocationSize, make([]byte, 8)}}},
		"SecD": {0, []createContext{{wire.ContextSecurity, security}}}, "RqLs": {wire.OplockLease, []createContext{leaseContext(1, leaseRWH)}},
		"RqLs of version 2": {wire.OplockLease, []createContext{{wire.ContextLease, leaseV2}}}, "DHnQ": {wire.OplockBatch, []createContext{durableV1()}},
		"DH2Q": {wire.OplockBatch, []createContext{durableV2(1, time.Second)}}, "DHnC": {0, []createContext{reconnectV1(lost)}},
		"DH2C": {0, []createContext{reconnectV2(lost, 1)}}, "DH2C with a lease": {wire.OplockLease, []createContext{reconnectV2(lost, 1), leaseContext(1, leaseRWH)}},
		"an instance": {wire.OplockBatch, []createContext{instance(1), durableV2(2, 0)}},
	} {
		for _, file := range []string{"file", "other", "file:s", "srvsvc"} {
			add(false, fmt.Sprintf("CREATE %s, %s", file, name), func(p *peer, _ wire.FileID) []byte {
				m := p.oplockMsg(file, anyOpen, x.level)
				if len(x.contexts) > 0 {
					m = withContexts(m, x.contexts...)
				}
				return m
			})
		}
	}
	return list
}

// Whatever is asked for, of whatever there is or is not, nothing panics, all is answered, and IPC$ has no files.
func TestEveryRequestOfEveryTarget(t *testing.T) {
	requests := everyRequest2()
	var related []request2 // to a CREATE that fails, and to one that may not
	for _, r := range requests {
		if r.onOpen {
			related = append(related, request2{r.name + ", after a failure", true, func(p *peer, _ wire.FileID) []byte {
				return chainOf(true, p.createMsg(`none\file`, anyOpen), r.msg(p, wire.FileIDNone))
			}}, request2{r.name + ", of a chain", false, func(p *peer, _ wire.FileID) []byte {
				return chainOf(true, p.createMsg("srvsvc", anyOpen), r.msg(p, wire.FileIDNone), p.closeMsg(wire.FileIDNone))
			}})
		}
	}
	dir := opening{wire.AccessAll, shareAll, wire.OpenIf, wire.OptionDirectory}
	read := opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0}
	closed := func(p *peer, id wire.FileID) wire.FileID { p.want(p.closeMsg(id), wire.StatusOK); return id }
	half := func(p *peer, id wire.FileID) wire.FileID {
		p.session = 0
		p.session = wire.Header(p.ask(p.setupMsg(ntlmNegotiate()))).SessionID()
		return id
	}
	anything := []string{""}
	noSession := []string{"ECHO"}
	noOpen := []string{"ECHO", "LOGOFF", "TREE_", "CREATE srvsvc", "IOCTL 0x1401fc"}
	pipe := append(noOpen, "CLOSE", "FLUSH", "WRITE", "QUERY_INFO 1", "QUERY_INFO, sec", "READ", "IOCTL 0x11c017")
	for _, c := range []struct {
		what, share, name string
		o                 opening
		may               []string // what succeeds, by how its name begins
		then              func(p *peer, id wire.FileID) wire.FileID
	}{
		{"a file", "pub", "file", anyOpen, anything, nil},
		{"a directory", "pub", "dir", dir, anything, nil},
		{"the root", "pub", "", dir, anything, nil},
		{"a stream", "pub", "file:s", anyOpen, anything, nil},
		{"attributes", "pub", "file", opening{wire.AccessReadAttributes, shareAll, wire.Open, 0}, anything, nil},
		{"a file that is only read", "ro", "file", read, anything, nil},
		{"a directory that is only read", "ro", "dir", read, anything, nil},
		{"a pipe", "IPC$", "srvsvc", anyOpen, pipe, nil},
		{"a pipe that is bound", "IPC$", "srvsvc", anyOpen, pipe, func(p *peer, id wire.FileID) wire.FileID {
			p.want(p.writeMsg(id, 0, bindPDU), wire.StatusOK)
			return id
		}},
		{"a pipe that was closed", "IPC$", "srvsvc", anyOpen, noOpen, closed},
		{"a file that was closed", "pub", "file", anyOpen, anything, closed},
		{"a file to be deleted", "pub", "file", anyOpen, anything, func(p *peer, id wire.FileID) wire.FileID {
			p.want(p.setMsg(id, wire.FileDispositionInformation, []byte{1}), wire.StatusOK)
			return id
		}},
		{"a file that was replaced", "pub", "file", anyOpen, anything, func(p *peer, id wire.FileID) wire.FileID {
			path := filepath.Join(p.dir, "file")
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
			return id
		}},
		{"a share whose directory has gone", "pub", "dir", dir, anything, func(p *peer, id wire.FileID) wire.FileID {
			if err := os.RemoveAll(p.dir); err != nil {
				t.Fatal(err)
			}
			return id
		}},
		{"a share that has gone", "pub", "file", anyOpen, noOpen, func(p *peer, id wire.FileID) wire.FileID {
			p.reconfigure(func(c *Config) { c.Shares = c.Shares[1:] })
			return id
		}},
		{"what has come back", "pub", "other", anyOpen, anything, func(p *peer, id wire.FileID) wire.FileID {
			p.want(p.closeMsg(id), wire.StatusOK)
			id = p.openDurable("file", anyOpen)
			*p = *p.comesBack("pub")
			return wire.ReadFileID(p.want(withContexts(p.createMsg("file", anyOpen), reconnectV1(id)), wire.StatusOK)[128:])
		}},
		{"another tree's file", "pub", "file", anyOpen, noOpen, func(p *peer, id wire.FileID) wire.FileID {
			p.tree = wire.Header(p.want(p.treeMsg(`\\server\IPC$`), wire.StatusOK)).TreeID()
			return id
		}},
		{"another session's file", "pub", "file", anyOpen, []string{"ECHO", "LOGOFF", "TREE_CONNECT"}, func(p *peer, id wire.FileID) wire.FileID {
			half(p, id)
			p.want(p.setupMsg(ntlmAnonymous()), wire.StatusOK)
			return id
		}},
		{"no session", "pub", "file", anyOpen, noSession, func(p *peer, id wire.FileID) wire.FileID { p.session = 0; return id }},
		{"a session half logged on", "pub", "file", anyOpen, noSession, half},
		{"a session that has ended", "pub", "file", anyOpen, noSession, func(p *peer, id wire.FileID) wire.FileID {
			p.want(p.request(wire.CommandLogoff, 4, nil), wire.StatusOK)
			return id
		}},
		{"a session that has expired", "pub", "file", anyOpen, []string{"ECHO", "LOGOFF", "CLOSE"}, func(p *peer, id wire.FileID) wire.FileID {
			p.c.sessions[p.session].expires.Store(1)
			return id
		}},
		{"a user", "pub", "file", anyOpen, anything, func(p *peer, id wire.FileID) wire.FileID { p.as("alice"); return id }},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			var p *peer
			var id wire.FileID
			var want string
			// state is what a request may have changed of what the next is to find.
			state := func() string {
				open := "none"
				if s := p.c.sessions[p.session]; s != nil {
					if o := s.open(id); o != nil {
						open = fmt.Sprint(o.closed, !o.closed && o.file != nil && p.srv.files.pending(o), o.renamed, o.notify.Load() != nil)
					}
				}
				n := &p.srv.counters
				return fmt.Sprint(len(p.c.pending), open, n.sessions.Load(), n.opens.Load(), n.trees.Load())
			}
			requests := requests
			if c.what == "a file" || c.what == "a pipe" {
				requests = append(slices.Clone(requests), related...)
			}
			for _, r := range requests {
				if p == nil || state() != want {
					if p != nil {
						p.hangUp()
						wantNothingLeft(t, p.srv)
					}
					p = newPeer(t, watched)
					p.t, p.dialect, p.guid = t, 0x0302, [16]byte{1}
					if strings.Contains(c.what, "come back") {
						p.dialect = 0x0210
					}
					if err := errors.Join(os.WriteFile(filepath.Join(p.dir, "file"), nil, 0o600), os.Mkdir(filepath.Join(p.dir, "dir"), 0o700)); err != nil {
						t.Fatal(err)
					}
					p.logOn(c.share)
					id = p.open(c.name, c.o)
					if c.then != nil {
						id = c.then(p, id)
					}
					want = state()
				}
				session := p.session
				msg := r.msg(p, id)
				if err := p.feed(frame(msg)); err != nil {
					t.Errorf("%s: %v", r.name, err)
				}
				p.session = session
				answers := 0
				for a := p.reply(); len(a) > 0; answers++ {
					first, rest, err := element(a)
					if err != nil {
						t.Fatal(err)
					}
					begins := func(name string) bool { return strings.HasPrefix(r.name, name) }
					if status(first) == wire.StatusOK && !slices.ContainsFunc(c.may, begins) && !strings.HasSuffix(r.name, "of a chain") {
						t.Errorf("%s succeeds", r.name)
					}
					if a = rest; a == nil {
						a = p.reply()
					}
				}
				if answers == 0 && !strings.HasPrefix(r.name, "CANCEL") {
					t.Errorf("%s has no answer", r.name)
				}
			}
			p.hangUp()
			wantNothingLeft(t, p.srv)
		})
	}
}

func wantNothingLeft(t *testing.T, srv *Server) {
	t.Helper()
	srv.files.evictAll(func(*open) bool { return true })
	if st := srv.Stats(); st.Opens != 0 || st.Sessions != 0 || st.Trees != 0 || st.Connections != 0 || len(srv.files.files) != 0 {
		t.Fatalf("left: %+v, %d files", st, len(srv.files.files))
	}
}
