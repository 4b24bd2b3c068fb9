package smbproto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/auth"
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

// What EAs hold is told to who has the file open for it, and in a listing to who could open it so.
func TestSMB1EAsAreReadByWhoMay(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub")
	p.open1("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.open1(`dir\file`, opening{wire.AccessAll, shareAll, wire.Create, 0})
	path := filepath.Join(p.dir, "dir", "file")
	if err := unix.Setxattr(path, "user.KEY", []byte("secret"), 0); err != nil {
		t.Fatal(err)
	}
	all := func(fid uint16) []byte {
		params := words(fid, uint16(wire.SMB1InfoAllEAs))
		return p.trans2Msg(7, params, nil, len(params), 0, 4000)
	}
	reads := p.open1(`dir\file`, opening{wire.AccessReadEA, shareAll, wire.Open, 0})
	writes := p.open1(`dir\file`, opening{wire.AccessWriteData, shareAll, wire.Open, 0})
	p.want1(all(reads), wire.StatusOK)
	p.want1(all(writes), wire.StatusAccessDenied)

	find := func() []byte { return p.findEA(`dir\f*`, "KEY") }
	if !bytes.Contains(find(), []byte("secret")) {
		t.Error("an EA that may be read is not listed")
	}
	d := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessAll&^wire.AccessReadEA, sd.Everyone) })
	d.Owner, d.Group = sd.System, sd.System
	if err := unix.Setxattr(path, securityName, d.Append(nil), 0); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(find(), []byte("secret")) {
		t.Error("an EA that may not be read is listed")
	}
}

// findEA lists what a pattern finds, with the EA of one name, and gives the whole answer.
func (p *peer1) findEA(pattern, name string) []byte {
	p.t.Helper()
	names := append(append([]byte{byte(len(name))}, name...), 0)
	data := append(words(uint32(4+len(names))), names...)
	params := append(words(uint16(0x16), uint16(10), uint16(findClose), uint16(wire.SMB1FindEAs), uint32(0)), utf16le(pattern)...)
	params = append(params, 0, 0)
	msg := p.trans2Msg(1, params, data, len(params), len(data), 4000)
	r := p.ask1(msg)
	p.isAnswer(r, msg, wire.StatusOK)
	return r
}

// To list a directory, and the EAs in it, takes no right beyond reading: neither of the share nor of descriptors.
func TestSMB1ListsWhatMayOnlyBeRead(t *testing.T) {
	needXattrs(t)
	p := newPeer1(t, nil).logOn1("pub")
	p.open1("dir", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	p.open1(`dir\file`, opening{wire.AccessAll, shareAll, wire.Create, 0})
	dir := filepath.Join(p.dir, "dir")
	if err := unix.Setxattr(filepath.Join(dir, "file"), "user.KEY", []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
	lists := func(p *peer1) {
		t.Helper()
		params := findParams(`\dir\*`, findClose)
		if b := p.trans2Data(p.trans2Msg(1, params, nil, len(params), 0, 4000)); !bytes.Contains(b, utf16le("file")) {
			t.Error("FIND_FIRST2 does not list the file")
		}
		pattern := append(append([]byte{4}, utf16le(`\dir\*`)...), 0, 0, 5, 0, 0)
		b := p.want1(p.msg(wire.SMB1Search, words(uint16(10), uint16(0x16)), pattern), wire.StatusOK)
		if n := b.Word(0); n != 3 {
			t.Errorf("SEARCH lists %d entries, want ., .. and the file", n)
		}
		if !bytes.Contains(p.findEA(`\dir\f*`, "KEY"), []byte("value")) {
			t.Error("the EA is not listed")
		}
	}
	lists(connect1(t, p.srv, p.dir).logOn1("ro"))

	d := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.Everyone) })
	d.Owner, d.Group = sd.System, sd.System
	for _, path := range []string{dir, filepath.Join(dir, "file")} {
		if err := unix.Setxattr(path, securityName, d.Append(nil), 0); err != nil {
			t.Fatal(err)
		}
	}
	p.want1(p.createMsg1(`dir\new`, opening{wire.AccessAll, shareAll, wire.Create, 0}, 0), wire.StatusAccessDenied)
	lists(p)
}

