package smbproto

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ustack/smbproto/auth"
	"ustack/smbproto/sd"
	"ustack/smbproto/wire"
)

const (
	allParts     = sd.PartOwner | sd.PartGroup | sd.PartDACL
	securityName = "user.ustack.security"
)

// as makes the peer another user's.
func (p *peer) as(user string) *peer {
	p.c.sessions[p.session].token.Store(p.srv.token(auth.Identity{User: user}))
	return p
}

func (p *peer) sid(user string) sd.SID { return p.srv.token(auth.Identity{User: user}).User }

// aliceAndBob are logged on to one server.
func aliceAndBob(t *testing.T, change func(*Config)) (alice, bob *peer) {
	needXattrs(t)
	dir := t.TempDir()
	srv := newServerIn(t, dir, change)
	return connect(t, srv, dir).logOn("pub").as("alice"), connect(t, srv, dir).logOn("pub").as("bob")
}

func (p *peer) securityMsg(id wire.FileID, parts sd.Parts, room int) []byte {
	m := p.queryMsg(id, wire.InfoSecurity, 0, room)
	le.PutUint32(m[80:], uint32(parts))
	return m
}

func (p *peer) security(id wire.FileID, parts sd.Parts) *sd.Descriptor {
	p.t.Helper()
	r := p.want(p.securityMsg(id, parts, 4096), wire.StatusOK)
	d, err := sd.Parse(r[wire.OutputFixed:])
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *peer) setSecurityMsg(id wire.FileID, parts sd.Parts, b []byte) []byte {
	m := p.setMsg(id, 0, b)
	m[66] = byte(wire.InfoSecurity)
	le.PutUint32(m[76:], uint32(parts))
	return m
}

// dacl is a descriptor with a DACL alone.
func dacl(add func(l *sd.ACL)) *sd.Descriptor {
	d := &sd.Descriptor{Control: sd.DACLPresent, DACL: &sd.ACL{}}
	add(d.DACL)
	return d
}

// give sets the DACL of what alice has made.
func (p *peer) give(name string, d *sd.Descriptor) {
	p.t.Helper()
	id := p.open(name, opening{wire.AccessWriteDAC, shareAll, wire.Open, 0})
	p.want(p.setSecurityMsg(id, sd.PartDACL, d.Append(nil)), wire.StatusOK)
	p.want(p.closeMsg(id), wire.StatusOK)
}

// try opens and closes.
func (p *peer) try(name string, o opening) wire.Status {
	p.t.Helper()
	id, s := p.tryOpen(name, o)
	if s == wire.StatusOK {
		p.want(p.closeMsg(id), wire.StatusOK)
	}
	return s
}

// granted is what an open has.
func (p *peer) granted(id wire.FileID) wire.Access {
	p.t.Helper()
	r := p.want(p.queryMsg(id, wire.InfoFile, uint8(wire.FileAccessInformation), 4), wire.StatusOK)
	return wire.Access(le.Uint32(r[wire.OutputFixed:]))
}

func (p *peer) make(name string, options wire.CreateOptions) {
	p.t.Helper()
	p.want(p.closeMsg(p.open(name, opening{wire.AccessAll, shareAll, wire.Create, options})), wire.StatusOK)
}

func TestFilesBelongToWhoMakesThem(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("hers", 0)
	bob.make("his", wire.OptionDirectory)
	for name, owner := range map[string]sd.SID{"hers": alice.sid("ALICE"), "his": alice.sid("bob")} {
		id := alice.open(name, opening{wire.AccessReadControl, shareAll, wire.Open, 0})
		d := alice.security(id, allParts)
		if d.Owner != owner || d.Group != alice.srv.cfg.MachineSID.Sub(sd.DomainUsersRID) || d.DACL.Len() != 1 {
			t.Errorf("%s: owner %v, group %v, %d entries", name, d.Owner, d.Group, d.DACL.Len())
		}
		if d := alice.security(id, sd.PartOwner); d.Owner != owner || d.Group != "" || d.DACL != nil || d.Control.Has(sd.DACLPresent) {
			t.Errorf("%s: asked for its owner: %+v", name, d)
		}
	}
	if alice.sid("alice") == alice.sid("bob") {
		t.Error("two users have one SID")
	}
}

// What nobody has given a descriptor is everybody's, and belongs to whoever owns it in Linux.
func TestFilesWithoutADescriptor(t *testing.T) {
	alice, _ := aliceAndBob(t, nil)
	if err := os.Mkdir(filepath.Join(alice.dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	id := alice.open("old", opening{wire.AccessMaximumAllowed, shareAll, wire.Open, 0})
	d := alice.security(id, allParts)
	if uid, gid := uint32(os.Getuid()), uint32(os.Getgid()); d.Owner != sd.UnixUser(uid) || d.Group != sd.UnixGroup(gid) {
		t.Errorf("owner %v, group %v", d.Owner, d.Group)
	}
	if got := alice.granted(id); got != wire.AccessAll {
		t.Errorf("%#x granted", got)
	}
	if err := unix.Setxattr(filepath.Join(alice.dir, "old"), securityName, []byte("no descriptor"), 0); err != nil {
		t.Fatal(err)
	}
	if s := alice.try("old", opening{att, shareAll, wire.Open, 0}); s != wire.StatusFileCorrupt {
		t.Errorf("of a broken descriptor: %v", s)
	}
	if s := alice.try(`old\new`, opening{att, shareAll, wire.Create, 0}); s != wire.StatusFileCorrupt {
		t.Errorf("in a directory of a broken descriptor: %v", s)
	}
}

func TestAccessIsCheckedWhenAFileIsOpened(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("dir", wire.OptionDirectory)
	alice.make(`dir\file`, 0)
	alice.give(`dir\file`, dacl(func(l *sd.ACL) {
		l.AppendACE(sd.Deny, 0, wire.AccessExecute, alice.sid("bob"))
		l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.AuthenticatedUsers)
	}))
	const mine = wire.AccessReadControl | wire.AccessWriteDAC // as the owner
	alice.give("dir", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessExecute, sd.Everyone) }))
	for _, c := range []struct {
		who     *peer
		access  wire.Access
		d       wire.Disposition
		options wire.CreateOptions
		want    wire.Status
		granted wire.Access
	}{
		{bob, rd, wire.Open, 0, wire.StatusOK, rd},
		{bob, wr, wire.Open, 0, wire.StatusAccessDenied, 0},
		{bob, rd | wire.AccessExecute, wire.Open, 0, wire.StatusAccessDenied, 0},
		{bob, wire.AccessGenericRead, wire.Open, 0, wire.StatusOK, 0x120089},
		{bob, wire.AccessGenericWrite, wire.OpenIf, 0, wire.StatusAccessDenied, 0},
		{bob, wire.AccessWriteDAC, wire.Open, 0, wire.StatusAccessDenied, 0},
		{bob, wire.AccessDelete, wire.Open, 0, wire.StatusAccessDenied, 0},
		{bob, wire.AccessMaximumAllowed, wire.Open, 0, wire.StatusOK, wire.AccessReadOnly &^ wire.AccessExecute},
		{bob, wire.AccessMaximumAllowed | rd, wire.Open, 0, wire.StatusOK, wire.AccessReadOnly &^ wire.AccessExecute},
		{bob, wire.AccessMaximumAllowed | wr, wire.Open, 0, wire.StatusAccessDenied, 0},
		{bob, wire.AccessMaximumAllowed, wire.Open, wire.OptionDeleteOnClose, wire.StatusInvalidParameter, 0},
		{bob, wire.AccessMaximumAllowed | wire.AccessDelete, wire.Open, wire.OptionDeleteOnClose, wire.StatusAccessDenied, 0},
		{bob, rd, wire.Overwrite, 0, wire.StatusAccessDenied, 0},
		{bob, rd, wire.OverwriteIf, 0, wire.StatusAccessDenied, 0},
		{bob, rd, wire.Supersede, 0, wire.StatusAccessDenied, 0},
		{bob, rd, wire.Create, 0, wire.StatusObjectNameCollision, 0},
		{alice, wire.AccessMaximumAllowed, wire.Open, 0, wire.StatusOK, wire.AccessReadOnly | mine},
		{alice, wire.AccessWriteDAC, wire.Open, 0, wire.StatusOK, wire.AccessWriteDAC},
		{alice, wire.AccessSystemSecurity | rd, wire.Open, 0, wire.StatusPrivilegeNotHeld, 0},
	} {
		id, s := c.who.tryOpen(`dir\file`, opening{c.access, shareAll, c.d, c.options})
		if s != c.want {
			t.Errorf("access %#x, disposition %d: %v, want %v", c.access, c.d, s, c.want)
		}
		if s != wire.StatusOK {
			continue
		}
		if got := c.who.granted(id); got != c.granted {
			t.Errorf("access %#x: %#x granted, want %#x", c.access, got, c.granted)
		}
		c.who.want(c.who.closeMsg(id), wire.StatusOK)
	}
	if s := bob.try(`dir\file:stream`, opening{wr, shareAll, wire.OpenIf, 0}); s != wire.StatusAccessDenied {
		t.Errorf("a stream is added: %v", s)
	}
	if s := bob.try(`dir\file:stream`, opening{rd, shareAll, wire.OpenIf, 0}); s != wire.StatusAccessDenied {
		t.Errorf("a stream is added for reading: %v", s)
	}
}