// A tree connect is the connection's, but what it is of is told to those only whom the share admits.
func TestSMB1VolumesAreToldToWhomTheShareAdmits(t *testing.T) {
	p := newPeer1(t, func(c *Config) { c.Shares[0].NoGuests = true }).logOn1("IPC$")
	sess := p.c.smb1.sessions[p.uid].session
	sess.mu.Lock()
	nobody := sess.identity
	sess.identity = auth.Identity{User: "alice"}
	sess.mu.Unlock()
	path := append([]byte{4}, utf16le(`\\server\`+p.srv.settings().cfg.Shares[0].Name)...)
	path = append(path, 0, 0, 4, 0, 0, 0, 4)
	msg := p.msg(wire.SMB1TreeConnect, nil, append(append(path, 0), append(utf16le("?????"), 0, 0)...))
	r := p.ask1(msg)
	p.isAnswer(r, msg, wire.StatusOK)
	p.tid = r.TID()
	params := words(uint16(0x105))
	for _, s := range []wire.Status{wire.StatusOK, wire.StatusAccessDenied} {
		p.want1(p.trans2Msg(3, params, nil, len(params), 0, 4000), s)
		p.want1(p.msg(wire.SMB1QueryInformationDisk, nil, nil), s)
		sess.mu.Lock()
		sess.identity = nobody
		sess.mu.Unlock()
	}
}

// Log-ons of SMB1 that fail are counted.
func TestSMB1LogOnsThatAreRefusedAreCounted(t *testing.T) {
	p := newPeer1(t, func(c *Config) { c.Auth.Guest = false })
	p.want1(p.msg(wire.SMB1Negotiate, nil, []byte("\x02NT LM 0.12\x00")), wire.StatusOK)
	setup := func(token []byte) wire.SMB1Header {
		return p.ask1(p.msg(wire.SMB1SessionSetupAndX, andX(uint16(60000), uint16(50), uint16(0), uint32(0), uint16(len(token)), uint32(0), uint32(0)),
			append(token, 0, 0, 0, 0, 0)))
	}
	p.uid = setup(ntlmNegotiate()).UID()
	if s := setup(ntlmAnonymous()).Status(); s != wire.StatusLogonFailure {
		t.Fatal(s)
	}
	if n := p.srv.Stats().LogOnsRefused; n != 1 {
		t.Errorf("%d log-ons refused, want 1", n)
	}
}

// Who may only read a file can't give it another time by closing it.
func TestSMB1ClosingChangesNoFileThatIsOnlyRead(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	path := filepath.Join(p.dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const then = 1_000_000_000
	written := func() int64 {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return st.ModTime().Unix()
	}
	reads := opening{wire.AccessReadData, shareAll, wire.Open, 0}
	fid := p.open1("file", reads)
	p.want1(p.msg(wire.SMB1WriteAndClose, words(fid, uint16(0), uint32(0), uint32(then)), []byte{0}), wire.StatusOK)
	p.want1(p.msg(wire.SMB1Close, words(fid, uint32(then)), nil), wire.StatusOK)
	if written() == then {
		t.Error("the time was set by who may only read")
	}
	p.want1(p.msg(wire.SMB1Close, words(p.open1("file", all1), uint32(then)), nil), wire.StatusOK)
	if written() != then {
		t.Error("the time was not set by who may write")
	}
}

// Ids that are all taken are not looked for.
func TestSMB1IDsAreEnough(t *testing.T) {
	p := newPeer1(t, func(c *Config) { c.Limits.MaxOpens = 1 << 20 }).logOn1("pub")
	disk := p.tid
	path := append(append([]byte{0}, utf16le(`\\server\IPC$`)...), 0, 0)
	msg := p.msg(wire.SMB1TreeConnectAndX, andX(uint16(0), uint16(1)), append(path, "?????\x00"...))
	r := p.ask1(msg)
	p.isAnswer(r, msg, wire.StatusOK)
	p.tid = r.TID()
	for i := range maxPipes {
		if i == maxPipes-1 {
			for id := 1; len(p.c.smb1.files) < maxSMB1Opens+maxPipes-1; id++ {
				if fid := uint16(id); p.c.smb1.files[fid] == nil {
					p.c.smb1.files[fid] = &open{}
				}
			}
		}
		p.open1(`\srvsvc`, all1)
	}
	p.want1(p.createMsg1(`\srvsvc`, all1, 0), wire.StatusPipeNotAvailable)
	p.tid = disk
	p.want1(p.createMsg1("file", all1, 0), wire.StatusTooManyOpenedFiles)
	for fid, o := range p.c.smb1.files {
		if o.session == nil {
			delete(p.c.smb1.files, fid)
		}
	}
	for _, l := range []Limits{{MaxTrees: 1 << 16}, {MaxSessions: 1 << 16}} {
		if err := l.setDefaults(); err == nil {
			t.Errorf("%+v: more than there are ids", l)
		}
	}
}

// A copy takes no longer than a large file does.
func TestSMB1CopiesAreBounded(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	if err := os.WriteFile(filepath.Join(p.dir, "file"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	copyTo := func(to string) []byte {
		data := append(append([]byte{4}, utf16le("file")...), 0, 0, 4, 0)
		return p.msg(wire.SMB1NTRename, words(uint16(0x16), uint16(smb1RenameCopy), uint32(0)), append(append(data, utf16le(to)...), 0, 0))
	}
	p.want1(copyTo("small"), wire.StatusOK)
	if err := os.Truncate(filepath.Join(p.dir, "file"), maxCopied+1); err != nil {
		t.Fatal(err)
	}
	p.want1(copyTo("large"), wire.StatusInsufficientResources)
	if _, err := os.Stat(filepath.Join(p.dir, "large")); err == nil {
		t.Error("a file that was not copied is there")
	}

	// Those of a pattern count together.
	const half = maxCopied/2 + 1
	for _, name := range []string{"half1", "half2"} {
		if err := errors.Join(os.WriteFile(filepath.Join(p.dir, name), nil, 0o600), os.Truncate(filepath.Join(p.dir, name), half)); err != nil {
			t.Fatal(err)
		}
	}
	p.open1("to", opening{wire.AccessAll, shareAll, wire.Create, wire.OptionDirectory})
	data := append(append([]byte{4}, utf16le("half*")...), 0, 0, 4, 0)
	b := p.want1(p.msg(wire.SMB1Copy, words(p.tid, uint16(0), uint16(0)), append(append(data, utf16le("to")...), 0, 0)), wire.StatusOK)
	if n := b.Word(0); n != 1 {
		t.Errorf("%d files are copied, want 1", n)
	}
}

// Where one of the files that a pattern finds is in the way of an oplock, the request waits as a whole, and is answered once.
func TestSMB1PatternsWaitForOplocksOnce(t *testing.T) {
	holder := newPeer1(t, nil).logOn1("pub")
	other := connect1(t, holder.srv, holder.dir).logOn1("pub")
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(holder.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var held []uint16
	for _, name := range []string{"b", "c"} {
		held = append(held, le.Uint16(holder.want1(holder.createMsg1(name, all1, smb1CreateOplock|smb1CreateBatch), wire.StatusOK).Words[5:]))
	}
	msg := other.msg(wire.SMB1Delete, words(uint16(0x16)), append(append([]byte{4}, utf16le("*")...), 0, 0))
	if r := other.ask1(msg); r != nil {
		t.Fatalf("answered at once: %v", r.Status())
	}
	if n := len(other.c.pending); n != 1 {
		t.Fatalf("the request waits %d times", n)
	}
	answers := 0
	for _, fid := range held {
		holder.wake()
		holder.want1(holder.msg(wire.SMB1Close, words(fid, uint32(0)), nil), wire.StatusOK)
		if r := other.wake(); r != nil {
			other.isAnswer(r, msg, wire.StatusOK)
			answers++
		}
	}
	if left, err := os.ReadDir(holder.dir); answers != 1 || len(left) != 0 || err != nil {
		t.Errorf("%d answers, left are %v, %v", answers, left, err)
	}
}

// Of a share that is there no more a connection keeps nothing once it has asked for something of it.
func TestSMB1SearchesGoWithTheirShare(t *testing.T) {
	p := newPeer1(t, nil).logOn1("pub")
	params := findParams(`\*`, 0)
	p.want1(p.trans2Msg(1, params, nil, len(params), 0, 4000), wire.StatusOK)
	if n := len(p.c.smb1.searches); n != 1 {
		t.Fatalf("%d searches", n)
	}
	gone := p.c.smb1.trees[p.tid].share
	cfg := p.srv.settings().cfg
	cfg.Shares = []Share{{Name: "other", Path: p.dir}}
	if _, err := p.srv.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	p.want1(p.msg(wire.SMB1QueryInformationDisk, nil, nil), wire.StatusNetworkNameDeleted)
	if s := p.c.smb1; len(s.searches) != 0 || len(s.trees) != 0 || gone.holders.Load() != 0 {
		t.Errorf("%d searches, %d trees, %d hold the share", len(s.searches), len(s.trees), gone.holders.Load())
	}
}

// What a client takes is agreed by the negotiation: the names of the domain and the server are in Unicode for one that has not said
// yet that it takes it, too, as nmap reads them.
func TestSMB1NegotiationNamesTheServerInUnicode(t *testing.T) {
	p := newPeer1(t, func(c *Config) { c.Auth.Domain = "GROUP" })
	p.flags2 = wire.SMB1Flags2NTStatus
	b := p.want1(p.msg(wire.SMB1Negotiate, nil, []byte("\x02NT LM 0.12\x00")), wire.StatusOK)
	if want := utf16le("GROUP\x00FILES\x00"); !bytes.Equal(b.Bytes[8:], want) { // behind the challenge
		t.Errorf("the server's names are % x, want % x", b.Bytes[8:], want)
	}
}