// Who may make a stream sets no EAs by it, which are the file's.
func TestEAsAreNotSetByWayOfAStream(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, rd|wr|wire.AccessReadEA, sd.AuthenticatedUsers) }))
	bob.want(bob.createWithEAs("file:new", opening{wr, shareAll, wire.Create, 0}, eaList("a", "1")), wire.StatusInvalidParameter)
	id := alice.open("file", opening{wire.AccessReadEA, shareAll, wire.Open, 0})
	alice.wantEAs(alice.eaMsg(id, 0, 0, 4096, nil), wire.StatusNoEASOnFile)
	alice.wantStreams(id, "::$DATA 0")
}

// It takes other rights to cut a file than to cut one of its streams, which leaves it its EAs and attributes.
func TestCuttingAStreamReplacesNothingOfItsFile(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	alice.put("file:stream", "content")
	alice.give("", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessExecute|wire.AccessReadOnly, sd.Everyone) }))
	for _, c := range []struct {
		d      wire.Disposition
		rights wire.Access
	}{
		{wire.Overwrite, wire.AccessWriteData}, {wire.OverwriteIf, wire.AccessWriteData}, {wire.Supersede, wire.AccessDelete},
	} {
		give := func(a wire.Access) {
			alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, a|rd|wire.AccessWriteDAC, sd.AuthenticatedUsers) }))
		}
		wants := func(name string, want wire.Status) {
			t.Helper()
			if s := bob.try(name, opening{rd, shareAll, c.d, 0}); s != want {
				t.Errorf("%s, disposition %d: %v, want %v", name, c.d, s, want)
			}
		}
		give(0)
		wants("file:stream", wire.StatusAccessDenied)
		give(c.rights)
		wants("file", wire.StatusAccessDenied)
		wants("file:stream", wire.StatusOK)
	}
}

// An open keeps the rights that it was given, whatever is set later.
func TestRightsAreThoseOfTheOpen(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	id := bob.open("file", opening{rd | wr, shareAll, wire.Open, 0})
	alice.give("file", dacl(func(*sd.ACL) {}))
	bob.want(bob.writeMsg(id, 0, []byte("x")), wire.StatusOK)
	if s := bob.try("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("opened anew: %v", s)
	}
}

func maximal(r []byte) wire.Access {
	at := le.Uint32(r[144:])
	return wire.Access(le.Uint32(r[at+24+4:]))
}

func TestMaximalAccessIsTold(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("dir", wire.OptionDirectory)
	alice.give("dir", dacl(func(l *sd.ACL) {
		l.AppendACE(sd.Allow, 0, wire.AccessAll&^wire.AccessDeleteChild, alice.sid("bob"))
		l.AppendACE(sd.Allow, sd.ObjectInherit, wire.AccessReadData|wire.AccessExecute, alice.sid("bob"))
	}))
	const (
		inherited = wire.AccessReadData | wire.AccessExecute
		listed    = wire.AccessReadAttributes // for the directory may be listed
		owns      = wire.AccessReadControl | wire.AccessWriteDAC
	)
	for _, c := range []struct {
		who  *peer
		d    wire.Disposition
		want wire.Access
	}{
		{bob, wire.Create, inherited | listed | owns},
		{bob, wire.Open, inherited | listed | owns},
		{alice, wire.Open, 0},
	} {
		m := withContext(c.who.createMsg(`dir\file`, opening{rd, shareAll, c.d, 0}), wire.ContextMaximalAccess, nil)
		if c.want == 0 {
			c.who.want(m, wire.StatusAccessDenied)
			continue
		}
		r := c.who.want(m, wire.StatusOK)
		if got := maximal(r); got != c.want {
			t.Errorf("disposition %d: %#x, want %#x", c.d, got, c.want)
		}
		c.who.want(c.who.closeMsg(wire.ReadFileID(r[128:])), wire.StatusOK)
	}
}

// A file may be deleted by who may delete what is in its directory, MS-FSA 2.1.5.1.2.1.
func TestDirectoriesDecideToo(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("dir", wire.OptionDirectory)
	alice.make(`dir\file`, 0)
	alice.make(`dir\other`, 0)
	nothing := dacl(func(*sd.ACL) {})
	alice.give(`dir\file`, nothing)
	del := opening{wire.AccessDelete, shareAll, wire.Open, wire.OptionDeleteOnClose}
	for _, c := range []struct {
		dir          wire.Access
		add, sub     wire.Status
		attrs, purge wire.Status
	}{
		{0, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{wire.AccessReadData, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusOK, wire.StatusAccessDenied},
		{wire.AccessWriteData, wire.StatusOK, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{wire.AccessAppendData, wire.StatusAccessDenied, wire.StatusOK, wire.StatusAccessDenied, wire.StatusAccessDenied},
		{wire.AccessDeleteChild, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusAccessDenied, wire.StatusOK},
	} {
		alice.give("dir", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, c.dir, bob.sid("bob")) }))
		// What bob makes is his to delete.
		own := opening{wire.AccessDelete, shareAll, wire.Create, wire.OptionDeleteOnClose}
		if s := bob.try(`dir\new`, own); s != c.add {
			t.Errorf("%#x: a file is made: %v, want %v", c.dir, s, c.add)
		}
		if s := bob.try(`dir\new:stream`, opening{rd, shareAll, wire.Create, 0}); s != c.add {
			t.Errorf("%#x: a file is made for a stream: %v, want %v", c.dir, s, c.add)
		}
		if err := os.RemoveAll(filepath.Join(alice.dir, "dir/new")); err != nil {
			t.Fatal(err)
		}
		own.options |= wire.OptionDirectory
		if s := bob.try(`dir\new`, own); s != c.sub {
			t.Errorf("%#x: a directory is made: %v, want %v", c.dir, s, c.sub)
		}
		if s := bob.try(`dir\file`, opening{att, shareAll, wire.Open, 0}); s != c.attrs {
			t.Errorf("%#x: attributes are read: %v, want %v", c.dir, s, c.attrs)
		}
		bob.make("mover", 0)
		id := bob.open("mover", opening{wire.AccessDelete | att, shareAll, wire.Open, 0})
		if s := status(bob.ask(bob.setMsg(id, wire.FileLinkInformation, renameInfo(`dir\link`, false)))); s != c.add {
			t.Errorf("%#x: a link is made: %v, want %v", c.dir, s, c.add)
		}
		if s := status(bob.ask(bob.setMsg(id, wire.FileRenameInformation, renameInfo(`dir\moved`, false)))); s != c.add {
			t.Errorf("%#x: a file is moved in: %v, want %v", c.dir, s, c.add)
		}
		bob.want(bob.closeMsg(id), wire.StatusOK)
		for _, left := range []string{"mover", "dir/link", "dir/moved"} {
			if err := os.RemoveAll(filepath.Join(alice.dir, left)); err != nil {
				t.Fatal(err)
			}
		}
		if s := bob.try(`dir\file`, del); s != c.purge {
			t.Errorf("%#x: it is deleted: %v, want %v", c.dir, s, c.purge)
		}
	}
}

// What is replaced by a rename is deleted, and that has to be allowed.
func TestReplacingTakesTheRightToDelete(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	for _, c := range []struct {
		file, dir wire.Access
		want      wire.Status
	}{
		{0, wire.AccessWriteData, wire.StatusAccessDenied},
		{wire.AccessDelete, wire.AccessWriteData, wire.StatusOK},
		{0, wire.AccessWriteData | wire.AccessDeleteChild, wire.StatusOK},
		{wire.AccessDelete, wire.AccessDeleteChild, wire.StatusAccessDenied},
	} {
		alice.make("dir", wire.OptionDirectory)
		alice.make(`dir\target`, 0)
		bob.make("mover", 0)
		alice.give(`dir\target`, dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, c.file, alice.sid("bob")) }))
		alice.give("dir", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, c.dir, alice.sid("bob")) }))
		id := bob.open("mover", opening{wire.AccessDelete, shareAll, wire.Open, 0})
		if s := status(bob.ask(bob.setMsg(id, wire.FileRenameInformation, renameInfo(`dir\target`, true)))); s != c.want {
			t.Errorf("rights %#x to it, %#x to its directory: %v, want %v", c.file, c.dir, s, c.want)
		}
		bob.want(bob.closeMsg(id), wire.StatusOK)
		for _, left := range []string{"mover", "dir"} {
			if err := os.RemoveAll(filepath.Join(alice.dir, left)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A directory lets who may delete in it delete what has a name there: nobody makes such names in his own for what he only sees.
func TestWhoLinksAFileMaySetItsAttributes(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("hers", wire.OptionDirectory)
	alice.make(`hers\file`, 0)
	bob.make("his", wire.OptionDirectory)
	alice.give("hers", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.Everyone) }))
	for _, c := range []struct {
		rights wire.Access
		want   wire.Status
	}{
		{0, wire.StatusAccessDenied},
		{wire.AccessReadOnly, wire.StatusAccessDenied},
		{wire.AccessWriteAttributes, wire.StatusOK},
	} {
		alice.give(`hers\file`, dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, c.rights, alice.sid("bob")) }))
		id := bob.open(`hers\file`, opening{att, shareAll, wire.Open, 0})
		if s := status(bob.ask(bob.setMsg(id, wire.FileLinkInformation, renameInfo(`his\link`, false)))); s != c.want {
			t.Errorf("rights %#x: %v, want %v", c.rights, s, c.want)
		}
		bob.want(bob.closeMsg(id), wire.StatusOK)
	}
}

// An oplock has others wait. Who may do nothing with a file's data keeps none of it, and has nobody wait.
func TestNoOplockIsForWhoMayDoNothingWithTheData(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	o := opening{att, shareAll, wire.Open, 0}
	for rights, want := range map[wire.Access]wire.OplockLevel{
		0:                   wire.OplockNone, // the attributes are those of an entry that he may list
		wire.AccessDelete:   wire.OplockNone,
		wire.AccessReadData: wire.OplockBatch,
	} {
		alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, rights, alice.sid("bob")) }))
		bob.close(bob.openOplock("file", o, wire.OplockBatch, want))
		bob.close(bob.openLease("file", o, 1, leaseRWH, want.State()))
	}
}

// A share mode keeps others out. Who may only read a file, or by the share, keeps no reader from it.
func TestWhoMayNotWriteKeepsNobodyFromReading(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	guest := connect(t, alice.srv, alice.dir).logOn("ro")
	for _, c := range []struct {
		who         *peer
		rights      wire.Access
		read, write wire.Status
	}{
		{bob, wire.AccessReadOnly, wire.StatusOK, wire.StatusSharingViolation},
		{bob, wire.AccessReadOnly | wr, wire.StatusSharingViolation, wire.StatusSharingViolation},
		{guest, wire.AccessAll, wire.StatusOK, wire.StatusSharingViolation},
	} {
		alice.give("file", dacl(func(l *sd.ACL) {
			l.AppendACE(sd.Allow, 0, c.rights, sd.Everyone)
			l.AppendACE(sd.Allow, 0, wire.AccessAll, alice.sid("alice"))
		}))
		id := c.who.open("file", opening{rd, 0, wire.Open, 0})
		if s := alice.try("file", opening{rd, shareAll, wire.Open, 0}); s != c.read {
			t.Errorf("beside a reader with rights %#x: read: %v, want %v", c.rights, s, c.read)
		}
		if s := alice.try("file", opening{wr, shareAll, wire.Open, 0}); s != c.write {
			t.Errorf("beside a reader with rights %#x: written: %v, want %v", c.rights, s, c.write)
		}
		c.who.close(id)
	}
}

func TestNewFilesInherit(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("dir", wire.OptionDirectory)
	alice.give("dir", dacl(func(l *sd.ACL) {
		l.AppendACE(sd.Allow, sd.ObjectInherit|sd.ContainerInherit|sd.InheritOnly, wire.AccessGenericRead|wire.AccessDelete, sd.CreatorOwner)
		l.AppendACE(sd.Allow, 0, wire.AccessAll, sd.Everyone)
	}))
	bob.make(`dir\sub`, wire.OptionDirectory)
	id := bob.open(`dir\sub`, opening{wire.AccessReadControl, shareAll, wire.Open, 0})
	if l := bob.security(id, allParts).DACL; l.Len() != 2 {
		t.Errorf("%d entries, want bob's and that of who makes something in it", l.Len())
	}
	if s := alice.try(`dir\sub`, opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("alice reads what is bob's: %v", s)
	}
	if s := bob.try(`dir\sub`, opening{wire.AccessGenericRead, shareAll, wire.Open, 0}); s != wire.StatusOK {
		t.Errorf("bob reads what is his: %v", s)
	}
	if s := bob.try(`dir\sub\file`, opening{rd, shareAll, wire.Create, 0}); s != wire.StatusAccessDenied {
		t.Errorf("bob, who may only read, makes a file: %v", s)
	}
}

func TestDescriptorsOfCreate(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	mine := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessGenericRead, alice.sid("alice")) })
	audited := *mine
	audited.Control, audited.SACL = audited.Control|sd.SACLPresent, &sd.ACL{}
	given := *mine
	given.Owner = alice.sid("bob")
	make := func(name string, b []byte) []byte {
		return withContext(alice.createMsg(name, opening{rd | wr, shareAll, wire.Create, 0}), wire.ContextSecurity, b)
	}
	for what, c := range map[string]struct {
		b    []byte
		want wire.Status
	}{
		"cut":                {mine.Append(nil)[:30], wire.StatusInvalidSecurityDescr},
		"of 64 KiB and more": {append(mine.Append(nil), bytes.Repeat([]byte{0}, sd.MaxSize)...), wire.StatusInvalidSecurityDescr},
		"with a SACL":        {audited.Append(nil), wire.StatusPrivilegeNotHeld},
		"of another's":       {given.Append(nil), wire.StatusInvalidOwner},
	} {
		alice.want(alice.charged(make("refused", c.b)), c.want)
		if _, err := os.Stat(filepath.Join(alice.dir, "refused")); err == nil {
			t.Errorf("%s: the file was made all the same", what)
		}
	}
	alice.want(make("file", mine.Append(nil)), wire.StatusOK)
	if s := bob.try("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("bob reads alice's: %v", s)
	}
	if s := alice.try("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusOK {
		t.Errorf("alice reads hers: %v", s)
	}
	if s := alice.try("file", opening{wr, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("alice writes what she may only read: %v", s)
	}
}

func TestSettingNeedsRights(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("file", 0)
	const parts = sd.PartOwner | sd.PartGroup | sd.PartDACL | sd.PartSACL
	for _, c := range []struct {
		access  wire.Access
		allowed sd.Parts
	}{
		{rd | wr, 0},
		{wire.AccessWriteOwner, sd.PartOwner | sd.PartGroup | sd.PartLabel},
		{wire.AccessWriteDAC, sd.PartDACL | sd.PartAttribute},
		{wire.AccessAll, sd.PartOwner | sd.PartGroup | sd.PartDACL | sd.PartLabel | sd.PartAttribute},
	} {
		id := alice.open("file", opening{c.access, shareAll, wire.Open, 0})
		d := &sd.Descriptor{Control: sd.DACLPresent, Owner: alice.sid("alice"), Group: sd.Users}
		for part := sd.Parts(1); part <= sd.PartBackup; part <<= 1 {
			want := wire.StatusOK
			if (parts|sd.PartLabel|sd.PartAttribute|sd.PartScope|sd.PartBackup)&part != 0 && !c.allowed.Has(part) {
				want = wire.StatusAccessDenied
			}
			if s := status(alice.ask(alice.setSecurityMsg(id, part, d.Append(nil)))); s != want {
				t.Errorf("access %#x, part %#x: %v, want %v", c.access, part, s, want)
			}
		}
		alice.want(alice.closeMsg(id), wire.StatusOK)
	}
	id := bob.open("file", opening{wire.AccessAll, shareAll, wire.Open, 0})
	for _, c := range []struct {
		owner, group sd.SID
		parts        sd.Parts
		want         wire.Status
	}{
		{sd.System, "", sd.PartOwner, wire.StatusInvalidOwner},
		{"", "", sd.PartOwner, wire.StatusInvalidOwner},
		{"", "", sd.PartGroup, wire.StatusInvalidPrimaryGroup},
		{alice.sid("alice"), "", sd.PartOwner, wire.StatusOK}, // who it is already
		{alice.sid("bob"), "", sd.PartOwner, wire.StatusOK},
		{alice.sid("alice"), "", sd.PartOwner, wire.StatusInvalidOwner},
		{"", sd.System, sd.PartGroup, wire.StatusOK},
	} {
		d := &sd.Descriptor{Owner: c.owner, Group: c.group}
		if s := status(bob.ask(bob.setSecurityMsg(id, c.parts, d.Append(nil)))); s != c.want {
			t.Errorf("owner %v, group %v: %v, want %v", c.owner, c.group, s, c.want)
		}
	}
	if d := bob.security(id, allParts); d.Owner != alice.sid("bob") || d.Group != sd.System {
		t.Errorf("owner %v, group %v", d.Owner, d.Group)
	}
}

func TestHostileDescriptorsChangeNothing(t *testing.T) {
	alice, _ := aliceAndBob(t, nil)
	id := alice.newFile("file")
	before := alice.security(id, allParts).Append(nil)
	good := dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, rd, sd.Everyone) }).Append(nil)
	for what, change := range map[string]func(b []byte) []byte{
		"nothing":              func([]byte) []byte { return nil },
		"DACL behind its end":  func(b []byte) []byte { le.PutUint32(b[16:], uint32(len(b))+4); return b },
		"DACL at 4 GiB":        func(b []byte) []byte { le.PutUint32(b[16:], 0xFFFFFFFC); return b },
		"DACL of 64 KiB":       func(b []byte) []byte { le.PutUint16(b[22:], 0xFFFC); return b },
		"65535 entries":        func(b []byte) []byte { le.PutUint16(b[24:], 0xFFFF); return b },
		"SID of 255 numbers":   func(b []byte) []byte { b[37] = 255; return b },
		"more than 64 KiB":     func(b []byte) []byte { return append(b, make([]byte, sd.MaxSize)...) },
		"one that is absolute": func(b []byte) []byte { b[3] = 0; return b },
	} {
		m := alice.setSecurityMsg(id, sd.PartDACL, change(bytes.Clone(good)))
		charge(m, len(m))
		if s := status(alice.ask(alice.charged(m))); s != wire.StatusInvalidSecurityDescr && s != wire.StatusInvalidParameter {
			t.Errorf("%s: %v", what, s)
		}
	}
	if !bytes.Equal(alice.security(id, allParts).Append(nil), before) {
		t.Error("the descriptor was changed")
	}
	r := alice.want(alice.securityMsg(id, allParts, len(before)-1), wire.StatusBufferTooSmall)
	if n := le.Uint32(r[wire.ErrorValueSize-4:]); int(n) != len(before) {
		t.Errorf("it is said to take %d bytes, and takes %d", n, len(before))
	}
	alice.want(alice.securityMsg(id, allParts, len(before)), wire.StatusOK)
}

func TestAdministratorsHavePrivileges(t *testing.T) {
	alice, bob := aliceAndBob(t, func(c *Config) { c.Admins = []string{"Bob"} })
	alice.make("file", 0)
	alice.give("file", dacl(func(*sd.ACL) {}))
	alice.give("", dacl(func(*sd.ACL) {})) // the share's own directory
	if s := bob.try("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("bob reads without a right: %v", s)
	}
	id := bob.open("file", opening{wire.AccessWriteOwner | wire.AccessSystemSecurity, shareAll, wire.Open, 0})
	audit := &sd.Descriptor{Control: sd.SACLPresent, SACL: &sd.ACL{}, Owner: sd.System}
	audit.SACL.AppendACE(sd.Audit, 0x80, wire.AccessWriteData, sd.Everyone)
	bob.want(bob.setSecurityMsg(id, sd.PartSACL|sd.PartOwner, audit.Append(nil)), wire.StatusOK)
	bob.want(bob.securityMsg(id, sd.PartOwner, 4096), wire.StatusAccessDenied)
	if d := bob.security(id, sd.PartSACL); d.SACL == nil || d.SACL.Len() != 1 || d.DACL != nil {
		t.Errorf("%+v", d)
	}
	if s := alice.try("file", opening{wire.AccessWriteDAC, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("alice changes what is the system's now: %v", s)
	}
}

func TestDescriptorsOutliveTheServer(t *testing.T) {
	needXattrs(t)
	dir := t.TempDir()
	alice := connect(t, newServerIn(t, dir, nil), dir).logOn("pub").as("alice")
	id := alice.newFile("file")
	alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, rd|att, alice.sid("alice")) }))
	want := alice.security(id, allParts).Append(nil)
	alice.want(alice.closeMsg(id), wire.StatusOK)
	alice.hangUp()

	srv := newServerIn(t, dir, nil)
	again, bob := connect(t, srv, dir).logOn("pub").as("Alice"), connect(t, srv, dir).logOn("pub").as("bob")
	if s := bob.try("file", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("bob reads after a restart: %v", s)
	}
	id = again.open("file", opening{rd | wire.AccessReadControl, shareAll, wire.Open, 0})
	if got := again.security(id, allParts).Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x after a restart, want % x", got, want)
	}
	// What is written over keeps its descriptor, and it is no EA.
	id = again.open("other", opening{wire.AccessAll, shareAll, wire.Create, 0})
	again.give("other", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessAll, again.sid("alice")) }))
	again.want(again.queryMsg(id, wire.InfoFile, uint8(wire.FileFullEAInformation), 4096), wire.StatusNoEASOnFile)
	again.want(again.closeMsg(id), wire.StatusOK)
	again.want(again.closeMsg(again.newFile("other")), wire.StatusOK)
	if s := bob.try("other", opening{rd, shareAll, wire.Open, 0}); s != wire.StatusAccessDenied {
		t.Errorf("bob reads what was written over: %v", s)
	}
}

// Who looks at a file while another makes it must not find it without a descriptor.
func TestNoFileIsEverybodysWhileItIsMade(t *testing.T) {
	alice, bob := aliceAndBob(t, nil)
	alice.make("dir", wire.OptionDirectory)
	alice.give("dir", dacl(func(l *sd.ACL) {
		l.AppendACE(sd.Allow, sd.ObjectInherit|sd.ContainerInherit, wire.AccessAll, alice.sid("alice"))
		l.AppendACE(sd.Allow, 0, wire.AccessReadOnly, sd.Everyone)
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			for _, options := range []wire.CreateOptions{0, wire.OptionDirectory} {
				id, s := alice.tryOpen(`dir\new`, opening{wire.AccessAll, shareAll, wire.OpenIf, options | wire.OptionDeleteOnClose})
				if s == wire.StatusOK {
					s = status(alice.ask(alice.closeMsg(id)))
				}
				if s != wire.StatusOK {
					t.Errorf("alice: %v", s)
				}
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if s := bob.try(`dir\new`, opening{wire.AccessWriteData, shareAll, wire.Open, 0}); s == wire.StatusOK {
			t.Fatal("bob writes what alice makes for herself")
		}
	}
}

// The real client shows descriptors, and its two users are held to them.
func TestSmbclientIsHeldToDescriptors(t *testing.T) {
	needXattrs(t)
	ts := startServer(t, nil)
	smbclient := func(as, commands string) string {
		t.Helper()
		out, _ := ts.smbclient(t, "-U", as, "//127.0.0.1/pub", "-c", commands)
		return out
	}
	path, _ := randomFile(t, 1000)
	smbclient("alice%secret", "put "+path+" file")
	alice := connect(t, ts.Server, ts.dir).logOn("pub").as("alice")
	sid := alice.sid("alice").String()
	out := smbclient("alice%secret", "showacls; dir")
	for _, want := range []string{"Owner SID:\t" + sid, "Permissions: 0x1f01ff", "SID: S-1-1-0"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	alice.give("file", dacl(func(l *sd.ACL) { l.AppendACE(sd.Allow, 0, wire.AccessAll, alice.sid("alice")) }))
	if out := smbclient("alice%secret", "showacls; dir"); strings.Contains(out, "SID: S-1-1-0") || !strings.Contains(out, "SID: "+sid) {
		t.Errorf("shown when it is set:\n%s", out)
	}
	for as, denied := range map[string]bool{"alice%secret": false, "bob%hidden": true, "%": true} {
		if out := smbclient(as, "get file; put "+path+" file"); strings.Contains(out, "NT_STATUS_ACCESS_DENIED") != denied {
			t.Errorf("as %s:\n%s", as, out)
		}
	}
}

func TestNoUserOfARealmHasAnothersSID(t *testing.T) {
	srv := newServerIn(t, t.TempDir(), nil)
	sid := func(user, realm string) sd.SID {
		return srv.token(auth.Identity{User: user, Domain: realm, Realm: realm}).User
	}
	alice := sid("alice", "EXAMPLE.COM")
	if again := sid("Alice", "example.com"); again != alice {
		t.Errorf("alice is %v, and %v in another case", alice, again)
	}
	for _, other := range []sd.SID{sid("alice", "OTHER.COM"), sid("aliceEXAMPLE", ".COM"), UserSID(srv.cfg.MachineSID, "alice")} {
		if other == alice {
			t.Errorf("somebody else is %v too", alice)
		}
	}
	// By a hash of 31 bits a few seconds' search finds such a name: these two have one RID.
	const one, other = "user19730", "user30787"
	if auth.RID(one) != auth.RID(other) {
		t.Fatal("the names have different RIDs")
	}
	if sid(one, "EXAMPLE.COM") == sid(other, "EXAMPLE.COM") {
		t.Errorf("%s and %s have one SID", one, other)
	}
}

func TestMachineSIDs(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MachineSID = sd.NewSID(5, make([]uint32, 15)...)
	if _, err := NewServer(cfg); !errors.Is(err, ErrConfig) {
		t.Errorf("a SID that has no room for users: %v", err)
	}
	if a, b := MachineSID("files"), MachineSID("FILES"); a != b || a == MachineSID("others") {
		t.Errorf("SIDs %v and %v of one name", a, b)
	}
	cfg.MachineSID = sd.NewSID(5, 21, 7, 8, 9)
	srv := newServerIn(t, t.TempDir(), func(c *Config) { c.MachineSID = cfg.MachineSID })
	if u := srv.token(auth.Identity{User: "alice"}).User; u != cfg.MachineSID.Sub(auth.RID("ALICE")) {
		t.Errorf("alice is %v", u)
	}
	next := cfg
	next.MachineSID, next.Admins = "", []string{"alice"}
	if _, err := srv.Reconfigure(next); err != nil {
		t.Fatal(err)
	}
	if tk := srv.token(auth.Identity{User: "Alice"}); tk.User != cfg.MachineSID.Sub(auth.RID("alice")) || !tk.Security || !tk.Has(sd.Administrators) {
		t.Errorf("%v, privileges %v, after the settings were read again", tk.User, tk.Security)
	}
	guest, nobody := srv.token(auth.Identity{User: "alice", Guest: true}), srv.token(auth.Identity{Guest: true, Anonymous: true})
	if guest.User != cfg.MachineSID.Sub(sd.GuestRID) || guest.Has(sd.AuthenticatedUsers) || guest.Security || nobody.User != sd.Anonymous {
		t.Errorf("a guest is %v, nobody %v", guest.User, nobody.User)
	}
}
